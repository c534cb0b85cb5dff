"""Exercises of chapter 201: what is recorded, what a walk leaves behind, and rules by hand."""

from __future__ import annotations

import torch

from helpers.exercises import Exercise, Wrong


def what_was_recorded():
    w, x = torch.ones(2, requires_grad=True), torch.ones(2)
    results = {
        "a": x * 2,
        "b": w * x,
        "c": w >= 1,
        "d": (w * x).detach() + x,
        "e": torch.nn.Linear(2, 2)(x),
        "f": w.sum() + (w > 0).sum(),
    }
    return {letter for letter, result in results.items() if result.requires_grad}


def after_three_walks():
    a = torch.tensor(3.0, requires_grad=True)
    y = a * a
    y.backward(retain_graph=True)
    a.grad = None
    (2 * y).backward()
    (a + 1).backward()
    return a.grad


def one_round():
    return ["output", "loss", "clear", "backward", "step"]


def _three_rounds(order):
    """The weight after each of three rounds of the labelled lines."""
    w = torch.tensor(1.0, requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.05)
    made = {}
    lines = {
        "output": lambda: made.update(output=w * 2),
        "loss": lambda: made.update(loss=(made["output"] - 6) ** 2),
        "clear": optimizer.zero_grad,
        "backward": lambda: made["loss"].backward(),
        "step": optimizer.step,
    }
    path = []
    for _ in range(3):
        for label in order:
            lines[label]()
        path.append(w.item())
    return path


def _moves_by_this_round(order):
    for first, then in (("output", "loss"), ("loss", "backward")):
        if order.index(then) < order.index(first):
            return f"In the first round, {then} needs {first}, which does not exist yet."
    path = _three_rounds(order)
    if path == _three_rounds(one_round()):
        return True
    said = ", ".join(f"{value:.3g}" for value in path)
    return f"Run in this order from w = 1, the weight is {said} after the three rounds."


def divide_rule(g, a, b):
    return g / b, -g * a / b**2


def _divide_by_torch(g, a, b):
    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    (a / b).backward(gradient=g)
    return a.grad, b.grad


def _divide_without_sign(g, a, b):
    return g / b, g * a / b**2


def _divide_without_g(g, a, b):
    return 1 / b, -a / b**2


def _divide_like_mul(g, a, b):
    return g / b, g / a


def fit(w, steps):
    w = w.clone().requires_grad_()
    for _ in range(steps):
        w.grad = None
        loss = ((w.exp() - 2) ** 2).sum()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
    return w.detach()


def _fit_as_given(w, steps):
    w = w.clone().requires_grad_()
    loss = ((w.exp() - 2) ** 2).sum()
    for _ in range(steps):
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
    return w.detach()


def _fit_retained(w, steps):
    w = w.clone().requires_grad_()
    loss = ((w.exp() - 2) ** 2).sum()
    for _ in range(steps):
        w.grad = None
        loss.backward(retain_graph=True)
        with torch.no_grad():
            w -= 0.1 * w.grad
    return w.detach()


def _fit_retained_and_added(w, steps):
    w = w.clone().requires_grad_()
    loss = ((w.exp() - 2) ** 2).sum()
    for _ in range(steps):
        loss.backward(retain_graph=True)
        with torch.no_grad():
            w -= 0.1 * w.grad
    return w.detach()


def _fit_never_cleared(w, steps):
    w = w.clone().requires_grad_()
    for _ in range(steps):
        ((w.exp() - 2) ** 2).sum().backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
    return w.detach()


def _fit_with_zeros(w, steps):
    w = w.clone().requires_grad_()
    for _ in range(steps):
        ((w.exp() - 2) ** 2).sum().backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
        w.grad.zero_()
    return w.detach()


def jacobian_of(f, x):
    x = x.detach().requires_grad_()
    y = f(x)
    rows = []
    for one in torch.eye(len(y)):
        x.grad = None
        y.backward(gradient=one, retain_graph=True)
        rows.append(x.grad)
    return torch.stack(rows)


def _jacobian_by_torch(f, x):
    return torch.autograd.functional.jacobian(f, x)


def _jacobian_never_cleared(f, x):
    x = x.detach().requires_grad_()
    y = f(x)
    rows = []
    for one in torch.eye(len(y)):
        y.backward(gradient=one, retain_graph=True)
        rows.append(x.grad.clone())
    return torch.stack(rows)


