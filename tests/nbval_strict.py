"""A pytest plugin that closes nbval's holes: ``pytest -p tests.nbval_strict --nbval notebooks``.

nbval passes cells that were never run, compares no pictures, forgets the order of the outputs,
waits out the whole time limit for a dead kernel, and lets a comment or a tag switch a cell off.
Here every code cell of every notebook is run again, in order, and compared whole; whatever
cannot be compared fails. At the end the session says what was compared and what was not.

It also turns a skipped test into a failure where the environment variable CI is set.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, IPyNbFile

from tests.strict import cells, outputs
from tests.strict.kernel import KernelDied, OutOfTime, StrictKernel

CELL_SECONDS = 120.0
CHAPTER_SECONDS = 300.0
_NBVALS_DEFAULT = 2000
_RECORD = "book"
_SECONDS = "book/seconds"


class CellFailure(Exception):
    """What is wrong with a cell, ready to be printed."""


def read_notebook(path: Path) -> NotebookNode:
    """A notebook of the one format the book is written in.

    Raises:
        ValueError: it cannot be read, or is of another format; the message says why.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"this is no JSON: {error}") from None
    if not isinstance(raw, dict) or not isinstance(raw.get("cells"), list):
        raise ValueError("this is no notebook: it has no list of cells")
    version = (raw.get("nbformat"), raw.get("nbformat_minor"))
    if version != (4, 5):
        raise ValueError(f"its format is {version[0]}.{version[1]}, not 4.5; run make notebooks")
    ids = Counter(cell.get("id") for cell in raw["cells"] if isinstance(cell, dict))
    if twice := [name for name, count in ids.items() if count > 1]:
        raise ValueError(f"several cells have the id {twice[0]!r}")
    notebook = nbformat.from_dict(raw)
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        raise ValueError(f"this is no valid notebook: {error}".splitlines()[0]) from None
    notebook = nbformat.v4.rwbase.rejoin_lines(notebook)
    if not any(cell.cell_type == "code" for cell in notebook.cells):
        raise ValueError("it has no code cell: nothing would be compared")
    return notebook


class BrokenNotebook(pytest.Item):
    """The one item of a file that is no notebook of the book."""

    def __init__(self, *, reason: str, **rest: Any) -> None:
        super().__init__(**rest)
        self.reason = reason

    def runtest(self) -> None:
        raise CellFailure(f"{self.path.stem}: {self.reason}")

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None
    ) -> str:
        return str(excinfo.value)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.path.name}: notebook"


class StrictNotebook(IPyNbFile):
    """A chapter: its cells share one kernel, and end together when that kernel does."""

    kernel: StrictKernel | None = None
    # Why the rest of the chapter is not run; None as long as all is well.
    stopped: str | None = None
    _end = 0.0

    def collect(self) -> Iterator[pytest.Item]:
        try:
            self.nb = read_notebook(self.path)
        except ValueError as error:
            yield BrokenNotebook.from_parent(self, name="notebook", reason=str(error))
            return
        code = [
            (place, cell) for place, cell in enumerate(self.nb.cells, 1) if cell.cell_type == "code"
        ]
        for count, (place, cell) in enumerate(code, 1):
            item = StrictCell.from_parent(
                self, name=f"cell {count} ({cell.id})", cell_num=count, cell=cell, options={}
            )
            item.place, item.is_last = place, count == len(code)
            yield item

    def setup(self) -> None:
        if not hasattr(self, "nb"):
            return
        try:
            self.kernel = StrictKernel(
                self.path.parent, self.config.option.nbval_kernel_startup_timeout
            )
        except (RuntimeError, OSError) as error:
            self.stopped = f"the kernel did not start: {error}"
        self._end = time.monotonic() + self.config.option.chapter_timeout

    def teardown(self) -> None:
        if self.kernel is not None:
            self.kernel.stop()
            self.kernel = None

    def seconds_left(self) -> float:
        return max(0.0, self._end - time.monotonic())

    def stop(self, reason: str) -> None:
        """Run no more of this chapter: what follows would only repeat the trouble."""
        self.stopped = reason
        self.teardown()


