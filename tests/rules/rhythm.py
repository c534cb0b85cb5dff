"""How long cells and texts are, how they alternate, and how the book speaks."""

from __future__ import annotations

import ast
import re
from statistics import median

from tests.rules.text import Text, prose, tags, tree

MEDIAN_LINES, MOST_LINES, LONGEST = 4, 12, 25
WIDTH = 88
WORDS = (900, 2500)
PRACTICE_WORDS = 150
ASSERTING = re.compile(r"expect_error|expect_warning|assert_\w+")
_UNWANTED = re.compile(
    r"\b(?:simply|just)\b|!|[\U0001F000-\U0001FAFF\u2600-\u26FF\u2705\u274C\u2728\u2764\uFE0F]",
    re.IGNORECASE,
)


def lines(source: str) -> int:
    """How many lines of a cell hold something."""
    return sum(bool(line.strip()) for line in source.splitlines())


def cell_length(text: Text) -> list[str]:
    """Half of the code cells have at most 4 lines, nine in ten at most 12, none more than 25."""
    sizes = [(lines(cell.source), i) for i, cell in text.code]
    found = [
        text.problem(i, f"{size} lines, not {LONGEST} at most")
        for size, i in sizes
        if size > LONGEST
    ]
    half = median(size for size, _ in sizes) if sizes else 0
    if half > MEDIAN_LINES:
        found.append(f"{text.chapter.name}: its cells have a median of {half:g} lines, not 4")
    long = [i for size, i in sizes if size > MOST_LINES]
    if len(long) > len(sizes) / 10:
        found.append(
            f"{text.chapter.name}: {len(long)} of {len(sizes)} code cells have more than "
            f"{MOST_LINES} lines; among them {text.at(long[0])}"
        )
    return found


def alternation(text: Text) -> list[str]:
    """Never more than two code cells without a sentence between them."""
    found, run = [], 0
    for i, cell in enumerate(text.cells):
        run = run + 1 if cell.cell_type == "code" else 0
        if run == 3:
            found.append(text.problem(i, "the third code cell without a sentence between"))
    return found


def width(text: Text) -> list[str]:
    """Lines of at most 88 characters; a table's row or an address may be longer."""
    return [
        text.problem(i, f"a line of {len(line)} characters, not {WIDTH} at most: {line[:40]!r}…")
        for i, cell in enumerate(text.cells)
        for line in cell.source.splitlines()
        if len(line) > WIDTH and "http" not in line and not line.startswith("|")
    ]


def words(text: Text) -> list[str]:
    """900 to 2,500 words of prose; fewer only where the book starts, fewer in practice."""
    count = sum(_words(prose(cell, "code")) for _, cell in text.markdown)
    least, most = WORDS
    found = []
    if not least <= count <= most:
        found.append(f"{text.chapter.name}: {count} words, not {least} to {most}")
    if section := text.section("In practice"):
        cells = [text.cells[i] for i in section.cells]
        inside = sum(_words(prose(c, "code")) for c in cells if c.cell_type == "markdown")
        if inside > PRACTICE_WORDS:
            found.append(
                text.problem(section.cells[0], f"{inside} words, not {PRACTICE_WORDS} at most")
            )
    return found


def asserts(cell_tree: ast.AST) -> bool:
    """Whether code proves something: an assertion, an expected error or warning."""
    return any(
        isinstance(node, ast.Assert)
        or (isinstance(node, ast.Call) and ASSERTING.fullmatch(_name(node.func)))
        for node in ast.walk(cell_tree)
    )


def proofs(text: Text) -> list[str]:
    """Every section that runs something proves something; exercises are proved elsewhere."""
    found = []
    for section in text.sections:
        code = [text.cells[i] for i in section.cells if text.cells[i].cell_type == "code"]
        if code and section.title != "Exercises" and not any(asserts(tree(cell)) for cell in code):
            what = f"the section {section.title!r} asserts nothing"
            found.append(text.problem(section.cells[0], what))
    return found


def voice(text: Text) -> list[str]:
    """Plain words: no "simply", no "just", no exclamation marks, no emoji."""
    return [
        text.problem(
            i, f"{match[0]!r} in …{said[max(0, match.start() - 30) : match.end() + 20]!r}…"
        )
        for i, cell in text.markdown
        for said in [prose(cell).replace("\n", " ")]
        for match in _UNWANTED.finditer(said)
    ]


def predictions(text: Text) -> list[str]:
    """A cell tagged predict is announced by the text before it, and does not tell the answer."""
    found = []
    for i, cell in text.code:
        if "predict" not in tags(cell):
            continue
        if re.search(r"^\s*assert\b", cell.source, re.MULTILINE):
            found.append(text.problem(i, "a predict cell asserts its own answer; assert it after"))
        before = [c for c in text.cells[max(0, i - 2) : i] if c.cell_type == "markdown"]
        if not any("predict" in c.source.lower() for c in before):
            found.append(text.problem(i, "tagged predict, but nothing before it asks to predict"))
    return found


def _words(said: str) -> int:
    return len(re.findall(r"\w[\w'’.,-]*", said))


def _name(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
