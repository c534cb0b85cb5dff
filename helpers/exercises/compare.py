"""Find the first difference between what an answer did and what the model answer did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Number

import torch

from .declare import ASPECTS
from .run import Run, first_lines
from .values import is_array, is_picture, is_sequence, is_tensor, kind_of, write_value


@dataclass(frozen=True)
class Difference:
    """One difference: which aspect, in which words, and the two values that differ."""

    aspect: str
    text: str
    yours: object = ...
    expected: object = ...


def first_difference(
    yours: Run, expected: Run, aspects: tuple[str, ...], tolerance: float | None = None
) -> Difference | None:
    """The first difference of two runs on one case, or None.

    Args:
        aspects: what to compare; the order of ``ASPECTS`` decides which difference is first.
        tolerance: relative and absolute; None is torch.testing's own for each dtype.
    """
    found = [d for d in _run_differences(yours, expected, tolerance) if d.aspect in aspects]
    return min(found, key=lambda d: ASPECTS.index(d.aspect), default=None)


def _run_differences(yours: Run, expected: Run, tolerance: float | None) -> Iterator[Difference]:
    if expected.raised or yours.raised:
        yield from _raised_differences(yours.raised, expected.raised)
        return
    yield from differences(yours.result, expected.result, "the result", tolerance)
    yield from _aliasing_differences(yours, expected)
    yield from _gradient_differences(yours, expected, tolerance)
    arguments = zip(expected.names, yours.arguments, expected.arguments, strict=True)
    for name, mine, other in arguments:
        for d in _input_differences(mine, other, name, tolerance):
            yield Difference("input changed", f"after the call, {d.text}", mine, other)


def _raised_differences(yours, expected) -> Iterator[Difference]:
    if expected is None:
        message = first_lines(str(yours), 1)
        yield Difference("raised", f"it raised {type(yours).__name__}: {message}")
    elif yours is None:
        wanted = type(expected).__name__
        yield Difference("raised", f"it raised nothing; expected is that it raises {wanted}")
    elif not isinstance(yours, type(expected)):
        text = f"it raised {type(yours).__name__}; expected is {type(expected).__name__}"
        yield Difference("raised", text)


def _aliasing_differences(yours: Run, expected: Run) -> Iterator[Difference]:
    for path, shared in expected.sharing.items():
        mine = yours.sharing.get(path)
        if mine is not None and mine != shared:
            what = path.replace("result", "the result", 1)
            text = f"{what} shares storage with {_names(mine)}; expected is {_names(shared)}"
            yield Difference("aliasing", text)


def _names(names: list[str]) -> str:
    return " and ".join(names) or "nothing"


def _gradient_differences(yours: Run, expected: Run, tolerance) -> Iterator[Difference]:
    if expected.gradient_raised:
        return
    if yours.gradient_raised:
        kind, message = type(yours.gradient_raised).__name__, str(yours.gradient_raised)
        said = f"{kind}: {first_lines(message, 1)}".rstrip(".")
        yield Difference("gradient", f"backward through the result fails with {said}")
        return
    for name, gradient in expected.gradient.items():
        mine = yours.gradient.get(name)
        if gradient is None and mine is not None:
            yield Difference("gradient", f"a gradient reaches {name}; expected is that none does")
        elif gradient is not None and mine is None:
            yield Difference("gradient", f"no gradient reaches {name}; expected is that one does")
        elif gradient is not None:
            for d in differences(mine, gradient, f"the gradient of {name}", tolerance):
                yield Difference("gradient", d.text, mine, gradient)


def _input_differences(yours, expected, name, tolerance) -> Iterator[Difference]:
    yield from differences(yours, expected, name, tolerance)
    for path, mine, other in _tensor_pairs(yours, expected, name):
        if mine.is_leaf and other.is_leaf:
            yield from differences(mine.grad, other.grad, f".grad of {path}", tolerance)


def _tensor_pairs(yours, expected, path):
    if is_tensor(yours) and is_tensor(expected):
        yield path, yours, expected
    elif is_sequence(yours) and is_sequence(expected):
        for k, (a, b) in enumerate(zip(yours, expected, strict=False)):
            yield from _tensor_pairs(a, b, f"{path}[{k}]")
    elif isinstance(yours, Mapping) and isinstance(expected, Mapping):
        for key in [key for key in expected if key in yours]:
            yield from _tensor_pairs(yours[key], expected[key], f"{path}[{key!r}]")
    elif isinstance(yours, torch.nn.Module) and isinstance(expected, torch.nn.Module):
        mine, other = dict(yours.named_parameters()), dict(expected.named_parameters())
        for name in [name for name in other if name in mine]:
            yield f"{path}.{name}", mine[name], other[name]


def differences(
    yours: object, expected: object, path: str, tolerance: float | None
) -> Iterator[Difference]:
    """Every difference of two results: tensors, numbers, strings, None, modules, or these nested.

    Args:
        path: how the result is called in the text of a difference.
    """

    def differs(aspect: str, mine: object, other: object) -> Difference:
        shown = "value" if aspect == "values" else aspect
        text = f"{path}: the {shown} is {mine}; expected is {other}"
        return Difference(aspect, text, yours, expected)

    if expected is None or yours is None:
        if yours is not expected:
            text = f"{path} is {kind_of(yours)}; expected is {kind_of(expected)}"
            yield Difference("None", text, yours, expected)
        return
    if _family(yours) != _family(expected):
        yield differs("type", kind_of(yours), kind_of(expected))
        return
    if is_tensor(expected):
        yield from _tensor_differences(yours, expected, path, tolerance)
    elif is_picture(expected):
        if (yours.mode, yours.size) != (expected.mode, expected.size):
            yield differs("shape", write_value(yours), write_value(expected))
        elif yours.tobytes() != expected.tobytes():
            text = f"{path} is of the right mode and size; its pixels differ"
            yield Difference("values", text, yours, expected)
    elif is_array(expected):
        yield from _array_differences(yours, expected, path, tolerance)
    elif is_sequence(expected):
        if len(yours) != len(expected):
            yield Difference(
                "shape",
                f"{path} has length {len(yours)}; expected is {len(expected)}",
                yours,
                expected,
            )
        for k, (mine, other) in enumerate(zip(yours, expected, strict=False)):
            yield from differences(mine, other, f"{path}[{k}]", tolerance)
    elif isinstance(expected, Mapping):
        for key in [key for key in expected if key not in yours]:
            yield Difference("shape", f"{path} lacks the key {key!r}", yours, expected)
        for key in [key for key in yours if key not in expected]:
            yield Difference("shape", f"{path} has the key {key!r} too much", yours, expected)
        for key in [key for key in expected if key in yours]:
            yield from differences(yours[key], expected[key], f"{path}[{key!r}]", tolerance)
    elif isinstance(expected, torch.nn.Module):
        if [*yours.state_dict()] == [*expected.state_dict()] and repr(yours) != repr(expected):
            yield differs("values", write_value(yours), write_value(expected))
        mine, other = dict(yours.state_dict()), dict(expected.state_dict())
        yield from differences(mine, other, f"the state of {path}", tolerance)
    elif not same_value(yours, expected, tolerance):
        yield differs("values", write_value(yours), write_value(expected))


def _family(value: object) -> object:
    """What two values must have in common to be compared; a list and a tuple have it."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, Number):
        return Number
    if is_sequence(value):
        return list
    if is_picture(value):
        return "picture"
    for family in (str, Mapping, torch.nn.Module):
        if isinstance(value, family):
            return type(value) if family is torch.nn.Module else family
    return type(value)


