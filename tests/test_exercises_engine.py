"""The engine on small exercises: every aspect, every state, every kind, and answers that misbehave.

Every check is seen to fail on a planted fault: each answer here is wrong in one way only.
"""

from __future__ import annotations

import random
import subprocess
import sys
import types
import warnings

import pytest
import torch
from PIL import Image

import helpers.exercises as package
from helpers.book.chapters import ROOT
from helpers.exercises import Exercise, Wrong, exercise, no_cuda, reader, registry, store
from helpers.exercises.check import STATES, grade
from helpers.exercises.declare import ASPECTS
from helpers.exercises.guess import same_guess
from helpers.exercises.picture import can_be_drawn, draw_case
from helpers.exercises.run import SETTINGS
from helpers.exercises.values import write_value


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_HOME", str(tmp_path / "home"))
    for memory in (store._session, store._said, reader._hints, reader._asked):
        memory.clear()


def twice(x):
    return x * 2


def _matrices():
    return [
        (torch.arange(12.0).reshape(3, 4).T,),
        (torch.arange(6.0).reshape(2, 3),),
    ]


def program(**changes) -> Exercise:
    fields = {
        "id": "999.1",
        "name": "Twice",
        "kind": "write",
        "model": twice,
        "cases": _matrices,
        "hints": ["first", "second"],
        "wrong": [
            Wrong(lambda x: x * 3, "That is three times."),
            Wrong(lambda x: x.mul_(2), "mul_ writes into x."),
        ],
    }
    return Exercise(**fields | changes)


def value(kind, key, **changes) -> Exercise:
    fields = {
        "id": "999.2",
        "name": "A value",
        "kind": kind,
        "key": key,
        "hints": ["first", "second"],
        "wrong": [Wrong(-1, "minus one"), Wrong(lambda a: a == -2, "minus two", example=-2)],
    }
    return Exercise(**fields | changes)


def saw(report, state, aspect="") -> None:
    assert (report.state, report.aspect) == (state, aspect), report


# The aspects, each with an answer that differs in it (and perhaps in later ones).


def _raises(x):
    raise ValueError("no")


_ALL = {"also": {"strides", "aliasing", "gradient"}}

ASPECT_CASES = [
    ("raised", "error", _raises, {}),
    ("None", "wrong", lambda x: None, {}),
    ("type", "wrong", lambda x: x.tolist(), {}),
    ("type", "wrong", lambda x: torch.nn.Parameter(x * 2), {}),
    ("type", "wrong", lambda x: (x * 2).to_sparse(), {}),
    ("device", "wrong", lambda x: (x * 2).to("meta"), {}),
    ("dtype", "wrong", lambda x: (x * 2).double(), {}),
    ("shape", "wrong", lambda x: (x * 2)[None], {}),
    ("strides", "wrong", lambda x: (x * 2).contiguous(), _ALL),
    ("aliasing", "wrong", lambda x: x.mul_(2), _ALL),
    ("values", "wrong", lambda x: x * 2 + 1, {}),
    ("input changed", "wrong", lambda x: x.mul_(2), {}),
]


@pytest.mark.parametrize(("aspect", "state", "answer", "changes"), ASPECT_CASES)
def test_each_aspect_is_seen(aspect, state, answer, changes):
    saw(grade(program(**changes), answer), state, aspect)


def test_gradient():
    def leaves():
        return [(torch.arange(3.0).requires_grad_(), torch.ones(3).requires_grad_())]

    def product(x, y):
        return x * y

    asked = program(model=product, cases=leaves, also={"gradient"})
    saw(grade(asked, lambda x, y: x * y), "pass")
    for answer, words in (
        (lambda x, y: x * y.detach(), "no gradient reaches y"),
        (lambda x, y: (x * y).detach(), "requires_grad=False"),
        (lambda x, y: x * y + (x - x.detach()), "the gradient of x"),
    ):
        report = grade(asked, answer)
        saw(report, "wrong", "gradient")
        assert words in report.details[0].lower() or words in report.details[0]
        saw(grade(program(model=product, cases=leaves), answer), "pass")


