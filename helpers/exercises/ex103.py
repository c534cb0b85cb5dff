"""Exercises of chapter 103: strides computed, predicted, and used instead of copies."""

from __future__ import annotations

import torch

from helpers.exercises import Exercise, Wrong
from helpers.memory import shares_storage


def strides_after_permute():
    return torch.zeros(5, 2, 3).permute(1, 2, 0).stride()


def who_copies():
    q = torch.arange(12).reshape(3, 4)
    results = {
        "a": q.reshape(4, 3),
        "b": q.t().reshape(12),
        "c": q[:, 1:].reshape(9),
        "d": q[1:].reshape(8),
        "e": q[[1, 2]],
        "f": q.t().contiguous().t(),
    }
    return {letter for letter, result in results.items() if not shares_storage(q, result)}


def strides_of(shape):
    strides, step = [], 1
    for length in reversed(shape):
        strides.insert(0, step)
        step *= length
    return tuple(strides)


def _strides_from_the_left(shape):
    strides, step = [], 1
    for length in shape:
        strides.append(step)
        step *= length
    return tuple(strides)


def _strides_are_lengths(shape):
    return (*shape[1:], 1)


def _strides_with_prod(shape):
    import math

    return tuple(math.prod(shape[dim + 1 :]) for dim in range(len(shape)))


def channels_first(picture):
    return picture.permute(2, 0, 1)


def _cut_anew(picture):
    height, width, channels = picture.shape
    return picture.view(channels, height, width)


def _other_way(picture):
    return picture.permute(1, 2, 0)


def _sides_swapped(picture):
    return picture.transpose(0, 2)


def _copied(picture):
    return picture.permute(2, 0, 1).contiguous()


def windows_of(signal, size, step):
    count = (len(signal) - size) // step + 1
    stride = signal.stride(0)
    return signal.as_strided((count, size), (step * stride, stride), signal.storage_offset())


def _windows_unfolded(signal, size, step):
    return signal.unfold(0, size, step)


def _windows_without_offset(signal, size, step):
    count = (len(signal) - size) // step + 1
    stride = signal.stride(0)
    return signal.as_strided((count, size), (step * stride, stride))


def _windows_stride_one(signal, size, step):
    count = (len(signal) - size) // step + 1
    return signal.as_strided((count, size), (step, 1), signal.storage_offset())


def _windows_from_the_start(signal, size, step):
    count = (len(signal) - size) // step + 1
    stride = signal.stride(0)
    return signal.as_strided((count, size), (step * stride, stride), 0)


def _windows_stacked(signal, size, step):
    return torch.stack([signal[i : i + size] for i in range(0, len(signal) - size + 1, step)])


def bytes_kept():
    part = torch.zeros(64, 3, 32, 32)[:, 0]
    return part.untyped_storage().nbytes() / (part.numel() * part.element_size())


