"""What an author declares: one ``Exercise`` per exercise, with the wrong answers it knows."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import FunctionType

FUNCTION_KINDS = ("write", "repair")
VALUE_KINDS = ("predict", "order", "measure")
KINDS = (*FUNCTION_KINDS, *VALUE_KINDS)

# The order in which a wrong answer's first difference is looked for.
ASPECTS = (
    "raised",
    "None",
    "type",
    "device",
    "dtype",
    "shape",
    "strides",
    "aliasing",
    "gradient",
    "values",
    "input changed",
)
ASKED_FOR = frozenset({"strides", "aliasing", "gradient"})


@dataclass(frozen=True)
class Wrong:
    """A wrong answer readers give, and what it tells about their idea of torch.

    Args:
        answer: for *write* and *repair* a wrong program; for the other kinds a wrong value, or a
            function of the reader's answer that returns whether this is the misconception.
        message: one or two sentences for the reader, shown when the answer behaves like this one.
        shows: a fragment that the report of this answer must contain besides, such as "dtype".
        example: a wrong value for which ``answer``, being a function of a value, is true.
    """

    answer: object
    message: str
    shows: str = ""
    example: object = ...


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: how an answer is checked, and what is said about wrong ones.

    Args:
        id: chapter and place, "103.2".
        name: the short name on the card.
        kind: predict, write, repair, order or measure.
        hints: at least two, from a nudge to nearly the answer.
        wrong: at least two, each with its own message.
        right: other right answers: programs for *write* and *repair*, else values.
        explanation: why the model answer is right; shown above its source.
        skip: returns the reason why the exercise cannot be done here, or None.
        model: *write*, *repair*: the model answer, a function (or a class) of a module.
        cases: *write*, *repair*: argument tuples, copied afresh for every program that runs, or a
            function that makes them (called once for every program, from one random state).
        also: compare these too: "strides", "aliasing", "gradient".
        ignore: do not compare these: any of ``ASPECTS`` but "raised" and "values".
        run: how an answer is used on a case, as ``run(answer, *case)``; by default it is called.
        equivalent_mutants: a mutant of the model that behaves like it, and the reason.
        key: *predict*, *order*, *measure*: runs torch now and returns the right answer.
        labels: *order*: all labels that may stand in the list; by default those of the key.
        accepts: *order*: for exercises with several right orders; runs the labels in the given
            order and returns True, or one sentence that says what goes wrong.
        tolerance: relative and absolute tolerance of numbers. None is exact for integers and
            torch.testing's own tolerance for floats; *measure* must state one, relative only,
            and 0 for a count.

    Raises:
        ValueError: the declaration is incomplete or contradicts itself.
    """

    id: str
    name: str
    kind: str
    hints: Sequence[str]
    wrong: Sequence[Wrong]
    right: Sequence[object] = ()
    explanation: str = ""
    skip: Callable[[], str | None] | None = None
    model: Callable | None = None
    cases: Sequence[tuple] | Callable[[], Sequence[tuple]] | None = None
    also: frozenset[str] | set[str] = frozenset()
    ignore: frozenset[str] | set[str] = frozenset()
    run: Callable | None = None
    equivalent_mutants: Mapping[str, str] = field(default_factory=dict)
    key: Callable[[], object] | None = None
    labels: Sequence[str] = ()
    accepts: Callable[[list[str]], bool | str] | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        for fault in _faults(self):
            raise ValueError(f"exercise {self.id!r}: {fault}")

    @property
    def chapter(self) -> str:
        """The number of the chapter, "103"."""
        return self.id.partition(".")[0]

    @property
    def aspects(self) -> tuple[str, ...]:
        """What is compared, in the order in which the first difference is looked for."""
        unasked = ASKED_FOR - set(self.also)
        return tuple(a for a in ASPECTS if a not in unasked and a not in self.ignore)

    @property
    def answer(self) -> Callable:
        """The function whose source is the solution."""
        return self.model if self.kind in FUNCTION_KINDS else self.key


def _faults(exercise: Exercise):
    """What is wrong with a declaration, worst first."""
    if not re.fullmatch(r"\d{3}\.[1-9]\d*", exercise.id):
        yield "an id is chapter and place, as in 103.2"
    if exercise.kind not in KINDS:
        yield f"kind is {exercise.kind!r}; there is: {', '.join(KINDS)}"
    for name in ("hints", "wrong"):
        value = getattr(exercise, name)
        if isinstance(value, str) or len(value) < 2:
            yield f"{name} holds at least two"
    messages = [wrong.message for wrong in exercise.wrong]
    if len(set(messages)) < len(messages) or not all(messages):
        yield "each wrong answer has a message of its own"
    if exercise.kind in FUNCTION_KINDS:
        yield from _function_faults(exercise)
    else:
        yield from _value_faults(exercise)


def _function_faults(exercise: Exercise):
    if exercise.key or exercise.labels or exercise.accepts:
        yield f"a {exercise.kind} exercise has a model and cases, no key, labels or accepts"
    if exercise.cases is None or (not callable(exercise.cases) and not exercise.cases):
        yield "cases is missing"
    elif not callable(exercise.cases):
        for case in exercise.cases:
            if not isinstance(case, tuple):
                yield f"a case is a tuple of arguments; {type(case).__name__} given"
    yield from _source_faults("model", exercise.model)
    if unknown := set(exercise.also) - ASKED_FOR:
        yield f"also holds {sorted(unknown)}; there is: {', '.join(sorted(ASKED_FOR))}"
    may_ignore = set(ASPECTS) - {"raised", "values"} - ASKED_FOR
    if unknown := set(exercise.ignore) - may_ignore:
        yield f"ignore holds {sorted(unknown)}; there is: {', '.join(sorted(may_ignore))}"
    for wrong in exercise.wrong:
        if not callable(wrong.answer):
            yield f"the wrong answer with the message {wrong.message!r} is no program"


def _value_faults(exercise: Exercise):
    if exercise.model or exercise.cases or exercise.run or exercise.also or exercise.ignore:
        yield f"a {exercise.kind} exercise has a key; no model, cases, run, also or ignore"
    yield from _source_faults("key", exercise.key)
    if exercise.kind != "order" and (exercise.labels or exercise.accepts):
        yield "labels and accepts are for order exercises"
    if exercise.kind == "measure" and exercise.tolerance is None:
        yield "a measure exercise states its tolerance, 0.1 for a tenth, 0 for a count"
    for wrong in exercise.wrong:
        if isinstance(wrong.answer, FunctionType) and wrong.example is ...:
            yield f"the wrong answer with the message {wrong.message!r} needs an example"


def _source_faults(role: str, program: object):
    if not callable(program):
        yield f"{role} is missing"
    elif getattr(program, "__name__", "") == "<lambda>" or not (
        inspect.isfunction(program) or inspect.isclass(program)
    ):
        yield f"{role} is a function written with def (or a class): its source is the solution"


def no_cuda() -> str | None:
    """For ``skip``: the reason why an exercise that needs CUDA cannot be done here, or None."""
    import torch

    return None if torch.cuda.is_available() else "it needs CUDA, and this machine has none"