@pytest.mark.parametrize("kind", [RuntimeError, NameError])
def test_a_gradient_that_fails_is_said(kind):
    class Broken(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            raise kind("broken backward")

    def leaf():
        return [(torch.ones(2).requires_grad_(),)]

    report = grade(program(cases=leaf, also={"gradient"}), Broken.apply)
    saw(report, "wrong", "gradient")
    assert f"{kind.__name__}: broken backward" in report.details[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda x: (x * 2).to_sparse(), "The result: layout is torch.sparse_coo; expected is"),
        (lambda x: (x * 2).double(), "The result: dtype is torch.float64; expected is"),
        (lambda x: (x * 2).contiguous(), "The result: strides are (3, 1); expected are (1, 4)."),
        (lambda x: [x * 2], "The result: the type is a list; expected is a tensor."),
        (
            lambda x: x * 2 + (x > 4),
            "values differ, the first at [1, 2]: it is 11; expected is 10.",
        ),
        (lambda x: x * 2.00001, "the first at [0, 2]: it is 4.00002; expected is 4."),
        (
            lambda x: x.mul_(2),
            "After the call, x: 5 of 6 values differ, the first at [0, 1]: it is",
        ),
    ],
)
def test_differences_in_words(answer, words):
    also = {"strides"} if "strides" in words else set()
    assert words in grade(program(also=also), answer).details[0]


def test_numbers_that_hardly_differ_are_told_apart():
    said = grade(program(tolerance=0.0), lambda x: x * 2 * (1 + 2**-22)).details[0]
    assert "it is 2.000000476837158; expected is 2.0." in said


def test_the_first_aspect_wins_whatever_the_order_of_the_cases():
    def answer(x):
        return (x * 2).double() if len(x) == 4 else x * 3

    saw(grade(program(), answer), "wrong", "dtype")


def test_the_smallest_failing_case_is_shown():
    report = grade(program(), lambda x: x * 3)
    assert report.case.inputs["x"].shape == (2, 3)
    assert torch.equal(report.case.expected, report.case.inputs["x"] * 2)
    assert torch.equal(report.case.yours, report.case.inputs["x"] * 3)


def test_an_aspect_can_be_left_out():
    saw(grade(program(ignore={"dtype"}), lambda x: (x * 2).double()), "pass")
    saw(grade(program(ignore={"input changed"}), lambda x: x.mul_(2)), "pass")


def test_an_expected_exception_must_come():
    def refuse(x):
        if x.dim() != 2:
            raise ValueError("two dimensions are needed")
        return x

    asked = program(model=refuse, cases=[(torch.zeros(2, 2),), (torch.zeros(2),)])
    saw(grade(asked, refuse), "pass")
    report = grade(asked, lambda x: x)
    saw(report, "wrong", "raised")
    assert "expected is that it raises ValueError" in report.details[0]

    def refuses_otherwise(x):
        if x.dim() != 2:
            raise TypeError("no")
        return x

    saw(grade(asked, refuses_otherwise), "wrong", "raised")


def test_in_place_must_happen_where_the_model_does_it():
    def double_in_place(x):
        x.mul_(2)

    asked = program(model=double_in_place)
    saw(grade(asked, double_in_place), "pass")

    def forgets(x):
        x * 2

    saw(grade(asked, forgets), "wrong", "input changed")


def test_a_gradient_left_in_the_input_is_an_input_changed():
    def backward(x):
        (x**2).sum().backward()

    def leaf():
        return [(torch.ones(3).requires_grad_(),)]

    asked = program(model=backward, cases=leaf)
    saw(grade(asked, backward), "pass")
    saw(grade(asked, lambda x: None), "wrong", "input changed")
    saw(grade(program(cases=leaf), lambda x: x.detach().requires_grad_() * 2), "pass")

    def flag_flipped(x):
        y = x * 2
        x.requires_grad_(False)
        return y

    report = grade(program(cases=leaf), flag_flipped)
    saw(report, "wrong", "input changed")
    assert "x has requires_grad=False" in report.details[0]


def test_aliasing_names_what_is_shared():
    def first(x, y):
        return x[:1], y.clone()

    asked = program(
        model=first, cases=lambda: [(torch.zeros(2, 2), torch.zeros(2, 2))], also={"aliasing"}
    )
    saw(grade(asked, lambda x, y: (x[:1], y + 0)), "pass")
    report = grade(asked, lambda x, y: (y[:1], y.clone()))
    saw(report, "wrong", "aliasing")
    assert "shares storage with y; expected is x" in report.details[0]


