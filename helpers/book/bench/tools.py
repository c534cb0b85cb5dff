"""The book's commands, and the other runners of notebooks, each run once by the clock."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from helpers.book.bench.paired import Failed
from helpers.book.kernel import kernel_environment
from helpers.book.workbook import ROOT

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
# What turns warm kernels off; with both of these taken away the book's commands have them.
WARM = "BOOK_WARM"
STATE = (WARM, "JUPYTER_DEFAULT_PROVISIONER_NAME")
# Would leave chapters out of the suite.
CHANGED = "CHANGED"


def environment(home: Path, warm: bool) -> dict[str, str]:
    """The environment for one measurement, with an empty home of its own.

    Args:
        home: the folder to make that in.
        warm: whether the book's commands may have warm kernels, as they do unless told.
    """
    fresh = tempfile.mkdtemp(dir=home)
    known = kernel_environment(os.path.join(fresh, "book"))
    known = {name: value for name, value in known.items() if name not in (*STATE, CHANGED)}
    # The kernel called python3 is this environment's, whatever else is installed.
    known["JUPYTER_PATH"] = str(Path(sys.prefix, "share", "jupyter"))
    return known if warm else {**known, WARM: "0"}


@dataclass(frozen=True)
class Done:
    """How a command ended: the seconds it took, its status, and what it said."""

    seconds: float
    status: int
    said: str

    @property
    def last(self) -> str:
        """The last line it said."""
        return (self.said.strip().splitlines() or ["it said nothing"])[-1]


def run(command: Sequence[str], environment: Mapping[str, str], cwd: Path = ROOT) -> Done:
    """Run ``command`` by the clock."""
    # A file: what outlives the command would keep a pipe open.
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        begun = time.perf_counter()
        done = subprocess.run(
            command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        seconds = time.perf_counter() - begun
        said.seek(0)
        return Done(seconds, done.returncode, said.read())


def suite(paths: Sequence[Path], environment: Mapping[str, str]) -> tuple[float, str]:
    """``make test`` over these chapters alone: strict nbval, one process more than cores.

    Returns:
        The seconds, and what failed, if anything.

    Raises:
        Failed: it did not come to its end.
    """
    done = run([sys.executable, "-m", "helpers.book", "suite", *map(str, paths)], environment)
    return done.seconds, _says_pytest(done)


def verified(path: Path, environment: Mapping[str, str]) -> tuple[float, str]:
    """One chapter under strict nbval, in a pytest of its own: the same two, as for the suite."""
    done = run([*PYTEST, "-p", "tests.nbval_strict", "--nbval", str(path)], environment)
    return done.seconds, _says_pytest(done)


def copy_of_book(notebooks: Path, folder: Path) -> Path:
    """A copy of the book to build in: nothing that a build writes reaches the tree."""
    book = folder / "book"
    book.mkdir()
    for name in ("helpers", "data"):
        shutil.copytree(ROOT / name, book / name)
    for name in ("README.md", "requirements.lock"):
        shutil.copy2(ROOT / name, book)
    shutil.copytree(notebooks, book / "notebooks")
    return book


def build(book: Path, numbers: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds of ``make notebooks NB=... FORCE=1``, as after an edit, in a copy of the book.

    Raises:
        Failed: it was not built.
    """
    command = [sys.executable, "-m", "helpers.book", "build", *numbers, "--force"]
    done = run(command, {**environment, "PYTHONPATH": str(book)}, cwd=book)
    if done.status:
        ours = [line for line in done.said.splitlines() if line.startswith("book: ")]
        raise Failed((ours or [done.last])[0].removeprefix("book: "))
    return done.seconds


IMPORTS = """
from time import perf_counter as now
start = now()
import torch
torch_is_there = now()
import helpers
helpers_are_there = now()
everything = [getattr(helpers, name) for name in helpers.__all__]
print(torch_is_there - start, helpers_are_there - torch_is_there, now() - torch_is_there)
"""


