"""Every declared exercise of every chapter, in every state, and in step with its chapter."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import json
import re
import subprocess
import sys
import textwrap
from types import FunctionType

import nbformat
import pytest

from helpers.book.chapters import ROOT, chapters
from helpers.book.kernel import kernel_environment
from helpers.exercises import reader, store
from helpers.exercises.check import grade
from helpers.exercises.declare import FUNCTION_KINDS, Exercise, Wrong
from helpers.exercises.reader import Card
from helpers.exercises.registry import chapters_with_exercises, exercises_of

ALL = [exercise for chapter in chapters_with_exercises() for exercise in exercises_of(chapter)]


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    """A reader's folder of this test's own, and a session that has seen nothing yet."""
    monkeypatch.setenv("BOOK_HOME", str(tmp_path / "home"))
    for memory in (store._session, store._said, reader._hints, reader._asked):
        memory.clear()


def _printed(exercise: Exercise, answer: object) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        Card(exercise).check(answer)
    return printed.getvalue()


def _state_here(exercise: Exercise, elsewhere: str) -> str:
    return "skipped" if exercise.skip and exercise.skip() else elsewhere


def _right_answer(exercise: Exercise) -> object:
    return exercise.model if exercise.kind in FUNCTION_KINDS else exercise.key()


def _wrong_answer(exercise: Exercise, wrong) -> object:
    by_example = exercise.kind not in FUNCTION_KINDS and isinstance(wrong.answer, FunctionType)
    return wrong.example if by_example else wrong.answer


each = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)


@each
def test_unsolved_is_todo(exercise):
    wanted = _state_here(exercise, "todo")
    assert grade(exercise, ...).state == wanted
    if exercise.kind in FUNCTION_KINDS and not isinstance(exercise.model, type):
        assert grade(exercise, lambda *_: ...).state == wanted


@each
def test_the_model_answer_passes_again_and_again(exercise):
    for _ in range(2):
        report = grade(exercise, _right_answer(exercise))
        assert report.state == _state_here(exercise, "pass"), report


@each
def test_every_other_right_answer_passes(exercise):
    for place, answer in enumerate(exercise.right):
        report = grade(exercise, answer)
        assert report.state == _state_here(exercise, "pass"), f"right[{place}]: {report}"


@each
def test_every_wrong_answer_gets_its_message_and_no_traceback(exercise):
    for place, wrong in enumerate(exercise.wrong):
        said = _printed(exercise, _wrong_answer(exercise, wrong))
        state = said.split()[2]
        if exercise.skip and exercise.skip():
            assert state == "skipped"
            continue
        assert state in ("wrong", "error"), f"wrong[{place}] is taken for right:\n{said}"
        flat = " ".join(said.split())
        assert " ".join(wrong.message.split()) in flat, f"wrong[{place}] gets:\n{said}"
        assert wrong.shows in flat, f"wrong[{place}] does not show {wrong.shows!r}:\n{said}"
        assert "Traceback" not in said


@each
def test_the_wrong_kind_of_object_gets_words(exercise):
    wrong_kinds = [object(), int] if exercise.kind in FUNCTION_KINDS else [len, lambda: 1]
    for answer in wrong_kinds:
        if isinstance(exercise.model, type) and isinstance(answer, type):
            continue
        said = _printed(exercise, answer)
        assert said.split()[2] in {_state_here(exercise, s) for s in ("error", "wrong")}, said
        assert "Traceback" not in said


@each
def test_hints_and_solution_can_be_read(exercise, capsys):
    card = Card(exercise)
    for number in range(1, len(exercise.hints) + 1):
        card.hint()
        assert f"Hint {number} of {len(exercise.hints)}" in capsys.readouterr().out
    card.hint()
    assert "no more hints" in capsys.readouterr().out
    card.solution()
    assert "Try it once" in capsys.readouterr().out
    card.solution()
    assert exercise.answer.__name__ in capsys.readouterr().out


KEYS = """
import json, os, sys
import torch
from helpers.exercises.guess import plain
from helpers.exercises.registry import chapters_with_exercises, exercises_of
from helpers.exercises.run import call_key
assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])
keys = {}
for chapter in chapters_with_exercises():
    for exercise in exercises_of(chapter):
        if exercise.key and not (exercise.skip and exercise.skip()):
            keys[exercise.id] = [repr(plain(call_key(exercise.key))) for _ in range(2)]