def test_strides_of_dimensions_of_one_element_do_not_matter():
    def column(x):
        return x.sum(0)[:, None]

    asked = program(model=column, also={"strides"})
    odd = torch.as_strided
    saw(grade(asked, lambda x: odd(x.sum(0), (x.shape[1], 1), (1, 7))), "pass")
    saw(grade(asked, lambda x: x.sum(0).repeat(2)[::2][:, None] * 0), "wrong", "values")


# Values.


@pytest.mark.parametrize(
    ("expected", "given", "same"),
    [
        (float("nan"), float("nan"), True),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, float("nan")]), True),
        (torch.tensor([1.0, float("nan")]), torch.tensor([1.0, 2.0]), False),
        (torch.tensor([1.0]), torch.tensor([1.0 + 1e-7]), True),
        (torch.tensor([1.0]), torch.tensor([1.0001]), False),
        (torch.tensor([1]), torch.tensor([2]), False),
        (torch.tensor([True]), torch.tensor([False]), False),
        (torch.tensor([1 + 2j]), torch.tensor([1 + 2j]), True),
        (torch.tensor([1.0]).half(), torch.tensor([1.0]).half(), True),
        ((1, "a", None), [1, "a", None], True),
        ((1, "a", None), [1, "b", None], False),
        ({"a": [1]}, {"a": [1]}, True),
        ({"a": [1]}, {"b": [1]}, False),
        (torch.Size([2]), (2,), True),
        (1, True, False),
        (1, 1.0, True),
        (torch.float32, torch.float32, True),
        (torch.float32, torch.float64, False),
        (torch.zeros(2, 0), torch.zeros(2, 0), True),
        (torch.zeros(2).to_sparse(), torch.zeros(2).to_sparse(), True),
        (torch.ones(2).to_sparse(), torch.zeros(2).to_sparse(), False),
        (torch.zeros(2).numpy(), torch.zeros(2).numpy(), True),
        (torch.zeros(2).numpy(), torch.ones(2).numpy(), False),
    ],
)
def test_results_are_compared(expected, given, same):
    def model():
        return expected

    report = grade(program(model=model, cases=[()]), lambda: given)
    assert (report.state == "pass") is same, report


def test_modules_are_compared_by_class_and_state():
    def linear():
        torch.manual_seed(3)
        return torch.nn.Linear(2, 1)

    asked = program(model=linear, cases=[()])
    saw(grade(asked, linear), "pass")

    def otherwise():
        torch.manual_seed(4)
        return torch.nn.Linear(2, 1)

    saw(grade(asked, otherwise), "wrong", "values")
    saw(grade(asked, lambda: torch.nn.Bilinear(2, 2, 1)), "wrong", "type")
    saw(grade(asked, lambda: torch.nn.Linear(2, 3)), "wrong", "shape")


def test_pictures_are_compared_by_mode_size_and_pixels():
    def black():
        return Image.new("RGB", (3, 2))

    asked = program(model=black, cases=[()])
    saw(grade(asked, black), "pass")
    saw(grade(asked, lambda: Image.new("L", (3, 2))), "wrong", "shape")
    saw(grade(asked, lambda: Image.new("RGB", (2, 3))), "wrong", "shape")
    saw(grade(asked, lambda: Image.new("RGB", (3, 2), "red")), "wrong", "values")
    saw(grade(asked, lambda: torch.zeros(3, 2, 3)), "wrong", "type")


def test_tolerance_of_programs():
    saw(grade(program(), lambda x: x * 2.001), "wrong", "values")
    saw(grade(program(tolerance=0.01), lambda x: x * 2.001), "pass")
    saw(grade(program(tolerance=0.0), lambda x: x * (2 + 1e-6)), "wrong", "values")


def test_a_class_can_be_the_answer():
    class Doubler:
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return x * self.factor

    asked = program(model=Doubler, run=lambda answer, x: answer(2)(x))
    saw(grade(asked, Doubler), "pass")
    saw(grade(asked, twice), "error", "wrong kind of object")
    wrong = type("Wrong", (Doubler,), {"__call__": lambda self, x: x})
    saw(grade(asked, wrong), "wrong", "values")


# States, and what they look like.


