"""Compare a reader's value with what torch gave: kind about how it is written, strict in it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from numbers import Number

import torch

from .compare import close
from .declare import Exercise
from .values import is_array, is_sequence, is_tensor, kind_of, write_value


def plain(value: object) -> object:
    """A value in its plainest form: sizes, tuples and tensors as lists, dtypes by name.

    >>> plain(torch.Size([2, 3])), plain(torch.tensor(4)), plain(torch.float32)
    ([2, 3], 4, 'float32')
    """
    if is_tensor(value):
        return value.detach().cpu().tolist()
    if is_array(value):
        return value.tolist()
    if is_sequence(value):
        return [plain(part) for part in value]
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, type):
        return value.__name__.casefold()
    if isinstance(value, torch.dtype | torch.device | torch.layout | torch.memory_format | str):
        return str(value).strip().casefold().removeprefix("torch.")
    if isinstance(value, BaseException):
        return type(value).__name__.casefold()
    return value


def same_guess(
    yours: object, key: object, tolerance: float | None = None, *, relative: bool = False
) -> bool:
    """Whether a reader's value says what torch's says.

    A tuple, a list and a torch.Size agree, so do a number and a 0-d tensor, 2.0 and 2, strings in
    any case, a dtype and its name; True and 1 do not. Where the key is a set, order does not count.

    >>> same_guess((2, 3), torch.Size([2, 3])), same_guess(2.0, 2), same_guess(True, 1)
    (True, True, False)

    Args:
        tolerance: of numbers, relative and absolute; None is exact for integers.
        relative: the tolerance is relative to the key only (absolute where the key is 0).
    """
    if isinstance(key, set | frozenset):
        yours, key = _sorted(yours), _sorted(key)
    return _same(plain(yours), plain(key), tolerance, relative)


def _sorted(value: object) -> object:
    """A collection of labels in one order; anything else as it is."""
    if isinstance(value, set | frozenset) or is_sequence(value):
        return sorted(plain(list(value)), key=repr)
    return value


def _same(yours: object, key: object, tolerance: float | None, relative: bool) -> bool:
    if isinstance(key, bool) or isinstance(yours, bool):
        return yours is key
    if isinstance(key, Number) and isinstance(yours, Number):
        if relative:
            scale = abs(key) or 1
            return abs(yours - key) <= tolerance * scale
        if isinstance(key, complex) or isinstance(yours, complex) or not math.isfinite(key):
            return close(torch.as_tensor(yours), torch.as_tensor(key), tolerance)
        if isinstance(key, int) and tolerance is None:
            return yours == key
        # Readers write few digits: "0.333" for a third is right.
        slack = 1e-3 if tolerance is None else tolerance
        return math.isclose(yours, key, rel_tol=slack, abs_tol=1e-6 if key == 0 else 0)
    if isinstance(key, list) and isinstance(yours, list):
        pairs = zip(yours, key, strict=False)
        return len(yours) == len(key) and all(_same(a, b, tolerance, relative) for a, b in pairs)
    if isinstance(key, dict) and isinstance(yours, dict):
        return yours.keys() == key.keys() and all(
            _same(yours[k], key[k], tolerance, relative) for k in key
        )
    if type(yours) is not type(key):
        return False
    return bool(yours == key)


def first_slip(exercise: Exercise, answer: object, key: object) -> tuple[str, str]:
    """The aspect and the words of the first difference; they do not give the key away."""
    relative = exercise.kind == "measure"
    if isinstance(key, set | frozenset):
        answer, key = _sorted(answer), _sorted(key)
    aspect, text = _slip(plain(answer), plain(key), "it", exercise.tolerance, relative, answer)
    return aspect, text[0].upper() + text[1:]


def _slip(yours, key, path, tolerance, relative, written) -> tuple[str, str]:
    start = "" if path == "it" else f"At {path}: "
    if yours is None or key is None:
        return "None", f"{start}{write_value(written)} is not what torch gives."
    mine, other = _family(yours), _family(key)
    if mine != other:
        return "type", f"{start}{kind_of(written)} is given; expected is {other}."
    if isinstance(key, list):
        if len(yours) != len(key):
            return "shape", f"{start}the length is {len(yours)}; expected is {len(key)}."
        for k, (a, b) in enumerate(zip(yours, key, strict=True)):
            if not _same(a, b, tolerance, relative):
                return _slip(a, b, _step(path, k), tolerance, relative, a)
    if isinstance(key, dict):
        for k in key:
            if k not in yours:
                return "shape", f"{start}the key {k!r} is missing."
        for k in yours:
            if k not in key:
                return "shape", f"{start}there is no key {k!r}."
        for k in key:
            if not _same(yours[k], key[k], tolerance, relative):
                return _slip(yours[k], key[k], _step(path, repr(k)), tolerance, relative, yours[k])
    if relative:
        size = "large" if yours > key else "small"
        off = (
            f": more than {tolerance * 100:g}% away from what is measured now" if tolerance else ""
        )
        return "values", f"{start}{write_value(yours)} is too {size}{off}."
    return "values", f"{start}{write_value(yours)} is not what torch gives."


def _step(path: str, key: object) -> str:
    return f"[{key}]" if path == "it" else f"{path}[{key}]"


def _family(value: object) -> str:
    for family, name in (
        (bool, "True or False"),
        (Number, "a number"),
        (str, "a string"),
        (list, "a list or tuple"),
        (dict, "a dict"),
    ):
        if isinstance(value, family):
            return name
    return kind_of(value)


def order_faults(answer: Sequence, key: Sequence, labels: Sequence[str]) -> list[str]:
    """What keeps a list from being an order of the labels at all; else the first wrong place."""
    mine, other = plain(list(answer)), plain(list(key))
    allowed = plain(list(labels)) or other
    for label in mine:
        if label not in allowed:
            there = ", ".join(str(label) for label in sorted({*labels} or {*key}, key=str))
            return [f"{label!r} is none of the labels; there is: {there}."]
    if not labels:
        for label, count in Counter(other).items():
            given = mine.count(label)
            if given != count:
                return [f"{label!r} stands {given} times in your list; it belongs there {count}."]
    return []
