"""Exercises of chapter 207: slopes that torch believes, and how they are checked."""

from __future__ import annotations

import torch
from torch.autograd import Function, gradcheck

from helpers.exercises import Exercise, Wrong


def what_torch_believes():
    class Odd(Function):
        @staticmethod
        def forward(ctx, x):
            return x**3

        @staticmethod
        def backward(ctx, g):
            return g + 1

    x = torch.tensor(2.0, requires_grad=True)
    (2 * Odd.apply(x) + x).backward()
    return x.grad


class _CubeRoot(Function):
    @staticmethod
    def forward(ctx, x):
        y = x.sign() * x.abs() ** (1 / 3)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g / (3 * y**2)


class _Abs(Function):
    @staticmethod
    def forward(ctx, x):
        return x.abs()

    @staticmethod
    def backward(ctx, g):
        return g


class _Rounding(Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


def which_pass():
    checks = {
        "a": (_CubeRoot.apply, [1.0, 27.0]),
        "b": (_CubeRoot.apply, [1000.0]),
        "c": (_Abs.apply, [1.0, 2.0]),
        "d": (_Abs.apply, [-1.0, 2.0]),
        "e": (_Rounding.apply, [0.3]),
        "f": (torch.round, [0.3]),
    }
    passed = set()
    for letter, (f, numbers) in checks.items():
        dtype = torch.float32 if letter == "b" else torch.float64
        x = torch.tensor(numbers, dtype=dtype, requires_grad=True)
        if gradcheck(f, x, raise_exception=False):
            passed.add(letter)
    return passed


def best_step_to_one_side():
    x = torch.tensor([k / 10 for k in range(1, 21)], dtype=torch.float64)

    def worst_error(h):
        slope = ((x + h) ** 3 - x**3) / h
        return (slope - 3 * x**2).abs().max().item()

    return min((10.0**-k for k in range(13)), key=worst_error)


class Blend(Function):
    @staticmethod
    def forward(ctx, a, b, k):
        ctx.k = k
        return a * k + b

    @staticmethod
    def backward(ctx, g):
        return g * ctx.k, g, None


class _BlendAsGiven(Blend):
    @staticmethod
    def backward(ctx, g):
        return g.mul_(ctx.k), g


class _BlendInPlace(Blend):
    @staticmethod
    def backward(ctx, g):
        return g.mul_(ctx.k), g, None


class _BlendSwapped(Blend):
    @staticmethod
    def backward(ctx, g):
        return g, g * ctx.k, None


class _BlendWithContext(Function):
    @staticmethod
    def forward(a, b, k):
        return a * k + b

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.k = inputs[2]

    @staticmethod
    def backward(ctx, g):
        return ctx.k * g, g.clone(), None


def _with_gradients(result, **inputs):
    """The result, and what a walk from its weighted sum brings to those inputs that ask."""
    asking = {name: tensor for name, tensor in inputs.items() if tensor.requires_grad}
    weights = torch.arange(1.0, result.numel() + 1).reshape(result.shape).to(result)
    found = torch.autograd.grad((result * weights).sum(), [*asking.values()], allow_unused=True)
    gradients = {f"gradient of {name}": g for name, g in zip(asking, found, strict=True)}
    return {"value": result.detach(), **gradients}


def _blended(answer, a, b, k):
    return _with_gradients(answer.apply(a, b, k), a=a, b=b)


def _reversed(answer, x, k):
    """The result and its gradient; beside it stands a neighbour to which the sum hands the same."""
    result = answer(x, k)
    if result is ...:
        return result
    neighbour = torch.zeros_like(result, requires_grad=True)
    found = _with_gradients(result + neighbour, x=x, neighbour=neighbour)
    return found | {"value": result.detach()}


def reverse(x, k):
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return -ctx.k * g, None

    return Reverse.apply(x, k)


def _reverse_detached(x, k):
    return (x * (1 + k)).detach() - k * x


def _reverse_view(x, k):
    class Reverse(Function):
        @staticmethod
        def forward(x, k):
            return x.view_as(x)

        @staticmethod
        def setup_context(ctx, inputs, output):
            ctx.k = inputs[1]

        @staticmethod
        def backward(ctx, g):
            return g * -ctx.k, None

    return Reverse.apply(x, k)


def _reverse_one_gradient(x, k):
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return -ctx.k * g

    return Reverse.apply(x, k)


def _reverse_in_place(x, k):
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g.mul_(-ctx.k), None

    return Reverse.apply(x, k)


def _reverse_without_g(x, k):
    class Reverse(Function):
        @staticmethod
        def forward(ctx, x, k):
            ctx.k = k
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return torch.full_like(g, -ctx.k), None

    return Reverse.apply(x, k)


def _reverse_both_ways(x, k):
    return -k * x


def _reverse_nothing(x, k):
    return x.clone()


def _reverse_unscaled(x, k):
    return reverse(x, 1)


class Softplus(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return torch.log(1 + torch.exp(x))

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * torch.sigmoid(x)


class _SoftplusByOutput(Function):
    @staticmethod
    def forward(x):
        return torch.log(1 + torch.exp(x))

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx, g):
        (y,) = ctx.saved_tensors
        return g * (1 - torch.exp(-y))


class _SoftplusRecomputed(Softplus):
    @staticmethod
    def backward(ctx, g):
        e = torch.exp(ctx.saved_tensors[0])
        return g * e / (1 + e)


class _SoftplusAsGiven(Function):
    @staticmethod
    def forward(ctx, x):
        e = torch.exp(x)
        ctx.save_for_backward(e)
        return torch.log(1 + e)

    @staticmethod
    def backward(ctx, g):
        (e,) = ctx.saved_tensors
        return g * e / (1 + e)


class _SoftplusOnce(Softplus):
    backward = staticmethod(torch.autograd.function.once_differentiable(Softplus.backward))


class _SoftplusWithoutG(Softplus):
    @staticmethod
    def backward(ctx, g):
        return torch.sigmoid(ctx.saved_tensors[0])


def _value_slope_and_bend(answer, x):
    """Softplus of x; first and second derivatives of the sum of its squares."""
    y = answer.apply(x)
    (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return y.detach(), first.detach(), second


def _points():
    rows = torch.tensor([[0.0, 1.0, -2.0], [3.0, -0.5, 0.25]], dtype=torch.float64)
    return [
        (rows[0].clone().requires_grad_(),),
        (rows.T.clone().requires_grad_(),),
        (torch.tensor(-1.5, dtype=torch.float64, requires_grad=True),),
    ]


EXERCISES = [
    Exercise(
        id="207.1",
        name="What torch believes",
        kind="predict",
        key=what_torch_believes,
        wrong=[
            Wrong(25, "25 is the true slope. Torch asks backward, and backward says g + 1."),
            Wrong(3, "x stands in the sum once more, outside Odd."),
            Wrong(5, "Which gradient arrives at Odd? The factor 2 comes before the + 1."),
            Wrong(2, "g is 2 where it arrives; and x stands in the sum once more."),
        ],
        hints=[
            "The walk starts with 1 and meets the factor 2 before it enters Odd.",
            "Odd passes on 2 + 1, and the bare x adds its own share.",
        ],
        explanation="What forward computed plays no part in it.",
    ),
    Exercise(
        id="207.2",
        name="Six verdicts",
        kind="predict",
        key=which_pass,
        wrong=[
            Wrong(
                lambda answer: "b" in answer,
                "In 32 bits a step of 0.000001 from 1000 leads nowhere.",
                example=["a", "b", "c", "f"],
            ),
            Wrong(
                lambda answer: "d" in answer,
                "At -1 the slope of the absolute value is -1, and backward says 1.",
                example=["a", "c", "d", "f"],
            ),
            Wrong(
                lambda answer: "e" in answer,
                "Near 0.3 the rounded value does not move, and backward says that it does.",
                example=["a", "c", "e", "f"],
            ),
            Wrong(
                lambda answer: "c" not in answer,
                "gradcheck looks only at the numbers it is given: what is the slope there?",
                example=["a", "f"],
            ),
            Wrong(
                lambda answer: "f" not in answer,
                "torch.round has a slope, too: the true one, 0.",
                example=["a", "c"],
            ),
        ],
        hints=[
            "For each, ask two numbers: what does a small step measure, what does backward say?",
            "Three of the six are True.",
        ],
        explanation="gradcheck compares two numbers at one place; it does not know the formula.",
    ),
    Exercise(
        id="207.3",
        name="One side only",
        kind="measure",
        key=best_step_to_one_side,
        tolerance=0.01,
        wrong=[
            Wrong(1e-5, "That is the best step to both sides. To one side the bend costs more."),
            Wrong(1e-6, "gradcheck steps to both sides. Measure with one side."),
            Wrong(
                lambda answer: answer < 1e-10,
                "So small a step leaves few digits of the difference.",
                example=1e-12,
            ),
        ],
        hints=[
            "Copy slope and worst_error, and change the difference and the divisor.",
            "min(steps, key=...) finds the step; mind to divide by h, not by 2 * h.",
        ],
        explanation="The error of one side falls with h, not with its square: near the square "
        "root of the precision both errors are equal.",
    ),
    Exercise(
        id="207.4",
        name="A blend",
        kind="repair",
        model=Blend,
        run=_blended,
        cases=lambda: [
            (
                torch.tensor([1.0, 2.0], requires_grad=True),
                torch.tensor([5.0, -1.0], requires_grad=True),
                3.0,
            ),
            (
                torch.arange(6.0).reshape(2, 3).T.requires_grad_(),
                torch.tensor(0.5, requires_grad=True),
                -2.0,
            ),
            (torch.ones(2, 2), torch.full((2, 2), 4.0, requires_grad=True), 0.5),
        ],
        right=[_BlendWithContext],
        wrong=[
            Wrong(
                _BlendAsGiven,
                "forward takes three inputs: backward returns three, with None for the number.",
                shows="incorrect number of gradients",
            ),
            Wrong(
                _BlendInPlace,
                "b receives g as it came. Mind that mul_ writes into g itself.",
                shows="gradient of b",
            ),
            Wrong(
                _BlendSwapped,
                "The gradients stand in the order of forward's inputs: first a, then b.",
                shows="gradient of a",
            ),
        ],
        hints=[
            "How many inputs has forward, and how many gradients come back?",
            "g.mul_ changes g before it is returned for b.",
        ],
        explanation="One gradient for each input, None for the number, and g left as it is.",
    ),
    Exercise(
        id="207.5",
        name="Against the stream",
        kind="write",
        model=reverse,
        run=_reversed,
        cases=lambda: [
            (torch.tensor([1.0, -2.0], requires_grad=True), 1.0),
            (torch.arange(6.0).reshape(2, 3).T.requires_grad_(), 0.5),
            (torch.tensor(3.0, requires_grad=True), 2),
        ],
        right=[_reverse_detached, _reverse_view],
        wrong=[
            Wrong(
                _reverse_one_gradient,
                "k is an input, too: return None in its place.",
                shows="incorrect number of gradients",
            ),
            Wrong(
                _reverse_both_ways,
                "The values must stay as they are; only the way back is turned.",
                shows="values",
            ),
            Wrong(
                _reverse_nothing,
                "The gradient comes back unturned.",
                shows="gradient of x",
            ),
            Wrong(
                _reverse_unscaled,
                "The gradient is turned, but not multiplied by k.",
                shows="gradient of x",
            ),
            Wrong(
                _reverse_in_place,
                "mul_ writes into g, which belongs to an addition's other input as well.",
                shows="gradient of neighbour",
            ),
            Wrong(
                _reverse_without_g,
                "Multiply what arrives, g; -k alone forgets all that comes after.",
                shows="gradient of x",
            ),
        ],
        hints=[
            "Rounding in the text changes the way there; you change the way back.",
            "Keep k as an attribute of ctx; in backward return -ctx.k * g, None.",
        ],
        explanation="clone makes a new tensor with the same values, so that the input stays whole.",
        equivalent_mutants={
            "return x.clone() => return x": "apply makes a view of an input that forward returns.",
        },
    ),
    Exercise(
        id="207.6",
        name="Once more",
        kind="repair",
        model=Softplus,
        run=_value_slope_and_bend,
        cases=_points,
        right=[_SoftplusByOutput, _SoftplusRecomputed],
        wrong=[
            Wrong(
                _SoftplusAsGiven,
                "What is made inside forward, or detached, is a constant to autograd.",
            ),
            Wrong(
                _SoftplusOnce,
                "once_differentiable forbids the second derivative; here it is wanted.",
            ),
            Wrong(
                _SoftplusWithoutG,
                "backward multiplies the slope with g, the gradient that arrives.",
            ),
        ],
        hints=[
            "Which tensors of this forward does autograd know?",
            "Save x, and compute the slope from it in backward.",
        ],
        explanation="The input brings its own graph with it, so the slope's slope is found.",
        equivalent_mutants={
            "return torch.log(1 + torch.exp(x)) => return torch.log_(1 + torch.exp(x))": (
                "The sum is a new tensor that nobody else holds."
            ),
        },
    ),
]
