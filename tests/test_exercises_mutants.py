"""Change every model answer a little, in every way that makes sense: each change must be caught.

A mutant that behaves like the model is declared in ``equivalent_mutants``, with the reason. One
declared there that no longer occurs, or that is caught, fails too.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import inspect
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator

import pytest
import torch

from helpers.exercises.check import grade
from helpers.exercises.declare import FUNCTION_KINDS, Exercise, Wrong
from helpers.exercises.registry import chapters_with_exercises, exercises_of

SECONDS = 20

_OTHER_OPERATOR = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Add],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Div],
    ast.Mod: [ast.FloorDiv],
    ast.Pow: [ast.Mult],
    ast.MatMult: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.Lt: [ast.LtE, ast.Gt],
    ast.LtE: [ast.Lt, ast.GtE],
    ast.Gt: [ast.GtE, ast.Lt],
    ast.GtE: [ast.Gt, ast.LtE],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
}
_DROPPED = {"clone", "contiguous", "detach", "cpu", "to", "float", "double", "long", "copy"}


class Stuck(BaseException):
    """A mutant ran too long."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Stuck

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def mutants(program: Callable) -> dict[str, Callable]:
    """Every mutant of a program, by what was changed: ``OLD LINE => NEW LINE``."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(program)))
    for number, node in enumerate(ast.walk(tree)):
        node.number = number
    found: dict[str, Callable] = {}
    for node in list(ast.walk(tree)):
        for variant in _variants(node, tree):
            changed = ast.fix_missing_locations(_Replace(node.number, variant).visit(_copy(tree)))
            label = _label(tree, changed)
            if label and label not in found:
                found[label] = _build(changed, program, label)
    return found


def _copy(tree: ast.AST) -> ast.AST:
    return copy.deepcopy(tree)


class _Replace(ast.NodeTransformer):
    def __init__(self, number: int, variant: ast.AST | list[ast.AST]) -> None:
        self.number, self.variant = number, variant

    def visit(self, node: ast.AST):
        if getattr(node, "number", None) == self.number:
            return self.variant
        return self.generic_visit(node)


def _variants(node: ast.AST, tree: ast.Module) -> Iterator[ast.AST | list[ast.AST]]:
    """What may stand in a node's place."""
    match node:
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.UnaryOp(op=ast.USub() | ast.Not(), operand=operand):
            yield operand
        case ast.BinOp() | ast.BoolOp() | ast.AugAssign():
            for other in _OTHER_OPERATOR.get(type(node.op), []):
                yield _with(node, op=other())
        case ast.Compare(ops=[op]):
            for other in _OTHER_OPERATOR.get(type(op), []):
                yield _with(node, ops=[other()])
        case ast.If() | ast.While() | ast.IfExp():
            yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
        case ast.Call():
            yield from _call_variants(node)
        case ast.With():
            yield node.body
    if isinstance(node, ast.Tuple) and len(node.elts) > 1 and isinstance(node.ctx, ast.Load):
        yield _with(node, elts=[node.elts[1], node.elts[0], *node.elts[2:]])
    if isinstance(node, ast.stmt) and node is not tree.body[0] and not _is_docstring(node):
        yield ast.Pass()


def _call_variants(node: ast.Call) -> Iterator[ast.AST]:
    if len(node.args) > 1 and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
        yield _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    for k in range(len(node.keywords)):
        yield _with(node, keywords=node.keywords[:k] + node.keywords[k + 1 :])
    if isinstance(node.func, ast.Attribute):
        name = node.func.attr
        in_place = name.endswith("_") and not name.startswith("_")
        if name in _DROPPED or in_place:
            yield node.func.value
        if in_place:
            yield _with(node, func=_with(node.func, attr=name[:-1]))
        elif hasattr(torch.Tensor, f"{name}_"):
            yield _with(node, func=_with(node.func, attr=f"{name}_"))


def _with(node: ast.AST, **changes: object) -> ast.AST:
    fields = {name: getattr(node, name) for name in node._fields if hasattr(node, name)}
    return type(node)(**fields | changes)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _label(tree: ast.AST, changed: ast.AST) -> str:
    """The first line that differs, before and after; "" if none does."""
    old, new = (ast.unparse(each).splitlines() for each in (tree, changed))
    for before, after in zip(old, [*new, *[""] * len(old)], strict=False):
        if before != after:
            return f"{before.strip()} => {after.strip()}"
    return ""


def _build(tree: ast.Module, program: Callable, label: str) -> Callable:
    namespace = dict(vars(sys.modules[program.__module__]))
    exec(compile(tree, f"<mutant {label}>", "exec"), namespace)
    return namespace[program.__name__]


def survivors(exercise: Exercise) -> tuple[list[str], int]:
    """The mutants that pass as right answers, and how many there were."""
    alive, every = [], mutants(exercise.model)
    for label, mutant in every.items():
        try:
            with deadline(SECONDS), contextlib.redirect_stdout(None):
                state = grade(exercise, mutant).state
        except Stuck:
            continue
        if state == "pass":
            alive.append(label)
    return alive, len(every)


