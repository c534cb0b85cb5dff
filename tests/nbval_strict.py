"""A pytest plugin that closes nbval's holes: ``pytest -p tests.nbval_strict --nbval notebooks``.

nbval passes cells that were never run, compares no pictures, forgets the order of the outputs,
waits out the whole time limit for a dead kernel, and lets a comment or a tag switch a cell off.
Here every code cell of every notebook is run again, in order, and compared whole; whatever
cannot be compared fails. At the end the session says what was compared and what was not.

``--changed`` leaves out the chapters that are as they were at their last green run, by content.
In CI it is ignored.

It also turns a skipped test into a failure where the environment variable CI is set.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, IPyNbFile

from helpers.book.suite import switched_on
from tests.strict import cells, changed, outputs
from tests.strict.kernel import KernelDied, OutOfTime, StrictKernel

CELL_SECONDS = 120.0
CHAPTER_SECONDS = 300.0
_NBVALS_DEFAULT = 2000
_RECORD = "book"
_SECONDS = "book/seconds"
_LEFT_OUT = pytest.StashKey[set[Path]]()
_SLOWEST = 5
_STARTS = re.compile("subprocess|Popen|kernel", re.IGNORECASE)


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
    # Why its kernel is an ordinary one where warm kernels are to be had.
    why: str | None = None
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
            item.place, item.of = place, len(code)
            yield item

    def setup(self) -> None:
        if not hasattr(self, "nb"):
            return
        try:
            self.kernel = StrictKernel(
                self.path.parent, self.config.option.nbval_kernel_startup_timeout
            )
            self.why = self.kernel.why
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
    of: int

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
            # What is as it was stored has been looked at already.
            known = outputs.normal(self.cell.outputs)
            for output in outputs.normal(came):
                if output not in known:
                    problems += [f"now: {problem}" for problem in outputs.problems(output)]
            if found := outputs.difference(self.cell.outputs, came):
                problems.append(found)
            if self.cell_num == self.of and (left := self._left_behind()):
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
        record = {"of": self.of, "figures": figures, "ignored": ignored, "why": self.parent.why}
        self.user_properties.append((_RECORD, record))


# What pytest calls.


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("nbval")
    group.addoption(
        "--changed",
        action="store_true",
        help="leave out the chapters that are as they were at their last green run (not in CI)",
    )
    group.addoption(
        "--chapter-timeout",
        type=float,
        default=CHAPTER_SECONDS,
        help=f"seconds that all cells of one notebook may take (default {CHAPTER_SECONDS:g})",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    option = config.option
    if option.nbval_lax or option.nbval_sanitize_with or option.sanitize_with:
        raise pytest.UsageError(
            "tests.nbval_strict compares every cell whole: drop --nbval-lax and sanitizing"
        )
    if option.nbval_cell_timeout == _NBVALS_DEFAULT:
        option.nbval_cell_timeout = CELL_SECONDS
    if hasattr(config, "workerinput"):
        config.stash[_LEFT_OUT] = {Path(path) for path in config.workerinput["book_left_out"]}
        return
    summary = Summary(config)
    config.stash[_LEFT_OUT] = {*summary.left_out}
    if summary.at_most_one_chapter():
        # Processes to share the work would take longer to start than it takes.
        config.option.dist, config.option.tx = "no", []
    config.pluginmanager.register(summary, "book-summary")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process that runs tests for this one what is left out."""
    node.workerinput["book_left_out"] = [str(path) for path in node.config.stash[_LEFT_OUT]]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return True if collection_path in config.stash[_LEFT_OUT] else None


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
    paths = {_file(item.nodeid): item.path for item in items}
    counts = Counter(_file(item.nodeid) for item in items)
    # A file never measured counts as slow.
    cost = {
        name: known[name] if name in known else 1000.0 + _guessed_seconds(paths[name], count)
        for name, count in counts.items()
    }
    items.sort(key=lambda item: -cost[_file(item.nodeid)])