def test_every_state_word_appears(capsys):
    hopeless = program(skip=lambda: "it needs two machines")
    reports = {
        "todo": grade(program(), ...),
        "wrong": grade(program(), lambda x: x),
        "error": grade(program(), _raises),
        "pass": grade(program(), twice),
        "skipped": grade(hopeless, twice),
    }
    assert tuple(reports) == STATES
    for state, report in reports.items():
        assert report.state == state
        reader._say(program(), report)
        first = capsys.readouterr().out.splitlines()[0]
        assert first.split()[2] == state
        assert len(first) < 60
    assert "two machines" in reports["skipped"].details[0]


@pytest.mark.parametrize(
    "answer", [..., lambda x: ..., lambda x: x + ..., lambda x: (x, ...), lambda x: ....shape]
)
def test_a_hole_is_todo(answer):
    saw(grade(program(), answer), "todo")


@pytest.mark.parametrize("answer", [3, "twice", torch.zeros(2), None, int, [twice]])
def test_a_value_where_a_function_is_needed(answer):
    report = grade(program(), answer)
    saw(report, "error", "wrong kind of object")
    assert "where a function is needed" in report.details[0]


def test_a_function_where_a_value_is_needed():
    saw(grade(value("predict", lambda_free_key), lambda: 3), "error", "wrong kind of object")
    saw(grade(value("predict", lambda_free_key), len), "wrong", "type")


def lambda_free_key():
    return 3


def test_an_error_shows_the_line_but_no_traceback_and_no_address(capsys, monkeypatch):
    def broken(x):
        raise RuntimeError(f"at {object()}")

    install(monkeypatch, program())
    exercise("999.1").check(broken)
    said = capsys.readouterr().out
    assert said.startswith(
        "✘ 999.1 error · raised\nIt raised RuntimeError: at <object object at 0x…>"
    )
    assert 'in the line: raise RuntimeError(f"at {object()}")' in said
    assert "Traceback" not in said


def test_exit_and_recursion_are_errors_too():
    saw(grade(program(), lambda x: sys.exit(3)), "error", "raised")

    def deeper(x):
        return deeper(x)

    saw(grade(program(), deeper), "error", "raised")


def test_an_interrupt_is_clean():
    torch.set_default_dtype(torch.float32)

    def endless(x):
        torch.set_default_dtype(torch.float64)
        raise KeyboardInterrupt

    report = grade(program(), endless)
    saw(report, "error", "interrupted")
    assert torch.get_default_dtype() is torch.float32


def test_misconceptions_are_named():
    assert grade(program(), lambda x: x + x + x).misconception == "That is three times."
    assert grade(program(), lambda x: x.mul_(2)).misconception == "mul_ writes into x."
    assert grade(program(), lambda x: x - 1).misconception == ""


def test_a_misconception_is_named_only_if_both_do_the_same():
    def refuses(x):
        raise Exception("no")

    asked = program(wrong=[Wrong(refuses, "It refuses."), Wrong(lambda x: x, "unchanged")])
    assert grade(asked, refuses).misconception == "It refuses."
    assert grade(asked, _raises).misconception == "", "a ValueError is more than an Exception"
    asked = program(wrong=[Wrong(_raises, "It refuses."), Wrong(lambda x: x, "unchanged")])
    assert grade(asked, refuses).misconception == "", "an Exception is less than a ValueError"


def test_what_an_answer_prints_stays_and_what_the_model_prints_does_not(capsys):
    def loud(x):
        print("model")
        return x * 2

    def mine(x):
        print("mine")
        return x * 3

    grade(program(model=loud), mine)
    assert capsys.readouterr().out == "mine\nmine\n"


# Answers that change what belongs to all.


def _with_double(x):
    torch.set_default_dtype(torch.float64)
    return x * 2


def _without_gradient(x):
    torch.set_grad_enabled(False)
    return x * 2


def _on_meta(x):
    torch.set_default_device("meta")
    return x * 2


def _anomalous(x):
    torch.autograd.set_detect_anomaly(True)
    return x * 2


def _deterministic(x):
    torch.use_deterministic_algorithms(True)
    return x * 2


def _more_threads(x):
    torch.set_num_threads(torch.get_num_threads() + 1)
    return x * 2


