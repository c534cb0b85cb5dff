"""The command: measure one thing after the other, print the tables, and keep them if asked."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from helpers.book.bench import alone, report, server, tools
from helpers.book.bench.paired import Failed, Measure, Say, interleaved, nested
from helpers.book.bench.payload import payloads
from helpers.book.bench.report import Chapter, Results
from helpers.book.kernel import THREADS, cores
from helpers.book.workbook import NOTEBOOKS, ROOT, Problem

TABLE = ROOT / "data" / "bench.md"
# How often what a few seconds decide is measured, while ``--rounds`` says it of the suite.
OFTEN, SOME = 5, 3
# How many chapters are built together.
TOGETHER = 4
# The chapter that is opened and built: of a usual length, with figures, the model of the others.
TYPICAL = "103"


def main(argv: list[str], *, notebooks: Path = NOTEBOOKS, table: Path = TABLE) -> int:
    """Measure and print; 1 when something could not be measured."""
    parser = argparse.ArgumentParser(
        prog="make bench", description="What the book costs on this machine, from one run."
    )
    parser.add_argument("--chapters", metavar="NNN,NNN", help="only these (else all)")
    parser.add_argument(
        "--quick", action="store_true", help="leave the suite and the other tools out"
    )
    parser.add_argument(
        "--rounds", type=_count, default=2, help="how often the suite is measured (2)"
    )
    parser.add_argument("--save", action="store_true", help=f"keep the tables in {TABLE.name}")
    options = parser.parse_args(argv)
    try:
        if options.save and (options.quick or options.chapters):
            raise Problem("--save keeps the whole picture. Leave --quick and --chapters out")
        paths = _paths(notebooks, options.chapters)
        with tempfile.TemporaryDirectory(prefix="bench ", ignore_cleanup_errors=True) as folder:
            bench = Bench(paths, Path(folder), options.rounds, options.quick, _progress())
            results = bench.run()
    except (Problem, OSError) as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    on = report.machine(results.cores)
    print(f"On {on}.\n\n{report.text(report.tables(results))}")
    for name, why in results.failed.items():
        print(f"book: {name}: {why}", file=sys.stderr)
    if options.save and results.failed:
        print(f"book: {table.name} is not written, since something failed.", file=sys.stderr)
    elif options.save:
        table.write_text(report.markdown(report.tables(results), on), encoding="utf-8")
        print(f"\nkept in {table}")
    return 1 if results.failed else 0


class Bench:
    """One run of the bench.

    Args:
        paths: the chapters, all in one folder.
        folder: an empty folder for everything that is written.
        rounds: how often the suite and the other tools are measured.
        quick: leave those out, and measure everything else once.
        say: told what is being measured.
    """

    def __init__(self, paths: list[Path], folder: Path, rounds: int, quick: bool, say: Say) -> None:
        self.paths, self.folder, self.rounds, self.say = paths, folder, rounds, say
        self.often, self.some = (1, 1) if quick else (OFTEN, SOME)
        self.results = Results(cores=cores(), whole=not quick)
        self.results.chapters = [Chapter(path.stem) for path in paths]
        self.modules: list[str] = []
        self.runs: list[dict[str, float]] = []

    def run(self) -> Results:
        """Measure all that was asked for."""
        self.results.figures = payloads(self.paths)
        sound = self.sound()
        if sound:
            sides = {report.ALONE: lambda: self.code_alone(sound)}
            if self.results.whole:
                sides |= self.suites(sound)
            self.compare(sides, self.rounds)
            self.divide(sound)
        self.verify()
        self.imports()
        self.open()
        self.build()
        return self.results

    def environment(self, warm: bool) -> dict[str, str]:
        """The environment of one measurement."""
        return tools.environment(self.folder, warm)

    def compare(self, sides: Mapping[str, Measure], rounds: int) -> None:
        """Measure ``sides`` in turn and keep what they gave."""
        self.results.sides |= interleaved(sides, rounds, self.results.failed, self.say)

    def sound(self) -> list[Path]:
        """The chapters whose code runs; both sides of a ratio must be of the same ones."""
        self.say("code alone, once to see what is imported")
        try:
            first = alone.plain_apart(self.paths, self.environment(warm=False))
        except RuntimeError as error:
            self.results.failed[report.ALONE] = str(error)
            return []
        self.results.failed |= {Path(name).stem: why for name, why in first.failed.items()}
        self.modules = first.modules
        return [path for path in self.paths if path.name in first.seconds]

    def code_alone(self, paths: list[Path]) -> float:
        """Seconds of the code alone, of all chapters; what each took is kept."""
        self.runs.append(self.each_alone(paths))
        return sum(self.runs[-1].values())

    def each_alone(self, paths: list[Path]) -> dict[str, float]:
        """Seconds of the code alone of each chapter, by its file's name."""
        try:
            run = alone.plain_apart(paths, self.environment(warm=False), self.modules)
        except RuntimeError as error:
            raise Failed(str(error)) from None
        if run.failed:
            raise Failed("; ".join(f"{name[:3]}: {why}" for name, why in run.failed.items()))
        return run.seconds

    def suites(self, paths: list[Path]) -> dict[str, Measure]:
        """The suite in its sizes and states, and the other tools, in the order of a round."""
        sides: dict[str, Measure] = {}
        for size in report.SIZES:
            if size < len(paths):
                name = report.suite_of(size)
                sides[name] = lambda name=name, size=size: self.suite(
                    name, self.set_of(size, paths), True
                )
        sides[report.SUITE] = lambda: self.suite(report.SUITE, paths, True)
        sides[report.ORDINARY_SUITE] = lambda: self.suite(report.ORDINARY_SUITE, paths, False)
        for tool in tools.TOOLS:
            sides[tool.name] = lambda tool=tool: self.tool(tool, paths)
        return sides

    def suite(self, name: str, paths: list[Path], warm: bool) -> float:
        """Seconds of the suite over ``paths``."""
        seconds, failed = tools.suite(paths, self.environment(warm))
        if failed:
            self.results.failed[name] = failed
        return seconds

    def tool(self, tool: tools.Tool, paths: list[Path]) -> float:
        """Seconds of another tool; what failed in it is noted."""
        seconds, failed = tool.run(paths, self.results.cores, self.environment(warm=False))
        if failed:
            self.results.notes[tool.name] = failed
        return seconds

    def set_of(self, size: int, paths: list[Path]) -> list[Path]:
        """So many of the chapters, in the order in which the code alone grows evenly."""
        if not self.runs:
            raise Failed("without the code alone no set of chapters can be chosen")
        order = nested(self.runs[0])[:size]
        return [path for path in paths if path.name in order]

    def divide(self, paths: list[Path]) -> None:
        """Work out what follows from the code alone: a core's share, sets, each chapter's own."""
        count, sides = self.results.cores, self.results.sides
        sides[report.PER_CORE] = [total / count for total in sides[report.ALONE]]
        for one in self.results.chapters:
            own = [run[f"{one.name}.ipynb"] for run in self.runs if f"{one.name}.ipynb" in run]
            one.alone = statistics.median(own) if own else None
        for size in (*report.SIZES, report.ALL):
            name = report.SUITE if size == report.ALL else report.suite_of(size)
            if sides.get(name) and self.runs:
                chosen = self.set_of(size or len(paths), paths)
                shares = [sum(run[path.name] for path in chosen) / count for run in self.runs]
                self.results.growth[size] = [*zip(shares, sides[name], strict=False)]

    def verify(self) -> None:
        """Each chapter alone under strict nbval."""
        for path, one in zip(self.paths, self.results.chapters, strict=True):
            self.say(f"{path.stem}, verified")
            try:
                seconds, failed = tools.verified(path, self.environment(warm=False))
            except Failed as why:
                seconds, failed = 0, str(why)
            if failed:
                self.results.failed[f"{path.stem}, verified"] = failed
            else:
                one.verified = seconds

    def imports(self) -> None:
        """What importing costs, in fresh processes; each gives all its sides at once."""
        names = (report.TORCH, report.HELPERS, report.EVERYTHING)
        runs = []
        for number in range(1, self.often + 1):
            self.say(f"imports, {number} of {self.often}")
            try:
                runs.append(tools.imports(self.environment(warm=False)))
            except Failed as why:
                self.results.failed["imports"] = str(why)
                return
        self.results.sides |= dict(zip(names, map(list, zip(*runs, strict=True)), strict=True))

    def build(self) -> None:
        """One changed chapter, and several, built in a copy of the book."""
        path = self.typical()
        book = tools.copy_of_book(path.parent, self.folder)

        def side(paths: list[Path], warm: bool) -> Measure:
            numbers = [path.name[:3] for path in paths]
            return lambda: tools.build(book, numbers, self.environment(warm))

        several = self.paths[:TOGETHER]
        sides = {
            report.BUILD: side([path], True),
            report.BUILT_ALONE: lambda: self.each_alone([path])[path.name],
            report.SEVERAL: side(several, True),
            report.ORDINARY_SEVERAL: side(several, False),
        }
        self.compare(sides, self.some)

    def open(self) -> None:
        """All that needs a running JupyterLab: starts, opening a chapter, a kernel's memory."""
        self.say("the set-up")
        bootstrap = [sys.executable, "-I", str(ROOT / "helpers/book/bootstrap.py")]
        self.results.set_up = tools.run(bootstrap, self.environment(warm=False)).seconds
        with ExitStack() as stack:
            labs = {}
            # The ordinary one first: a parent of warm kernels still works when the server answers.
            for warm in (False, True):
                name = f"JupyterLab, {_state(warm)}"
                self.say(name)
                try:
                    labs[warm] = stack.enter_context(self.lab(warm))
                except (RuntimeError, OSError) as error:
                    self.results.failed[name] = str(error)
                    return
            for what in report.STARTS:
                self.results.starts[what] = (labs[True][1][what], labs[False][1][what])
            self.first_outputs(labs[True][0], labs[False][0])
            self.memory(labs[True][0], labs[False][0])

    @contextmanager
    def lab(self, warm: bool) -> Iterator[tuple[server.Server, dict[str, float]]]:
        """A running JupyterLab, and how many seconds after its start what was reached."""
        home = self.folder / f"lab {_state(warm)}"
        home.mkdir()
        known = self.environment(warm)
        changed = {name: known.get(name) for name in (*THREADS, *tools.STATE)}
        answers, ready, done = report.STARTS
        begun = time.perf_counter()
        with server.serving(self.paths[0].parent, home / "workbook", home, **changed) as lab:
            reached = {answers: time.perf_counter() - begun}
            with server.Kernel(lab) as kernel:
                reached[ready] = time.perf_counter() - begun
                kernel.run(alone.code_cells(self.typical())[0])
                reached[done] = time.perf_counter() - begun
            yield lab, reached

    def first_outputs(self, warm: server.Server, ordinary: server.Server) -> None:
        """From an opened chapter to its first output."""

        def side(lab: server.Server) -> Measure:
            return _failing(lambda: server.first_output(lab, self.typical()))

        self.compare({report.OPEN: side(warm), report.ORDINARY_OPEN: side(ordinary)}, self.often)
        with server.Kernel(warm) as kernel:
            self.results.are_warm = kernel.forked

    def memory(self, warm: server.Server, ordinary: server.Server) -> None:
        """Each chapter in a kernel of each kind, in turn; a pair of peaks for each chapter."""
        peaks: dict[str, list[float]] = {report.PEAK: [], report.ORDINARY_PEAK: []}
        for path, one in zip(self.paths, self.results.chapters, strict=True):
            for lab, state in ((warm, "warm"), (ordinary, "ordinary")):
                self.say(f"{path.stem}, in a kernel, {state}")
                try:
                    setattr(one, state, server.in_kernel(lab, path))
                except (RuntimeError, OSError) as error:
                    self.results.failed[f"{path.stem}, in a kernel, {state}"] = str(error)
            if one.warm and one.ordinary:
                peaks[report.PEAK].append(one.warm[1])
                peaks[report.ORDINARY_PEAK].append(one.ordinary[1])
        self.results.sides |= peaks

    def typical(self) -> Path:
        """The chapter to open and to build."""
        usual = [path for path in self.paths if path.name.startswith(TYPICAL)]
        return (usual or self.paths)[0]


def _failing(measure: Callable[[], Any]) -> Measure:
    """``measure``, with what a server or a kernel raises as ``Failed``."""

    def measured() -> float:
        try:
            return measure()
        except (RuntimeError, OSError) as error:
            raise Failed(str(error)) from None

    return measured


def _state(warm: bool) -> str:
    return "warm" if warm else "ordinary"


def _progress() -> Say:
    begun = time.monotonic()

    def say(what: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - begun), 60)
        print(f"{minutes:3}:{seconds:02}  {what}", file=sys.stderr, flush=True)

    return say


def _paths(notebooks: Path, wanted: str | None) -> list[Path]:
    built = {path.name[:3]: path for path in sorted(notebooks.glob("[0-9][0-9][0-9]_*.ipynb"))}
    numbers = wanted.split(",") if wanted else list(built)
    missing = [number for number in numbers if number not in built]
    if missing or not built:
        raise Problem(
            f"no built chapter {', '.join(missing)}. There is: {', '.join(built) or 'none'}; "
            "make notebooks builds the others"
        )
    return [built[number] for number in numbers]


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count; give 1 or more")
    return int(text)
