"""Exercises of chapter 107: rounding, wrapping, flat slopes, ties and NaN."""

from __future__ import annotations

import math

import torch
from torch.overrides import TorchFunctionMode

from helpers.exercises import Exercise, Wrong


def three_whole_numbers():
    t = torch.tensor([-3.5, -2.5, 4.5])
    return [t.round().tolist(), t.trunc().tolist(), (t + 0.5).floor().tolist()]


def one_broken_reading():
    t = torch.tensor([4.0, math.nan, 1.0, 6.0])
    statements = {
        "a": t.max() == 6,
        "b": t.argmin() == 1,
        "c": t.kthvalue(3).values == 6,
        "d": (t < 5).sum() + (t >= 5).sum() == 4,
        "e": t.clamp(max=5).max() == 5,
        "f": t.topk(2).values[1] == 6,
        "g": t.sort().values[0] == t.min(),
    }
    return {letter for letter, holds in statements.items() if holds}


def wrapped(degrees):
    return (degrees + 180) % 360 - 180


def _wrapped_by_division(degrees):
    return degrees - 360 * torch.div(degrees + 180, 360, rounding_mode="floor")


def _wrapped_with_fmod(degrees):
    return torch.fmod(degrees + 180, 360) - 180


def _wrapped_unsigned(degrees):
    return degrees % 360


def _clamped(degrees):
    return degrees.clamp(-180, 180)


def _wrapped_in_place(degrees):
    return degrees.add_(180).remainder_(360).sub_(180)


def part_without_slope():
    noise = torch.randn(100_000, generator=torch.Generator("cpu").manual_seed(107), device="cpu")
    noise.requires_grad_()
    (slope,) = torch.autograd.grad(noise.clamp(-1, 1).sum(), noise)
    return (slope == 0).float().mean()


def ranking(points):
    order = points.argsort(descending=True, stable=True)
    gave_up = points[order].isnan().int()
    return order[gave_up.argsort(stable=True)]


def _negated(points):
    # Right for these few. Not the model: among more than 128 elements, CUDA's sort puts a NaN
    # with a minus sign first (pytorch/pytorch#190781).
    return (-points).argsort(stable=True)


def _ascending_turned(points):
    return points.argsort(stable=True).flip(0)


def _without_stable(points):
    order = points.argsort(descending=True)
    return order[points[order].isnan().int().argsort(stable=True)]


