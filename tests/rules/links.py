"""Where links lead: to a file of this book, and to a heading that is there."""

from __future__ import annotations

import re
from urllib.parse import unquote

from helpers.book.chapters import Chapter
from tests.rules.text import Text, anchor, headings, images, links


def anchors(text: Text) -> set[str]:
    """The fragments that lead somewhere in a chapter."""
    return {anchor(title) for _, cell in text.markdown for _, title in headings(cell)}


def local_links(text: Text) -> list[str]:
    """Every link inside the book leads to a file, and to a heading where it names one."""
    found = []
    folder = text.chapter.notebook.parent
    for i, cell in text.markdown:
        for address, shown in links(cell):
            if re.match(r"https?://", address):
                found += [text.problem(i, problem) for problem in _outside(address)]
                continue
            path, _, fragment = unquote(address).partition("#")
            goal = text
            if path:
                if not (folder / path).exists():
                    found.append(text.problem(i, f"the link {shown!r} leads to no file: {path}"))
                    continue
                if path.endswith(".ipynb"):
                    goal = Text.of(_chapter(text.chapter, path))
                elif fragment:
                    found.append(text.problem(i, f"{address} names a part of a file"))
                    continue
            if fragment and fragment not in anchors(goal):
                there = f"in {goal.chapter.name}" if path else "here"
                found.append(text.problem(i, f"{shown!r} leads to #{fragment}: none {there}"))
            if not path and not fragment:
                found.append(text.problem(i, f"the link {shown!r} is empty"))
    return found


def alt_texts(text: Text) -> list[str]:
    """A picture in a text is in the repository and has alt text."""
    found = []
    for i, cell in text.markdown:
        if re.search(r"<img\b", cell.source):
            found.append(text.problem(i, "a picture in HTML: write ![alt text](file)"))
        for address, alt in images(cell):
            if len(alt) < 20:
                found.append(
                    text.problem(i, f"the picture {address} has no real alt text: {alt!r}")
                )
            if not (text.chapter.notebook.parent / unquote(address)).is_file():
                found.append(text.problem(i, f"the picture {address} is not there"))
    return found


def _outside(address: str) -> list[str]:
    if not address.startswith("https://"):
        return [f"{address} is not https"]
    host = address.split("/")[2]
    local = "." not in host or host.startswith(("127.", "localhost", "10.", "192.168."))
    return [f"{address} is no public address"] if local else []


def _chapter(beside: Chapter, path: str) -> Chapter:
    notebook = (beside.notebook.parent / path).resolve()
    source = beside.source.parent / f"{notebook.stem}.py"
    return Chapter(notebook.stem[:3], notebook.stem, source, notebook)