@pytest.mark.parametrize(
    ("answer", "setting"),
    list(
        zip(
            (_with_double, _on_meta, _without_gradient, _anomalous, _deterministic, _more_threads),
            SETTINGS,
            strict=True,
        )
    ),
)
def test_a_changed_setting_is_set_back_and_said(answer, setting):
    before = {name: read() for name, (read, _, _) in SETTINGS.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = grade(program(), answer)
    saw(report, "pass")
    assert len(report.notes) == 1
    assert setting in report.notes[0]
    assert {name: read() for name, (read, _, _) in SETTINGS.items()} == before
    saw(grade(program(), twice), "pass")


def test_a_setting_the_model_changes_too_is_not_mentioned():
    saw(report := grade(program(model=_with_double), _with_double), "pass")
    assert report.notes == []


def test_a_check_starts_from_the_standard_state_and_gives_the_readers_back():
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    try:

        def fresh(x):
            return torch.tensor(1.5), torch.is_grad_enabled()

        report = grade(program(model=fresh), lambda x: (torch.tensor(1.5).float(), True))
        saw(report, "pass")
        assert torch.get_default_dtype() is torch.float64
        assert not torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)


def test_random_numbers_are_alike_for_all_and_the_readers_own_go_on():
    def noisy(x):
        return x + torch.rand(3) + random.random()

    torch.manual_seed(7)
    random.seed(7)
    expected = torch.rand(2), random.random()
    torch.manual_seed(7)
    random.seed(7)
    saw(grade(program(model=noisy, cases=[(1,)]), noisy), "pass")
    assert torch.equal(torch.rand(2), expected[0])
    assert random.random() == expected[1]


def test_random_cases_are_the_same_for_every_reader():
    asked = program(cases=lambda: [(torch.rand(3) + random.random(),)])
    shown = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        random.seed(seed)
        shown.append(grade(asked, lambda x: x * 3).case.inputs["x"])
    assert torch.equal(*shown)


def test_nothing_leaks_from_one_program_to_the_next():
    shared = torch.arange(3.0)
    asked = program(cases=[(shared,)])
    saw(grade(asked, lambda x: x.mul_(2)), "wrong", "input changed")
    assert torch.equal(shared, torch.arange(3.0))
    saw(grade(asked, twice), "pass")


def test_copied_cases_keep_strides_and_sharing():
    base = torch.arange(6.0).reshape(2, 3)
    seen = []

    def look(x, y):
        seen.append((x.stride(), x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr()))

    grade(program(model=look, cases=[(base.T, base[0])]), look)
    assert set(seen) == {((1, 3), True)}


def test_a_warning_becomes_a_note():
    def warns(x):
        warnings.warn("mind the gap", stacklevel=1)
        return x * 2

    assert grade(program(), warns).notes == ["It warned: UserWarning: mind the gap"]
    assert grade(program(model=warns), warns).notes == []


# Predictions.