json.dump(keys, sys.stdout)
"""


def test_keys_are_the_same_twice_and_on_one_and_two_threads(tmp_path):
    on = {}
    for threads in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", KEYS],
            env=kernel_environment(str(tmp_path), int(threads)),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert run.returncode == 0, run.stderr
        on[threads] = json.loads(run.stdout)
    kinds = {exercise.id: exercise.kind for exercise in ALL}
    for id, (first, second) in on["1"].items():
        if kinds[id] == "measure":
            continue  # a measure states its tolerance; the model answer is checked with it above
        assert first == second == on["2"][id][0] == on["2"][id][1], f"the key of {id} wavers"


# In step with the chapters.

_SOURCES = {chapter.number: chapter.source for chapter in chapters()}
_CALL = re.compile(r'exercise\("(\d{3}\.\d+)"\)\s*\.check\(')


@pytest.mark.parametrize("chapter", chapters_with_exercises())
def test_cards_and_declarations_agree(chapter):
    if chapter not in _SOURCES:
        pytest.fail(f"ex{chapter}.py declares exercises of a chapter that has no source")
    text = _SOURCES[chapter].read_text(encoding="utf-8")
    declared = exercises_of(chapter)
    assert _CALL.findall(text) == [exercise.id for exercise in declared]
    for exercise in declared:
        heading = f"### Exercise {exercise.id} · {exercise.name}"
        assert f"{heading}\n" in text, f"the card lacks the line {heading!r}"
        kind = text.partition(heading)[2].split("*", 2)[1].partition(" ·")[0]
        assert kind == exercise.kind, f"{exercise.id}: the card says {kind!r}"


def _leaks(notebook: nbformat.NotebookNode, declared: list[Exercise]) -> list[str]:
    """Where a notebook gives an answer away: solved starters, passed checks, the model's code."""
    found = []
    models = {_body(_source(each.answer)): each.id for each in declared}
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if "exercise" in cell.metadata.get("tags", []) and "TODO" not in cell.source:
            found.append(f"cell {number}: a starter without TODO")
        for output in cell.get("outputs", []):
            if re.search(r"\b\d{3}\.\d+ pass\b", output.get("text", "")):
                found.append(f"cell {number}: an exercise is committed as passed")
        for function in _functions(cell.source):
            if (id := models.get(_body_of(function))) is not None:
                found.append(f"cell {number}: the solution of {id}")
    return found


def _source(program) -> str:
    return textwrap.dedent(inspect.getsource(program))


def _functions(source: str) -> list[ast.stmt]:
    try:
        nodes = ast.walk(ast.parse(source))
    except SyntaxError:
        return []
    return [node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def _body(source: str) -> str:
    return _body_of(ast.parse(source).body[0])


def _body_of(function: ast.stmt) -> str:
    """What a function or class does, whatever it is called and however it is documented."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]
    return "\n".join(ast.dump(statement) for statement in body)


@pytest.mark.parametrize("chapter", chapters(), ids=lambda chapter: chapter.number)
def test_no_notebook_gives_an_answer_away(chapter):
    if chapter.number not in chapters_with_exercises() or not chapter.notebook.exists():
        return
    declared = exercises_of(chapter.number)
    assert not _leaks(nbformat.read(chapter.notebook, 4), declared)


def _half(x):
    return x / 2


def test_a_leak_is_found():
    leaking = Exercise(
        id="999.1",
        name="Half",
        kind="write",
        model=_half,
        cases=[(2,)],
        hints=["a", "b"],
        wrong=[Wrong(lambda x: x, "a"), Wrong(lambda x: 2 * x, "b")],
    )
    new = nbformat.v4
    cells = [
        new.new_code_cell('def mine(x):\n    "Mine."\n    return x / 2'),
        new.new_code_cell("answer = 3", metadata={"tags": ["exercise"]}),
        new.new_code_cell("a", outputs=[new.new_output("stream", text="✔ 999.1 pass · Half\n")]),
        new.new_code_cell("answer = ...  # TODO", metadata={"tags": ["exercise"]}),
    ]
    assert _leaks(new.new_notebook(cells=cells), [leaking]) == [
        "cell 0: the solution of 999.1",
        "cell 1: a starter without TODO",
        "cell 2: an exercise is committed as passed",
    ]
