"""Exercises of chapter 104: shapes of selections, writes that arrive, gather and its inverse."""

from __future__ import annotations

import math

import torch

from helpers.exercises import Exercise, Wrong


def five_shapes():
    c = torch.zeros(4, 5, 6)
    picked = (
        c[1:2, 0],
        c[..., None, 2],
        c[[0, 1], [0, 1]],
        c[[0, 1], :, [0, 1]],
        c[:, [[0, 2, 4]]],
    )
    return [tuple(result.shape) for result in picked]


def who_is_written_to():
    def chain_of_integers(a):
        a[0][1] = 9

    def list_first(a):
        a[[0]][0, 1] = 9

    def list_and_plus(a):
        a[:, [1]] += 9

    def fill_without_underscore(a):
        a.masked_fill(a > 2, 9)

    def slice_then_mask(a):
        a[1:][a[1:] > 3] = 9

    def integer_tensor_first(a):
        a[torch.tensor(1)][0] = 9

    def fill_what_a_mask_picked(a):
        a[a > 2].fill_(9)

    lines = {
        "a": chain_of_integers,
        "b": list_first,
        "c": list_and_plus,
        "d": fill_without_underscore,
        "e": slice_then_mask,
        "f": integer_tensor_first,
        "g": fill_what_a_mask_picked,
    }
    changed = set()
    for letter, line in lines.items():
        a = torch.arange(6).reshape(2, 3)
        line(a)
        if not a.equal(torch.arange(6).reshape(2, 3)):
            changed.add(letter)
    return changed


def gathered_twice():
    m = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    i = torch.tensor([[2, 0], [1, 1]])
    return [m.gather(0, i).tolist(), m.gather(1, i).tolist(), tuple(m[i].shape)]


def own_scores(scores, labels):
    return scores.gather(1, labels[:, None])[:, 0]


def _first_picture_only(scores, labels):
    return scores.gather(1, labels[None])[0]


def _class_left_in(scores, labels):
    return scores.gather(1, labels[:, None])


def _squeezed_everywhere(scores, labels):
    return scores.gather(1, labels[:, None]).squeeze()


def _all_classes_named(scores, labels):
    return scores[:, labels]


def _best_class(scores, labels):
    return scores.amax(1)


def _own_scores_by_lists(scores, labels):
    n, height, width = labels.shape
    pictures = torch.arange(n, device=labels.device)[:, None, None]
    rows = torch.arange(height, device=labels.device)[:, None]
    return scores[pictures, labels, rows, torch.arange(width, device=labels.device)]


def _own_scores_by_where(scores, labels):
    classes = torch.arange(scores.shape[1], device=labels.device)[:, None, None]
    return torch.where(labels[:, None] == classes, scores, 0).sum(1)


def _pictures(n, classes, height, width):
    scores = torch.arange(float(n * classes * height * width)).reshape(n, classes, height, width)
    labels = torch.arange(n * height * width).reshape(n, height, width) * 5 % 7 % classes
    return scores, labels


def sums_by_group(values, groups, count):
    return values.new_zeros(count, values.shape[1]).index_add(0, groups, values)


def _sums_by_index_put(values, groups, count):
    zeros = values.new_zeros(count, values.shape[1])
    return zeros.index_put((groups,), values, accumulate=True)


def _sums_by_scatter_add(values, groups, count):
    zeros = values.new_zeros(count, values.shape[1])
    return zeros.scatter_add(0, groups[:, None].expand_as(values), values)


def _sums_by_masks(values, groups, count):
    members = groups == torch.arange(count, device=groups.device)[:, None]
    return torch.where(members[:, :, None], values, 0).sum(1)


def _last_row_wins(values, groups, count):
    sums = values.new_zeros(count, values.shape[1])
    sums[groups] += values
    return sums


def _first_column_only(values, groups, count):
    return values.new_zeros(count, values.shape[1]).scatter_add(0, groups[:, None], values)


def _float_zeros(values, groups, count):
    zeros = torch.zeros(count, values.shape[1], device=values.device)
    return zeros.index_add(0, groups, values.float())


