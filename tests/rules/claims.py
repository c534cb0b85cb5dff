"""Whether what the ledger holds is shown by cells, and what cells name is in the ledger."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence

from helpers.book.ledger import Claim, Topic
from tests.rules.rhythm import asserts
from tests.rules.text import Text, tags, tree

_TAG = re.compile(r"claim:(C\d{3})")


def shown(text: Text) -> dict[str, list[int]]:
    """The claims that a chapter's cells are tagged with, and where."""
    found: dict[str, list[int]] = {}
    for i, cell in enumerate(text.cells):
        for tag in tags(cell):
            if match := _TAG.fullmatch(tag):
                found.setdefault(match[1], []).append(i)
    return found


def tagged_cells(text: Text, claims: Iterable[Claim]) -> list[str]:
    """A tag names a claim of the ledger, and its cell asserts something."""
    known = {claim.id for claim in claims}
    found = []
    for name, places in shown(text).items():
        for i in places:
            if name not in known:
                found.append(text.problem(i, f"claim {name} is not in data/claims.yml"))
            if text.cells[i].cell_type != "code" or not asserts(tree(text.cells[i])):
                found.append(text.problem(i, f"it is tagged claim:{name} but asserts nothing"))
    return found


def complete(text: Text, claims: Sequence[Claim], topics: Sequence[Topic]) -> list[str]:
    """A finished chapter shows all its claims, and runs something of each of its topics.

    A topic with claims of this chapter is shown by them. One without is shown when a code cell
    uses at least one of the names that the ledger says it is about.
    """
    there = shown(text)
    own = {claim.id for claim in claims if claim.chapter == text.number}
    found = [
        f"{text.chapter.name}: no cell shows claim {claim.id}: {claim.claim}"
        for claim in claims
        if claim.id in own and claim.id not in there
    ]
    code = "\n".join(cell.source for _, cell in text.code)
    names = {name for _, cell in text.code for name in _names(tree(cell))}
    for topic in topics:
        if topic.chapter != text.number or own & {*topic.claims}:
            continue
        if not any(_uses(api, names, code) for api in topic.apis):
            apis = ", ".join(topic.apis)
            found.append(f"{text.chapter.name}: no cell uses {apis}, so {topic.id!r} is not shown")
    return found


def finished_chapters(numbers: Iterable[str], written: Iterable[str]) -> list[str]:
    """A chapter in data/finished.yml exists."""
    return [
        f"data/finished.yml: chapter {number} is not written"
        for number in numbers
        if number not in set(written)
    ]


def _names(cell_tree: ast.AST) -> Iterable[str]:
    for node in ast.walk(cell_tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.alias):
            yield from node.name.split(".")


def _uses(api: str, names: set[str], code: str) -> bool:
    last = re.sub(r"\(.*", "", api).split(".")[-1].strip()
    return last in names if last.isidentifier() else api in code
