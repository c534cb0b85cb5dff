"""Where the declarations are: ``helpers/exercises/exNNN.py``, one module per chapter."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

from .declare import Exercise

_HERE = Path(__file__).parent


def chapters_with_exercises() -> list[str]:
    """The numbers of the chapters that declare exercises, in the order of the book."""
    found = (re.fullmatch(r"ex(\d{3})", path.stem) for path in _HERE.glob("ex*.py"))
    return sorted(match[1] for match in found if match)


def exercises_of(chapter: str) -> list[Exercise]:
    """The exercises of one chapter, in the order in which they are declared.

    Raises:
        LookupError: the chapter declares none; the message lists those that do.
        ValueError: an id stands twice, or belongs to another chapter.
    """
    known = chapters_with_exercises()
    if chapter not in known:
        there = ", ".join(known) or "none yet"
        raise LookupError(f"chapter {chapter!r} has no exercises; chapters that have: {there}")
    module = import_module(f"{__package__}.ex{chapter}")
    declared = list(module.EXERCISES)
    ids = [exercise.id for exercise in declared]
    for exercise in declared:
        if exercise.chapter != chapter:
            raise ValueError(f"ex{chapter}.py declares {exercise.id}, which is not its own")
        if ids.count(exercise.id) > 1:
            raise ValueError(f"ex{chapter}.py declares {exercise.id} twice")
    return declared


def find(id: str) -> Exercise:
    """The exercise called ``id``, such as "103.2".

    Raises:
        LookupError: there is none; the message lists what there is.
    """
    chapter = str(id).partition(".")[0]
    if chapter not in chapters_with_exercises():
        there = ", ".join(chapters_with_exercises()) or "none yet"
        raise LookupError(f"no exercise {id!r}; chapters with exercises: {there}")
    declared = exercises_of(chapter)
    for exercise in declared:
        if exercise.id == id:
            return exercise
    there = ", ".join(exercise.id for exercise in declared)
    raise LookupError(f"no exercise {id!r}; chapter {chapter} has: {there}")
