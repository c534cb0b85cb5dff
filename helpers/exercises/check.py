"""Grade an answer: its state, and in words what is to be said about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import FunctionType

import torch

from .compare import Difference, first_difference
from .declare import FUNCTION_KINDS, Exercise
from .guess import first_slip, order_faults, same_guess
from .run import (
    SETTINGS,
    Outcome,
    argument_names,
    call_key,
    describe_error,
    is_hole,
    left_open,
    make_cases,
    run_program,
)
from .values import is_tensor, kind_of, tensors_in, write_value

STATES = ("todo", "wrong", "error", "pass", "skipped")


@dataclass
class Case:
    """The smallest case on which an answer differs, for the drawing.

    ``inputs`` maps the arguments' names to their values before the call; ``yours`` and
    ``expected`` are what differs, or ``...`` where there is nothing to show; ``what`` says what
    the two are if they are not results.
    """

    inputs: dict[str, object]
    yours: object = ...
    expected: object = ...
    what: str = ""


@dataclass
class Report:
    """What a check found: the state, the aspect that differs first, and what to say."""

    state: str
    aspect: str = ""
    details: list[str] = field(default_factory=list)
    case: Case | None = None
    misconception: str = ""
    notes: list[str] = field(default_factory=list)


def grade(exercise: Exercise, answer: object) -> Report:
    """Check an answer and say nothing: no output, no progress, nothing raised by the answer.

    Args:
        answer: a function for *write* and *repair*, a value for the other kinds.
    """
    if exercise.skip and (reason := exercise.skip()):
        return Report("skipped", details=[f"Skipped: {reason}."])
    try:
        if exercise.kind in FUNCTION_KINDS:
            return _grade_program(exercise, answer)
        return _grade_value(exercise, answer)
    except KeyboardInterrupt:
        said = "You interrupted it while it ran. Look for a loop that never ends."
        return Report("error", aspect="interrupted", details=[said])


TODO = "Fill in the TODO in the cell above, run it, then run this cell again."


def _grade_program(exercise: Exercise, answer: object) -> Report:
    if is_hole(answer):
        return Report("todo", details=[TODO])
    if fault := _not_a_program(exercise, answer):
        return Report("error", aspect="wrong kind of object", details=[fault])
    yours = run_program(exercise, answer)
    if any(left_open(run) for run in yours.runs):
        return Report("todo", details=[TODO])
    expected = run_program(exercise, exercise.model, quiet=True)
    notes = _notes(yours, expected)
    differences = _differences(exercise, yours, expected)
    if not differences:
        return Report("pass", notes=notes)
    index, difference = _smallest_first(exercise, differences, yours)
    run = yours.runs[index]
    state, text = "wrong", difference.text
    if run.raised is not None:
        text = f"it raised {describe_error(run.raised, answer)}"
        if difference.aspect == "raised" and expected.runs[index].raised is None:
            state = "error"
    details = [f"{text[0].upper()}{text[1:]}" + ("" if "\n" in text else ".")]
    case = _case(exercise, index, difference, yours, expected)
    said = _program_misconception(exercise, yours)
    return Report(state, difference.aspect, details, case, said, notes)


def _not_a_program(exercise: Exercise, answer: object) -> str:
    wanted = "class" if isinstance(exercise.model, type) else "function"
    if wanted == "class":
        given = isinstance(answer, type)
    else:
        given = callable(answer) and not isinstance(answer, type)
    if given:
        return ""
    return (
        f"check() got {kind_of(answer)} where a {wanted} is needed. "
        f"Pass the {wanted} itself, by its name, without brackets."
    )


def _differences(exercise: Exercise, yours: Outcome, other: Outcome) -> list:
    """Pairs of a case's place and the first difference there, for the cases that differ."""
    found = []
    for k, (mine, model) in enumerate(zip(yours.runs, other.runs, strict=True)):
        difference = first_difference(mine, model, exercise.aspects, exercise.tolerance)
        if difference:
            found.append((k, difference))
    return found


