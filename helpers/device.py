"""One rule for the device: CUDA where there is one, else the CPU, or what BOOK_DEVICE asks for."""

from __future__ import annotations

import os

import torch


def pick_device() -> torch.device:
    """The device a chapter computes on.

    The environment variable ``BOOK_DEVICE`` ("cpu", "cuda" or "cuda:1") decides; without it, CUDA
    if torch sees a device, else the CPU.

    Raises:
        ValueError: BOOK_DEVICE is none of these.
        RuntimeError: BOOK_DEVICE asks for a CUDA device that is not there.
    """
    wanted = os.environ.get("BOOK_DEVICE", "").strip()
    if not wanted:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise ValueError(f"BOOK_DEVICE={wanted!r}: use cpu, cuda or cuda:1, or unset it")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RuntimeError(
            f"BOOK_DEVICE={wanted}, but torch sees {torch.cuda.device_count()} CUDA devices: "
            "unset BOOK_DEVICE to use the CPU, or run `make doctor` to see why"
        )
    return device
