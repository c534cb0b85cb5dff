"""Adopt: bring an edit made in Jupyter back into a chapter's source.

Only the text and the tags of cells come back; outputs are built again by ``make notebooks``.
Nothing is overwritten that cannot be had again: the source must be the one the notebook was built
from, or, where the notebook does not say, the one that git holds.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from nbformat import NotebookNode

from helpers.book import percent
from helpers.book.build import (
    Book,
    committed,
    one_at_a_time,
    read_notebook,
    untouched,
    words,
    write_atomically,
)
from helpers.book.chapters import Chapter, read_source

# What lies in a notebook's cells beside text and tags, and would be lost without a word.
_CARRIED = ("attachments",)


class AdoptError(Exception):
    """An edit that cannot be brought back, in words for its author."""


def main(argv: list[str], book: Book | None = None) -> int:
    """Adopt the edit of one chapter; returns 1, with nothing written, if that is not safe."""
    parser = argparse.ArgumentParser(prog="make adopt", description=__doc__.split("\n")[0])
    parser.add_argument("number", metavar="NB=NNN", nargs="?", help="the chapter, as in NB=103")
    parser.add_argument(
        "--from", dest="path", type=Path, help="the edited notebook, by default the built one"
    )
    asked = parser.parse_args(argv)
    book = book or Book()
    try:
        if asked.number is None:
            raise AdoptError("which chapter? Name it: make adopt NB=103")
        [chapter] = book.chapters([asked.number])
        with one_at_a_time(book):
            changes = adopt(book, chapter, asked.path or chapter.notebook)
    except (AdoptError, LookupError, ValueError, OSError) as error:
        print(f"book: {words(error)}", file=sys.stderr)
        return 1
    if not changes:
        print(f"{chapter.name}: nothing to adopt, the source holds the same cells")
        return 0
    print("\n".join(changes))
    added = sum(line.startswith("+") for line in changes[2:])
    removed = sum(line.startswith("-") for line in changes[2:])
    print(
        f"\n{book.shown(chapter.source)}: {added} lines added, {removed} removed. "
        f"Next: make notebooks NB={chapter.number}"
    )
    return 0


def adopt(book: Book, chapter: Chapter, path: Path) -> list[str]:
    """Write the cells of an edited notebook into the chapter's source.

    Args:
        path: the edited notebook.

    Returns:
        The change as the lines of a unified diff; none, with nothing written, where the source
        holds the same cells already.

    Raises:
        AdoptError: the notebook cannot be read, the percent format cannot hold it, or source and
            notebook were both edited; nothing is written.
    """
    notebook = _read(book, path)
    old = chapter.source.read_text(encoding="utf-8")
    if percent.cells(notebook) == percent.cells(read_source(old)):
        return []
    try:
        new = percent.write(notebook, old)
    except percent.SourceError as error:
        raise AdoptError(f"{book.shown(path)}, {error}; nothing was adopted") from None
    _refuse_to_lose(book, chapter, notebook, old, new)
    write_atomically(chapter.source, new)
    return list(
        difflib.unified_diff(
            old.splitlines(),
            new.splitlines(),
            f"{book.shown(chapter.source)} (as it was)",
            f"{book.shown(chapter.source)} (adopted)",
            lineterm="",
        )
    )


def _read(book: Book, path: Path) -> NotebookNode:
    if not path.exists():
        raise AdoptError(f"{book.shown(path)} is not there. Name the edited notebook: FROM=path")
    notebook = read_notebook(path)
    if notebook is None:
        raise AdoptError(f"{book.shown(path)} is no notebook. Save it in Jupyter again")
    if not notebook.cells:
        raise AdoptError(f"{book.shown(path)} has no cells; nothing was adopted")
    for index, cell in enumerate(notebook.cells):
        if any(cell.get(name) for name in _CARRIED):
            raise AdoptError(
                f"{book.shown(path)}, {percent.place(notebook, index)}: a picture was pasted in, "
                "which a text source cannot hold. Put it in data/ and link it"
            )
    return notebook


def _refuse_to_lose(
    book: Book, chapter: Chapter, notebook: NotebookNode, old: str, new: str
) -> None:
    built_from = notebook.metadata.get("book", {}).get("source")
    if built_from == percent.digest(old):
        return
    if built_from is None and committed(chapter.source) == old:
        return
    if untouched(book, chapter, notebook):
        raise AdoptError(
            f"{chapter.number} not adopted: its notebook was not edited since it was built, but "
            f"the source was. Build it: make notebooks NB={chapter.number}"
        )
    spare = book.cache / f"{chapter.name}.adopted.py"
    write_atomically(spare, new)
    if built_from is None:
        cause = "the notebook does not say from which source it was built, and git holds no copy"
    else:
        cause = "the source was edited, too, since that notebook was built from it"
    source = book.shown(chapter.source)
    raise AdoptError(
        f"{chapter.number} not adopted: {cause}. The notebook's cells are in {book.shown(spare)}: "
        f"merge them into {source} by hand, then: make notebooks NB={chapter.number} FORCE=1"
    )
