"""Where the chapters are, and how a percent source becomes notebook cells with stable ids."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
SOURCES = NOTEBOOKS / "source"

# The whole of a built notebook's metadata: nothing in it may depend on who builds it, or when.
# Ruff skips a notebook whose kernelspec names no language.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
}


@dataclass(frozen=True)
class Chapter:
    """One chapter: its number is its identity, the rest follows from it."""

    number: str
    name: str
    source: Path
    notebook: Path


def chapters(sources: Path = SOURCES, notebooks: Path = NOTEBOOKS) -> list[Chapter]:
    """Every chapter that has a source, in the order of the book.

    Args:
        sources: folder of ``NNN_name.py`` files in jupytext's percent format.
        notebooks: folder of the notebooks built from them.

    Raises:
        ValueError: a source is misnamed, or two sources share a number.
    """
    found: dict[str, Chapter] = {}
    for source in sorted(sources.glob("*.py")):
        match = re.fullmatch(r"(\d{3})_[a-z0-9_]+", source.stem)
        if not match:
            raise ValueError(f"{source.name}: a chapter is named NNN_name.py, as in 103_storage.py")
        number = match[1]
        if number in found:
            raise ValueError(f"{source.name} and {found[number].source.name} share number {number}")
        notebook = notebooks / f"{source.stem}.ipynb"
        found[number] = Chapter(number, source.stem, source, notebook)
    return list(found.values())


def find(number: str, **folders: Path) -> Chapter:
    """The chapter called ``number`` ("103"), or named so ("103_storage_and_views").

    Raises:
        LookupError: there is none; the message lists what there is.
    """
    known = chapters(**folders)
    for chapter in known:
        if number in (chapter.number, chapter.name):
            return chapter
    there = ", ".join(chapter.number for chapter in known) or "none yet"
    raise LookupError(f"no chapter {number!r}; there is: {there}")


def read_source(text: str) -> NotebookNode:
    """A notebook, not executed, from a percent source.

    A cell's id comes from its kind, its text and how often the same text came before, so that
    building twice gives the same ids and editing one cell changes only its own.

    Args:
        text: the content of a ``NNN_name.py`` file.
    """
    # Here, since whoever only asks where the chapters are must not wait a second for them.
    import jupytext
    import nbformat

    parsed = jupytext.reads(text, fmt="py:percent")
    notebook = nbformat.v4.new_notebook(metadata=METADATA)
    seen: dict[str, int] = {}
    for cell in parsed.cells:
        metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        key = f"{cell.cell_type}\n{cell.source}"
        seen[key] = seen.get(key, 0) + 1
        digest = hashlib.sha256(f"{key}\n{seen[key]}".encode()).hexdigest()
        make = getattr(nbformat.v4, f"new_{cell.cell_type}_cell")
        notebook.cells.append(make(cell.source, id=digest[:12], metadata=metadata))
    return notebook