EXERCISES = [
    Exercise(
        id="103.1",
        name="Strides after permute",
        kind="predict",
        key=strides_after_permute,
        wrong=[
            Wrong((6, 3, 1), "These are the strides before permute: they travel along."),
            Wrong((15, 5, 1), "These belong to a contiguous tensor; permute does not rearrange."),
            Wrong((1, 6, 3), "You moved them the other way: the new dimension 0 is the old 1."),
        ],
        hints=[
            "Write the strides of torch.zeros(5, 2, 3) first.",
            "permute(1, 2, 0): the new dimension 0 is the old dimension 1, with its stride.",
        ],
        explanation="Each stride travels with its dimension; no number moves.",
    ),
    Exercise(
        id="103.2",
        name="Who copies?",
        kind="predict",
        key=who_copies,
        wrong=[
            Wrong(
                {"b", "e", "f"},
                "q[:, 1:] skips one place after each row: try to give reshape one stride.",
            ),
            Wrong({"b", "c", "e"}, "The last one comes back transposed, but from which memory?"),
            Wrong(
                {"b", "c", "f"},
                "A list of indices is not a slice, even if the rows are neighbours.",
            ),
            Wrong({"e"}, "reshape copies too, when no strides describe the result."),
            Wrong(
                lambda answer: "a" in answer or "d" in answer,
                "q and q[1:] are contiguous, and reshape can read them as they lie.",
                example={"a", "b", "c", "e", "f"},
            ),
        ],
        hints=[
            "For each one, ask: do one offset and one stride per dimension describe the result?",
            "c: the places are 1 2 3, 5 6 7, 9 10 11. Is there one stride from 1 to 11?",
        ],
        explanation="a and d read the storage in one run. c meets a gap after each row, b and f "
        "need another order, and a list of indices always copies.",
    ),
    Exercise(
        id="103.3",
        name="Strides from a shape",
        kind="write",
        model=strides_of,
        cases=[((3, 4),), ((5,),), ((2, 3, 4),), ((4, 1, 3, 2),), ((),)],
        right=[_strides_with_prod],
        wrong=[
            Wrong(
                _strides_from_the_left,
                "You count from the left; the last dimension is the one whose neighbours touch.",
                shows="values",
            ),
            Wrong(
                _strides_are_lengths,
                "One step in a dimension skips everything to its right, not only the next length.",
                shows="shape",
            ),
        ],
        hints=[
            "The last stride is 1. What does one step in the dimension before it skip?",
            "Walk through the lengths from the right and multiply as you go.",
        ],
        explanation="A stride is the product of all lengths to its right.",
    ),
    Exercise(
        id="103.4",
        name="The scrambled picture",
        kind="repair",
        model=channels_first,
        cases=lambda: [
            (torch.arange(6).reshape(1, 2, 3),),
            (torch.arange(24).reshape(2, 4, 3),),
            (torch.arange(45).reshape(5, 3, 3),),
        ],
        also={"aliasing", "strides"},
        right=[lambda picture: torch.movedim(picture, 2, 0)],
        wrong=[
            Wrong(
                _cut_anew,
                "view never reorders: it cuts the same row of numbers into other lengths.",
                shows="strides",
            ),
            Wrong(
                _sides_swapped,
                "transpose exchanges two dimensions: height and width have changed places too.",
                shows="shape",
            ),
            Wrong(
                _other_way,
                "This is the way back, to height, width, channel: name the old dimensions in "
                "the order in which they shall stand.",
                shows="shape",
            ),
            Wrong(_copied, "This is a copy; the task asks for none.", shows="strides"),
        ],
        hints=[
            "Which operation names the new order of all dimensions?",
            "permute(2, 0, 1) puts the old dimension 2 first.",
        ],
        explanation="Dimensions change places by permute, never by view.",
    ),
    Exercise(
        id="103.5",
        name="What a view keeps alive",
        kind="measure",
        key=bytes_kept,
        tolerance=0.01,
        wrong=[
            Wrong(1.0, "part.nbytes counts the elements of the view; ask its untyped_storage()."),
            Wrong(1 / 3, "The other way round: how many times as large is the storage?"),
            Wrong(
                lambda answer: answer > 1000,
                "That is a number of bytes; divide by the bytes that the elements need.",
                example=786432,
            ),
        ],
        hints=[
            "part.untyped_storage().nbytes() counts the whole storage.",
            "The elements need part.numel() * part.element_size() bytes.",
        ],
        explanation="Two of three channels are kept for nothing; keep part.clone() instead.",
    ),
    Exercise(
        id="103.6",
        name="Every window, no copy",
        kind="write",
        model=windows_of,
        cases=lambda: [
            (torch.arange(8), 4, 2),
            (torch.arange(5), 2, 1),
            (torch.arange(9), 3, 4),
            (torch.arange(20)[3::2], 3, 2),
            (torch.arange(24).reshape(6, 4)[:, 1], 2, 2),
        ],
        also={"aliasing", "strides"},
        right=[_windows_unfolded, _windows_without_offset],
        wrong=[
            Wrong(
                _windows_stride_one,
                "The signal may be a view: multiply by its own stride.",
                shows="strides",
            ),
            Wrong(
                _windows_from_the_start,
                "An offset counts from the start of the storage, where the signal need not begin.",
                shows="values",
            ),
            Wrong(_windows_stacked, "This copies every window.", shows="strides"),
        ],
        hints=[
            "How many windows fit? (n - size) // step + 1.",
            "The next window begins step times the signal's stride further on.",
            "as_strided(shape, strides) keeps the signal's own offset.",
        ],
        explanation="unfold(0, size, step) does the same in one call.",
        equivalent_mutants={
            "stride = signal.stride(0) => stride = signal.stride(-1)": "A signal has one dimension."
        },
    ),
]
