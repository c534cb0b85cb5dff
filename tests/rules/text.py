"""A chapter as the rules read it: cells with their places, sections, prose, links."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token
from nbformat import NotebookNode

from helpers.book.chapters import Chapter, read_source

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_INLINE = re.compile(r"^%matplotlib inline[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """A heading of the second level and the cells from there to the next."""

    title: str
    cells: list[int]


@dataclass(frozen=True)
class Text:
    """The source of a chapter, cut into cells; cells are counted from 0."""

    chapter: Chapter
    source: str

    @classmethod
    def of(cls, chapter: Chapter) -> Text:
        return cls(chapter, chapter.source.read_text(encoding="utf-8"))

    @property
    def number(self) -> str:
        return self.chapter.number

    @cached_property
    def cells(self) -> list[NotebookNode]:
        return read_source(self.source).cells

    @property
    def markdown(self) -> list[tuple[int, NotebookNode]]:
        return [(i, cell) for i, cell in enumerate(self.cells) if cell.cell_type == "markdown"]

    @property
    def code(self) -> list[tuple[int, NotebookNode]]:
        return [(i, cell) for i, cell in enumerate(self.cells) if cell.cell_type == "code"]

    @cached_property
    def sections(self) -> list[Section]:
        """The sections in order; cells before the first belong to none."""
        found: list[Section] = []
        for i, cell in enumerate(self.cells):
            titles = [title for level, title in headings(cell) if level == 2]
            for title in titles:
                found.append(Section(title, []))
            if found:
                found[-1].cells.append(i)
        return found

    def section(self, title: str) -> Section | None:
        return next((section for section in self.sections if section.title == title), None)

    def at(self, index: int) -> str:
        """Where a cell is, for a person: chapter, place among all cells, id, first line."""
        cell = self.cells[index]
        first = next((line for line in cell.source.splitlines() if line.strip()), "")
        place = f"cell {index + 1} of the notebook ({cell.cell_type}, id {cell.id})"
        return f"{self.chapter.name}, {place}, {first[:60]!r}"

    def problem(self, index: int, what: str) -> str:
        return f"{self.at(index)}: {what}"


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def tree(cell: NotebookNode) -> ast.Module:
    """The syntax of a code cell; an empty one where it is no Python, which the suite reports."""
    try:
        return ast.parse(_INLINE.sub("pass", cell.source))
    except SyntaxError:
        return ast.Module([], [])


@cache
def _parsed(source: str) -> list[Token]:
    return _MARKDOWN.parse(source)


def tokens(cell: NotebookNode) -> list[Token]:
    return _parsed(cell.source)


def inline(cell: NotebookNode) -> list[Token]:
    """Every run of text of a markdown cell, with what stands in it as children."""
    return [token for token in tokens(cell) if token.type == "inline"]


def headings(cell: NotebookNode) -> list[tuple[int, str]]:
    """Level and text of the headings in a cell."""
    if cell.cell_type != "markdown":
        return []
    parsed = tokens(cell)
    return [
        (int(before.tag[1]), token.content)
        for before, token in pairwise(parsed)
        if before.type == "heading_open"
    ]


def anchor(title: str) -> str:
    """The fragment under which JupyterLab finds a heading."""
    return title.replace(" ", "-")


def links(cell: NotebookNode) -> list[tuple[str, str]]:
    """Address and shown text of the links in a markdown cell."""
    found = []
    for run in inline(cell):
        children = run.children or []
        for i, child in enumerate(children):
            if child.type == "link_open":
                words = []
                for inner in children[i + 1 :]:
                    if inner.type == "link_close":
                        break
                    words.append(inner.content)
                found.append((str(child.attrGet("href") or ""), "".join(words)))
    return found


def images(cell: NotebookNode) -> list[tuple[str, str]]:
    """Address and alt text of the images in a markdown cell."""
    return [
        (str(child.attrGet("src") or ""), child.content)
        for run in inline(cell)
        for child in run.children or []
        if child.type == "image"
    ]


def prose(cell: NotebookNode, code_as: str = "") -> str:
    """The words a reader reads: no code blocks, no markup; code in a sentence as ``code_as``."""
    lines = []
    for run in inline(cell):
        parts = []
        for child in run.children or []:
            if child.type == "code_inline":
                parts.append(code_as)
            elif child.type in ("softbreak", "hardbreak"):
                parts.append(" ")
            elif child.type in ("text", "image"):
                parts.append(child.content)
        lines.append("".join(parts))
    return "\n".join(lines)