def check_mutants(exercise: Exercise) -> int:
    """Fail unless exactly the declared mutants pass; returns how many mutants were caught."""
    alive, count = survivors(exercise)
    declared = exercise.equivalent_mutants
    unreasoned = [label for label, reason in declared.items() if not reason.strip()]
    assert not unreasoned, f"{exercise.id}: these equivalent mutants lack a reason: {unreasoned}"
    stale = [label for label in declared if label not in alive]
    assert not stale, f"{exercise.id}: declared as equivalent, but caught or gone: {stale}"
    missed = [label for label in alive if label not in declared]
    listing = "\n  ".join(missed)
    assert not missed, f"{exercise.id}: these mutants of the model answer pass:\n  {listing}"
    return count - len(alive)


PROGRAMS = [
    exercise
    for chapter in chapters_with_exercises()
    for exercise in exercises_of(chapter)
    if exercise.kind in FUNCTION_KINDS
]


@pytest.mark.parametrize("exercise", PROGRAMS, ids=lambda exercise: exercise.id)
def test_every_mutant_of_the_model_answer_is_caught(exercise):
    if exercise.skip and exercise.skip():
        assert grade(exercise, exercise.model).state == "skipped"
        return
    assert check_mutants(exercise) > 0


# The generator itself, on programs small enough to know what must come out.


def _counted(x, limit=2):
    """Docstrings are left alone."""
    y = x.clone()
    if x.dim() > limit:
        y.add_(1)
    with torch.no_grad():
        return torch.sub(y, x, alpha=3)


EXPECTED = [
    "def _counted(x, limit=2): => def _counted(x, limit=3):",
    "def _counted(x, limit=2): => def _counted(x, limit=1):",
    "y = x.clone() => pass",
    "y = x.clone() => y = x",
    "if x.dim() > limit: => if x.dim() >= limit:",
    "if x.dim() > limit: => if x.dim() < limit:",
    "if x.dim() > limit: => if not x.dim() > limit:",
    "if x.dim() > limit: => pass",
    "y.add_(1) => y.add_(2)",
    "y.add_(1) => y.add_(0)",
    "y.add_(1) => y.add(1)",
    "y.add_(1) => y",
    "y.add_(1) => pass",
    "with torch.no_grad(): => return torch.sub(y, x, alpha=3)",
    "with torch.no_grad(): => pass",
    "return torch.sub(y, x, alpha=3) => pass",
    "return torch.sub(y, x, alpha=3) => return torch.sub(x, y, alpha=3)",
    "return torch.sub(y, x, alpha=3) => return torch.sub(y, x)",
    "return torch.sub(y, x, alpha=3) => return torch.sub(y, x, alpha=4)",
    "return torch.sub(y, x, alpha=3) => return torch.sub(y, x, alpha=2)",
    "return torch.sub(y, x, alpha=3) => return torch.sub_(y, x, alpha=3)",
]


def test_the_mutants_of_a_known_program():
    assert sorted(mutants(_counted)) == sorted(EXPECTED)


def test_a_mutant_runs_as_changed():
    changed = mutants(_counted)["y = x.clone() => y = x"]
    x = torch.zeros(1, 1, 1)
    changed(x)
    assert x.item() == 1, "the mutant writes into its input, the program does not"


def test_a_mutant_of_a_class():
    class_mutants = mutants(_Doubler)
    changed = class_mutants["return x * self.factor => return x + self.factor"]
    assert changed(2)(torch.tensor(5)).item() == 7


class _Doubler:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return x * self.factor


def _upside_down(x):
    return x.flip(0)


@pytest.fixture
def make_exercise():
    def make(**changes) -> Exercise:
        fields = {
            "id": "999.1",
            "name": "Upside down",
            "kind": "write",
            "model": _upside_down,
            "cases": lambda: [(torch.arange(6).reshape(2, 3),), (torch.zeros(2, 1, 2),)],
            "hints": ["one", "two"],
            "wrong": [Wrong(lambda x: x, "as it was"), Wrong(lambda x: x.flip(1), "columns")],
        }
        return Exercise(**fields | changes)

    return make


def test_a_weak_set_of_cases_is_told_which_mutants_pass(make_exercise):
    weak = make_exercise(cases=lambda: [(torch.zeros(1, 1),)])
    with pytest.raises(AssertionError, match=r"return x\.flip\(0\) => return x\.flip\(1\)"):
        check_mutants(weak)


def test_strong_cases_catch_all(make_exercise):
    assert check_mutants(make_exercise()) >= 3


def test_a_declared_mutant_that_is_caught_fails(make_exercise):
    stale = make_exercise(equivalent_mutants={"return x.flip(0) => return x.flip(1)": "it is not"})
    with pytest.raises(AssertionError, match="caught or gone"):
        check_mutants(stale)


def test_a_declared_mutant_without_a_reason_fails(make_exercise):
    with pytest.raises(AssertionError, match="lack a reason"):
        check_mutants(make_exercise(equivalent_mutants={"a => b": " "}))


def test_a_mutant_that_never_ends_is_stopped():
    def forever():
        while True:
            pass

    with deadline(0.1), pytest.raises(Stuck):
        forever()
