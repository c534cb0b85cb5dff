"""Exercises of chapter 106: shapes that meet, gradients of what was stretched, tables of pairs."""

from __future__ import annotations

import itertools

import torch

from helpers.exercises import Exercise, Wrong


def six_pairs():
    pairs = [
        ((3, 4), (4,)),
        ((3, 4), (3,)),
        ((3, 1), (3,)),
        ((2, 1, 5), (3, 1)),
        ((), (2, 0)),
        ((6, 2), (3, 2)),
    ]
    answers = []
    for a, b in pairs:
        try:
            answers.append(tuple((torch.zeros(a) + torch.zeros(b)).shape))
        except RuntimeError:
            answers.append("error")
    return answers


def gradient_of_a_column():
    scale = torch.ones(2, 1, requires_grad=True)
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    (x * scale).sum().backward()
    return scale.grad.tolist()


def centre(points, masses):
    return (points * masses[:, None]).sum(dim=0) / masses.sum()


def _masses_under_coordinates(points, masses):
    return (points * masses).sum(dim=0) / masses.sum()


def _without_masses(points, masses):
    return points.mean(dim=0)


def _by_their_number(points, masses):
    return (points * masses[:, None]).sum(dim=0) / len(masses)


def _over_coordinates(points, masses):
    return (points * masses[:, None]).sum(dim=1) / masses.sum()


def _one_number(points, masses):
    return (points * masses[:, None]).sum() / masses.sum()


def city_blocks(a, b):
    return (a[:, :, None] - b[:, None]).abs().sum(dim=-1)


def _cities_under_points(a, b):
    return (a[:, None] - b).abs().sum(dim=-1)


def _each_with_its_partner(a, b):
    return (a - b).abs().sum(dim=-1)


def _differences_only(a, b):
    return (a[:, :, None] - b[:, None]).abs()


def _straight_lines(a, b):
    return (a[:, :, None] - b[:, None]).pow(2).sum(dim=-1).sqrt()


def _turned_round(a, b):
    return (b[:, :, None] - a[:, None]).abs().sum(dim=-1)


def _without_signs(a, b):
    return (a[:, :, None] - b[:, None]).sum(dim=-1)


def _by_cdist(a, b):
    return torch.cdist(a, b, p=1)


def percent_that_meet():
    shapes = list(itertools.product(range(1, 6), repeat=2))
    met = 0
    for a, b in itertools.product(shapes, shapes):
        try:
            torch.broadcast_shapes(a, b)
        except RuntimeError:
            continue
        met += 1
    return 100 * met / len(shapes) ** 2


def unbroadcast(gradient, shape):
    in_front = gradient.dim() - len(shape)
    gradient = gradient.sum(dim=tuple(range(in_front))) if in_front else gradient
    for dim, length in enumerate(shape):
        if length == 1:
            gradient = gradient.sum(dim=dim, keepdim=True)
    return gradient


def _by_sum_to_size(gradient, shape):
    return gradient.sum_to_size(shape)


def _by_autograd(gradient, shape):
    tensor = torch.zeros(shape, dtype=gradient.dtype, requires_grad=True)
    return torch.autograd.grad(tensor.expand_as(gradient), tensor, gradient)[0]


def _reshaped_by_repeating(gradient, shape):
    gradient = gradient.sum(dim=tuple(range(gradient.dim() - len(shape))))
    return gradient.reshape(shape)


def _one_sum_for_all(gradient, shape):
    padded = (1,) * (gradient.dim() - len(shape)) + tuple(shape)
    stretched = [dim for dim, length in enumerate(padded) if length == 1]
    return gradient.sum(dim=stretched, keepdim=True).reshape(shape)


def _one_sum_if_any(gradient, shape):
    padded = (1,) * (gradient.dim() - len(shape)) + tuple(shape)
    stretched = [dim for dim, length in enumerate(padded) if length == 1]
    return (gradient.sum(stretched, keepdim=True) if stretched else gradient).reshape(shape)


def _first_ones(gradient, shape):
    while gradient.dim() > len(shape):
        gradient = gradient[0]
    for dim, length in enumerate(shape):
        if length == 1:
            gradient = gradient.narrow(dim, 0, 1)
    return gradient


def _averaged(gradient, shape):
    in_front = gradient.dim() - len(shape)
    gradient = gradient.mean(dim=tuple(range(in_front))) if in_front else gradient
    for dim, length in enumerate(shape):
        if length == 1:
            gradient = gradient.mean(dim=dim, keepdim=True)
    return gradient


