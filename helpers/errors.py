"""Wrong code, run instead of quoted: the error or warning is caught, printed and required."""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# What a message may carry that differs between machines, runs, builds, or versions of torch and
# Python: since 3.13 that one proposes another name for a misspelt argument.
_STEADY = (
    (re.compile(r"\b0x[0-9a-f]{6,}\b"), "0x…"),
    (re.compile(r"\b(pid(?:\(s\))?:? )\d+(?:, \d+)*"), r"\1…"),
    (re.compile(r"\s*\(Triggered internally at .*?\)"), ""),
    (re.compile(r"\btorch\.cuda\.(?=\w+Tensor\b)"), "torch."),
    (re.compile(r"\b(\w+Function)Backward\b"), r"\1"),
    (re.compile(r"\b([Oo]utput \d+ of \w+?)Backward\d+\b"), r"\1"),
    (re.compile(r"^mm: (?=mat1 and mat2)"), ""),
    (
        re.compile(r"^The differentiated Tensor at index \d+ appears"),
        "One of the differentiated Tensors appears",
    ),
    (re.compile(r"(unexpected keyword argument '\w+')\. Did you mean '\w+'\?$"), r"\1"),
)
_WIDTH = 92


@contextmanager
def expect_error(kind: type[BaseException], part: str, lines: int = 3) -> Iterator[None]:
    """Run a block that must raise, and print its message.

    Args:
        kind: the exception class that must come; a subclass will do.
        part: words that the message must contain, upper and lower case as they are.
        lines: how many lines of a long message to print, counted from its first, after wrapping.

    Raises:
        AssertionError: nothing is raised, or the message does not contain ``part``.
        BaseException: another kind of exception passes through as it is.

    >>> with expect_error(KeyError, "weight"):
    ...     {}["weight"]
    KeyError: 'weight'
    """
    __tracebackhide__ = True
    try:
        yield
    except kind as error:
        message = steady(str(error))
        if part not in message:
            raise AssertionError(
                f"{type(error).__name__} came, but its message does not contain {part!r}: {message}"
            ) from error
        print(_shown(type(error).__name__, message, lines))
    else:
        raise AssertionError(f"no {kind.__name__} was raised: this code no longer fails")


@contextmanager
def expect_warning(kind: type[Warning], part: str) -> Iterator[None]:
    """Run a block that must warn, and print the warning instead of letting it reach stderr.

    Args:
        kind: the warning class that must come; a subclass will do.
        part: words that one warning's message must contain.

    Raises:
        AssertionError: no such warning comes. Other warnings are issued again as they were.

    >>> with expect_warning(UserWarning, "old"):
    ...     warnings.warn("an old way", UserWarning)
    UserWarning: an old way
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    ours = [w for w in caught if issubclass(w.category, kind) and part in str(w.message)]
    for other in caught:
        if other not in ours:
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
    if not ours:
        raise AssertionError(
            f"no {kind.__name__} with {part!r} in it came: this code no longer warns"
        )
    first = ours[0]
    print(_shown(first.category.__name__, steady(str(first.message)), 3))


def steady(message: str) -> str:
    """A message without what differs between machines, runs, builds, or versions.

    >>> steady("an object at 0x7f00deadbeef (Triggered internally at /build/x.h:1.)")
    'an object at 0x…'
    """
    for pattern, steady in _STEADY:
        message = pattern.sub(steady, message)
    return message.strip()


def _shown(kind: str, message: str, lines: int) -> str:
    wrapped = [
        piece
        for line in f"{kind}: {message}".splitlines()
        for piece in textwrap.wrap(line, _WIDTH, break_long_words=False)
    ]
    return "\n".join(wrapped[:lines]) + (" …" if len(wrapped) > lines else "")