@pytest.mark.parametrize(
    ("yours", "key", "same"),
    [
        ((2, 3), torch.Size([2, 3]), True),
        ([2, 3], (2, 3), True),
        (2.0, 2, True),
        (2.4, 2, False),
        (2, torch.tensor(2), True),
        (torch.tensor(2), 2, True),
        (True, 1, False),
        (1, True, False),
        (0, False, False),
        (True, torch.tensor(True), True),
        ([[1, 2]], torch.tensor([[1, 2]]), True),
        ([1, 2], torch.tensor([[1, 2]]), False),
        ("RuntimeError", "runtimeerror", True),
        (RuntimeError, "RuntimeError", True),
        ("RuntimeError", RuntimeError, True),
        (" View ", "view", True),
        ("copy", "view", False),
        ("torch.float32", torch.float32, True),
        ("float32", torch.float32, True),
        (torch.float64, torch.float32, False),
        (0.333, 1 / 3, True),
        (0.3, 1 / 3, False),
        (0.0, 1e-9, False),
        (float("nan"), float("nan"), True),
        (1.0, float("nan"), False),
        (float("inf"), float("inf"), True),
        (float("-inf"), float("inf"), False),
        (None, None, True),
        (None, 0, False),
        ("2", 2, False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        (1 + 1j, 1 + 1j, True),
    ],
)
def test_guesses_are_compared_kindly_but_not_sloppily(yours, key, same):
    assert same_guess(yours, key) is same


def test_a_prediction_is_run_now_and_never_given_away():
    calls = []

    def key():
        calls.append(1)
        return (17, 23)

    asked = value("predict", key)
    report = grade(asked, (17, 5))
    saw(report, "wrong", "values")
    assert "At [1]: 5 is not what torch gives." in report.details
    assert "23" not in str(report)
    saw(grade(asked, [17, 23.0]), "pass")
    assert len(calls) == 2
    saw(grade(asked, (17,)), "wrong", "shape")
    saw(grade(asked, "17"), "wrong", "type")
    saw(grade(asked, None), "wrong", "None")
    saw(grade(asked, (..., 23)), "todo")
    assert grade(asked, -1).misconception == "minus one"
    assert grade(asked, -2).misconception == "minus two"


# Orders and measures.


def test_orders():
    def key():
        return ["a", "b", "c"]

    asked = value("order", key, wrong=[Wrong(["c", "b", "a"], "back"), Wrong(["b", "a", "c"], "x")])
    saw(grade(asked, ("a", "b", "c")), "pass")
    report = grade(asked, ["c", "b", "a"])
    saw(report, "wrong", "values")
    assert report.misconception == "back"
    assert "none of the labels; there is: a, b, c" in grade(asked, ["a", "b", "z"]).details[0]
    assert "'c' stands 0 times" in grade(asked, ["a", "b"]).details[0]
    saw(grade(asked, "abc"), "error", "wrong kind of object")
    some = value("order", key, wrong=asked.wrong, labels=["a", "b", "c", "d"])
    saw(grade(some, ["a", "b", "d"]), "wrong", "values")
    saw(grade(some, ["a", "b"]), "wrong", "shape")


def test_several_right_orders():
    def key():
        return ["zero", "forward", "backward"]

    def accepts(labels):
        if labels.index("backward") < labels.index("forward"):
            raise RuntimeError("nothing to walk back through")
        return labels.index("zero") != 2 or "zero_grad after backward clears what step needs."

    wrong = [Wrong(["backward", "zero", "forward"], "x"), Wrong(["a"], "y")]
    asked = value("order", key, accepts=accepts, wrong=wrong)
    saw(grade(asked, ["zero", "forward", "backward"]), "pass")
    saw(grade(asked, ["forward", "zero", "backward"]), "pass")
    report = grade(asked, ["forward", "backward", "zero"])
    assert report.details[0] == "zero_grad after backward clears what step needs."
    report = grade(asked, ["zero", "backward", "forward"])
    assert "it raises RuntimeError: nothing to walk back through" in report.details[0]


def test_a_set_is_right_in_any_order():
    def key():
        return {"b", "c"}

    asked = value("predict", key)
    saw(grade(asked, ["c", "b"]), "pass")
    saw(grade(asked, {"b", "c"}), "pass")
    saw(grade(asked, ["b"]), "wrong", "shape")
    saw(grade(asked, ["b", "d"]), "wrong", "values")
    saw(grade(asked, "bc"), "wrong", "type")


def test_a_narrow_tolerance_is_not_written_as_nothing():
    def key():
        return 1000.0

    report = grade(value("measure", key, tolerance=0.001), 900)
    assert "too small: more than 0.1% away" in report.details[0]


def test_a_count_is_right_or_wrong():
    def key():
        return 28

    asked = value("measure", key, tolerance=0)
    saw(grade(asked, 28.0), "pass")
    report = grade(asked, 27)
    saw(report, "wrong", "values")
    assert report.details[0].endswith("27 is too small.")


def test_measures():
    def key():
        return 200.0

    asked = value("measure", key, tolerance=0.1)
    saw(grade(asked, 215), "pass")
    saw(grade(asked, torch.tensor(190.0)), "pass")
    report = grade(asked, 230)
    saw(report, "wrong", "values")
    assert "too large: more than 10% away" in report.details[0]
    assert "too small" in grade(asked, 20).details[0]
    saw(grade(asked, "200"), "error", "wrong kind of object")
    saw(grade(asked, True), "error", "wrong kind of object")

    def both():
        return {"view": 0, "copy": 96}

    pair = value("measure", both, tolerance=0.01)
    saw(grade(pair, {"view": 0, "copy": 96}), "pass")
    saw(grade(pair, {"view": 96, "copy": 96}), "wrong", "values")


# Drawing, in words and in grids.


def test_what_cannot_be_drawn_is_written(capsys):
    report = grade(_words(), lambda x: "b")
    draw_case(report.case)
    said = capsys.readouterr().out
    assert said == "input x: {'a': 1}\nyours: 'b'\nexpected: 'a'\n"


def _words() -> Exercise:
    def model(x):
        return next(iter(x))

    return program(model=model, cases=[({"a": 1},)])


def test_grids_are_asked_for_by_title(monkeypatch):
    asked = {}

    def grid(*tensors, **words):
        asked.update(words, n=len(tensors))

    monkeypatch.setattr("helpers.draw.grid", grid)
    draw_case(grade(program(), lambda x: x * 3).case)
    assert asked["titles"] == ["input x", "yours", "expected"]
    assert asked["n"] == 3
    assert asked["highlight"][0] is None
    assert asked["highlight"][1].tolist() == [[False, True, True], [True, True, True]]
    draw_case(grade(program(), lambda x: x.mul_(2)).case)
    assert asked["titles"] == ["input x", "your input afterwards", "expected input afterwards"]


def test_strided_inputs_are_called_so(capsys):
    draw_case(
        grade(
            program(cases=[(torch.zeros(9, 9, 2, 2).permute(3, 2, 1, 0),)]), lambda x: x * 2 + 1
        ).case
    )
    assert "input x is not contiguous: its strides are (1, 2, 4, 36)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tensor", "drawn"),
    [
        (torch.zeros(2, 3), True),
        (torch.tensor(1), True),
        (torch.zeros(2, 2, 2), True),
        (torch.zeros(2, 2, 2, 2), False),
        (torch.zeros(100, 100), False),
        (torch.zeros(0), False),
        (torch.zeros(2, device="meta"), False),
        (torch.zeros(2).to_sparse(), False),
        (3, False),
    ],
)
def test_what_can_be_drawn(tensor, drawn):
    assert can_be_drawn(tensor) is drawn


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (torch.arange(3), "[0, 1, 2] (shape (3,), int64)"),
        (torch.zeros(1000), "[0, 0, 0, 0, 0, 0, …] (shape (1000,), float32; from 0 to 0)"),
        (
            torch.full((99,), float("nan")),
            "[nan, nan, nan, nan, nan, nan, …] (shape (99,), float32",
        ),
        (torch.zeros(2, device="meta"), "a tensor of shape (2,), float32"),
        ((1,), "(1,)"),
        ([1, "a", None], "[1, 'a', None]"),
        (torch.Size([2, 3]), "torch.Size([2, 3])"),
        ({"a": torch.tensor(1)}, "{'a': 1 (shape (), int64)}"),
        (object(), "an object"),
        ({2, 1}, "{1, 2}"),
        (Image.new("L", (3, 2)), "a picture of mode L and size (3, 2)"),
        ("x" * 300, "x" * 100),
        (torch.nn.Linear(1, 2), "Linear(in_features=1, out_features=2, bias=True)"),
    ],
)
def test_values_are_written_without_addresses(written, words):
    assert words in write_value(written)
    assert "0x" not in write_value(written)