def _as_many_as_seen(values, groups, count):
    count = int(groups.max()) + 1
    return values.new_zeros(count, values.shape[1]).index_add(0, groups, values)


def _detached_sums(values, groups, count):
    return values.new_zeros(count, values.shape[1]).index_add(0, groups, values.detach())


def _values_and_groups():
    smooth = torch.arange(8.0).reshape(4, 2).requires_grad_()
    return [
        (torch.tensor([[1, 10], [2, 20], [3, 30]]), torch.tensor([1, 0, 1]), 2),
        (smooth, torch.tensor([2, 2, 0, 2]), 4),
        (torch.arange(12.0).reshape(3, 4).T, torch.tensor([0, 1, 1, 0]), 3),
        (torch.arange(10).reshape(5, 2)[::2], torch.tensor([4, 4, 4]), 5),
    ]


def only_the_best(x, k):
    values, places = x.topk(k, dim=1)
    return torch.full_like(x, -math.inf).scatter(1, places, values)


def _best_by_mask(x, k):
    return x.masked_fill(x < x.topk(k, dim=1).values.amin(1, keepdim=True), -math.inf)


def _best_by_where(x, k):
    kept = torch.zeros_like(x, dtype=torch.bool).scatter_(1, x.topk(k, dim=1).indices, True)
    return torch.where(kept, x, -math.inf)


def _best_by_brackets(x, k):
    out = torch.full_like(x, -math.inf)
    values, places = x.topk(k, dim=1)
    out[torch.arange(len(x), device=x.device)[:, None], places] = values
    return out


def _best_of_the_columns(x, k):
    values, places = x.topk(k, dim=0)
    return torch.full_like(x, -math.inf).scatter(0, places, values)


def _places_of_all_rows(x, k):
    places = x.topk(k, dim=1).indices
    out = torch.full_like(x, -math.inf)
    out[:, places.flatten()] = x[:, places.flatten()]
    return out


def _all_places_behind_a_slice(x, k):
    out = torch.full_like(x, -math.inf)
    values, places = x.topk(k, dim=1)
    out[:, places] = values
    return out


def _best_alone(x, k):
    return x.topk(k, dim=1).values


def _zero_elsewhere(x, k):
    values, places = x.topk(k, dim=1)
    return torch.zeros_like(x).scatter(1, places, values)


def _the_best_in_order(x, k):
    out = torch.full_like(x, -math.inf)
    out[:, :k] = x.topk(k, dim=1).values
    return out


def _best_written_into_x(x, k):
    return x.masked_fill_(x < x.topk(k, dim=1).values.amin(1, keepdim=True), -math.inf)