class _TiesReversed(TorchFunctionMode):
    """Sort equals the other way round where ``stable`` is not asked for, as torch may."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        places_only = function in (torch.argsort, torch.Tensor.argsort)
        sorts = places_only or function in (torch.sort, torch.Tensor.sort)
        if not sorts or kwargs.get("stable"):
            return function(*args, **kwargs)
        descending = kwargs.get("descending", args[2] if len(args) > 2 else False)
        values, places = args[0].flip(0).sort(stable=True, descending=descending)
        places = len(places) - 1 - places
        return places if places_only else torch.return_types.sort((values, places))


def _ranked(ranking, points):
    with _TiesReversed():
        return ranking(points)


def _descending(points):
    return points.argsort(descending=True, stable=True)


def _giving_up_is_minus_infinity(points):
    return points.nan_to_num(nan=-math.inf).argsort(descending=True, stable=True)


def _giving_up_is_nothing(points):
    return points.nan_to_num(nan=0).argsort(descending=True, stable=True)


def _ascending(points):
    return points.argsort(stable=True)


def close_both_ways(a, b, rtol):
    return (a - b).abs() <= rtol * torch.maximum(a.abs(), b.abs())


def _close_one_way_or_the_other(a, b, rtol):
    return torch.isclose(a, b, rtol=rtol, atol=0) | torch.isclose(b, a, rtol=rtol, atol=0)


def _close_to_b(a, b, rtol):
    return torch.isclose(a, b, rtol=rtol, atol=0)


def _close_with_atol(a, b, rtol):
    return torch.isclose(a, b, rtol=rtol) | torch.isclose(b, a, rtol=rtol)


def _close_to_the_smaller(a, b, rtol):
    return (a - b).abs() <= rtol * torch.minimum(a.abs(), b.abs())


def _close_with_signs(a, b, rtol):
    return (a - b).abs() <= rtol * torch.maximum(a, b)


def _relative(a, b, rtol):
    return (a - b).abs() / torch.maximum(a.abs(), b.abs()) <= rtol


def _nan_equal(a, b, rtol):
    either = torch.isclose(a, b, rtol=rtol, atol=0, equal_nan=True)
    return either | torch.isclose(b, a, rtol=rtol, atol=0)


def _all_close(a, b, rtol):
    return torch.allclose(a, b, rtol=rtol, atol=0)


def _pairs():
    nan = math.nan
    return [
        (torch.tensor([9.0, 10.0, 8.0, 10.0]), torch.tensor([10.0, 9.0, 10.0, 8.0]), 0.105),
        (torch.tensor([-9.0, -10.0, 9.0]), torch.tensor([-10.0, -9.0, -9.0]), 0.105),
        (torch.tensor([1e-10, 0.0, 3e-9]), torch.tensor([2e-10, 0.0, 0.0]), 0.01),
        (torch.tensor([nan, nan, 1.0]), torch.tensor([nan, 1.0, nan]), 0.5),
        (torch.tensor([[4.0, 4.0], [0.0, -4.0]]).T, torch.tensor([[5.0, 3.0], [1.0, -3.0]]), 0.25),
    ]


_LINE = "return (a - b).abs() <= rtol * torch.maximum(a.abs(), b.abs())"

EXERCISES = [
    Exercise(
        id="107.1",
        name="Three whole numbers",
        kind="predict",
        key=three_whole_numbers,
        wrong=[
            Wrong(
                [[-4, -2, 5], [-3, -2, 4], [-3, -2, 5]],
                "4.5 lies between 4 and 5. Which one is even?",
            ),
            Wrong(
                [[-3, -2, 5], [-3, -2, 4], [-3, -2, 5]],
                "That is the school rule twice: round takes a half to the even neighbour.",
            ),
            Wrong(
                [[-4, -2, 4], [-4, -3, 4], [-3, -2, 5]],
                "trunc cuts off what stands behind the point: it goes towards zero, not down.",
            ),
            Wrong(
                [[-4, -2, 4], [-3, -2, 4], [-4, -3, 5]],
                "Add a half first: -3.5 becomes -3.0, which is whole already.",
            ),
        ],
        hints=[
            "A half goes to the even neighbour with round, towards zero with trunc.",
            "For the last one, add 0.5 to each number before you go down.",
        ],
        explanation="Three rules for a half: to the even one, towards zero, and up.",
    ),
    Exercise(
        id="107.2",
        name="One broken reading",
        kind="predict",
        key=one_broken_reading,
        wrong=[
            Wrong(
                lambda answer: "a" in answer,
                "max hands NaN on, and NaN is not equal to 6.",
                example=["a", "b", "c", "f"],
            ),
            Wrong(
                lambda answer: "d" in answer,
                "How many of the two comparisons does NaN fulfil?",
                example=["b", "c", "d", "f"],
            ),
            Wrong(
                lambda answer: "e" in answer,
                "clamp leaves NaN as it is. What is the largest then?",
                example=["b", "c", "e", "f"],
            ),
            Wrong(
                lambda answer: "g" in answer,
                "sort puts NaN at the end; min does not look for the smallest number.",
                example=["b", "c", "f", "g"],
            ),
            Wrong(
                ["c", "f"],
                "min hands NaN on as max does, so what does argmin point at?",
            ),
        ],
        hints=[
            "Two customs: max, min and clamp hand NaN on; what sorts puts it above all numbers.",
            "Sorted, t is 1, 4, 6, NaN. A comparison with NaN is false unless it is !=.",
        ],
        explanation="b, c and f. kthvalue and topk rank NaN above 6, and argmin points at it.",
    ),
    Exercise(
        id="107.3",
        name="Once around",
        kind="write",
        model=wrapped,
        cases=lambda: [
            (torch.tensor([370, -90, 190, 0]),),
            (torch.tensor([180, -180, 540, -540, 179, -181]),),
            (torch.tensor([[-359.5, 720.0], [90.25, -1000.0]]).T,),
            (torch.tensor(-270.0),),
        ],
        right=[_wrapped_by_division],
        wrong=[
            Wrong(
                _wrapped_with_fmod,
                "fmod takes the sign of the dividend, so it fails left of -180.",
                shows="values",
            ),
            Wrong(
                _wrapped_unsigned,
                "This counts from 0 to 360. Move the circle before you wrap, and back after.",
                shows="values",
            ),
            Wrong(
                _clamped,
                "clamp stops the needle at the end; it should come in on the other side.",
                shows="values",
            ),
            Wrong(
                _wrapped_in_place,
                "The numbers are right, but this writes into the caller's tensor.",
                shows="input changed",
            ),
        ],
        hints=[
            "x % 360 brings any angle to at least 0 and less than 360, also a negative one.",
            "You want that range moved by 180. What if you move the angle first?",
        ],
        explanation="Add a half turn, wrap, take it off again. % has the sign of 360, so it wraps "
        "negative angles as well.",
        equivalent_mutants={
            "return (degrees + 180) % 360 - 180 => return (degrees - 180) % 360 - 180": (
                "Half a turn back is half a turn on."
            )
        },
    ),
    Exercise(
        id="107.4",
        name="How many stand still?",
        kind="measure",
        key=part_without_slope,
        tolerance=0.01,
        wrong=[
            Wrong(0.683, "These are the ones inside the bounds, whose slope is 1."),
            Wrong(0.159, "You counted one side; clamp is flat on two."),
            Wrong(
                lambda answer: answer > 100,
                "Divide by how many numbers there are.",
                example=31_700,
            ),
            Wrong(
                lambda answer: 1 < answer <= 100,
                "All of them count as 1, not as 100.",
                example=31.8,
            ),
        ],
        hints=[
            "The slope is 0 where the number lies outside the bounds.",
            "((noise < -1) | (noise > 1)) is Boolean; its mean as floats is a part.",
        ],
        explanation="About a third of normal numbers lies beyond 1, where clamp is flat.",
    ),
    Exercise(
        id="107.5",
        name="The race",
        kind="repair",
        model=ranking,
        run=_ranked,
        cases=lambda: [
            (torch.tensor([3.0, 5.0, 3.0, 5.0]),),
            (torch.tensor([2.0, math.nan, 4.0]),),
            (torch.tensor([math.nan, 1.0, 7.0, math.nan, 1.0, 7.0, -2.0]),),
            (torch.tensor([[1.0, 6.0], [4.0, 6.0], [math.nan, 2.0]])[:, 1],),
            (torch.tensor([0.0, -1.0, math.nan, 0.0])[1:],),
        ],
        right=[_giving_up_is_minus_infinity, _negated],
        wrong=[
            Wrong(
                _ascending_turned,
                "NaN comes first, and equals are not in the order of signing up: turning a list "
                "around turns them around too, and without stable=True nothing is promised.",
                shows="values",
            ),
            Wrong(
                _descending,
                "Descending, NaN comes first: it sorts as the largest.",
                shows="values",
            ),
            Wrong(_ascending, "The most points come first.", shows="values"),
            Wrong(
                _giving_up_is_nothing,
                "Somebody with less than no points is still ahead of who gave up.",
                shows="values",
            ),
            Wrong(
                _without_stable,
                "Without stable=True, torch may return equals in any order, and here it does.",
                shows="values",
            ),
        ],
        hints=[
            "Descending and stable keeps the order of equals. Where does it put NaN?",
            "There are two keys. isnan() says who gave up: sort by that last, and stably.",
        ],
        explanation="Two stable sorts: by points, then by whether somebody gave up.",
    ),
    Exercise(
        id="107.6",
        name="Close both ways",
        kind="write",
        model=close_both_ways,
        cases=_pairs,
        right=[_close_one_way_or_the_other],
        wrong=[
            Wrong(
                _close_to_b,
                "isclose measures by its second argument alone: exchange a and b, and look again.",
                shows="values",
            ),
            Wrong(
                _close_with_atol,
                "isclose has an atol of its own, which is large for small numbers.",
                shows="values",
            ),
            Wrong(
                _close_to_the_smaller,
                "The larger of the two absolute values sets the measure.",
                shows="values",
            ),
            Wrong(
                _close_with_signs,
                "Of two negative numbers the larger one is not the one with the larger size.",
                shows="values",
            ),
            Wrong(
                _relative,
                "Two zeros are close, but 0 / 0 is NaN, which is not at most anything.",
                shows="values",
            ),
            Wrong(_nan_equal, "NaN is close to nothing, so not to NaN either.", shows="values"),
            Wrong(_all_close, "One answer for each pair of elements is wanted.", shows="type"),
        ],
        hints=[
            "torch.maximum takes the larger of two tensors, element by element.",
            "You need abs() three times.",
        ],
        explanation="torch.isclose either way round, with atol=0, says the same.",
        equivalent_mutants={
            f"{_LINE} => return (a - b).abs_() <= rtol * torch.maximum(a.abs(), b.abs())": (
                "The difference is a new tensor, which nobody else sees."
            ),
            f"{_LINE} => return (a - b).abs() <= rtol * torch.maximum(b.abs(), a.abs())": (
                "The larger of two is the same either way round."
            ),
        },
    ),
]
