"""Whether the exercises of a chapter are whole, declared, unsolved and of several kinds."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from helpers.book.chapters import Chapter
from helpers.exercises.declare import FUNCTION_KINDS, KINDS, Exercise
from tests.rules.drift import built
from tests.rules.template import START
from tests.rules.text import Text, tags, tree

LEAST, LEAST_AT_START = 5, 2
_CARD = re.compile(
    r"^### Exercise (?P<id>\d{3}\.\d+) · (?P<name>\S.*)\n"
    r"\*(?P<kind>\w+) · (?P<level>●○○|●●○|●●●) · (?P<minutes>\d+) minutes?\*\n\n\S",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Found:
    """An exercise as it stands in a chapter: the card and the places of its three cells."""

    id: str
    name: str
    kind: str
    card: int


def cards(text: Text) -> list[Found]:
    return [
        Found(match["id"], match["name"], match["kind"], i)
        for i, cell in text.markdown
        for match in _CARD.finditer(cell.source)
    ]


def layout(text: Text) -> list[str]:
    """Card, starter, check: three cells, in this form, numbered from 1."""
    found, there = [], cards(text)
    for i, cell in text.markdown:
        titled = len(re.findall(r"^#+ Exercise ", cell.source, re.MULTILINE))
        read = sum(card.card == i for card in there)
        if titled != read:
            found.append(
                text.problem(
                    i, "a card is '### Exercise NNN.1 · Name', '*kind · ●○○ · 5 minutes*', the task"
                )
            )
        elif titled > 1:
            found.append(text.problem(i, "two cards in one cell"))
    ids = [card.id for card in there]
    if ids != [f"{text.number}.{count}" for count in range(1, len(ids) + 1)]:
        found.append(f"{text.chapter.name}: its exercises are numbered {', '.join(ids) or 'none'}")
    for card in there:
        if card.kind not in KINDS:
            found.append(text.problem(card.card, f"kind {card.kind!r} is none of {KINDS}"))
        found += [text.problem(card.card, f"{card.id}: {what}") for what in _cells(text, card)]
    starters = {card.card + 1 for card in there}
    for i, cell in text.code:
        if "exercise" in tags(cell) and i not in starters:
            found.append(text.problem(i, "a starter without its card before it"))
    return found


def enough(text: Text) -> list[str]:
    """At least five exercises of three kinds, two predictions and a repair; two at the start."""
    kinds = [card.kind for card in cards(text)]
    if text.number == START:
        short = len(kinds) < LEAST_AT_START
        return [f"{text.chapter.name}: {len(kinds)} exercises, not two"] if short else []
    found = []
    if len(kinds) < LEAST:
        found.append(f"{text.chapter.name}: {len(kinds)} exercises, not five at least")
    if len(set(kinds)) < 3:
        found.append(f"{text.chapter.name}: exercises of {len(set(kinds))} kinds, not three")
    if kinds.count("predict") < 2:
        found.append(f"{text.chapter.name}: {kinds.count('predict')} predictions, not two at least")
    if "repair" not in kinds:
        found.append(f"{text.chapter.name}: nothing to repair among its exercises")
    return found


def declared(text: Text, declarations: Sequence[Exercise]) -> list[str]:
    """The cards are those that the exercises' module declares: ids, names, kinds, order."""
    stand = [(card.id, card.name, card.kind) for card in cards(text)]
    meant = [(one.id, one.name, one.kind) for one in declarations]
    module = f"helpers/exercises/ex{text.number}.py"
    for here, there in zip(stand, meant, strict=False):
        if here != there:
            return [f"{text.chapter.name}: the card says {here}, {module} declares {there}"]
    if len(stand) != len(meant):
        return [f"{text.chapter.name}: {len(stand)} cards, {module} declares {len(meant)}"]
    return []


def unsolved(text: Text) -> list[str]:
    """Every starter still has its hole: `...` with a TODO, or a program with a TODO to repair."""
    found = []
    for card in cards(text):
        if card.card + 2 >= len(text.cells):
            continue
        starter = text.cells[card.card + 1]
        if "TODO" not in starter.source:
            found.append(text.problem(card.card + 1, f"{card.id}: no TODO says what to write"))
        if card.kind != "repair" and not _has_hole(tree(starter)):
            found.append(text.problem(card.card + 1, f"{card.id}: no hole `...` to be filled"))
    return found