class StrictCell(IPyNbCell):
    """A code cell, run again and compared with what the notebook stores."""

    parent: StrictNotebook
    place: int
    is_last: bool

    def setup(self) -> None:
        """Nothing to mark: nbval would expect the rest of a chapter to fail, and call that fine."""

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.path, None, f"{self.path.name}: {self.name}"

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: str | None = None
    ) -> Any:
        if isinstance(excinfo.value, CellFailure):
            return str(excinfo.value)
        return pytest.Item.repr_failure(self, excinfo)

    def runtest(self) -> None:
        chapter = self.parent
        if chapter.stopped:
            self._record(ignored=f"not run: {chapter.stopped}")
            raise CellFailure(f"{self._where()}\nnot run: {chapter.stopped}")
        problems = cells.stored_problems(self.cell, self.cell_num)
        came, trouble = self._run(chapter)
        if trouble is None:
            for output in outputs.normal(came):
                problems += [f"now: {problem}" for problem in outputs.problems(output)]
            if found := outputs.difference(self.cell.outputs, came):
                problems.append(found)
            if self.is_last and (left := self._left_behind()):
                problems.append(f"processes outlive the chapter: {left}")
            figures = sum(map(outputs.is_figure, came))
            self._record(figures=figures)
        else:
            problems.insert(0, trouble)
            self._record(ignored=trouble.splitlines()[0])
            chapter.stop(
                f"stopped at cell {self.cell_num} ({self.cell.id}): {trouble.splitlines()[0]}"
            )
        if problems:
            raise CellFailure(
                "\n".join([self._where(), *self._first_lines(), *dict.fromkeys(problems)])
            )

    def _run(self, chapter: StrictNotebook) -> tuple[list[dict[str, Any]], str | None]:
        """The outputs that came, and what ended the chapter if anything did."""
        limit, left = self.config.option.nbval_cell_timeout, chapter.seconds_left()
        try:
            came = chapter.kernel.run(self.cell.source, min(limit, left))
        except KernelDied as death:
            return [], f"the kernel died: {death}"
        except OutOfTime:
            what = "cell" if limit <= left else "chapter"
            seconds = limit if limit <= left else self.config.option.chapter_timeout
            return (
                [],
                f"out of time: the {what} took more than {seconds:g} s; its kernel was killed",
            )
        for output in came:
            if output["output_type"] == "error":
                trace = "\n".join(output["traceback"]).splitlines()[-12:]
                return came, "\n".join(
                    [f"an exception: {output['ename']}: {output['evalue']}", *trace]
                )
        return came, None

    def _left_behind(self) -> str:
        """The processes that the chapter started and did not end within two seconds."""
        end = time.monotonic() + 2
        while left := self.parent.kernel.processes():
            commands = [
                " ".join(process.cmdline())[-80:] for process in left if process.is_running()
            ]
            # Python's own helper of multiprocessing lives as long as its parent.
            commands = [
                command for command in commands if command and "resource_tracker" not in command
            ]
            if not commands:
                return ""
            if time.monotonic() > end:
                return "; ".join(commands)
            time.sleep(0.1)
        return ""

    def _where(self) -> str:
        place = f"cell {self.place} of the notebook, id {self.cell.id}"
        return f"{self.path.stem}, code cell {self.cell_num} ({place})"

    def _first_lines(self) -> list[str]:
        lines = self.cell.source.splitlines()
        return [f"    {line}" for line in lines[:3]] + (["    …"] if len(lines) > 3 else [])

    def _record(self, figures: int = 0, ignored: str = "") -> None:
        self.user_properties.append((_RECORD, {"figures": figures, "ignored": ignored}))


# What pytest calls.


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("nbval").addoption(
        "--chapter-timeout",
        type=float,
        default=CHAPTER_SECONDS,
        help=f"seconds that all cells of one notebook may take (default {CHAPTER_SECONDS:g})",
    )


def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if option.nbval_lax or option.nbval_sanitize_with or option.sanitize_with:
        raise pytest.UsageError(
            "tests.nbval_strict compares every cell whole: drop --nbval-lax and sanitizing"
        )
    if option.nbval_cell_timeout == _NBVALS_DEFAULT:
        option.nbval_cell_timeout = CELL_SECONDS
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Summary(config), "book-summary")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> Any:
    found = yield
    if not parent.config.option.nbval or file_path.suffix != ".ipynb":
        return found
    others = [node for node in found if not isinstance(node, IPyNbFile)]
    return [*others, StrictNotebook.from_parent(parent, path=file_path)]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Slowest files first, as measured last time: the last worker then ends soonest."""
    known = _known_seconds(config)
    guessed: Counter[str] = Counter()
    for item in items:
        guessed[_file(item.nodeid)] += 1
    # A file never measured counts as slow, a chapter (the more cells, the slower) as slower.
    cost = {
        name: known.get(name, 1000.0 + count if name.endswith(".ipynb") else 100.0)
        for name, count in guessed.items()
    }
    items.sort(key=lambda item: -cost[_file(item.nodeid)])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    return _no_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    return _no_skip(report)


def _no_skip(report: Any) -> Any:
    in_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    if in_ci and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: no test may be skipped in CI. {reason}"
    return report


class Summary:
    """What was compared, what was not and why, and how long each chapter took."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.compared: Counter[str] = Counter()
        self.figures: Counter[str] = Counter()
        self.ignored: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.seconds: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = _file(report.nodeid)
        self.seconds[name] += report.duration
        if report.when != "call":
            return
        for key, record in report.user_properties:
            if key != _RECORD:
                continue
            if record["ignored"]:
                self.ignored[name][record["ignored"]] += 1
            else:
                self.compared[name] += 1
                self.figures[name] += record["figures"]

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        for item in items:
            if isinstance(item, StrictCell):
                self.ignored[_file(item.nodeid)]["deselected"] += 1

    def pytest_sessionfinish(self) -> None:
        # Without the cache plugin there is nowhere to remember.
        if cache := getattr(self.config, "cache", None):
            rounded = {name: round(seconds, 1) for name, seconds in self.seconds.items()}
            cache.set(_SECONDS, {**_known_seconds(self.config), **rounded})

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        chapters = sorted({*self.compared, *self.ignored}, key=lambda name: -self.seconds[name])
        if not chapters:
            return
        line = terminalreporter.write_line
        terminalreporter.section("the book")
        for name in chapters:
            counts = f"{self.compared[name]} cells, {self.figures[name]} figures"
            line(f"{self.seconds[name]:7.1f} s  {Path(name).stem}: {counts}")
            for reason, count in self.ignored[name].items():
                line(f"           {count} ignored: {reason}")
        ignored = sum(sum(reasons.values()) for reasons in self.ignored.values())
        line(
            f"{self.compared.total()} cells compared, {ignored} ignored, "
            f"{self.figures.total()} figures compared, in {len(chapters)} chapters"
        )


def _file(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]


def _known_seconds(config: pytest.Config) -> dict[str, float]:
    """How long each file took when it was last run here."""
    cache = getattr(config, "cache", None)
    return cache.get(_SECONDS, {}) if cache else {}
