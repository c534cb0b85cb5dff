"""Exercises of chapter 105: shapes of joins, lengths of pieces, and joins without loss."""

from __future__ import annotations

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from helpers.exercises import Exercise, Wrong


def four_shapes():
    p, q = torch.zeros(3, 5), torch.zeros(3, 5)
    joined = (
        torch.cat([p, q], 1),
        torch.stack([p, q], 1),
        torch.stack([p, q], -1),
        torch.vstack([p[0], q[0]]),
    )
    return [tuple(result.shape) for result in joined]


def four_cuts():
    x = torch.arange(11)
    cuts = (x.chunk(5), x.split(5), x.tensor_split(5), x.tensor_split([5]))
    return [[len(part) for part in parts] for parts in cuts]


def all_labels(batches):
    return torch.cat(list(batches))


def _from_an_empty_float(batches):
    labels = torch.empty(0)
    for batch in batches:
        labels = torch.cat([labels, batch])
    return labels


def _turned_back_at_the_end(batches):
    return torch.cat([torch.empty(0), *batches]).to(batches[0].dtype)


def _appended_from_the_right_type(batches):
    labels = batches[0]
    for batch in batches[1:]:
        labels = torch.cat([labels, batch])
    return labels


def _appended_to_an_empty_of_the_type(batches):
    labels = batches[0].new_empty(0)
    for batch in batches:
        labels = torch.cat([labels, batch])
    return labels


def _written_into_place(batches):
    labels = batches[0].new_empty(sum(len(batch) for batch in batches))
    for part, batch in zip(labels.split([len(b) for b in batches]), batches, strict=True):
        part.copy_(batch)
    return labels


class _Joins(TorchDispatchMode):
    """Counts the elements that joins write."""

    written = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket is torch.ops.aten.cat:
            self.written += result.numel()
        return result


def _joined(answer, batches):
    with _Joins() as joins:
        labels = answer(batches)
    if labels is ...:
        return labels
    again = joins.written > sum(batch.numel() for batch in batches)
    return {"labels": labels, "some labels copied more than once": again}


def _from_an_empty_integer(batches):
    labels = torch.empty(0, dtype=torch.int64)
    for batch in batches:
        labels = torch.cat([labels, batch])
    return labels


def _stacked(batches):
    return torch.stack(list(batches)).flatten()


def how_often_short():
    return sum(len(torch.arange(n).chunk(8)) < 8 for n in range(1, 101))


def interleave(a, b):
    return torch.stack([a, b], dim=1).flatten(0, 1)


def _one_after_the_other(a, b):
    return torch.cat([a, b])


def _not_flattened(a, b):
    return torch.stack([a, b], dim=1)


def _flattened_to_a_vector(a, b):
    return torch.stack([a, b], dim=1).flatten()


def _elements_alternate(a, b):
    return torch.stack([a, b], dim=-1).flatten(-2)


def _written_in_steps(a, b):
    out = torch.empty((2 * len(a), *a.shape[1:]), dtype=a.dtype, device=a.device)
    out[::2], out[1::2] = a, b
    return out


def padded(vectors):
    longest = max(len(vector) for vector in vectors)
    out = vectors[0].new_zeros(len(vectors), longest)
    for index, vector in enumerate(vectors):
        out[index, : len(vector)] = vector
    return out


def _padded_by_the_library(vectors):
    return torch.nn.utils.rnn.pad_sequence(vectors, batch_first=True)


def _padded_and_stacked(vectors):
    longest = max(len(vector) for vector in vectors)
    zeros = [vector.new_zeros(longest - len(vector)) for vector in vectors]
    return torch.stack([torch.cat(pair) for pair in zip(vectors, zeros, strict=True)])


def _padded_with_floats(vectors):
    longest = max(len(vector) for vector in vectors)
    zeros = [torch.zeros(longest - len(vector)) for vector in vectors]
    return torch.stack([torch.cat(pair) for pair in zip(vectors, zeros, strict=True)])


def _padded_on_the_left(vectors):
    longest = max(len(vector) for vector in vectors)
    zeros = [vector.new_zeros(longest - len(vector)) for vector in vectors]
    return torch.stack([torch.cat(pair) for pair in zip(zeros, vectors, strict=True)])


