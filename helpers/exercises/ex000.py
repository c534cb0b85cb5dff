"""Exercises of chapter 000: the habit itself."""

from __future__ import annotations

import torch

from helpers.device import pick_device
from helpers.exercises import Exercise, Wrong


def names_and_tensors():
    a = torch.tensor([1, 2, 3])
    b = a
    a = a + 1
    b *= 2
    return a.tolist(), b.tolist()


def device_in_use():
    return pick_device().type


EXERCISES = [
    Exercise(
        id="000.1",
        name="Once more, in place",
        kind="predict",
        key=names_and_tensors,
        wrong=[
            Wrong(
                ([4, 6, 8], [4, 6, 8]),
                "a + 1 makes a new tensor, so a and b name two tensors when b is doubled.",
            ),
            Wrong(
                ([2, 3, 4], [4, 6, 8]),
                "b still names the first tensor, which nobody has added 1 to.",
            ),
            Wrong(([2, 3, 4], [1, 2, 3]), "b *= 2 writes into the tensor that b names."),
        ],
        hints=[
            "How many tensors are there after the third line?",
            "a names the new one, with 1 added; b names the old one.",
        ],
        explanation="a + 1 is a new tensor; b *= 2 changes the old one, which only b still names.",
    ),
    Exercise(
        id="000.2",
        name="Your device",
        kind="predict",
        key=device_in_use,
        wrong=[
            Wrong("gpu", "torch calls it cuda: a string such as 'cuda' or 'cpu'."),
            Wrong(
                lambda answer: isinstance(answer, str) and ":" in answer,
                "The number of a card is no part of the type.",
                example="cuda:0",
            ),
            Wrong(
                lambda answer: isinstance(answer, torch.device),
                "That is the device itself; its type is a string.",
                example=torch.device("cpu", 0),
            ),
        ],
        hints=[
            "The setup cell made the name device.",
            "Add a cell with x.device.type and run it.",
        ],
        explanation="CUDA where PyTorch sees a card, else the CPU, or what BOOK_DEVICE asks for.",
    ),
]