def same_value(yours: object, expected: object, tolerance: float | None) -> bool:
    """Whether two plain values are equal; numbers within the tolerance, NaN equal to NaN."""
    if isinstance(expected, Number) and not isinstance(expected, bool):
        return close(torch.as_tensor(yours), torch.as_tensor(expected), tolerance)
    if isinstance(expected, BaseException):
        return type(yours) is type(expected)
    try:
        return bool(yours == expected) or callable(expected)
    except Exception:
        return False


def close(yours: torch.Tensor, expected: torch.Tensor, tolerance: float | None) -> bool:
    """Whether two tensors of one shape hold the same values, NaN equal to NaN.

    Args:
        tolerance: relative and absolute; None is exact for integers and torch.testing's own
            tolerance for floating dtypes.
    """
    return not bool(_wrong_elements(yours, expected, tolerance).any())


def _wrong_elements(
    yours: torch.Tensor, expected: torch.Tensor, tolerance: float | None
) -> torch.Tensor:
    both = [yours.detach().cpu(), expected.detach().cpu()]
    if any(tensor.layout is not torch.strided for tensor in both):
        both = [tensor.to_dense() for tensor in both]
    common = torch.promote_types(both[0].dtype, both[1].dtype)
    loosest = min(both, key=lambda tensor: _digits(tensor.dtype)).dtype
    if tolerance is None:
        exact = not (loosest.is_floating_point or loosest.is_complex)
        relative, absolute = (0.0, 0.0) if exact else _tolerances(loosest)
    else:
        relative = absolute = tolerance
    if common.is_floating_point and common.itemsize < 4:
        common = torch.float32
    mine, other = (tensor.to(common) for tensor in both)
    return ~torch.isclose(mine, other, rtol=relative, atol=absolute, equal_nan=True)