def _cut_to_the_shortest(vectors):
    shortest = min(len(vector) for vector in vectors)
    return torch.stack([vector[:shortest] for vector in vectors])


def _columns(vectors):
    return torch.nn.utils.rnn.pad_sequence(vectors)


EXERCISES = [
    Exercise(
        id="105.1",
        name="Four shapes",
        kind="predict",
        key=four_shapes,
        wrong=[
            Wrong(
                [(6, 5), (3, 2, 5), (3, 5, 2), (2, 5)],
                "Lengths add up along the dimension that is named: dimension 1 counts columns.",
            ),
            Wrong(
                [(3, 10), (2, 3, 5), (3, 5, 2), (2, 5)],
                "stack puts the new length at place dim of the result's shape.",
            ),
            Wrong(
                [(3, 10), (3, 2, 5), (3, 2, 5), (2, 5)],
                "dim=-1 counts in the result, which has three dimensions.",
            ),
            Wrong(
                [(3, 10), (3, 2, 5), (3, 5, 2), (10,)],
                "vstack makes a row of each vector first; hstack is the one that runs them on.",
            ),
        ],
        hints=[
            "cat keeps two dimensions; stack makes three.",
            "The new dimension of stack is as long as the list; dim says where it stands.",
        ],
        explanation="cat adds lengths up, stack inserts one, vstack makes rows of vectors first.",
    ),
    Exercise(
        id="105.2",
        name="Eleven, cut four ways",
        kind="predict",
        key=four_cuts,
        wrong=[
            Wrong(
                [[3, 2, 2, 2, 2], [5, 5, 1], [3, 2, 2, 2, 2], [5, 6]],
                "chunk does not share out evenly: it computes one length, rounded up.",
            ),
            Wrong(
                [[3, 3, 3, 2], [3, 3, 3, 2], [3, 2, 2, 2, 2], [5, 6]],
                "split takes the length of a piece, not the number of pieces.",
            ),
            Wrong(
                [[3, 3, 3, 2], [5, 5, 1], [3, 3, 3, 2], [5, 6]],
                "tensor_split returns exactly as many pieces as asked for.",
            ),
            Wrong(
                [[3, 3, 3, 2], [5, 5, 1], [3, 2, 2, 2, 2], [5]],
                "A list of one place is one cut, and a cut has two sides.",
            ),
        ],
        hints=[
            "For chunk, divide 11 by 5, round up, and cut by that length.",
            "A list given to tensor_split holds places, not lengths.",
        ],
        explanation="chunk: length 3, so four pieces. tensor_split: five, and one cut at 5.",
    ),
    Exercise(
        id="105.3",
        name="Labels, batch by batch",
        kind="repair",
        model=all_labels,
        run=_joined,
        cases=lambda: [
            ([torch.tensor([16_777_217, 3]), torch.tensor([7])],),
            ([torch.tensor([True, False]), torch.tensor([True])],),
            ([torch.tensor([0.5, 2.0], dtype=torch.float64)],),
            ([torch.tensor([1, 2], dtype=torch.uint8)[::2], torch.tensor([9], dtype=torch.uint8)],),
            ([torch.arange(3), torch.arange(4), torch.arange(2), torch.arange(3)],),
        ],
        right=[torch.hstack, lambda batches: torch.cat(batches), _written_into_place],
        wrong=[
            Wrong(
                _from_an_empty_float,
                "The empty tensor is float, and the result takes its type.",
                shows="dtype",
            ),
            Wrong(
                _turned_back_at_the_end,
                "On the way through float32 large numbers have lost their last digit.",
                shows="values",
            ),
            Wrong(
                _from_an_empty_integer,
                "This type suits one kind of labels; let the batches decide.",
                shows="dtype",
            ),
            Wrong(
                _appended_from_the_right_type,
                "The labels are right now, but each turn of the loop copies earlier ones again.",
                shows="values",
            ),
            Wrong(
                _appended_to_an_empty_of_the_type,
                "The type is right now, but each turn of the loop copies the earlier labels again.",
                shows="values",
            ),
            Wrong(
                _stacked,
                "stack wants equal lengths; the last batch may be shorter.",
                shows="raised",
            ),
        ],
        hints=[
            "Which of the tensors that are joined has a type that no batch has?",
            "You need no tensor to begin with: the list is there already.",
        ],
        explanation="One join of the whole list: one copy, and the type of the batches.",
    ),
    Exercise(
        id="105.4",
        name="How often is chunk short?",
        kind="measure",
        key=how_often_short,
        tolerance=0,
        wrong=[
            Wrong(0, "Try n = 9: pieces of two, and how many of them?"),
            Wrong(7, "Lengths under 8 are short, but so is 9, for one."),
            Wrong(21, "Count the lengths under 8 as well: they are short, too."),
            Wrong(88, "That looks like all lengths that 8 does not divide; try n = 15."),
            Wrong(72, "That is how often there are eight; count the others."),
        ],
        hints=[
            "len(torch.arange(n).chunk(8)) < 8 is True or False; a sum of those counts.",
            "range(1, 101) holds the lengths from 1 to 100.",
        ],
        explanation="Small lengths and those after a multiple of 8: one length, rounded up.",
    ),
    Exercise(
        id="105.5",
        name="Like a zip",
        kind="write",
        model=interleave,
        cases=lambda: [
            (torch.arange(3), torch.arange(10, 13)),
            (torch.arange(6).reshape(2, 3), torch.arange(10, 16).reshape(2, 3)),
            (torch.arange(12.0).reshape(3, 2, 2).mT, -torch.arange(12.0).reshape(3, 2, 2)),
        ],
        right=[
            _written_in_steps,
            lambda a, b: torch.cat([a.unsqueeze(1), b.unsqueeze(1)], 1).flatten(0, 1),
        ],
        wrong=[
            Wrong(
                _one_after_the_other,
                "cat along dimension 0 puts all of b under all of a.",
                shows="values",
            ),
            Wrong(
                _not_flattened,
                "The pairs stand right; now let the first two dimensions become one.",
                shows="shape",
            ),
            Wrong(
                _flattened_to_a_vector,
                "flatten without arguments flattens everything; give it two dimensions.",
                shows="shape",
            ),
            Wrong(
                _elements_alternate,
                "You let elements alternate within a row; rows are counted by dimension 0.",
                shows="shape",
            ),
        ],
        hints=[
            "stack along dimension 1 puts each row of a next to its row of b.",
            "flatten(0, 1) makes one dimension of the first two.",
        ],
        explanation="stack pairs the rows along a new dimension, flatten reads the pairs in order.",
    ),
    Exercise(
        id="105.6",
        name="Rows of unequal length",
        kind="write",
        model=padded,
        cases=lambda: [
            ([torch.tensor([1, 2, 3]), torch.tensor([4])],),
            ([torch.tensor([0.5]), torch.tensor([1.5, 2.5]), torch.tensor([])],),
            ([torch.arange(5)[::2], torch.arange(4)],),
            ([torch.tensor([7, 8])],),
        ],
        right=[_padded_by_the_library, _padded_and_stacked],
        wrong=[
            Wrong(
                _padded_with_floats,
                "Zeros made without a type are float and turn integers into float.",
                shows="dtype",
            ),
            Wrong(_padded_on_the_left, "The zeros belong on the right.", shows="values"),
            Wrong(
                _cut_to_the_shortest,
                "You cut to the shortest; nothing may be lost.",
                shows="shape",
            ),
            Wrong(_columns, "Each vector is a row, not a column.", shows="shape"),
        ],
        hints=[
            "How long is the longest? Make a matrix of zeros with the type of the vectors.",
            "Write each vector into the first places of its row: row[: len(vector)] = vector.",
        ],
        explanation="Zeros of the right type and size first, then one write for each vector.",
        equivalent_mutants={
            "out = vectors[0].new_zeros(len(vectors), longest) => "
            "out = vectors[-1].new_zeros(len(vectors), longest)": "The vectors share one type.",
        },
    ),
]
