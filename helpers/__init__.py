"""The shared package of the book: it draws, loads, measures and checks; it never teaches.

Every public name is loaded when it is first used, so that ``import helpers`` stays cheap:

>>> from helpers import expect_error
>>> with expect_error(ZeroDivisionError, "division"):
...     1 / 0
ZeroDivisionError: division by zero
"""

from importlib import import_module

_HOME = {
    "canvas": "figures",
    "data_path": "data",
    "exercise": "exercises",
    "expect_error": "errors",
    "expect_warning": "errors",
    "load_digits": "data",
    "load_picture": "data",
    "pick_device": "device",
    "progress": "exercises",
    "shares_storage": "memory",
    "sharing": "memory",
    "show": "figures",
    "table": "tables",
}
_MODULES = {"draw", "figures"}

__all__ = sorted({*_HOME, *_MODULES})


def __getattr__(name: str) -> object:
    if name in _MODULES:
        return import_module(f"helpers.{name}")
    if name in _HOME:
        value = getattr(import_module(f"helpers.{_HOME[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"helpers has no {name!r}; it has: {', '.join(__all__)}")


def __dir__() -> list[str]:
    return __all__
