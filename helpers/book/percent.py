"""A chapter's source as text: written from cells, and checked before anything is run.

Cells are compared through jupytext's library, never by its command line, whose ``--diff`` exits 0
on a difference. Trailing blank lines of a cell do not count: the format cannot hold them all.
"""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from difflib import SequenceMatcher
from itertools import zip_longest

import jupytext
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from helpers.book.chapters import read_source

# What jupytext takes for the first line of a cell.
_MARKER = re.compile(r"\s*#\s*(%%(%*\s.*|\s*)|<codecell>\s*|In\[[0-9 ]*\]:?\s*)$")
_METADATA = {
    "jupytext": {
        "notebook_metadata_filter": "-all",
        "cell_metadata_filter": "tags,-all",
        "main_language": "python",
    }
}
# Kept for a cell that stays as it was: how it is quoted, and the blank lines after it.
_LAYOUT = ("cell_marker", "lines_to_next_cell")

Cell = tuple[str, str, tuple[str, ...]]


class SourceError(ValueError):
    """A source that cannot become a notebook, or cells that cannot become a source."""


def digest(text: str) -> str:
    """The SHA-256 of a source's text, as a built notebook carries it."""
    return hashlib.sha256(text.encode()).hexdigest()


def cells(notebook: NotebookNode) -> list[Cell]:
    """What a source holds of a notebook: each cell's kind, text and tags."""
    return [
        (cell.cell_type, cell.source.rstrip(), tuple(cell.metadata.get("tags", ())))
        for cell in notebook.cells
    ]


def first_lines(text: str) -> list[int]:
    """For each cell of ``text`` in turn, the number (from 1) of the line its text begins on."""
    lines = text.splitlines()
    starts, at = [], 0
    for cell in jupytext.reads(text, fmt="py:percent").cells:
        while at < len(lines) and not _MARKER.match(lines[at]):
            at += 1
        quoted = cell.metadata.get("cell_marker", "").lstrip("rR").startswith(('"""', "'''"))
        starts.append(at + 2 + quoted)
        at += 1 + 2 * quoted + len(cell.source.splitlines())
    return starts


def check(text: str) -> None:
    """Refuse a source that would not run as it is read, before a kernel is started for it.

    Raises:
        SourceError: it is no Python, it is not written as jupytext writes it, or jupytext would
            turn one of its comments into a command. The message names the line.
    """
    lines = text.splitlines()
    if not lines or not _MARKER.match(lines[0]):
        raise SourceError("line 1: a source has no header; it begins with a cell: # %% [markdown]")
    parsed = jupytext.reads(text, fmt="py:percent")
    written = _write(parsed.cells)
    for number, (is_, should) in enumerate(
        zip_longest(text.split("\n"), written.split("\n")), start=1
    ):
        if is_ != should:
            raise SourceError(
                f"line {number}: {_shown(is_)} is not how the percent format writes it. "
                f"Write {_shown(should)}"
            )
    starts = first_lines(text)
    for cell, start in zip(parsed.cells, starts, strict=True):
        if cell.cell_type == "code":
            _check_code(cell.source, start, lines)


def write(notebook: NotebookNode, old: str) -> str:
    """The source that holds the cells of ``notebook``.

    Args:
        notebook: its cells' kinds, texts and tags are all that is taken.
        old: the source as it was; a cell that is still the same keeps its layout.

    Raises:
        SourceError: the percent format cannot hold a cell; the message names it.
    """
    before = jupytext.reads(old, fmt="py:percent").cells
    wanted = cells(notebook)
    plain = [
        NotebookNode(cell_type=kind, source=source, metadata={"tags": list(tags)} if tags else {})
        for kind, source, tags in wanted
    ]
    was = cells(NotebookNode(cells=before))
    for i, j, size in SequenceMatcher(a=was, b=wanted, autojunk=False).get_matching_blocks():
        for k in range(size):
            same = before[i + k].metadata
            plain[j + k].source = before[i + k].source
            last = k == size - 1
            ends = i + size == len(was) and j + size == len(wanted)
            keep = _LAYOUT[:1] if last and not ends else _LAYOUT
            plain[j + k].metadata.update({key: same[key] for key in keep if key in same})
    text = _write(plain)
    got = cells(read_source(text))
    if got != wanted:
        raise SourceError(_unfit(notebook, wanted, got))
    return text


def place(notebook: NotebookNode, index: int) -> str:
    """Where a cell is, in words: its position among cells of its kind, and its id."""
    cell = notebook.cells[index]
    position = sum(other.cell_type == cell.cell_type for other in notebook.cells[: index + 1])
    return f"{cell.cell_type} cell {position} (id {cell.get('id', 'none')})"


def _write(some_cells: list[NotebookNode]) -> str:
    copies = [NotebookNode({**cell, "metadata": dict(cell.metadata)}) for cell in some_cells]
    notebook = NotebookNode(nbformat=4, nbformat_minor=5, metadata=_METADATA, cells=copies)
    return jupytext.writes(notebook, fmt="py:percent")


def _check_code(source: str, start: int, lines: list[str]) -> None:
    for offset, line in enumerate(source.splitlines()):
        written = lines[start - 1 + offset]
        kept = line.lstrip().startswith(("%", "!", "#"))
        if written.lstrip().startswith("#") and written != line and not kept:
            raise SourceError(
                f"line {start + offset}: jupytext reads the comment {written.strip()!r} as a "
                "command. Begin it with another word"
            )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = TransformerManager().transform_cell(source)
            compile(code, "cell", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        line = start - 1 + (getattr(error, "lineno", None) or 1)
        message = error.msg if isinstance(error, SyntaxError) else str(error)
        raise SourceError(
            f"line {line}: {message}: {_shown(lines[min(line, len(lines)) - 1].strip())}"
        ) from None


def _unfit(notebook: NotebookNode, wanted: list[Cell], got: list[Cell]) -> str:
    """Why the percent format gives back other cells than it was given."""
    index = next(i for i, (a, b) in enumerate(zip_longest(wanted, got)) if a != b)
    where = place(notebook, min(index, len(wanted) - 1))
    kind, source, _ = wanted[min(index, len(wanted) - 1)]
    prefix = "" if kind == "code" else "# "
    for number, line in enumerate(source.splitlines(), start=1):
        if _MARKER.match(prefix + line):
            return (
                f"{where}, line {number}: the percent format would begin a new cell at "
                f"{_shown(line)}. Write that line differently"
            )
    return f"{where}: the percent format cannot hold this cell. Write it differently"


def _shown(line: str | None) -> str:
    if line is None:
        return "the end of the file"
    return repr(line) if line else "an empty line"
