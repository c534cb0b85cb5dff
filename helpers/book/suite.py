"""The suite: what ``make test`` runs once everything is set up, and CI with it.

One run of pytest holds everything: the chapters under strict nbval, the tests, and the doctests of
the helpers. Chapters run in parallel, each kernel with one thread of torch; all kernels are forked
from one parent that has imported torch (:mod:`helpers.book.warm`). There is one process more than
there are cores: it uses those that idle while a process waits for its kernel or a chapter sleeps.
Every file goes to one process as a whole, the slowest first. Nothing is written to the tree but
caches that git ignores.

With the environment variable CHANGED, as in ``make test CHANGED=1``, the chapters that are as they
were at their last green run are left out and named; in CI nothing is ever left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from helpers.book import warm
from helpers.book.chapters import ROOT
from helpers.book.kernel import cores, kernel_environment

EVERYTHING = ("notebooks", "tests", "helpers")
# Sources are scripts of the chapters: to look for doctests in them would run them.
NO_TESTS = ("notebooks/source", "helpers/book/jupyter")
# The plugins it uses, and no other that happens to be installed: each process loads them anew.
# The first has no hooks: it keeps nbval from loading what takes longer than all the rest, and so
# must be imported before it.
PLUGINS = ("helpers.book", "nbval.plugin", "xdist.plugin", "pytest_timeout", "tests.nbval_strict")


def main(argv: list[str]) -> int:
    """Run the suite, or the part of it that ``argv`` asks for, and return pytest's status.

    Args:
        argv: options and paths for pytest, as in ``make test ARGS="-k storage"``; with a path,
            relative to the book's folder, only that is run.
    """
    with tempfile.TemporaryDirectory(prefix="book-suite-", ignore_cleanup_errors=True) as home:
        environment = kernel_environment(os.path.join(home, "book"))
        # It is for this suite, and for none that a test of the suite may start.
        environment.pop("CHANGED", None)
        try:
            with warm.kernels(environment) as environment:
                call = command(argv, changed=switched_on("CHANGED"))
                return subprocess.run(call, cwd=ROOT, env=environment).returncode
        except ValueError as error:
            print(f"book: {error}", file=sys.stderr)
            return 2


def switched_on(variable: str) -> bool:
    """Whether an environment variable is set to something that does not mean no."""
    return os.environ.get(variable, "").lower() not in ("", "0", "false", "no")


def command(argv: list[str], root: Path = ROOT, changed: bool = False) -> list[str]:
    """The call of pytest that is the suite.

    Args:
        argv: options and paths for pytest.
        root: the folder that the paths are relative to.
        changed: leave out the chapters that are as they were at their last green run.

    >>> command(["tests/test_data.py", "-x"])[-2:]
    ['tests/test_data.py', '-x']
    """
    asked = any((root / word.partition("::")[0]).exists() for word in argv)
    return [
        *(sys.executable, "-m", "pytest", "--nbval"),
        *("--disable-plugin-autoload", "--override-ini=addopts="),
        *(word for plugin in PLUGINS for word in ("-p", plugin)),
        *("--doctest-modules", *(f"--ignore={path}" for path in NO_TESTS)),
        *("-n", str(cores() + 1), "--dist=loadfile", "--no-loadscope-reorder", "-q"),
        *(("--changed",) if changed else ()),
        *(() if asked else EVERYTHING),
        *argv,
    ]