def _only_in_front(gradient, shape):
    while gradient.dim() > len(shape):
        gradient = gradient.sum(dim=0)
    return gradient


EXERCISES = [
    Exercise(
        id="106.1",
        name="Do they meet?",
        kind="predict",
        key=six_pairs,
        wrong=[
            Wrong(
                [(3, 4), (3, 4), (3, 3), (2, 3, 5), (2, 0), "error"],
                "Shapes are aligned at the right: under which length does the 3 of b come?",
            ),
            Wrong(
                [(3, 4), "error", (3, 1), (2, 3, 5), (2, 0), "error"],
                "In c both sides have a 1 (one of them put in front), and both are stretched.",
            ),
            Wrong(
                [(3, 4), "error", "error", (2, 3, 5), (2, 0), "error"],
                "In c the 3 of a stands over a 1 that was put in front, and its 1 over the 3 of b.",
            ),
            Wrong(
                [(3, 4), "error", (3, 3), "error", (2, 0), "error"],
                "Write d flush right: (2, 1, 5) above (3, 1), column by column.",
            ),
            Wrong(
                [(3, 4), "error", (3, 3), (2, 3, 5), "error", "error"],
                "A shape without lengths has nothing that could disagree.",
            ),
            Wrong(
                [(3, 4), "error", (3, 3), (2, 3, 5), (2, 0), (6, 2)],
                "Only a 1 is stretched; 3 does not go into 6 here.",
            ),
        ],
        hints=[
            "Write the two shapes under each other, flush right, and go column by column.",
            "A missing length counts as 1; only a 1 takes another length, and that may be 0.",
        ],
        explanation="Flush right; equal or 1; the number and the empty matrix meet in (2, 0).",
    ),
    Exercise(
        id="106.2",
        name="The gradient of a stretched column",
        kind="predict",
        key=gradient_of_a_column,
        wrong=[
            Wrong(
                [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
                "That is the gradient of the stretched tensor; scale has one element a row.",
            ),
            Wrong([[5.0, 7.0, 9.0]], "The column was stretched along dimension 1, not 0."),
            Wrong([[6.0, 15.0]], "A column has its two elements one under the other."),
            Wrong([6.0, 15.0], "A gradient has the shape of its tensor: a column."),
            Wrong([[3.0], [3.0]], "You counted the places; each brings back its own x."),
        ],
        hints=[
            "Each element of scale multiplied three inputs.",
            "What comes back from the three is added up, in the shape of scale.",
        ],
        explanation="One sum for each row, in the shape (2, 1).",
    ),
    Exercise(
        id="106.3",
        name="The centre of mass",
        kind="repair",
        model=centre,
        cases=lambda: [
            (torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.tensor([1.0, 3.0])),
            (torch.tensor([[0.0, 8.0], [4.0, 0.0], [2.0, 4.0]]), torch.tensor([1.0, 2.0, 5.0])),
            (torch.arange(9.0).reshape(3, 3).T, torch.tensor([2.0, 5.0, 1.0])),
            (torch.tensor([[5.0, 7.0, 9.0]]), torch.tensor([4.0])),
        ],
        right=[
            lambda points, masses: (points * masses.unsqueeze(1)).sum(0) / masses.sum(),
            lambda points, masses: (points.T * masses).sum(dim=1) / masses.sum(),
            lambda points, masses: masses @ points / masses.sum(),
        ],
        wrong=[
            Wrong(
                _masses_under_coordinates,
                "The masses stand in a row; under what do they come, flush right?",
                shows="raised",
            ),
            Wrong(_without_masses, "A heavy point counts for more.", shows="values"),
            Wrong(
                _by_their_number,
                "Divide by the sum of the masses, not by how many there are.",
                shows="values",
            ),
            Wrong(
                _over_coordinates,
                "sum(dim=1) adds up the coordinates of one point; the points are dimension 0.",
                shows="values",
            ),
            Wrong(
                _one_number,
                "sum() without a dimension adds up everything; keep the coordinates apart.",
                shows="shape",
            ),
        ],
        hints=[
            "Which shape must the masses have, to be stretched along each row of points?",
            "A column, (n, 1): where does the None go?",
        ],
        explanation="As a column, each mass is stretched over the coordinates of its own point.",
    ),
    Exercise(
        id="106.4",
        name="City blocks",
        kind="write",
        model=city_blocks,
        cases=lambda: [
            (torch.tensor([[[0, 0], [1, 5]]]), torch.tensor([[[1, 1], [4, 0]]])),
            (torch.arange(8).reshape(2, 2, 2), torch.tensor([[[1, 1]], [[9, 0]]])),
            (torch.arange(12.0).reshape(2, 3, 2).flip(0), torch.arange(8.0).reshape(2, 2, 2)),
            (torch.arange(24.0).reshape(3, 4, 2), torch.arange(24.0).reshape(3, 2, 4).mT),
        ],
        right=[
            lambda a, b: (a.unsqueeze(2) - b.unsqueeze(1)).abs().sum(3),
            lambda a, b: (b[:, None, :, :] - a[:, :, None, :]).abs().sum(-1),
        ],
        wrong=[
            Wrong(
                _each_with_its_partner,
                "Within a city, every a must meet every b: two dimensions of length 1 are missing.",
                shows="shape",
            ),
            Wrong(
                _cities_under_points,
                "Write the shapes flush right: the k of b must come under the k of a.",
                shows="raised",
            ),
            Wrong(
                _differences_only,
                "These are the differences; the coordinates are still to be added up.",
                shows="shape",
            ),
            Wrong(
                _straight_lines,
                "That is the straight line; here absolute differences are added.",
                shows="dtype",
            ),
            Wrong(
                _by_cdist,
                "torch.cdist does not take integers; subtract.",
                shows="raised",
            ),
            Wrong(_turned_round, "Rows belong to a, columns to b.", shows="values"),
            Wrong(_without_signs, "A step to the left is a step too: abs.", shows="values"),
        ],
        hints=[
            "Which two shapes with a 1 in each meet in (k, n, m, d)?",
            "(k, n, 1, d) and (k, 1, m, d). Then absolute values, and a sum over the last one.",
        ],
        explanation="k meets k, d meets d; n and m each meet a 1.",
        equivalent_mutants={
            "return (a[:, :, None] - b[:, None]).abs().sum(dim=-1) => "
            "return (a[:, :, None] - b[:, None]).abs_().sum(dim=-1)": "The difference is new.",
        },
    ),
    Exercise(
        id="106.5",
        name="How likely is an accident?",
        kind="measure",
        key=percent_that_meet,
        tolerance=0.005,
        wrong=[
            Wrong(52, "That is one pair of lengths; a shape has two."),
            Wrong(4, "That is how often both shapes are equal; a 1 also meets."),
            Wrong(
                lambda answer: 0 < answer < 1,
                "This is a share; the answer is asked for in percent.",
                example=0.2704,
            ),
        ],
        hints=[
            "itertools.product(range(1, 6), repeat=2) gives all 25 shapes.",
            "Try torch.broadcast_shapes on each of the 625 pairs and count those without an error.",
        ],
        explanation="13 of 25 pairs of lengths fit, and they must fit in both dimensions.",
    ),
    Exercise(
        id="106.6",
        name="What backward does",
        kind="write",
        model=unbroadcast,
        cases=lambda: [
            (torch.arange(6.0).reshape(2, 3), (3,)),
            (torch.arange(6.0).reshape(2, 3), (2, 1)),
            (torch.arange(6.0).reshape(2, 3), (2, 3)),
            (torch.arange(24.0).reshape(2, 3, 4), (3, 1)),
            (torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2), (1, 3, 1)),
            (torch.arange(4.0), ()),
        ],
        right=[_by_sum_to_size, _by_autograd, _one_sum_if_any],
        wrong=[
            Wrong(
                _first_ones,
                "Every place where the element worked sends something back: add up.",
                shows="values",
            ),
            Wrong(_averaged, "Gradients add up; they are not averaged.", shows="values"),
            Wrong(
                _only_in_front,
                "Dimensions of length 1 were stretched too.",
                shows="shape",
            ),
            Wrong(
                _one_sum_for_all,
                "Where nothing was stretched, the list of dimensions is empty: sum adds up all.",
                shows="raised",
            ),
            Wrong(
                _reshaped_by_repeating,
                "sum over no dimension at all sums over everything.",
                shows="raised",
            ),
        ],
        hints=[
            "How many dimensions were put in front? gradient.dim() - len(shape).",
            "Sum those away. Then, where shape has a 1, sum with keepdim=True.",
        ],
        explanation="Two sums undo the two rules: over what was put in front, over each 1.",
    ),
]
