"""Exercises of chapter 108: shapes of reductions and products, and sums that do not overflow."""

from __future__ import annotations

import torch

from helpers.exercises import Exercise, Wrong


def what_is_left():
    x = torch.zeros(2, 3, 4, 5)
    results = (
        x.sum((1, 3)),
        x.mean(-1, keepdim=True).amax(0),
        x.cumsum(2).median(1).values,
    )
    return [tuple(result.shape) for result in results]


def five_products():
    pairs = [
        ((3,), (3,)),
        ((4, 3), (3,)),
        ((3,), (5, 3, 2)),
        ((5, 1, 2, 3), (4, 3, 2)),
        ((5, 2, 3), (5, 3)),
    ]
    found = []
    for left, right in pairs:
        try:
            found.append(tuple((torch.zeros(left) @ torch.zeros(right)).shape))
        except RuntimeError:
            found.append("refused")
    return found


def largest_finite():
    a = 0
    while torch.tensor([a + 1.0] * 2, dtype=torch.float64).exp().sum().log().isfinite():
        a += 1
    return a


def log_probabilities(scores):
    return scores - scores.logsumexp(-1, keepdim=True)


def _plain(scores):
    return scores - scores.exp().sum(dim=-1).log()


def _column_but_plain(scores):
    return scores - scores.exp().sum(-1, keepdim=True).log()


def _safe_but_row(scores):
    return scores - scores.logsumexp(-1)


def _down_the_columns(scores):
    return scores - scores.logsumexp(0, keepdim=True)


def _one_maximum_for_all(scores):
    shifted = scores - scores.max()
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def _softmax_then_log(scores):
    return scores.softmax(-1).log()


def _maximum_by_hand(scores):
    shifted = scores - scores.amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def pair_scores(x, w, y):
    return torch.einsum("ni,ij,nj->n", x, w, y)


def _pair_scores_summed(x, w, y):
    return (x @ w * y).sum(1)


def _pair_scores_bmm(x, w, y):
    return (x[:, None, :] @ w @ y[:, :, None]).flatten()


def _pair_scores_diagonal(x, w, y):
    return (x @ w @ y.T).diagonal()


def _every_x_with_every_y(x, w, y):
    return x @ w @ y.T


def _all_in_one(x, w, y):
    return torch.einsum("ni,ij,nj->", x, w, y)


def _before_the_sum(x, w, y):
    return x @ w * y


def _weights_turned(x, w, y):
    return (x @ w.T * y).sum(1)


def inverse_forms(A, b):
    return (b * torch.linalg.solve(A, b)).sum(-1)


def _forms_by_column(A, b):
    column = b.unsqueeze(-1)
    return (column.mT @ torch.linalg.solve(A, column)).flatten()


def _forms_by_letters(A, b):
    return torch.einsum("nk,nk->n", b, torch.linalg.solve(A, b))


def _forms_one_by_one(A, b):
    return torch.stack([torch.dot(v, torch.linalg.solve(M, v)) for M, v in zip(A, b, strict=True)])


def _with_the_inverse(A, b):
    return torch.einsum("ni,nij,nj->n", b, torch.linalg.inv(A), b)


def _with_the_inverse_first(A, b):
    return (b * (torch.linalg.inv(A) @ b.unsqueeze(-1)).squeeze(-1)).sum(-1)


def _without_the_inverse(A, b):
    return torch.einsum("ni,nij,nj->n", b, A, b)


def _every_pair(A, b):
    return b @ torch.linalg.solve(A, b).T


def _one_for_all(A, b):
    return torch.dot(b.flatten(), torch.linalg.solve(A, b).flatten())


def _notorious(size):
    i = torch.arange(size, dtype=torch.float64)
    return 1 / (i[:, None] + i + 1)