def no_solution(text: Text, declarations: Sequence[Exercise]) -> list[str]:
    """No code cell holds what a model answer does, whatever its names are."""
    secrets = {one.id: _meaning(_definition(one)) for one in declarations}
    results = {
        one.id: _result(_definition(one)) for one in declarations if one.kind not in FUNCTION_KINDS
    }
    found = []
    for i, cell in text.code:
        cell_tree = tree(cell)
        for node in ast.walk(cell_tree):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                for name, meaning in secrets.items():
                    if _meaning(node) == meaning:
                        found.append(text.problem(i, f"{node.name} is the solution of {name}"))
            if isinstance(node, ast.Assign) and "exercise" in tags(cell):
                for name, value in results.items():
                    if value and ast.dump(node.value) == value:
                        found.append(text.problem(i, f"it holds the solution of {name}"))
    return found


def unsolved_outputs(chapter: Chapter) -> list[str]:
    """In the committed notebook no check says "pass"."""
    found = []
    for where, cell in built(chapter):
        asked = re.match(r'exercise\("([\d.]+)"\)\.check', cell.source)
        if cell.cell_type != "code" or not asked:
            continue
        words = "".join(output.get("text", "") for output in cell.outputs).split()
        if words[2:3] == ["pass"]:
            found.append(f"{where}: exercise {asked[1]} is solved in the committed notebook")
    return found


def _cells(text: Text, card: Found) -> list[str]:
    """What is wrong with the two cells after a card."""
    after = text.cells[card.card + 1 : card.card + 3]
    if [cell.cell_type for cell in after] != ["code", "code"]:
        return ["after the card come two code cells, the starter and the check"]
    starter, check = after
    found = []
    if "exercise" not in tags(starter):
        found.append("its starter is not tagged exercise")
    if tags(check):
        found.append(f"its check carries the tags {tags(check)}")
    if not (match := re.fullmatch(rf'exercise\("{card.id}"\)\.check\((\w+)\)', check.source)):
        return [*found, f'its check is not exercise("{card.id}").check(answer)']
    if match[1] not in _made(tree(starter)):
        found.append(f"its check asks for {match[1]}, which its starter does not make")
    return found


def _made(cell_tree: ast.Module) -> set[str]:
    """The names that a cell makes at its top level."""
    names = set()
    for node in cell_tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return names


def _has_hole(cell_tree: ast.AST) -> bool:
    return any(
        isinstance(node, (ast.Return, ast.Assign))
        and isinstance(node.value, ast.Constant)
        and node.value.value is Ellipsis
        for node in ast.walk(cell_tree)
    )


def _definition(exercise: Exercise) -> ast.FunctionDef | ast.ClassDef:
    return ast.parse(textwrap.dedent(inspect.getsource(exercise.answer))).body[0]


def _result(function: ast.AST) -> str:
    """What a one-line function returns; "" where it has more lines."""
    body = _without_docstring(function)
    if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value:
        return ast.dump(body[0].value)
    return ""


def _meaning(definition: ast.FunctionDef | ast.ClassDef) -> str:
    """A definition without its docstring, with its own names replaced by numbers."""
    copy = ast.parse(ast.unparse(definition)).body[0]
    own = [copy.name]
    for node in ast.walk(copy):
        if isinstance(node, ast.arg):
            own.append(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.append(node.id)
    numbers = {name: f"name{place}" for place, name in enumerate(dict.fromkeys(own))}
    for node in ast.walk(copy):
        if isinstance(node, ast.Name):
            node.id = numbers.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg, node.annotation = numbers[node.arg], None
    arguments = ast.dump(copy.args) if isinstance(copy, ast.FunctionDef) else ""
    return arguments + "".join(map(ast.dump, _without_docstring(copy)))


def _without_docstring(definition: ast.AST) -> list[ast.stmt]:
    body = definition.body
    first = body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if documented and len(body) > 1 else body