# What readers call.


def install(monkeypatch, *declared: Exercise) -> None:
    """A chapter 999 that holds these exercises, and nothing else in the book."""
    module = types.ModuleType("helpers.exercises.ex999")
    module.EXERCISES = list(declared)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "chapters_with_exercises", lambda: ["999"])


def test_an_unknown_exercise_lists_what_there_is(monkeypatch):
    install(monkeypatch, program())
    with pytest.raises(LookupError, match=r"no exercise '999\.9'; chapter 999 has: 999\.1"):
        exercise("999.9")
    with pytest.raises(LookupError, match=r"chapters with exercises: 999"):
        exercise("107.1")
    with pytest.raises(LookupError, match="no exercise 103"):
        exercise(103)


def test_a_module_with_faults_says_so(monkeypatch):
    install(monkeypatch, program(), program())
    with pytest.raises(ValueError, match=r"declares 999\.1 twice"):
        exercise("999.1")
    install(monkeypatch, program(id="998.1"))
    with pytest.raises(ValueError, match="not its own"):
        exercise("999.1")


def test_check_returns_nothing_to_display(monkeypatch, capsys):
    install(monkeypatch, program())
    assert exercise("999.1").check(...) is None
    assert capsys.readouterr().out.startswith("○ 999.1 todo\n")
    assert repr(exercise("999.1")) == "Exercise 999.1 · Twice"