EXERCISES = [
    Exercise(
        id="104.1",
        name="Five shapes",
        kind="predict",
        key=five_shapes,
        wrong=[
            Wrong(
                [(6,), (4, 5, 1), (2, 6), (2, 5), (4, 1, 3, 6)],
                "A slice of length 1 is still a slice: c[1:2, 0] keeps its dimension.",
            ),
            Wrong(
                [(1, 6), (4, 1, 5), (2, 6), (2, 5), (4, 1, 3, 6)],
                "`...` stands for both missing dimensions, and None comes after them.",
            ),
            Wrong(
                [(1, 6), (4, 5, 1), (2, 2, 6), (2, 5), (4, 1, 3, 6)],
                "Two lists side by side pick pairs, not a block.",
            ),
            Wrong(
                [(1, 6), (4, 5, 1), (2, 6), (5, 2), (4, 1, 3, 6)],
                "A slice stands between the lists. Where does their dimension go then?",
            ),
            Wrong(
                [(1, 6), (4, 5, 1), (2, 6), (2, 5), (4, 3, 6)],
                "The index has two dimensions, and both take the place of the one it picks from.",
            ),
        ],
        hints=[
            "Integers drop, slices keep, None adds a 1, `...` fills up.",
            "Lists: which shape do they broadcast to, and where does it go?",
        ],
        explanation="Lists together put the shape of their index where they stand, lists apart "
        "in front.",
    ),
    Exercise(
        id="104.2",
        name="Who is written to?",
        kind="predict",
        key=who_is_written_to,
        wrong=[
            Wrong(
                lambda answer: "b" in answer,
                "In b the first brackets hold a list. Whose memory does the second pair write to?",
                example=["a", "b", "c", "e", "f"],
            ),
            Wrong(
                lambda answer: "d" in answer,
                "masked_fill without the underscore returns a new tensor.",
                example=["a", "c", "d", "e", "f"],
            ),
            Wrong(
                lambda answer: "g" in answer,
                "fill_ writes in place, but into what the mask brought home: a copy.",
                example=["a", "c", "e", "f", "g"],
            ),
            Wrong(
                lambda answer: "a" not in answer,
                "In a the first brackets hold an integer: a[0] is a view.",
                example=["c", "e", "f"],
            ),
            Wrong(
                lambda answer: "f" not in answer,
                "A tensor without dimensions counts as the integer that it holds.",
                example=["a", "c", "e"],
            ),
            Wrong(
                lambda answer: "c" not in answer,
                "`+=` gets, adds, and sets again with the same brackets.",
                example=["a", "e", "f"],
            ),
            Wrong(
                lambda answer: "e" not in answer,
                "In e a slice comes first, and the mask stands in the last brackets.",
                example=["a", "c", "f"],
            ),
        ],
        hints=[
            "Cross out the last pair of brackets before `=`. Is what is left a view of a?",
            "d and g have no `=`: ask what the method is called on, and what it returns.",
        ],
        explanation="a, c, e and f: in b and g a copy is written to, in d a new tensor is made.",
    ),
    Exercise(
        id="104.3",
        name="Gather on paper",
        kind="predict",
        key=gathered_twice,
        wrong=[
            Wrong(
                [[[3, 1], [5, 5]], [[7, 2], [4, 5]], (2, 2, 3)],
                "You exchanged the two: dim=0 replaces the row number, and the column stays.",
            ),
            Wrong(
                [[[7, 1], [4, 4]], [[3, 1], [5, 5]], (2, 2, 3)],
                "Along dimension 0 the column is that of the index: its second column reads the "
                "second column of m.",
            ),
            Wrong(
                [[[7, 2], [4, 5]], [[3, 1], [2, 2]], (2, 2, 3)],
                "Along dimension 1 the row is that of the index: its second row reads the second "
                "row of m.",
            ),
            Wrong(
                [[[7, 2], [4, 5]], [[3, 1], [5, 5]], (2, 2)],
                "In brackets i is an index for rows only: each of its numbers brings a row of m.",
            ),
        ],
        hints=[
            "For dim=0: out[0][1] is m[i[0][1]][1].",
            "m[i]: the shape of i takes the place of dimension 0.",
        ],
        explanation="gather replaces one coordinate, brackets pick whole rows.",
    ),
    Exercise(
        id="104.4",
        name="The score of each pixel",
        kind="repair",
        model=own_scores,
        cases=lambda: [
            _pictures(2, 3, 2, 4),
            _pictures(3, 2, 1, 3),
            _pictures(1, 4, 2, 2),
            tuple(part.mT for part in _pictures(2, 5, 3, 4)),
        ],
        right=[
            _own_scores_by_lists,
            _own_scores_by_where,
            lambda scores, labels: scores.take_along_dim(labels.unsqueeze(1), 1).squeeze(1),
        ],
        wrong=[
            Wrong(
                _first_picture_only,
                "labels[None] has length 1 where pictures are counted: only picture 0 is asked.",
                shows="values",
            ),
            Wrong(
                _class_left_in,
                "Right scores, but dimension 1 is still there, with length 1.",
                shows="shape",
            ),
            Wrong(
                _squeezed_everywhere,
                "squeeze without a dimension also removes a height or a batch of 1.",
                shows="shape",
            ),
            Wrong(
                _all_classes_named,
                "In brackets, labels picks whole planes of scores for every pixel.",
                shows="shape",
            ),
            Wrong(_best_class, "That is the best score; the label may be another.", shows="values"),
        ],
        hints=[
            "Which of the four dimensions of scores is missing in labels?",
            "The index needs a dimension of length 1 where classes are counted: labels[:, None].",
        ],
        explanation="The index stands up along the classes, gather reads, and the dimension of "
        "length 1 goes again.",
        equivalent_mutants={
            "return scores.gather(1, labels[:, None])[:, 0] => "
            "return scores.gather(1, labels[:, None])[:, -1]": (
                "In a dimension of length 1 the first element is the last."
            ),
        },
    ),
    Exercise(
        id="104.5",
        name="Sums by group",
        kind="write",
        model=sums_by_group,
        cases=_values_and_groups,
        also={"gradient"},
        right=[_sums_by_index_put, _sums_by_scatter_add, _sums_by_masks],
        wrong=[
            Wrong(
                _last_row_wins,
                "Of two rows of a group one is lost: this write sets a place that is named twice "
                "and does not accumulate.",
                shows="values",
            ),
            Wrong(
                _first_column_only,
                "scatter_add does not broadcast: an index of one column adds up one column.",
                shows="values",
            ),
            Wrong(
                _float_zeros,
                "The zeros decide the type; make them from values.",
                shows="dtype",
            ),
            Wrong(
                _as_many_as_seen,
                "A group without rows has a row of zeros, also behind the last that is seen.",
                shows="shape",
            ),
            Wrong(_detached_sums, "The gradient was cut off on the way.", shows="gradient"),
        ],
        hints=[
            "Begin with zeros of the right shape and type: values.new_zeros(count, k).",
            "index_add(0, groups, values) adds row by row; index_put can accumulate.",
        ],
        explanation="index_add adds each row to the row that its group names, repeated or not.",
        equivalent_mutants={
            "return values.new_zeros(count, values.shape[1]).index_add(0, groups, values) => "
            "return values.new_zeros(count, values.shape[1]).index_add_(0, groups, values)": (
                "The zeros are new: nobody else sees the write."
            ),
        },
    ),
    Exercise(
        id="104.6",
        name="Only the best",
        kind="write",
        model=only_the_best,
        cases=lambda: [
            (torch.tensor([[1.0, 5.0, 3.0, 4.0], [9.0, 2.0, 8.0, 7.0]]), 2),
            (torch.tensor([[0.5, -1.0], [-3.0, -2.0], [4.0, 6.0]]), 1),
            ((torch.arange(20.0) * 7 % 20).reshape(5, 4).T, 3),
            (torch.tensor([[2.0, 1.0, 3.0]]), 3),
        ],
        right=[_best_by_mask, _best_by_where, _best_by_brackets],
        wrong=[
            Wrong(
                _best_of_the_columns,
                "You asked for the best of each column; a row runs along dimension 1.",
                shows="values",
            ),
            Wrong(
                _places_of_all_rows,
                "A list behind a slice picks the same columns in all rows.",
                shows="values",
            ),
            Wrong(
                _all_places_behind_a_slice,
                "Behind a slice, each row is written at the places of all rows: row numbers, as a "
                "column, must stand there.",
                shows="values",
            ),
            Wrong(_best_alone, "These are the numbers; now put them where they stood.", "shape"),
            Wrong(_zero_elsewhere, "Elsewhere stands -inf, not 0.", shows="values"),
            Wrong(
                _the_best_in_order,
                "They stand in the first columns; topk also says where they were.",
                shows="values",
            ),
            Wrong(
                _best_written_into_x,
                "The result is right, but x has changed too: leave the underscore out.",
                shows="input changed",
            ),
        ],
        hints=[
            "Start from a tensor like x that is full of -inf.",
            "topk gives values and places along dimension 1: which function writes along places?",
        ],
        explanation="topk reads, scatter writes to the places that topk names.",
        equivalent_mutants={
            "values, places = x.topk(k, dim=1) => values, places = x.topk(k)": (
                "The last dimension of a matrix is dimension 1."
            ),
            "return torch.full_like(x, -math.inf).scatter(1, places, values) => "
            "return torch.full_like(x, -math.inf).scatter_(1, places, values)": (
                "The tensor full of -inf is new: nobody else sees the write."
            ),
        },
    ),
]