def _systems():
    small = torch.tensor([[[2.0, 1.0], [1.0, 3.0]], [[1.0, 0.0], [4.0, 2.0]]])
    three = torch.arange(27.0).reshape(3, 3, 3) + 40 * torch.eye(3)
    hard = torch.stack([_notorious(11), torch.eye(11, dtype=torch.float64)])
    return [
        (small, torch.tensor([[5.0, 10.0], [1.0, 2.0]])),
        (three, torch.arange(9.0).reshape(3, 3)),
        (hard, hard.sum(2)),
    ]


EXERCISES = [
    Exercise(
        id="108.1",
        name="What is left",
        kind="predict",
        key=what_is_left,
        wrong=[
            Wrong(
                [(2, 4), (3, 4), (2, 4, 5)],
                "keepdim=True leaves a dimension of length 1 where the mean was taken.",
            ),
            Wrong(
                [(2, 4), (3, 4, 1), (2, 5)],
                "cumsum keeps every step: only median takes a dimension away.",
            ),
            Wrong(
                [(3, 5), (1,), (3,)],
                "These are the dimensions that were named; the others are left.",
            ),
            Wrong(
                [(2, 4), (2, 3, 4), (2, 4, 5)],
                "amax(0) takes away the first dimension, of what mean has left.",
            ),
        ],
        hints=[
            "Write the four lengths down and strike out what each dim names.",
            "-1 is the last dimension. A cumulative function strikes out nothing.",
        ],
        explanation="dim names what disappears, in the shape as it stands by then.",
    ),
    Exercise(
        id="108.2",
        name="Five products",
        kind="predict",
        key=five_products,
        wrong=[
            Wrong(
                [(), (4,), (5, 2), (5, 4, 2, 2), (5, 2)],
                "In the last one (5, 3) is one matrix, not five vectors: which two lengths meet?",
            ),
            Wrong(
                lambda answer: answer[0] in [(1,), (3,), (3, 3)],
                "Two vectors have one dimension each, and both are summed over.",
                example=[(1,), (4,), (5, 2), (5, 4, 2, 2), "refused"],
            ),
            Wrong(
                lambda answer: answer[2] == "refused",
                "A vector on the left meets the last but one length of each matrix in a batch.",
                example=[(), (4,), "refused", (5, 4, 2, 2), "refused"],
            ),
            Wrong(
                lambda answer: answer[3] == "refused",
                "What stands before the last two is broadcast: (5, 1) and (4,).",
                example=[(), (4,), (5, 2), "refused", "refused"],
            ),
        ],
        hints=[
            "Which length of the left factor meets which of the right one?",
            "Strike out the two that meet; broadcast what stands before the last two.",
        ],
        explanation="The last length of the left meets the last but one of the right (a vector's "
        "only one); both disappear.",
    ),
    Exercise(
        id="108.3",
        name="Where the formula ends",
        kind="measure",
        key=largest_finite,
        tolerance=1e-4,
        wrong=[
            Wrong(88, "That is where a float32 ends."),
            Wrong(
                710, "One too far: the exponential of 710 is above 1.8e308, where a float64 ends."
            ),
            Wrong(
                lambda answer: answer > 1000,
                "Try a = 1000 first: is the result finite?",
                example=1e308,
            ),
        ],
        hints=[
            "Try 100, then 1000, and halve the distance.",
            "Mind dtype=torch.float64: without it you measure float32.",
        ],
        explanation="A float64 ends near 1.8e308, whose logarithm is a little below 710.",
    ),
    Exercise(
        id="108.4",
        name="Log-probabilities",
        kind="repair",
        model=log_probabilities,
        cases=lambda: [
            (torch.tensor([1.0, 2.0, 3.0]),),
            (torch.tensor([[1.0, 2.0], [3.0, 5.0]]),),
            (torch.arange(6.0).reshape(2, 3),),
            (torch.arange(24.0).reshape(2, 3, 4).transpose(0, 2),),
            (torch.tensor([[1000.0, 1000.0], [-1000.0, -999.0]]),),
            (torch.tensor([[0.0, -200.0, 5.0]]),),
        ],
        tolerance=1e-4,
        right=[
            lambda scores: torch.log_softmax(scores, dim=-1),
            lambda scores: scores - torch.logsumexp(scores, dim=-1).unsqueeze(-1),
            _maximum_by_hand,
        ],
        wrong=[
            Wrong(
                _plain,
                "A row of totals meets the wrong dimension, if it fits at all: leave a length of "
                "1 in its place.",
            ),
            Wrong(
                _column_but_plain,
                "The totals stand where they belong now. What is the exponential of 1000?",
                shows="values",
            ),
            Wrong(
                _safe_but_row,
                "The sum is safe now, but its result has lost the dimension that would keep it "
                "beside its scores.",
            ),
            Wrong(_down_the_columns, "The last dimension is -1.", shows="values"),
            Wrong(
                _one_maximum_for_all,
                "The largest of all scores is taken out, but a row far below it still ends at 0: "
                "each row needs its own.",
                shows="values",
            ),
            Wrong(
                _softmax_then_log,
                "A small probability is rounded to 0 before its logarithm is taken.",
                shows="values",
            ),
        ],
        hints=[
            "Two things are wrong: where the totals stand, and how they are computed.",
            "torch.logsumexp takes dim and keepdim.",
        ],
        explanation="logsumexp keeps the sum finite, keepdim keeps each total beside its scores.",
    ),
    Exercise(
        id="108.5",
        name="One score a pair",
        kind="write",
        model=pair_scores,
        cases=lambda: [
            (
                torch.arange(4.0).reshape(2, 2),
                torch.tensor([[1.0, 2.0], [5.0, 3.0]]),
                torch.ones(2, 2),
            ),
            (
                torch.arange(6.0).reshape(3, 2),
                torch.arange(8.0).reshape(2, 4),
                torch.arange(12.0).reshape(4, 3).T,
            ),
            (torch.ones(1, 3), torch.arange(3.0).reshape(3, 1), torch.tensor([[2.0]])),
        ],
        right=[_pair_scores_summed, _pair_scores_bmm, _pair_scores_diagonal],
        wrong=[
            Wrong(
                _every_x_with_every_y,
                "This pairs every row of x with every row of y; only equal rows belong together.",
                shows="shape",
            ),
            Wrong(_all_in_one, "The letter n is missing on the right, so it was summed over."),
            Wrong(_before_the_sum, "One more reduction: over the columns of y.", shows="shape"),
            Wrong(_weights_turned, "x meets the rows of w, not its columns."),
        ],
        hints=[
            "Which letters does each of the three have, and which one is left?",
            "Without einsum: x @ w has the shape of y. Multiply and sum.",
        ],
        explanation="n stands in two factors and on the right: rows with equal n belong together.",
    ),
    Exercise(
        id="108.6",
        name="No inverse needed",
        kind="write",
        model=inverse_forms,
        cases=_systems,
        equivalent_mutants={
            "return (b * torch.linalg.solve(A, b)).sum(-1) => "
            "return (b * torch.linalg.solve(A, b)).sum(1)": "b has two dimensions."
        },
        right=[_forms_by_column, _forms_by_letters, _forms_one_by_one],
        wrong=[
            Wrong(
                _with_the_inverse,
                "Right on paper. With the notorious matrix the inverse loses the digits: solve.",
                shows="values",
            ),
            Wrong(
                _with_the_inverse_first,
                "The way is right on paper, but the inverse has lost digits; solve needs none.",
                shows="values",
            ),
            Wrong(_without_the_inverse, "This multiplies by A; solve divides by it."),
            Wrong(_every_pair, "This pairs every b with every solution.", shows="shape"),
            Wrong(_one_for_all, "One number for each matrix of the batch.", shows="shape"),
        ],
        hints=[
            "Name the product of the inverse and b. Which call returns it without an inverse?",
            "torch.linalg.solve(A, b) reads b as n vectors. Then it is a dot product a row.",
        ],
        explanation="solve gives the vector that the inverse times b would be; then multiply by b "
        "and sum.",
    ),
]