def _digits(dtype: torch.dtype) -> float:
    """How fine a dtype is: floating dtypes by their precision, exact ones finest."""
    floating = dtype.is_floating_point or dtype.is_complex
    return -torch.finfo(dtype).eps if floating else 0.0


def _tolerances(dtype: torch.dtype) -> tuple[float, float]:
    """Relative and absolute tolerance of a floating dtype, as torch.testing.assert_close has it.

    Source: the table in the documentation of torch.testing.assert_close.
    """
    eps = torch.finfo(dtype).eps
    if eps > 1e-2:
        return eps, eps
    if eps > 5e-3:
        return 1.6e-2, 1e-5
    if eps > 1e-4:
        return 1e-3, 1e-5
    return (1.3e-6, 1e-5) if eps > 1e-10 else (1e-7, 1e-7)


def _tensor_differences(yours, expected, path, tolerance) -> Iterator[Difference]:
    def differs(aspect: str, mine: object, other: object) -> Difference:
        verb = "are" if aspect == "strides" else "is"
        text = f"{path}: {aspect} {verb} {mine}; expected {verb} {other}"
        return Difference(aspect, text, yours, expected)

    if yours.device != expected.device:
        yield differs("device", yours.device, expected.device)
    if yours.dtype != expected.dtype:
        yield differs("dtype", yours.dtype, expected.dtype)
    if yours.layout != expected.layout:
        text = f"{path}: layout is {yours.layout}; expected is {expected.layout}"
        yield Difference("type", text, yours, expected)
    if yours.shape != expected.shape:
        yield differs("shape", tuple(yours.shape), tuple(expected.shape))
        return
    if yours.layout is torch.strided and expected.layout is torch.strided:
        mine, other = _strides(yours), _strides(expected)
        if mine != other:
            yield differs("strides", yours.stride(), expected.stride())
    if yours.requires_grad != expected.requires_grad:
        text = f"{path} has requires_grad={yours.requires_grad}; expected is"
        yield Difference("gradient", f"{text} {expected.requires_grad}", yours, expected)
    if "meta" in (yours.device.type, expected.device.type):
        return
    wrong = _wrong_elements(yours, expected, tolerance)
    if wrong.any():
        yield _value_difference(yours, expected, wrong, path)


def _strides(tensor: torch.Tensor) -> list[int]:
    """The strides that matter: in a dimension of one element any stride means the same."""
    if tensor.numel() == 0:
        return []
    pairs = zip(tensor.shape, tensor.stride(), strict=True)
    return [stride for size, stride in pairs if size > 1]


def _value_difference(yours, expected, wrong, path) -> Difference:
    yours, expected = (
        t.to_dense() if t.layout is not torch.strided else t for t in (yours, expected)
    )
    where = wrong.nonzero()[0].tolist()
    mine, other = _apart(*(t.detach()[tuple(where)].item() for t in (yours, expected)))
    if not where:
        text = f"{path}: the value is {mine}; expected is {other}"
    else:
        count = f"{int(wrong.sum())} of {wrong.numel()} values differ"
        text = f"{path}: {count}, the first at {where}: it is {mine}; expected is {other}"
    return Difference("values", text, yours, expected)


def _apart(mine: object, other: object) -> tuple[str, str]:
    """Two numbers in as few digits as tell them apart."""
    if not isinstance(mine, float) or not isinstance(other, float):
        return write_value(mine), write_value(other)
    short = f"{mine:.6g}", f"{other:.6g}"
    return short if short[0] != short[1] else (repr(mine), repr(other))


def _array_differences(yours, expected, path, tolerance) -> Iterator[Difference]:
    if yours.dtype != expected.dtype:
        text = f"{path}: dtype is {yours.dtype}; expected is {expected.dtype}"
        yield Difference("dtype", text, yours, expected)
        return
    try:
        mine, other = torch.as_tensor(yours.copy()), torch.as_tensor(expected.copy())
    except TypeError:
        mine, other = yours.tolist(), expected.tolist()
    yield from differences(mine, other, path, tolerance)