def _guessed_seconds(path: Path, items: int) -> float:
    """About how long a file takes that was never measured here.

    Chapters differ little. What makes a file of tests slow are the processes that it starts.
    """
    if path.suffix == ".ipynb":
        return 2 + 0.04 * items
    return 2 * len(_STARTS.findall(path.read_text(encoding="utf-8"))) + 0.1 * items


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    return _no_skip(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Any:
    report = yield
    return _no_skip(report)


def _no_skip(report: Any) -> Any:
    if switched_on("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: no test may be skipped in CI. {reason}"
    return report


class Summary:
    """What was compared, what was not and why, and how long the slowest chapters took."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.compared: Counter[str] = Counter()
        self.figures: Counter[str] = Counter()
        self.ignored: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.ordinary: defaultdict[str, set[str]] = defaultdict(set)
        self.seconds: Counter[str] = Counter()
        self.left_out: list[Path] = []
        self.trouble = ""
        below, named = _asked_for(config)
        self.chapters_asked = [*below, *named]
        try:
            self.verified = changed.Verified(config.rootpath, self.chapters_asked)
        except OSError as error:
            self.verified = changed.Verified(config.rootpath, [])
            self.trouble = f"what changed is not known: {error}"
        if config.option.changed and not switched_on("CI"):
            self.left_out = [path for path in self.verified.unchanged() if path not in named]

    def at_most_one_chapter(self) -> bool:
        """Whether nothing is left to run, or one chapter and nothing else."""
        notebooks = (self.config.rootpath / "notebooks").resolve()
        others = [one for one in _asked_paths(self.config) if notebooks not in (one, *one.parents)]
        return (
            bool(self.left_out)
            and not others
            and (len(self.chapters_asked) - len(self.left_out) <= 1)
        )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = _file(report.nodeid)
        self.seconds[name] += report.duration
        if report.failed:
            self.verified.failed(name)
        if report.when != "call":
            return
        for key, record in report.user_properties:
            if key != _RECORD:
                continue
            if record["why"]:
                self.ordinary[record["why"]].add(name)
            if record["ignored"]:
                self.ignored[name][record["ignored"]] += 1
            else:
                self.compared[name] += 1
                self.figures[name] += record["figures"]
                if report.passed:
                    self.verified.passed(name, report.nodeid, record["of"])

    def pytest_deselected(self, items: list[pytest.Item]) -> None:
        for item in items:
            if isinstance(item, StrictCell):
                self.ignored[_file(item.nodeid)]["deselected"] += 1

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        # Without the cache plugin there is nowhere to remember.
        if cache := getattr(self.config, "cache", None):
            rounded = {name: round(seconds, 1) for name, seconds in self.seconds.items()}
            cache.set(_SECONDS, {**_known_seconds(self.config), **rounded})
        try:
            self.verified.keep()
        except OSError as error:
            self.trouble = f"what passed cannot be noted for --changed: {error}"
        option = self.config.option
        selected = option.keyword or option.markexpr or option.deselect
        if session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not selected:
            # That all is left out is no failure.
            session.exitstatus = pytest.ExitCode.OK if self.left_out else session.exitstatus

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        lines = [*self.chapters(), *self._left_out()]
        if lines:
            terminalreporter.section("the book")
        for line in lines:
            terminalreporter.write_line(line)

    def chapters(self) -> Iterator[str]:
        """The slowest chapters and those with something ignored, and what all are together."""
        chapters = sorted({*self.compared, *self.ignored}, key=lambda name: -self.seconds[name])
        if not chapters:
            return
        brief = self.config.option.verbose < 0 and len(chapters) > _SLOWEST + 1
        shown = [
            name
            for place, name in enumerate(chapters)
            if not brief or place < _SLOWEST or self.ignored[name]
        ]
        if brief:
            yield f"the {_SLOWEST} slowest chapters, and any with something ignored:"
        for name in shown:
            yield self._line([name], Path(name).stem)
            for reason, count in self.ignored[name].items():
                yield f"           {count} ignored: {reason}"
        if others := [name for name in chapters if name not in shown]:
            yield self._line(others, f"the other {len(others)} together (-v lists them)")
        ignored = sum(sum(reasons.values()) for reasons in self.ignored.values())
        yield (
            f"{self.compared.total()} cells compared, {ignored} ignored, "
            f"{self.figures.total()} figures compared, in {len(chapters)} chapters"
        )
        for why, names in self.ordinary.items():
            numbers = ", ".join(sorted(Path(name).name[:3] for name in names))
            yield f"in an ordinary kernel, not a warm one: {len(names)} ({numbers}), since {why}"
        seconds = sum(self.seconds[name] for name in chapters)
        rest = self.seconds.total() - seconds
        yield f"{seconds:.1f} s for the chapters, {rest:.1f} s for the other tests"

    def _line(self, names: list[str], title: str) -> str:
        seconds, compared, figures = (
            sum(counts[name] for name in names)
            for counts in (self.seconds, self.compared, self.figures)
        )
        return f"{seconds:7.1f} s  {title}: {compared} cells, {figures} figures"

    def _left_out(self) -> Iterator[str]:
        if self.config.option.changed and switched_on("CI"):
            yield "CHANGED is ignored in CI: no chapter was left out"
        if self.left_out:
            numbers = ", ".join(path.name[:3] for path in self.left_out)
            yield (
                f"left out, unchanged since their last green run: {len(self.left_out)} ({numbers})"
            )
        if self.trouble:
            yield self.trouble


def _asked_for(config: pytest.Config) -> tuple[list[Path], set[Path]]:
    """The chapters below the folders that pytest was asked for, and those asked for by name."""
    if not config.option.nbval:
        return [], set()
    asked = _asked_paths(config)
    chapters = changed.chapters_in(config.rootpath)
    named = {path for path in chapters if path.resolve() in asked}
    below = [
        path
        for path in chapters
        if path not in named and any(one in path.resolve().parents for one in asked)
    ]
    return below, named


def _asked_paths(config: pytest.Config) -> list[Path]:
    folder = config.invocation_params.dir
    return [(folder / word.partition("::")[0]).resolve() for word in config.args]


def _file(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]


def _known_seconds(config: pytest.Config) -> dict[str, float]:
    """How long each file took when it was last run here."""
    cache = getattr(config, "cache", None)
    return cache.get(_SECONDS, {}) if cache else {}
