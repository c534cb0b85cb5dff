"""Wrong code, run instead of quoted: the error or warning is caught, printed and required."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# What an error's message may carry that differs from machine to machine.
_ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")


@contextmanager
def expect_error(kind: type[BaseException], part: str, lines: int = 3) -> Iterator[None]:
    """Run a block that must raise, and print the last lines of its message.

    Args:
        kind: the exception class that must come; a subclass will do.
        part: words that the message must contain, upper and lower case as they are.
        lines: how many lines of a long message to print, counted from its first.

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
        message = _ADDRESS.sub("0x…", str(error))
        if part not in message:
            raise AssertionError(
                f"{type(error).__name__} came, but its message does not contain {part!r}: {message}"
            ) from error
        shown = [line for line in message.splitlines() if line.strip()][:lines]
        print(f"{type(error).__name__}: " + "\n".join(shown))
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
    message = _ADDRESS.sub("0x…", str(first.message)).strip().splitlines()[0]
    print(f"{first.category.__name__}: {message}")
