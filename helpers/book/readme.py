"""The parts of README.md that come out of the book: the table of chapters and the picture."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import nbformat

from helpers.book.chapters import NOTEBOOKS, ROOT, chapters

README = ROOT / "README.md"
PICTURE = NOTEBOOKS / "cover.png"
# The book's first picture: four tensors, one storage.
PICTURE_FROM = "103"
PARTS = {
    "0": "Start",
    "1": "Tensors",
    "2": "Autograd",
    "3": "Modules",
    "4": "Layers and convolution arithmetic",
    "5": "Hooks",
    "6": "Data: pictures, transforms, loaders",
    "7": "Training",
    "9": "Reference",
}
_TABLE = re.compile(r"(?s)(<!-- chapters -->\n).*?(<!-- end of chapters -->)")


def table_of_chapters(sources: Path | None = None) -> str:
    """The table of chapters in Markdown: number, title, and the first objective of each.

    Args:
        sources: folder of the percent sources; by default the book's.
    """
    rows = ["| | Chapter | You will be able to |", "|---|---|---|"]
    part = None
    for chapter in chapters(sources) if sources else chapters():
        text = chapter.source.read_text(encoding="utf-8")
        title = re.search(r"(?m)^# # \d{3} · (.+)$", text)[1]
        wants = re.search(r"(?m)^# - ((?:.|\n# +)+?)[;.]$", text)[1].replace("\n#  ", "")
        if PARTS[chapter.number[0]] != part:
            part = PARTS[chapter.number[0]]
            rows.append(f"| | **{part}** | |")
        rows.append(f"| {chapter.number} | [{title}](notebooks/{chapter.name}.ipynb) | {wants} |")
    return "\n".join(rows) + "\n"


def picture() -> bytes:
    """The PNG of the first figure in the chapter that the README's picture comes from.

    Raises:
        LookupError: the chapter is not built, or has no figure.
    """
    for chapter in chapters():
        if chapter.number == PICTURE_FROM and chapter.notebook.exists():
            for cell in nbformat.read(chapter.notebook, as_version=4).cells:
                for output in cell.get("outputs", []):
                    page = output.get("data", {}).get("text/html", "")
                    found = re.search(r'src="data:image/png;base64,([^"]+)"', page)
                    if found:
                        return base64.b64decode(found[1])
    raise LookupError(f"chapter {PICTURE_FROM} has no figure yet: run make notebooks")


def current(text: str) -> str:
    """README's text with today's table of chapters.

    Raises:
        ValueError: the two comments that the table stands between are not there.
    """
    if not _TABLE.search(text):
        raise ValueError("README.md: the comments <!-- chapters --> and <!-- end of chapters -->")
    return _TABLE.sub(lambda found: found[1] + table_of_chapters() + found[2], text)


def refresh() -> None:
    """Write README.md and its picture anew, each only where it changes."""
    text = README.read_text(encoding="utf-8")
    if current(text) != text:
        README.write_text(current(text), encoding="utf-8")
    if not PICTURE.exists() or PICTURE.read_bytes() != picture():
        PICTURE.write_bytes(picture())