def _jacobian_rows_shared(f, x):
    x = x.detach().requires_grad_()
    x.grad = torch.zeros_like(x)
    y = f(x)
    rows = []
    for one in torch.eye(len(y)):
        x.grad.zero_()
        y.backward(gradient=one, retain_graph=True)
        rows.append(x.grad)
    return torch.stack(rows)


def _jacobian_transposed(f, x):
    return jacobian_of(f, x).T


def _jacobian_walked_once(f, x):
    x = x.detach().requires_grad_()
    y = f(x)
    rows = []
    for one in torch.eye(len(y)):
        x.grad = None
        y.backward(gradient=one)
        rows.append(x.grad)
    return torch.stack(rows)


def _jacobian_of_a_clone(f, x):
    x = x.clone().requires_grad_()
    y = f(x)
    rows = []
    for one in torch.eye(len(y)):
        x.grad = None
        y.backward(gradient=one, retain_graph=True)
        rows.append(x.grad)
    return torch.stack(rows)


def _jacobian_by_grad(f, x):
    x = x.detach().requires_grad_()
    y = f(x)
    ones = torch.eye(len(y))
    return torch.stack([torch.autograd.grad(y, x, one, retain_graph=True)[0] for one in ones])


def _mixed(x):
    return torch.stack([x[0] * x[1], x[0] + x[1], x[0] ** 2])


def _chained(x):
    return x[1:] * x[:-1].exp()


class _Expensive:
    """A function that refuses to be called twice."""

    def __init__(self, f):
        self.f, self.calls = f, 0

    def __call__(self, x):
        self.calls += 1
        if self.calls > 1:
            raise RuntimeError("f is expensive, and it was called a second time")
        return self.f(x)


