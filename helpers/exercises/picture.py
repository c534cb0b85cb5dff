"""Show the smallest failing case: as grids of numbers where they can be drawn, else in words."""

from __future__ import annotations

import torch

from .check import Case
from .values import is_tensor, tensors_in, write_value

# What can still be read side by side.
MOST_ELEMENTS = 64
MOST_TENSORS = 8


def draw_case(case: Case) -> None:
    """Draw the input, your result and the expected one; what cannot be drawn is written.

    Args:
        case: the smallest case on which an answer differs.
    """
    shown = {f"input {name}": value for name, value in case.inputs.items()}
    what = f" {case.what}" if case.what else ""
    mine, other = f"your{what}" if what else "yours", f"expected{what}"
    shown |= {mine: case.yours, other: case.expected}
    shown = {title: value for title, value in shown.items() if value is not ...}
    drawn = {title: value for title, value in shown.items() if can_be_drawn(value)}
    if len(drawn) > MOST_TENSORS:
        drawn = {title: value for title, value in drawn.items() if title in (mine, other)}
    for title, value in shown.items():
        if title not in drawn:
            print(f"{title}: {write_value(value)}")
    for name, tensor in tensors_in(case.inputs, bare=True):
        if tensor.layout is torch.strided and not tensor.is_contiguous():
            print(f"input {name} is not contiguous: its strides are {tensor.stride()}")
    if drawn:
        from helpers import draw

        draw.grid(
            *(value.detach().cpu() for value in drawn.values()),
            caption="The smallest case that fails.",
            titles=list(drawn),
            highlight=_highlights(drawn, mine, other),
        )


def can_be_drawn(value: object) -> bool:
    """Whether a value is a small dense tensor of at most three dimensions."""
    return (
        is_tensor(value)
        and value.dim() <= 3
        and 0 < value.numel() <= MOST_ELEMENTS
        and value.layout is torch.strided
        and value.device.type != "meta"
        and not value.is_quantized
    )


def _highlights(
    drawn: dict[str, torch.Tensor], mine: str, other: str
) -> list[torch.Tensor | None] | None:
    """Frames around the elements in which the two tensors called mine and other differ."""
    if not {mine, other} <= drawn.keys() or drawn[mine].shape != drawn[other].shape:
        return None
    yours, expected = (drawn[title].detach().cpu() for title in (mine, other))
    common = torch.promote_types(yours.dtype, expected.dtype)
    differs = ~torch.isclose(yours.to(common), expected.to(common), equal_nan=True)
    if not differs.any():
        return None
    return [differs if title in (mine, other) else None for title in drawn]
