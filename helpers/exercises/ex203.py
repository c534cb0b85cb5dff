"""Exercises of chapter 203: walks that add up, slopes without a graph, penalties, curvature."""

from __future__ import annotations

import math

import torch

from helpers.exercises import Exercise, Wrong


def what_is_received():
    x = torch.tensor(3.0, requires_grad=True)
    y = torch.tensor(2.0, requires_grad=True)
    (slope,) = torch.autograd.grad(x * x * y, x, create_graph=True)
    (slope * y).backward()
    return x.grad, y.grad


def slopes_with_a_slope():
    x = torch.tensor(2.0, requires_grad=True)
    results = {
        "a": x * x,
        "b": 5 * x + 1,
        "c": x.exp(),
        "d": x * x.detach(),
        "e": x.detach() * x * x,
        "f": x - x.sin(),
    }
    found = set()
    for letter, y in results.items():
        (slope,) = torch.autograd.grad(y, x, create_graph=True)
        try:
            torch.autograd.grad(slope, x)
        except RuntimeError:
            continue
        found.add(letter)
    return found


def slope_penalty(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return (slope**2).sum(dim=1).mean()


def _penalty_as_given(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x)
    length = (slope**2).sum(dim=1).sqrt()
    return (length**2).mean()


def _penalty_with_root(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    length = (slope**2).sum(dim=1).sqrt()
    return (length**2).mean()


def _penalty_of_elements(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return (slope**2).mean()


def _penalty_of_the_mean(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).mean(), x, create_graph=True)
    return (slope**2).sum(dim=1).mean()


def _penalty_by_backward(f, x):
    x = x.detach().requires_grad_()
    f(x).sum().backward(create_graph=True)
    return (x.grad**2).sum(dim=1).mean()


def _penalty_by_norm(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    return (slope.norm(dim=1) ** 2).mean()


def _penalty_with_a_little(f, x):
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(f(x), x, torch.ones(len(x)), create_graph=True)
    length = (slope.pow(2).sum(-1) + 1e-12).sqrt()
    return length.square().mean()


def _penalty_by_func(f, x):
    slope = torch.func.vmap(torch.func.grad(lambda row: f(row[None])[0]))(x)
    return (slope**2).sum(dim=1).mean()


def _trained_on(answer, model, weights, x):
    """The penalty, and the gradient that it brings to the weights of a model."""
    weights = weights.clone().requires_grad_()
    penalty = answer(lambda rows: model(weights, rows), x)
    if not isinstance(penalty, torch.Tensor):
        return penalty
    if penalty.requires_grad:
        penalty.backward()
    return {"penalty": penalty.detach(), "gradient of the weights": weights.grad}


def _bowl(weights, rows):
    return rows**2 @ weights


def _wave(weights, rows):
    return (rows @ weights).tanh()


def bend(f, x, v):
    def walk(t):
        return f(x + t * v)

    return torch.func.grad(torch.func.grad(walk))(x.new_zeros(()))


def _bend_by_hessian(f, x, v):
    return v @ torch.func.hessian(f)(x) @ v


def _bend_by_product(f, x, v):
    return v @ torch.func.jvp(torch.func.grad(f), (x,), (v,))[1]


def _bend_forwards(f, x, v):
    def speed(x):
        return torch.func.jvp(f, (x,), (v,))[1]

    return torch.func.jvp(speed, (x,), (v,))[1]


def _bend_without_an_if(f, x, v):
    t = x.new_zeros(()).requires_grad_()
    (speed,) = torch.autograd.grad(f(x + t * v), t, create_graph=True)
    return torch.autograd.grad(speed, t)[0]


def _bend_with_an_if(f, x, v):
    t = x.new_zeros(()).requires_grad_()
    (speed,) = torch.autograd.grad(f(x + t * v), t, create_graph=True)
    return torch.autograd.grad(speed, t)[0] if speed.requires_grad else torch.zeros_like(x[0])


def _bend_in_float32(f, x, v):
    t = torch.tensor(0.0)
    return torch.func.grad(torch.func.grad(lambda t: f(x + t * v)))(t)


def _bend_is_speed(f, x, v):
    return torch.func.jvp(f, (x,), (v,))[1]


def _bend_not_projected(f, x, v):
    return torch.func.jvp(torch.func.grad(f), (x,), (v,))[1]


def _bend_of_a_unit(f, x, v):
    unit = v / v.norm()
    return unit @ torch.func.hessian(f)(x) @ unit


def _bend_squared_speed(f, x, v):
    return torch.func.jvp(f, (x,), (v,))[1] ** 2


def _squares(w):
    return (w[0] + 2 * w[1]) ** 2 + (w[1] - 3 * w[2]) ** 2 + w[2] ** 2


def _curvatures():
    """The eigenvalues of the Hessian, ascending: the same at every w."""
    hessian = torch.func.hessian(_squares)(torch.zeros(3, dtype=torch.float64))
    return torch.linalg.eigvalsh(hessian)


def longest_stride():
    return (2 / _curvatures()[-1]).item()


def taylor(f, at, n):
    found, derivative = [], f
    for k in range(n):
        found.append(derivative(at) / math.factorial(k))
        derivative = torch.func.grad(derivative)
    return torch.stack(found)


def _taylor_by_walks(f, at, n):
    x = at.clone().requires_grad_()
    order, found = f(x), []
    for k in range(n):
        found.append(order.detach() / math.factorial(k))
        if order.requires_grad:
            (order,) = torch.autograd.grad(order, x, create_graph=True)
        else:
            order = torch.zeros_like(at)
    return torch.stack(found)


def _taylor_of_numbers(f, at, n):
    found, factorial = [f(at).item()], 1.0
    for k in range(1, n):
        f, factorial = torch.func.grad(f), factorial * k
        found.append(f(at).item() / factorial)
    return torch.tensor(found)


def _taylor_without_an_if(f, at, n):
    x = at.clone().requires_grad_()
    order, found = f(x), []
    for k in range(n):
        found.append(order.detach() / math.factorial(k))
        (order,) = torch.autograd.grad(order, x, create_graph=True)
    return torch.stack(found)


def _taylor_by_orders(f, at, n):
    x = at.clone().requires_grad_()
    found = [f(x)]
    for _ in range(n - 1):
        found += torch.autograd.grad(found[-1].sum(), x, create_graph=True)
    return torch.stack([y.detach() / math.factorial(k) for k, y in enumerate(found)])


def _taylor_retained(f, at, n):
    x = at.clone().requires_grad_()
    order, found = f(x), []
    for k in range(n):
        found.append(order.detach() / math.factorial(k))
        if k + 1 < n:
            (order,) = torch.autograd.grad(order, x, retain_graph=True)
    return torch.stack(found)


def _taylor_undivided(f, at, n):
    found, derivative = [], f
    for _ in range(n):
        found.append(derivative(at))
        derivative = torch.func.grad(derivative)
    return torch.stack(found)


def _taylor_divided_by_order(f, at, n):
    found, derivative = [], f
    for k in range(n):
        found.append(derivative(at) / max(k, 1))
        derivative = torch.func.grad(derivative)
    return torch.stack(found)


def _taylor_without_value(f, at, n):
    return taylor(f, at, n + 1)[1:]


EXERCISES = [
    Exercise(
        id="203.1",
        name="Who receives what?",
        kind="predict",
        key=what_is_received,
        wrong=[
            Wrong((8, 12), "y stands in the slope as well, and that way counts, too."),
            Wrong((4, 6), "The walk starts at slope * y, not at slope."),
            Wrong((12, 9), "These are the slopes of x * x * y; the walk starts at slope * y."),
            Wrong((20, 24), "autograd.grad returned its 12 and left x.grad alone."),
            Wrong((24, 8), "Both numbers are right; x comes first."),
        ],
        hints=[
            "Write slope * y as a formula in x and y.",
            "slope is 2xy. Differentiate 2xyy in x, then in y.",
        ],
        explanation="backward serves both leaves behind slope * y, and y is there twice.",
    ),
    Exercise(
        id="203.2",
        name="Once more?",
        kind="predict",
        key=slopes_with_a_slope,
        wrong=[
            Wrong(
                {"a", "c", "d", "e", "f"},
                "To the walk, x.detach() is a constant, so the slope of d does not depend on x.",
            ),
            Wrong(
                {"a", "c", "f"},
                "One factor of e is a constant, but x * x is left, whose slope depends on x.",
            ),
            Wrong(
                {"a", "b", "c", "e", "f"},
                "The slope of b is 5, wherever x is: nothing was recorded.",
            ),
            Wrong(
                {"a", "c", "e"},
                "The slope of f is 1 - cos(x), and the cosine depends on x.",
            ),
        ],
        hints=[
            "Write down each slope. Does x stand in it?",
            "A detached x is a number like 5.",
        ],
        explanation="Here a slope has a graph if it was computed from an x that is not detached.",
    ),
    Exercise(
        id="203.3",
        name="The penalty that never worked",
        kind="repair",
        model=slope_penalty,
        run=_trained_on,
        cases=lambda: [
            (_bowl, torch.tensor([1.0, 3.0]), torch.tensor([[1.0, 2.0], [0.0, 0.0]])),
            (_wave, torch.tensor([1.0, -2.0]), torch.tensor([[0.5, 1.0], [1.0, 0.0]])),
            (_wave, torch.tensor([0.3, 0.1, -0.2]), torch.eye(3, 5).T),
        ],
        right=[_penalty_by_norm, _penalty_by_func, _penalty_with_a_little],
        wrong=[
            Wrong(
                _penalty_as_given,
                "The slope was not recorded (retain_graph does not record it, either), so the "
                "penalty is a constant.",
                shows="None",
            ),
            Wrong(
                _penalty_with_root,
                "Where the slope is zero, the root has no slope: NaN. The square needs no root.",
                shows="nan",
            ),
            Wrong(
                _penalty_of_elements,
                "The squares of one row belong together: sum over the row, mean over the batch.",
                shows="values",
            ),
            Wrong(
                _penalty_of_the_mean,
                "The mean of f divides each row's slope by the batch size: sum f instead.",
                shows="values",
            ),
            Wrong(
                _penalty_by_backward,
                "backward serves every leaf, so the slope of f itself has come into the .grad "
                "of the weights. autograd.grad adds nothing there.",
                shows="values",
            ),
        ],
        hints=[
            "Which argument makes the walk itself leave a graph?",
            "The square of a root is the thing under the root.",
        ],
        explanation="create_graph records the slope; the squared length needs no root.",
    ),
    Exercise(
        id="203.4",
        name="Bent along a line",
        kind="write",
        model=bend,
        cases=lambda: [
            (lambda x: x[0] ** 2 * x[1], torch.tensor([1.0, 2.0]), torch.tensor([3.0, -1.0])),
            (lambda x: x.sin().sum(), torch.arange(4.0).double(), torch.ones(4).double()),
            (lambda x: x[0] - 2 * x[1], torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0])),
        ],
        ignore={"dtype"},
        right=[
            _bend_by_hessian,
            _bend_by_product,
            _bend_forwards,
            _bend_with_an_if,
            _bend_in_float32,
        ],
        wrong=[
            Wrong(
                _bend_without_an_if,
                "Along a straight line the slope is constant and has no graph: torch.func "
                "gives 0 there.",
                shows="does not require grad",
            ),
            Wrong(
                _bend_not_projected,
                "This is how the whole gradient changes; only its part along v is asked for.",
                shows="shape",
            ),
            Wrong(
                _bend_of_a_unit,
                "v is not to be shortened: a walk three times as fast bends nine times as much.",
                shows="values",
            ),
            Wrong(_bend_is_speed, "This is the first derivative in t.", shows="values"),
            Wrong(
                _bend_squared_speed,
                "The square of a slope is not the slope of a slope.",
                shows="values",
            ),
        ],
        hints=[
            "Write the walk as a function of t alone, and differentiate it twice.",
            "torch.func.grad takes a function and returns one, so it can be applied twice.",
            "t is a scalar tensor that holds 0.",
        ],
        explanation="In terms of the Hessian this is v @ H @ v, and no Hessian is made.",
        equivalent_mutants={
            "return f(x + t * v) => return f(x - t * v)": "a curve bends alike, seen backwards."
        },
    ),
    Exercise(
        id="203.5",
        name="The longest stride",
        kind="measure",
        key=longest_stride,
        tolerance=0.01,
        wrong=[
            Wrong(
                lambda answer: abs(answer * _curvatures()[-1] - 1) < 0.01,
                "One divided by the curvature lands on the floor of the steepest direction; "
                "the limit is twice as far.",
                example=0.0436,
            ),
            Wrong(
                lambda answer: abs(answer / _curvatures()[-1] - 1) < 0.01,
                "This is the largest curvature; the step is 2 divided by it.",
                example=22.95,
            ),
            Wrong(
                lambda answer: abs(answer * _curvatures()[0] - 2) < 0.02,
                "The steepest direction limits the step, not the flattest.",
                example=51.7,
            ),
        ],
        hints=[
            "The loss is a square, so its Hessian is the same for every w.",
            "Take the largest eigenvalue of the Hessian, or multiply again and again.",
            "The limit is 2 divided by it.",
        ],
        explanation="Beyond 2 / curvature, each step overshoots by more than it gains.",
    ),
    Exercise(
        id="203.6",
        name="A series of your own",
        kind="write",
        model=taylor,
        cases=lambda: [
            (torch.exp, torch.tensor(0.0), 4),
            (lambda x: 3 * x + 1, torch.tensor(2.0), 2),
            (lambda x: x * x * x, torch.tensor(2.0, dtype=torch.float64), 7),
            (torch.sin, torch.tensor(0.5), 6),
        ],
        ignore={"dtype"},
        right=[_taylor_by_walks, _taylor_of_numbers],
        wrong=[
            Wrong(
                _taylor_without_an_if,
                "A polynomial's derivatives end in a constant, which has no graph: torch.func "
                "gives 0 from there on.",
                shows="does not require grad",
            ),
            Wrong(
                _taylor_by_orders,
                "The third derivative of a cube is constant and has no graph: torch.func gives "
                "0 from the next one on.",
                shows="does not require grad",
            ),
            Wrong(
                _taylor_retained,
                "retain_graph does not record the slope: there is no second derivative.",
                shows="does not require grad",
            ),
            Wrong(
                _taylor_undivided,
                "These are the derivatives: divide each by the factorial of its order.",
                shows="values",
            ),
            Wrong(
                _taylor_divided_by_order,
                "From order 3 on the factorial of k is more than k.",
                shows="values",
            ),
            Wrong(
                _taylor_without_value,
                "Coefficient 0 is the value itself, the derivative of order 0.",
                shows="values",
            ),
        ],
        hints=[
            "torch.func.grad returns a function: replace the function by its derivative.",
            "Start with f itself, call it at the point, divide by math.factorial(k), go on.",
        ],
        explanation="A loop over functions needs no graph of its own and no case for lines.",
    ),
]
