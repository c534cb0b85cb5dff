"""Look into a result: the tensors in it, how it is called, how it is written down."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Number

import torch

FEW = 64


def is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def is_sequence(value: object) -> bool:
    return isinstance(value, list | tuple)


def is_array(value: object) -> bool:
    """Whether a value is a numpy array (numpy itself need not be loaded)."""
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def is_picture(value: object) -> bool:
    """Whether a value is an image of Pillow (which need not be loaded)."""
    return any(kind.__module__ == "PIL.Image" for kind in type(value).__mro__)


def tensors_in(
    value: object, path: str = "", *, bare: bool = False
) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor in a tensor, sequence, mapping or module, with the path that leads to it.

    Args:
        bare: the keys of this mapping are names by themselves: ``x``, not ``['x']``.
    """
    if is_tensor(value):
        yield path, value
    elif is_sequence(value):
        for k, part in enumerate(value):
            yield from tensors_in(part, f"{path}[{k}]")
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from tensors_in(part, str(key) if bare else f"{path}[{key!r}]")
    elif isinstance(value, torch.nn.Module):
        for name, part in [*value.named_parameters(), *value.named_buffers()]:
            yield f"{path}.{name}", part


def kind_of(value: object) -> str:
    """What a value is, in a reader's words: "a tensor", "a list", "a bool", "the class Linear"."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if is_picture(value):
        return "a picture"
    if type(value) is torch.Tensor:
        return "a 0-d tensor" if value.dim() == 0 else "a tensor"
    if isinstance(value, str):
        return "a string"
    if type(value).__name__ in ("function", "builtin_function_or_method", "method"):
        return "a function"
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def write_value(value: object) -> str:
    """A value on one line, the same on every machine: no addresses, huge ones summarised."""
    if is_tensor(value):
        return _write_tensor(value)
    if is_picture(value):
        return f"a picture of mode {value.mode} and size {value.size}"
    if isinstance(value, set | frozenset):
        return f"{{{', '.join(sorted(write_value(part) for part in value))}}}"
    if is_array(value):
        return f"array({shorten(repr(value.tolist()), 200)})"
    if isinstance(value, torch.Size):
        return f"torch.Size({list(value)})"
    if is_sequence(value):
        body = ", ".join(write_value(part) for part in value[:FEW])
        body += ", …" if len(value) > FEW else ""
        if isinstance(value, tuple):
            return f"({body},)" if len(value) == 1 else f"({body})"
        return f"[{body}]"
    if isinstance(value, Mapping):
        body = ", ".join(f"{k!r}: {write_value(v)}" for k, v in list(value.items())[:FEW])
        return f"{{{body}}}"
    if isinstance(value, str):
        return repr(shorten(value, 200))
    if value is None or isinstance(value, Number | torch.dtype | torch.device):
        return repr(value)
    if isinstance(value, torch.nn.Module):
        return shorten(" ".join(repr(value).split()), 200)
    return kind_of(value)


def _write_tensor(tensor: torch.Tensor) -> str:
    shape = tuple(tensor.shape)
    dtype = str(tensor.dtype).removeprefix("torch.")
    about = f"shape {shape}, {dtype}"
    if tensor.device.type == "meta" or tensor.layout is not torch.strided:
        return f"a tensor of {about}"
    plain = tensor.detach().cpu()
    if plain.numel() <= FEW:
        return f"{_write_numbers(plain.tolist())} ({about})"
    start = _write_numbers(plain.flatten()[:6].tolist()).rstrip("]")
    if not plain.is_floating_point():
        return f"{start}, …] ({about})"
    nan = int(plain.isnan().sum())
    finite = plain[plain.isfinite()].double()
    span = f"; from {finite.min():.4g} to {finite.max():.4g}" if finite.numel() else ""
    return f"{start}, …] ({about}{span}{f'; {nan} NaN' if nan else ''})"


def _write_numbers(numbers: object) -> str:
    if isinstance(numbers, list):
        return f"[{', '.join(_write_numbers(part) for part in numbers)}]"
    return f"{numbers:.6g}" if isinstance(numbers, float) else str(numbers)


def shorten(text: str, most: int) -> str:
    """The beginning of a text that is too long."""
    return text if len(text) <= most else f"{text[:most]}…"