def _smallest_first(exercise: Exercise, differences: list, yours: Outcome):
    """Of the differences that come first in the order of aspects, the one of the smallest case."""

    def size(pair) -> tuple:
        k, difference = pair
        elements = sum(t.numel() for _, t in tensors_in(yours.runs[k].arguments))
        return exercise.aspects.index(difference.aspect), elements, k

    return min(differences, key=size)


# What the two values of a difference are where they are no results.
_NOT_RESULTS = {"gradient": "gradient", "input changed": "input afterwards"}


def _case(
    exercise: Exercise, index: int, difference: Difference, yours: Outcome, expected: Outcome
) -> Case:
    before = make_cases(exercise)[index]
    inputs = dict(zip(argument_names(exercise, before), before, strict=True))
    mine, model = difference.yours, difference.expected
    what = "" if mine is ... and model is ... else _NOT_RESULTS.get(difference.aspect, "")
    if mine is ... and yours.runs[index].raised is None:
        mine = yours.runs[index].result
    if model is ... and expected.runs[index].raised is None:
        model = expected.runs[index].result
    return Case(inputs, mine, model, what)


def _program_misconception(exercise: Exercise, yours: Outcome) -> str:
    for wrong in exercise.wrong:
        other = run_program(exercise, wrong.answer, quiet=True)
        if not _differences(exercise, yours, other) and not _differences(exercise, other, yours):
            return wrong.message
    return ""


def _notes(yours: Outcome, expected: Outcome) -> list[str]:
    notes = []
    for name, value in yours.changed.items():
        if name not in expected.changed:
            standard = SETTINGS[name][2]
            back = "" if standard is None else f" (here: {standard})"
            notes.append(
                f"Your answer changed {name} to {value}; it has been set back{back}, "
                "so that later cells are not affected."
            )
    warned = [line for line in yours.warned if line not in expected.warned]
    return notes + [f"It warned: {line}" for line in warned[:3]]


def _grade_value(exercise: Exercise, answer: object) -> Report:
    if is_hole(answer):
        return Report("todo", details=[TODO])
    if fault := _not_a_value(exercise, answer):
        return Report("error", aspect="wrong kind of object", details=[fault])
    key = call_key(exercise.key)
    if exercise.kind == "order":
        faults = order_faults(answer, key, exercise.labels)
        if not faults and exercise.accepts:
            said = _run_order(exercise, list(answer))
            right = said is True
            faults = [] if right else [said or "Run in this order, it does not work."]
        else:
            right = not faults and same_guess(list(answer), list(key))
    else:
        relative = exercise.kind == "measure"
        faults, right = [], same_guess(answer, key, exercise.tolerance, relative=relative)
    if right:
        return Report("pass")
    aspect, text = ("values", faults[0]) if faults else first_slip(exercise, answer, key)
    said = _value_misconception(exercise, answer)
    return Report("wrong", aspect, [text, f"Yours: {write_value(answer)}"], None, said)


def _run_order(exercise: Exercise, labels: list) -> bool | str:
    try:
        return call_key(exercise.accepts, labels)
    except Exception as error:
        return f"Run in this order, it raises {describe_error(error)}"


def _not_a_value(exercise: Exercise, answer: object) -> str:
    if isinstance(answer, FunctionType | torch.nn.Module):
        return (
            f"check() got {kind_of(answer)} where a value is needed. "
            "Pass what it returns, or the value you expect."
        )
    if exercise.kind == "order" and not isinstance(answer, list | tuple):
        return f'check() got {kind_of(answer)} where a list of labels is needed, as ["b", "a"].'
    if exercise.kind == "measure":
        parts = list(answer.values()) if isinstance(answer, dict) else [answer]
        for part in parts:
            number = is_tensor(part) and part.numel() == 1
            if not number and (isinstance(part, bool) or not isinstance(part, int | float)):
                return f"check() got {kind_of(part)} where a number is needed."
    return ""


def _value_misconception(exercise: Exercise, answer: object) -> str:
    for wrong in exercise.wrong:
        if isinstance(wrong.answer, FunctionType):
            try:
                match = bool(wrong.answer(answer))
            except Exception:
                match = False
        else:
            relative = exercise.kind == "measure"
            match = same_guess(answer, wrong.answer, exercise.tolerance, relative=relative)
        if match:
            return wrong.message
    return ""