def test_hints_one_by_one(monkeypatch, capsys):
    install(monkeypatch, program())
    for _ in range(4):
        exercise("999.1").hint()
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["Hint 1 of 2: first", "Hint 2 of 2: second"]
    assert all(line.startswith("There are no more hints") for line in lines[2:])


def test_the_solution_waits_for_a_try(monkeypatch, capsys):
    install(monkeypatch, program(explanation="Because."), program(id="999.2"))
    exercise("999.1").solution()
    assert "return x * 2" not in capsys.readouterr().out
    exercise("999.1").solution()
    said = capsys.readouterr().out
    assert "def twice(x):\n    return x * 2" in said
    assert "Because." in said
    exercise("999.2").check(lambda x: x.int())
    capsys.readouterr()
    exercise("999.2").solution()
    assert "return x * 2" in capsys.readouterr().out


def test_the_unsolved_check_prints_the_same_every_time(monkeypatch, capsys):
    install(monkeypatch, program(), value("predict", lambda_free_key))
    said = set()
    for _ in range(2):
        exercise("999.1").check(lambda x: ...)
        exercise("999.2").check(...)
        said.add(capsys.readouterr().out)
    assert len(said) == 1


# Declarations.


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": "1.2"}, "chapter and place"),
        ({"kind": "essay"}, "predict"),
        ({"hints": ["one"]}, "hints holds at least two"),
        ({"hints": "two"}, "hints holds at least two"),
        ({"wrong": [Wrong(twice, "a")]}, "wrong holds at least two"),
        ({"wrong": [Wrong(twice, "a"), Wrong(twice, "a")]}, "message of its own"),
        ({"wrong": [Wrong(twice, "a"), Wrong(3, "b")]}, "is no program"),
        ({"model": None}, "model is missing"),
        ({"model": lambda x: x}, "written with def"),
        ({"cases": None}, "cases is missing"),
        ({"cases": []}, "cases is missing"),
        ({"cases": [torch.zeros(2)]}, "tuple of arguments"),
        ({"also": {"colour"}}, "colour"),
        ({"ignore": {"values"}}, "values"),
        ({"key": twice}, "no key"),
    ],
)
def test_a_faulty_program_declaration_is_told(changes, words):
    with pytest.raises(ValueError, match=words):
        program(**changes)


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("predict", {"key": None}, "key is missing"),
        ("predict", {"model": twice}, "has a key"),
        ("predict", {"labels": ["a"]}, "are for order"),
        ("predict", {"wrong": [Wrong(1, "a"), Wrong(lambda a: a, "b")]}, "needs an example"),
        ("measure", {}, "states its tolerance"),
    ],
)
def test_a_faulty_value_declaration_is_told(kind, changes, words):
    with pytest.raises(ValueError, match=words):
        value(kind, **{"key": lambda_free_key} | changes)


def test_cases_made_by_a_function_are_tuples_too():
    with pytest.raises(ValueError, match="a case is a tuple"):
        grade(program(cases=lambda: [torch.zeros(2)]), twice)


def test_no_cuda_gives_a_reason_or_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert "this machine has none" in no_cuda()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert no_cuda() is None


def test_the_aspects_are_those_of_the_design():
    assert program(also={"strides", "aliasing", "gradient"}).aspects == ASPECTS
    assert set(ASPECTS) - set(program().aspects) == {"strides", "aliasing", "gradient"}


def test_importing_helpers_and_declaring_need_neither_matplotlib_nor_this_package():
    code = (
        "import sys, helpers; assert 'helpers.exercises' not in sys.modules; "
        "import helpers.exercises; assert 'torch' not in sys.modules; "
        "from helpers import exercise, progress; from helpers.exercises import check; "
        "assert 'matplotlib' not in sys.modules; assert 'torchvision' not in sys.modules"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_the_package_names_what_it_has():
    with pytest.raises(AttributeError, match="it has: ASPECTS"):
        _ = package.nothing
