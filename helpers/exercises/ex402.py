"""Exercises of chapter 402: output sizes and the cells that a window reads."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from helpers.exercises import Exercise, Wrong


def two_axes():
    layer = torch.nn.Conv2d(1, 1, kernel_size=5, stride=(2, 3), padding=1)
    return layer(torch.zeros(1, 1, 32, 28)).shape[2:]


def unread_cells():
    signal = torch.zeros(1, 1, 10, requires_grad=True)
    F.conv1d(signal, torch.ones(1, 1, 2), stride=3).sum().backward()
    return (signal.grad.flatten() == 0).nonzero().flatten().tolist()


def sizes_for(out, kernel, stride, padding, dilation):
    window = dilation * (kernel - 1) + 1
    smallest = (out - 1) * stride + window - 2 * padding
    return smallest, smallest + stride - 1


def _sizes_tried(out, kernel, stride, padding, dilation):
    fitting = []
    for cells in range(1, 300):
        room = cells + 2 * padding - dilation * (kernel - 1) - 1
        if room >= 0 and room // stride + 1 == out:
            fitting.append(cells)
    return fitting[0], fitting[-1]


def _sizes_without_dilation(out, kernel, stride, padding, dilation):
    smallest = (out - 1) * stride + kernel - 2 * padding
    return smallest, smallest + stride - 1


def _sizes_one_too_many(out, kernel, stride, padding, dilation):
    smallest = (out - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding
    return smallest, smallest + stride


def _sizes_out_times_stride(out, kernel, stride, padding, dilation):
    largest = out * stride + dilation * (kernel - 1) + 1 - 2 * padding
    return largest - stride + 1, largest


def _sizes_padded_once(out, kernel, stride, padding, dilation):
    smallest = (out - 1) * stride + dilation * (kernel - 1) + 1 - padding
    return smallest, smallest + stride - 1


def filtered(picture, kernel, dilation):
    rows, columns = kernel.shape[-2:]
    padding = dilation * (rows // 2), dilation * (columns // 2)
    return F.conv2d(picture, kernel, padding=padding, dilation=dilation)


def _filtered_same(picture, kernel, dilation):
    return F.conv2d(picture, kernel, padding="same", dilation=dilation)


def _filtered_by_columns(picture, kernel, dilation):
    padding = kernel.shape[-1] // 2
    return F.conv2d(picture, kernel, padding=padding, dilation=dilation)


def _filtered_square(picture, kernel, dilation):
    padding = dilation * (kernel.shape[-1] // 2)
    return F.conv2d(picture, kernel, padding=padding, dilation=dilation)


def _filtered_undilated(picture, kernel, dilation):
    rows, columns = kernel.shape[-2:]
    return F.conv2d(picture, kernel, padding=(rows // 2, columns // 2), dilation=dilation)


def _filtered_swapped(picture, kernel, dilation):
    rows, columns = kernel.shape[-2:]
    padding = dilation * (columns // 2), dilation * (rows // 2)
    return F.conv2d(picture, kernel, padding=padding, dilation=dilation)


def _filtered_densely(picture, kernel, dilation):
    return F.conv2d(picture, kernel, padding="same")


def cells_behind_one():
    page = torch.zeros(1, 1, 21, 21, requires_grad=True)
    ones, result = torch.ones(1, 1, 3, 3), page
    for _ in range(3):
        result = F.conv2d(result, ones, dilation=2)
    result[0, 0, 4, 4].backward()
    return int((page.grad > 0.5).sum())


def same_padding(cells, kernel, stride, dilation):
    out = -(-cells // stride)
    needed = (out - 1) * stride + dilation * (kernel - 1) + 1
    extra = max(needed - cells, 0)
    return extra // 2, extra - extra // 2


def _same_by_search(cells, kernel, stride, dilation):
    for extra in range(200):
        room = cells + extra - dilation * (kernel - 1) - 1
        if room >= 0 and room // stride + 1 >= (cells + stride - 1) // stride:
            return extra // 2, (extra + 1) // 2


def _same_ignoring_stride(cells, kernel, stride, dilation):
    extra = dilation * (kernel - 1)
    return extra // 2, extra - extra // 2


def _same_on_both_sides(cells, kernel, stride, dilation):
    return dilation * (kernel - 1) // 2, dilation * (kernel - 1) // 2


def _same_extra_in_front(cells, kernel, stride, dilation):
    before, after = same_padding(cells, kernel, stride, dilation)
    return after, before


def _same_negative(cells, kernel, stride, dilation):
    out = -(-cells // stride)
    extra = (out - 1) * stride + dilation * (kernel - 1) + 1 - cells
    return extra // 2, extra - extra // 2


def _same_rounded_down(cells, kernel, stride, dilation):
    out = cells // stride
    extra = max((out - 1) * stride + dilation * (kernel - 1) + 1 - cells, 0)
    return extra // 2, extra - extra // 2


EXERCISES = [
    Exercise(
        id="402.1",
        name="Two axes",
        kind="predict",
        key=two_axes,
        wrong=[
            Wrong((15, 13), "The stride is a pair: columns move by the second number, 3."),
            Wrong((16, 10), "A step that does not fit makes no place: round down."),
            Wrong((15.5, 9.333), "A place is there or it is not: round down."),
            Wrong((14, 8), "The first window starts at 0 and counts too: add 1 at the end."),
            Wrong((15, 8), "Padding stands on both sides of the columns as well."),
            Wrong((9, 15), "Rows come first, in the stride and in the shape."),
        ],
        hints=[
            "Take each axis alone: how long is it with its padding, and how far can 5 cells move?",
            "Rows: 32 + 2 - 5 is the room; steps of 2 fit in it how often?",
        ],
        explanation="Rows: 29 // 2 + 1. Columns: 25 // 3 + 1.",
    ),
    Exercise(
        id="402.2",
        name="The unread cells",
        kind="predict",
        key=unread_cells,
        wrong=[
            Wrong([2, 5, 8], "A window that starts at 9 would need a cell 10: does it fit?"),
            Wrong([9], "The end is one loss; the stride is longer than the window as well."),
            Wrong([2, 5], "These lie between two windows. And which are lost at the end?"),
            Wrong([8, 9], "These are lost at the end. What lies between two windows?"),
            Wrong([0, 1, 3, 4, 6, 7], "These are the cells that are read."),
        ],
        hints=[
            "Write down the starts 0, 3, 6, … and the two cells that each window covers.",
            "A start counts only if both of its cells are there.",
        ],
        explanation="The windows are 0-1, 3-4 and 6-7; a fourth does not fit.",
    ),
    Exercise(
        id="402.3",
        name="From the output back",
        kind="write",
        model=sizes_for,
        cases=[
            (3, 3, 2, 0, 1),
            (1, 3, 1, 0, 1),
            (5, 1, 4, 0, 1),
            (4, 3, 3, 1, 2),
            (112, 7, 2, 3, 1),
            (2, 4, 5, 2, 3),
        ],
        right=[_sizes_tried],
        wrong=[
            Wrong(
                _sizes_without_dilation,
                "With dilation the window is longer than the kernel.",
                shows="values",
            ),
            Wrong(
                _sizes_one_too_many,
                "With `stride` cells more than the smallest size, one more window fits.",
                shows="values",
            ),
            Wrong(
                _sizes_out_times_stride,
                "Between `out` windows there are `out - 1` steps.",
                shows="values",
            ),
            Wrong(_sizes_padded_once, "Padding stands on both sides.", shows="values"),
        ],
        hints=[
            "The smallest input is the one where the last window ends at the last padded cell.",
            "That end is (out - 1) * stride + window, counted on the padded axis.",
            "How many cells may you add before another window fits?",
        ],
        explanation="A step of the staircase is as wide as the stride.",
    ),
    Exercise(
        id="402.4",
        name="A size that will not stay",
        kind="repair",
        model=filtered,
        cases=lambda: [
            (torch.arange(30.0).reshape(1, 1, 5, 6), torch.ones(1, 1, 3, 3), 1),
            (torch.arange(42.0).reshape(1, 1, 6, 7), torch.ones(1, 1, 3, 3), 2),
            (
                torch.arange(56.0).reshape(1, 1, 7, 8),
                torch.arange(15.0).reshape(1, 1, 3, 5),
                1,
            ),
            (
                torch.arange(108.0).reshape(2, 1, 9, 6),
                torch.arange(5.0).reshape(1, 1, 5, 1),
                2,
            ),
        ],
        right=[_filtered_same],
        wrong=[
            Wrong(
                _filtered_by_columns,
                "Dilation makes the window longer, and so the padding that it needs.",
                shows="shape",
            ),
            Wrong(
                _filtered_square,
                "The kernel need not be square: rows and columns have a padding each.",
                shows="shape",
            ),
            Wrong(
                _filtered_undilated,
                "Rows and columns are right; now let the padding grow with the dilation.",
                shows="shape",
            ),
            Wrong(
                _filtered_swapped,
                "Rows and columns are swapped: conv2d takes the rows first, F.pad the columns.",
                shows="shape",
            ),
            Wrong(
                _filtered_densely,
                "The size stays, but the dilation is gone.",
                shows="values",
            ),
        ],
        hints=[
            "How many cells does an axis lose to a window of d * (k - 1) + 1?",
            "Half of that on either side, for rows and for columns: padding takes a pair.",
        ],
        equivalent_mutants={
            "rows, columns = kernel.shape[-2:] => rows, columns = kernel.shape[2:]": (
                "A kernel has four dimensions."
            )
        },
        explanation="At stride 1, padding='same' works it out as well.",
    ),
    Exercise(
        id="402.5",
        name="Blind steps",
        kind="measure",
        key=cells_behind_one,
        tolerance=0.001,
        wrong=[
            Wrong(169, "That is the whole square of 13 by 13; ask which of its cells are read."),
            Wrong(
                729,
                "That is the sum of the gradient, in which some cells count often; count cells.",
            ),
            Wrong(27, "The windows of the second layer read different windows of the first."),
            Wrong(441, "These are all cells of the page; call backward on one output cell."),
        ],
        hints=[
            "Apply F.conv2d(…, torch.ones(1, 1, 3, 3), dilation=2) three times to page.",
            "21 becomes 17, 13, 9: call backward on result[0, 0, 4, 4].",
            "Count the cells of page.grad that are not 0.",
        ],
        explanation="7 by 7 of 13 by 13: every second row and column stays unseen.",
    ),
    Exercise(
        id="402.6",
        name="The padding torch will not compute",
        kind="write",
        model=same_padding,
        cases=[
            (8, 3, 2, 1),
            (7, 3, 2, 1),
            (9, 4, 1, 1),
            (224, 7, 2, 1),
            (9, 1, 3, 1),
            (10, 3, 4, 2),
            (5, 2, 3, 3),
            (11, 5, 3, 2),
        ],
        right=[_same_by_search],
        wrong=[
            Wrong(
                _same_ignoring_stride,
                "That keeps the size at stride 1. With a stride, fewer cells are needed.",
                shows="values",
            ),
            Wrong(
                _same_on_both_sides,
                "That suits odd kernels at stride 1. Ask first how many cells are missing.",
                shows="values",
            ),
            Wrong(
                _same_extra_in_front,
                "An odd cell goes to the end.",
                shows="values",
            ),
            Wrong(
                _same_negative,
                "Where the windows need fewer cells than there are, nothing is padded.",
                shows="values",
            ),
            Wrong(
                _same_rounded_down,
                "cells / stride is to be rounded up: -(-cells // stride).",
                shows="values",
            ),
        ],
        hints=[
            "First the number of places: cells / stride, rounded up, is -(-cells // stride).",
            "The last of them ends (out - 1) * stride + window cells after the beginning.",
            "What is missing to that, if anything, is the padding; halve it with //.",
        ],
        equivalent_mutants={
            "extra = max(needed - cells, 0) => extra = max(0, needed - cells)": "max is symmetric."
        },
        explanation="F.pad(x, (left, right, top, bottom)) then lays these cells around a picture.",
    ),
]