def imports(environment: Mapping[str, str]) -> tuple[float, float, float]:
    """Seconds of ``import torch``, then of ``import helpers``, then of that and all its names.

    Raises:
        Failed: an import fails.
    """
    done = run([sys.executable, "-c", IMPORTS], environment)
    if done.status:
        raise Failed(done.last)
    torch, helpers, everything = map(float, done.last.split())
    return torch, helpers, everything


def _with_pytest(*options: str) -> Callable[[int, list[str]], list[str]]:
    def command(cores: int, names: list[str]) -> list[str]:
        split = ("-n", str(cores), "--dist", "loadfile")
        return [*PYTEST, "-o", "addopts=", *options, *split, *names]

    return command


def _says_pytest(done: Done) -> str:
    counts = re.findall(r"\b(\d+) (?:failed|errors?)\b", done.last)
    if done.status and not (done.status == 1 and counts):
        raise Failed(f"it ended with status {done.status}: {done.last}")
    chapters = {*re.findall(r"(?m)^(?:FAILED|ERROR) (?:\S*/)?(\d{3})_", done.said)}
    where = f" in {', '.join(sorted(chapters))}" if chapters else ""
    return f"{sum(map(int, counts))} of its tests fail{where}" if counts else ""


def _with_runner(tool: str) -> Callable[[int, list[str]], list[str]]:
    script = str(Path(__file__).with_name("runner.py"))
    return lambda cores, names: [sys.executable, script, tool, str(cores), ".", *names]


def _says_runner(done: Done) -> str:
    if done.status:
        raise Failed(f"it ended with status {done.status}: {done.last}")
    answers = [line for line in done.said.splitlines() if line.startswith("{")]
    stopped = ", ".join(sorted(name[:3] for name in json.loads(answers[-1])))
    return f"stops at an error in {stopped}" if stopped else ""


@dataclass(frozen=True)
class Tool:
    """Another runner of notebooks.

    Attributes:
        name: what the tables call it.
        modules: what must be installed for it.
        command: the call, from the number of processes and the chapters' names; it runs in the
            folder where those lie.
        says: what failed in a run, in a few words, empty where nothing did; raises ``Failed``
            for a run that did not come to its end.
    """

    name: str
    modules: tuple[str, ...]
    command: Callable[[int, list[str]], list[str]]
    says: Callable[[Done], str]

    def run(
        self, paths: Sequence[Path], cores: int, environment: Mapping[str, str]
    ) -> tuple[float, str]:
        """Run the chapters in a copy of their folder: the seconds, and what failed, if anything.

        Raises:
            Failed: it is not installed, or did not come to its end.
        """
        missing = [module for module in self.modules if find_spec(module) is None]
        if missing:
            raise Failed(
                f"{' and '.join(missing)} not installed for this Python. make setup brings what "
                "is pinned; with conda: pip install -e '.[test,bench]'"
            )
        with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as scratch:
            folder = Path(scratch, "notebooks")
            names = [path.name for path in paths]
            shutil.copytree(paths[0].parent, folder, ignore=_all_chapters_but(names))
            done = run(self.command(cores, names), environment, cwd=folder)
        return done.seconds, self.says(done)


TOOLS = (
    Tool("plain nbval, xdist", ("nbval", "xdist"), _with_pytest("--nbval"), _says_pytest),
    Tool("nbmake, xdist", ("nbmake", "xdist"), _with_pytest("--nbmake"), _says_pytest),
    Tool("nbclient", ("nbclient",), _with_runner("nbclient"), _says_runner),
    Tool("papermill", ("papermill",), _with_runner("papermill"), _says_runner),
)


def _all_chapters_but(names: Sequence[str]) -> Callable[[str, list[str]], list[str]]:
    def ignored(_: str, there: list[str]) -> list[str]:
        others = [name for name in there if name.endswith(".ipynb") and name not in names]
        return [*others, "source"]

    return ignored
