"""What a reader holds: ``exercise("103.2")`` with check, hint and solution."""

from __future__ import annotations

import inspect
import textwrap
from collections import Counter

from . import registry, store
from .check import Report, grade
from .declare import Exercise
from .picture import draw_case

_MARKS = {"todo": "○", "wrong": "✘", "error": "✘", "pass": "✔", "skipped": "–"}

# Of this session: how many hints were given, how often the solution was asked for.
_hints: Counter[str] = Counter()
_asked: Counter[str] = Counter()


class Card:
    """One exercise, ready to be answered."""

    def __init__(self, declared: Exercise) -> None:
        self._declared = declared

    def __repr__(self) -> str:
        return f"Exercise {self._declared.id} · {self._declared.name}"

    def check(self, answer: object) -> None:
        """Check an answer and say in words, and where it helps in a picture, what differs.

        Args:
            answer: your function for *write* and *repair*, your value for the other kinds.
        """
        report = grade(self._declared, answer)
        _say(self._declared, report)
        store.record(self._declared.id, report.state)

    def hint(self) -> None:
        """Print the next hint."""
        hints, id = self._declared.hints, self._declared.id
        if _hints[id] == len(hints):
            print(f'There are no more hints. exercise("{id}").solution() shows an answer.')
            return
        _hints[id] += 1
        print(f"Hint {_hints[id]} of {len(hints)}: {hints[_hints[id] - 1]}")

    def solution(self) -> None:
        """Print the model answer's source: after a first try, or when asked twice."""
        declared = self._declared
        _asked[declared.id] += 1
        if _asked[declared.id] < 2 and not store.tried(declared.id):
            print("Try it once before you look. Ask again to see the solution all the same.")
            return
        print(f"Solution of {declared.id}, {declared.name}\n")
        if declared.explanation:
            print(textwrap.fill(declared.explanation, 88) + "\n")
        print(textwrap.dedent(inspect.getsource(declared.answer)).rstrip())


def exercise(id: str) -> Card:
    """The exercise called ``id``, such as "103.2".

    Raises:
        LookupError: there is none; the message lists what there is.
    """
    return Card(registry.find(id))


def _say(declared: Exercise, report: Report) -> None:
    aspect = f" · {report.aspect}" if report.aspect else ""
    name = f" · {declared.name}" if report.state == "pass" else ""
    print(f"{_MARKS[report.state]} {declared.id} {report.state}{aspect}{name}")
    for line in report.details:
        print(line)
    if report.case:
        draw_case(report.case)
    if report.misconception:
        print(textwrap.fill(f"What may be behind it: {report.misconception}", 88))
    for note in report.notes:
        print(textwrap.fill(f"Note: {note}", 88))
    if report.state in ("wrong", "error"):
        print(f'A hint: exercise("{declared.id}").hint()')