EXERCISES = [
    Exercise(
        id="201.1",
        name="What was recorded?",
        kind="predict",
        key=what_was_recorded,
        wrong=[
            Wrong(
                lambda answer: "c" in answer,
                "A comparison gives True and False: not floating point, so never recorded.",
                example=["b", "c", "e", "f"],
            ),
            Wrong(
                lambda answer: "d" in answer,
                "detach cuts the tie to w, and x asks for nothing.",
                example=["b", "d", "e", "f"],
            ),
            Wrong(
                lambda answer: "a" in answer,
                "x asks for nothing, so x * 2 has no input that does.",
                example=["a", "b", "e", "f"],
            ),
            Wrong(
                lambda answer: "e" not in answer,
                "x asks for nothing, but a layer's weight and bias are parameters, which do.",
                example=["f", "b"],
            ),
            Wrong(
                lambda answer: "f" not in answer,
                "A sum of two inputs is recorded if one of them requires grad.",
                example=["e", "b"],
            ),
        ],
        hints=[
            "For each: does an input require grad, and is the result floating point?",
            "f adds two sums. One of them is recorded; that is enough.",
        ],
        explanation="One recorded input suffices; comparisons and detach end the record.",
    ),
    Exercise(
        id="201.2",
        name="Three walks",
        kind="predict",
        key=after_three_walks,
        wrong=[
            Wrong(19, "The first 6 was cleared before the second walk."),
            Wrong(12, "The third walk brings something, too: the slope of a + 1."),
            Wrong(1, "A walk adds to the gradient that is there; it does not replace it."),
            Wrong(7, "The second walk starts at 2 * y, not at y."),
        ],
        hints=[
            "What does each walk bring on its own, and where is the gradient cleared?",
            "The first is cleared away. The second brings 2 * 2a.",
        ],
        explanation="Cleared once, then 12 from the second walk and 1 from the third.",
    ),
    Exercise(
        id="201.3",
        name="One round",
        kind="order",
        key=one_round,
        accepts=_moves_by_this_round,
        right=[
            ["clear", "output", "loss", "backward", "step"],
            ["output", "clear", "loss", "backward", "step"],
            ["output", "loss", "backward", "step", "clear"],
        ],
        wrong=[
            Wrong(
                ["output", "loss", "backward", "clear", "step"],
                "You clear the gradient before the step has used it: the weight never moves.",
            ),
            Wrong(
                ["output", "loss", "clear", "step", "backward"],
                "The step finds no gradient, for it was cleared the moment before.",
            ),
            Wrong(
                lambda answer: answer.index("step") < answer.index("backward"),
                "The step comes before this round's gradient exists.",
                example=["clear", "step", "output", "loss", "backward"],
            ),
        ],
        hints=[
            "output, loss, backward and step have one possible order. Where may clear stand?",
            "clear may stand anywhere but between backward and step.",
        ],
        explanation="The gradient must be empty before backward and untouched until step.",
    ),
    Exercise(
        id="201.4",
        name="The rule of division",
        kind="write",
        model=divide_rule,
        cases=lambda: [
            (torch.tensor(1.0), torch.tensor(3.0), torch.tensor(4.0)),
            (torch.tensor(-2.0), torch.tensor(5.0), torch.tensor(0.5)),
            (torch.tensor([1.0, 3.0]), torch.tensor([2.0, -1.0]), torch.tensor([5.0, 3.0])),
        ],
        right=[_divide_by_torch],
        wrong=[
            Wrong(
                _divide_without_sign,
                "A larger b makes a / b smaller (for positive a): its slope has a minus.",
                shows="values",
            ),
            Wrong(
                _divide_without_g,
                "These are the slopes alone; a rule multiplies them with the g that arrives.",
                shows="expected",
            ),
            Wrong(
                _divide_like_mul,
                "Division is not symmetric: for b, differentiate a * b**-1.",
                shows="values",
            ),
        ],
        hints=[
            "Write a / b as a * b**-1 and differentiate for a, then for b.",
            "The slopes are 1 / b and -a / b**2; each is multiplied with g.",
        ],
        explanation="Each part is g times the slope in that direction.",
    ),
    Exercise(
        id="201.5",
        name="The stubborn loop",
        kind="repair",
        model=fit,
        cases=lambda: [
            (torch.tensor([0.0]), 1),
            (torch.tensor([0.0]), 3),
            (torch.tensor([0.0, 1.0, -1.0]), 4),
        ],
        also={"gradient"},
        right=[_fit_with_zeros],
        wrong=[
            Wrong(
                _fit_as_given,
                "The loss is computed once, so the second step walks an emptied graph.",
                shows="second time",
            ),
            Wrong(
                _fit_retained,
                "retain_graph keeps the slopes of the first w: compute the loss in each step.",
                shows="values",
            ),
            Wrong(
                _fit_retained_and_added,
                "retain_graph keeps the slopes of the first w, and nothing clears them either.",
                shows="values",
            ),
            Wrong(
                _fit_never_cleared,
                "Now the gradients of all steps add up: clear w.grad in each step.",
                shows="values",
            ),
        ],
        hints=[
            "What must be computed again whenever w changes?",
            "The loss belongs into the loop; so does a line that clears w.grad.",
        ],
        explanation="A graph belongs to the numbers that it was recorded with.",
        equivalent_mutants={
            "return w.detach() => return w.detach_()": "w is the function's own tensor.",
        },
    ),
    Exercise(
        id="201.6",
        name="All rows",
        kind="write",
        model=jacobian_of,
        cases=lambda: [
            (_Expensive(_mixed), torch.tensor([1.0, 2.0])),
            (_Expensive(_chained), torch.tensor([0.5, -1.0, 2.0, 3.0])),
            (_Expensive(torch.tanh), torch.tensor([0.0, 1.0])),
            (_Expensive(_mixed), torch.tensor([3.0, 1.0], requires_grad=True)),
        ],
        right=[_jacobian_by_torch, _jacobian_by_grad],
        wrong=[
            Wrong(
                _jacobian_never_cleared,
                "Each row holds the sum of all rows so far: clear x.grad before each walk.",
                shows="values",
            ),
            Wrong(
                _jacobian_rows_shared,
                "zero_ and backward write into one tensor, and all your rows are that tensor: "
                "set x.grad to None, or keep a clone.",
                shows="values",
            ),
            Wrong(
                _jacobian_of_a_clone,
                "The clone of a tensor that requires grad is a result, not a leaf, and keeps no "
                "gradient: detach it.",
                shows="NoneType",
            ),
            Wrong(
                _jacobian_transposed,
                "A row belongs to an output; yours belong to the inputs.",
                shows="shape",
            ),
            Wrong(
                _jacobian_walked_once,
                "f was called once, so its graph is walked once for each output: retain it.",
                shows="second time",
            ),
        ],
        hints=[
            "backward(gradient=one), with one a row of torch.eye, reads off one row.",
            "Make a leaf of your own, x.detach().requires_grad_(); call f on it once.",
            "Before each walk set x.grad to None, and walk with retain_graph=True.",
        ],
        explanation="One call, one graph, as many walks as there are outputs.",
    ),
]
