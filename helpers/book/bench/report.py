"""The tables of ``make bench``: what was measured, put into rows."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import version

from helpers.book.bench.paired import Line, Ratio, line
from helpers.book.bench.payload import Payload
from helpers.book.bench.tools import TOOLS

# The sides that ratios are made of, by the names that progress and failures call them.
SUITE = "the suite"
ORDINARY_SUITE = "the suite, ordinary kernels"
ALONE = "code alone"
PER_CORE = f"{ALONE} ÷ cores"
OPEN, ORDINARY_OPEN = "open a chapter, warm", "open a chapter, ordinary"
BUILD, BUILT_ALONE = "build one changed chapter", "its code alone"
SEVERAL, ORDINARY_SEVERAL = "build several, warm", "build several, ordinary"
PEAK, ORDINARY_PEAK = "peak memory, warm", "peak memory, ordinary"
TORCH, HELPERS, EVERYTHING = "import torch", "import helpers", "every name of helpers"

# The numbers of chapters whose suite is measured beside that of all of them.
SIZES = (1, 4, 16)
ALL = 0
STARTS = ("JupyterLab answers", "a kernel is ready", "the first cell is done")
NOTHING = "–"


def suite_of(count: int) -> str:
    """The name of the side that is the suite over ``count`` chapters."""
    return f"the suite, {chapters(count)}"


def chapters(count: int) -> str:
    """How many chapters, in words.

    >>> chapters(1), chapters(4), chapters(ALL)
    ('1 chapter', '4 chapters', 'all chapters')
    """
    return "all chapters" if count == ALL else f"{count} chapter{'s' * (count != 1)}"


@dataclass
class Chapter:
    """What was measured of one chapter; None is what was not.

    Attributes:
        name: as its file is called.
        alone: seconds of its code, the median of the runs.
        verified: seconds under strict nbval in a pytest of its own.
        ordinary: seconds and peak bytes in an ordinary kernel.
        warm: the same in a warm one.
    """

    name: str
    alone: float | None = None
    verified: float | None = None
    ordinary: tuple[float, int] | None = None
    warm: tuple[float, int] | None = None


@dataclass
class Results:
    """All that one run measured; empty where it did not.

    Attributes:
        cores: how many processes ran side by side.
        whole: whether the suite and the other tools were asked for.
        are_warm: whether warm kernels were to be had.
        sides: what each side of a ratio gave, in the order of the rounds.
        notes: what a side's row has to say besides.
        growth: by the number of chapters, or ``ALL``: a pair for each round, the code alone of
            those divided by the cores, and the suite over them.
        chapters: what was measured of each.
        set_up: seconds of a set-up that finds nothing to do.
        starts: seconds from the server's start, warm and ordinary, by what was reached.
        figures: the figures of the built notebooks.
        failed: why something could not be measured, by its name.
    """

    cores: int = 1
    whole: bool = True
    are_warm: bool = True
    sides: dict[str, list[float]] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    growth: dict[int, list[tuple[float, float]]] = field(default_factory=dict)
    chapters: list[Chapter] = field(default_factory=list)
    set_up: float | None = None
    starts: dict[str, tuple[float, float]] = field(default_factory=dict)
    figures: list[Payload] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def ratio(self, above: str, below: str) -> Ratio | None:
        """The ratio of two sides, or None where no round has both."""
        pairs = Ratio(self.sides.get(above, ()), self.sides.get(below, ()))
        return pairs if pairs.each else None

    def point(self, size: int) -> tuple[float, float]:
        """The medians of the code alone ÷ cores and of the suite, of so many chapters."""
        alone, suite = zip(*self.growth[size], strict=True)
        return statistics.median(alone), statistics.median(suite)

    def line(self) -> Line | None:
        """The line through the points of growth, or None where there are too few."""
        return line([self.point(size) for size in self.growth])


@dataclass(frozen=True)
class Table:
    """A table of the report.

    Attributes:
        title: what stands above it.
        about: what a reader must know to read it.
        heading: the names of its columns.
        rows: each as long as the heading.
        varies: whether the rows are what the book happens to hold, as its chapters.
    """

    title: str
    about: str
    heading: tuple[str, ...]
    rows: list[tuple[str, ...]]
    varies: bool = False


def machine(cores: int) -> str:
    """The machine in general terms: nothing that tells one from another of its kind.

    >>> machine(2).startswith("2 cores, ")
    True
    """
    system = f"{platform.system()} on {platform.machine()}"
    return f"{cores} cores, {system}, Python {platform.python_version()}, torch {version('torch')}"


def tables(results: Results) -> list[Table]:
    """What was measured as tables; of nothing measured, the same tables with empty places."""
    whole = [_ratios_of_the_suite(results), _growth(results), _line(results)]
    return [
        *(whole if results.whole else []),
        _ratios_of_the_reader(results),
        _starts(results),
        _chapters(results),
        _figures(results),
        _explorables(results),
    ]


def text(tables: Sequence[Table]) -> str:
    """The tables for a terminal."""
    parts = []
    for table in tables:
        rows = [table.heading, *table.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [row[0].ljust(widths[0])]
            cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
            lines.append("  ".join(cells).rstrip())
        parts.append("\n".join([table.title.upper(), table.about, "", *lines]))
    return "\n\n".join(parts)


def markdown(tables: Sequence[Table], on: str) -> str:
    """The tables as the page that is kept in the repository."""
    parts = [
        "# What the book costs",
        f"Measured by `make bench ARGS=--save` on {on}. Seconds are this machine's; the ratios are "
        "what to compare: each is taken from pairs measured in turn in one run, and stands as the "
        "median, the lowest and the highest of the pairs.",
    ]
    for table in tables:
        rule = ["---", *["---:"] * (len(table.heading) - 1)]
        rows = [f"| {' | '.join(row)} |" for row in (table.heading, rule, *table.rows)]
        parts += [f"## {table.title}", table.about, "\n".join(rows)]
    return "\n\n".join(parts) + "\n"


_RATIO = ("ratio", "median", "lowest", "highest", "pairs", "above", "below", "note")


def _row(results: Results, label: str, above: str, below: str, unit: str = "s") -> tuple[str, ...]:
    pairs = results.ratio(above, below)
    note = results.notes.get(above, "")
    if pairs is None:
        return (label, *[NOTHING] * 6, note)
    each, show = pairs.each, _giga if unit == "GB" else _seconds
    sides = [show(statistics.median(side[: len(each)])) for side in (pairs.above, pairs.below)]
    numbers = [_number(value) for value in (pairs.median, min(each), max(each))]
    return (label, *numbers, str(len(each)), *sides, note)


def _ratios_of_the_suite(results: Results) -> Table:
    return Table(
        "The suite",
        "The suite is the strict nbval run of all chapters, as part of make test. Code alone is "
        "their code in one process that has imported what they import. The other tools run the "
        "same chapters, as many side by side as there are cores, each kernel with one thread; "
        "none of them compares what strict nbval compares.",
        _RATIO,
        [
            _row(results, f"suite ÷ ({PER_CORE})", SUITE, PER_CORE),
            _row(results, f"suite, ordinary kernels ÷ ({PER_CORE})", ORDINARY_SUITE, PER_CORE),
            _row(results, "suite, warm ÷ ordinary kernels", SUITE, ORDINARY_SUITE),
            *(_row(results, f"{tool.name} ÷ suite", tool.name, SUITE) for tool in TOOLS),
        ],
    )


def _growth(results: Results) -> Table:
    rows = []
    through = results.line()
    for size in (*SIZES, ALL):
        if size in results.growth:
            alone, suite = results.point(size)
            fitted = through and through.intercept + through.slope * alone
            rows.append((chapters(size), _seconds(alone), _seconds(suite), _seconds(fitted)))
        else:
            rows.append((chapters(size), *[NOTHING] * 3))
    return Table(
        "How the suite grows",
        "Each set holds the one before. The chapters come in an order in which the code alone "
        "grows evenly: the next is the one that brings the sum nearest to its share of the whole.",
        ("chapters", PER_CORE, "suite", "on the line"),
        rows,
    )


def _line(results: Results) -> Table:
    there = results.line()
    return Table(
        "The line through these points",
        f"suite = intercept + slope × ({PER_CORE}), by least squares.",
        ("", "value"),
        [
            ("intercept", _seconds(there.intercept) if there else NOTHING),
            ("slope", f"{there.slope:.2f}" if there else NOTHING),
            ("farthest point from it", f"{there.off:.0%}" if there else NOTHING),
        ],
    )


def _ratios_of_the_reader(results: Results) -> Table:
    return Table(
        "Readers and authors",
        "Opening a chapter lasts from the session's request until the first output has arrived, "
        "JupyterLab being up. One chapter is built in an ordinary kernel in any case; several are "
        "the first four, the parent of warm kernels included. Memory is the most that a chapter's "
        "kernel and its processes hold, a pair for each chapter; pages held in common are shared "
        "out among the holders."
        + ("" if results.are_warm else " There were no warm kernels: both sides are ordinary."),
        _RATIO,
        [
            _row(results, "open a chapter, warm ÷ ordinary", OPEN, ORDINARY_OPEN),
            _row(results, "build one changed chapter ÷ its code alone", BUILD, BUILT_ALONE),
            _row(results, "build several, warm ÷ ordinary", SEVERAL, ORDINARY_SEVERAL),
            _row(results, "import helpers beyond torch ÷ import torch", HELPERS, TORCH),
            _row(results, "every name of helpers ÷ import torch", EVERYTHING, TORCH),
            _row(
                results,
                "peak memory of a kernel, warm ÷ ordinary",
                PEAK,
                ORDINARY_PEAK,
                "GB",
            ),
        ],
    )


def _starts(results: Results) -> Table:
    there = [("the set-up finds nothing to do", results.set_up, results.set_up)]
    for what in STARTS:
        pair = results.starts.get(what, (None, None))
        there.append((what, *(_plus(results.set_up, seconds) for seconds in pair)))
    return Table(
        "From make lab, nothing to set up",
        "Seconds from the command, for a book whose workbook is still to be made.",
        ("", "warm", "ordinary"),
        [(what, _seconds(warm), _seconds(ordinary)) for what, warm, ordinary in there],
    )


def _plus(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else first + second


def _chapters(results: Results) -> Table:
    rows = []
    for one in results.chapters:
        over = None if None in (one.alone, one.verified) else one.verified - one.alone
        cells = [one.alone, one.verified, over]
        for run in (one.ordinary, one.warm):
            cells.append(run and run[0])
        peaks = [_giga(run and run[1]) for run in (one.ordinary, one.warm)]
        rows.append((one.name, *map(_seconds, cells), *peaks))
    return Table(
        "Chapters",
        "Verified: one chapter under strict nbval in a pytest of its own, with an ordinary kernel; "
        "overhead is what that takes beyond the code alone. In a kernel: run in JupyterLab from a "
        "new kernel to the last cell.",
        (
            "chapter",
            ALONE,
            "verified",
            "overhead",
            "in a kernel",
            "in a warm one",
            "peak memory",
            "warm",
        ),
        rows,
        varies=True,
    )


def _figures(results: Results) -> Table:
    rows = []
    for name, explorable in (("explorables", True), ("other figures", False)):
        sizes = [one.size for one in results.figures if one.explorable is explorable]
        if sizes:
            numbers = (max(sizes), statistics.median(sizes), sum(sizes))
            rows.append((name, str(len(sizes)), *(f"{size / 1000:.1f} KB" for size in numbers)))
        else:
            rows.append((name, "none yet", *[NOTHING] * 3))
    return Table(
        "Figures in the built notebooks",
        "Bytes of the HTML of each; an explorable is a figure with a script inside.",
        ("", "how many", "largest", "median", "together"),
        rows,
    )


def _explorables(results: Results) -> Table:
    rows = [(one.place, f"{one.size} bytes") for one in results.figures if one.explorable]
    return Table(
        "Explorables",
        "What each weighs in its notebook.",
        ("chapter and cell", "payload"),
        rows or [("none yet", NOTHING)],
        varies=True,
    )


def _number(value: float) -> str:
    """A number to two places, or to two digits where those would say nothing.

    >>> _number(1.2345), _number(0.012345)
    ('1.23', '0.012')
    """
    return f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.2g}"


def _seconds(value: float | None) -> str:
    return NOTHING if value is None else f"{_number(value)} s"


def _giga(value: float | None) -> str:
    return NOTHING if value is None else f"{value / 1e9:.2f} GB"
