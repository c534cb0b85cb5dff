"""Show the smallest failing case: as grids of numbers where they can be drawn, else in words."""

from __future__ import annotations

import torch

from .check import Case
from .values import is_tensor, write_value

MOST = 64


def draw_case(case: Case) -> None:
    """Draw the input, your result and the expected one; what cannot be drawn is written.

    Args:
        case: the smallest case on which an answer differs.
    """
    shown = {f"input {name}": value for name, value in case.inputs.items()}
    shown |= {"yours": case.yours, "expected": case.expected}
    shown = {title: value for title, value in shown.items() if value is not ...}
    drawn = {title: value for title, value in shown.items() if can_be_drawn(value)}
    for title, value in shown.items():
        if title not in drawn:
            print(f"{title}: {write_value(value)}")
    if drawn:
        from helpers import draw

        draw.grid(
            *(value.detach().cpu() for value in drawn.values()),
            caption="The smallest case that fails.",
            titles=list(drawn),
            highlight=_highlights(case, drawn),
        )


def can_be_drawn(value: object) -> bool:
    """Whether a value is a small dense tensor of at most three dimensions."""
    return (
        is_tensor(value)
        and value.dim() <= 3
        and 0 < value.numel() <= MOST
        and value.layout is torch.strided
        and value.device.type != "meta"
        and not value.is_quantized
    )


def _highlights(case: Case, drawn: dict[str, torch.Tensor]) -> list[torch.Tensor | None] | None:
    """Frames around the elements in which yours and expected differ, in both."""
    if not {"yours", "expected"} <= drawn.keys() or case.yours.shape != case.expected.shape:
        return None
    mine, other = drawn["yours"].detach().cpu(), drawn["expected"].detach().cpu()
    differs = ~torch.isclose(mine.to(torch.float64), other.to(torch.float64), equal_nan=True)
    if mine.is_complex() or other.is_complex() or not differs.any():
        return None
    return [differs if title in ("yours", "expected") else None for title in drawn]
