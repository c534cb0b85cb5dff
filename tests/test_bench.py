"""What `make bench` measures: that it measures it, never how long it takes."""

from __future__ import annotations

import base64
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from helpers.book.bench import main as command
from helpers.book.bench import report, tools
from helpers.book.bench.alone import Alone, plain_apart
from helpers.book.bench.paired import Failed, Line, Ratio, interleaved, line, nested
from helpers.book.bench.payload import Payload, payloads
from helpers.book.bench.report import Chapter, Results
from helpers.book.bench.run import TABLE, Bench
from helpers.book.bench.server import Kernel, Peak
from helpers.book.chapters import METADATA, ROOT
from helpers.book.kernel import kernel_environment

pytestmark = pytest.mark.timeout(600)
PICTURE = base64.b64encode(b"a picture").decode()
FIGURE = f'<figure><img src="data:image/png;base64,{PICTURE}"></figure>'
SOURCE = f"""\
# %% [markdown]
# # 103 · Planted
#
# - measure a chapter.

# %%
from IPython.display import HTML

HTML({FIGURE!r})
"""


def chapter(folder: Path, name: str, *cells: str, said: str | None = None) -> Path:
    """A notebook of code cells, the last of which printed ``said``."""
    notebook = nbformat.v4.new_notebook(metadata=METADATA)
    for number, cell in enumerate(cells, 1):
        made = nbformat.v4.new_code_cell(cell, id=f"cell{number}", execution_count=number)
        notebook.cells.append(made)
    if said is not None:
        output = nbformat.v4.new_output("stream", name="stdout", text=said)
        notebook.cells[-1].outputs = [output]
    nbformat.write(notebook, folder / f"{name}.ipynb")
    return folder / f"{name}.ipynb"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return kernel_environment(str(tmp_path / "book"))


# Pairs, medians, lines.


def test_sides_are_measured_in_turn_and_not_one_after_the_other():
    calls, said = [], []
    sides = {name: lambda name=name: float(calls.append(name) or len(calls)) for name in "ABC"}
    came = interleaved(sides, 3, {}, said.append)
    assert calls == list("ABCABCABC")
    assert came == {"A": [1, 4, 7], "B": [2, 5, 8], "C": [3, 6, 9]}
    assert said[:4] == ["A, 1 of 3", "B, 1 of 3", "C, 1 of 3", "A, 2 of 3"]


def test_a_side_that_fails_is_named_and_the_others_go_on():
    given = {"once": iter([4.0]), "never": iter([]), "always": iter([1.0, 2.0, 3.0])}
    calls, failed = [], {}

    def side(name):
        def measure():
            calls.append(name)
            wall = next(given[name], None)
            if wall is None:
                raise Failed(f"{name} more")
            return wall

        return measure

    came = interleaved({name: side(name) for name in given}, 3, failed, lambda _: None)
    assert came == {"once": [4.0], "never": [], "always": [1.0, 2.0, 3.0]}
    assert failed == {"once": "once more", "never": "never more"}
    assert calls == ["once", "never", "always", "once", "always", "always"]


def test_a_ratio_is_the_median_of_the_pairs():
    # Of the medians it would be 10 / 2.
    ratio = Ratio([10.0, 4.0, 30.0], [1.0, 2.0, 10.0])
    assert ratio.each == [10.0, 2.0, 3.0]
    assert ratio.median == 3.0


def test_the_line_through_known_points():
    assert line([(0, 3), (2, 4), (10, 8)]) == Line(3.0, 0.5, 0.0)
    bent = line([(0, 2), (1, 1), (2, 2)])
    assert bent.slope == 0
    assert bent.intercept == pytest.approx(5 / 3)
    assert bent.off == pytest.approx(2 / 3)
    assert line([(1, 1)]) is None
    assert line([(1, 1), (1, 2)]) is None


def test_sets_of_chapters_hold_their_share_of_the_whole():
    costs = dict(zip("abcdefghij", (16, 1, 2, 1, 2, 1, 2, 1, 2, 2), strict=True))
    order = nested(costs)
    assert sorted(order) == sorted(costs)
    sums = [sum(costs[name] for name in order[: n + 1]) for n in range(10)]
    # The large one comes where the others have saved half of it, and not first or last.
    assert order.index("a") == 6
    assert all(abs(total - 3 * (n + 1)) <= 7 for n, total in enumerate(sums))


# The code alone.


def test_plain_runs_share_one_process_but_no_names(tmp_path, environment):
    import_it = "import torch; torch.set_default_dtype(torch.float64); mine = 1"
    first = chapter(tmp_path, "000_first", import_it, "print(mine)", "mine")
    other = chapter(
        tmp_path, "001_other", "import torch; assert torch.get_default_dtype() is torch.float32"
    )
    wrong = chapter(tmp_path, "002_wrong", "mine")
    no_python = chapter(tmp_path, "003_no_python", "1 +")
    run = plain_apart([first, other, wrong, no_python], environment)
    assert set(run.seconds) == {"000_first.ipynb", "001_other.ipynb"}
    assert all(took > 0 for took in run.seconds.values())
    assert run.failed["002_wrong.ipynb"] == "NameError: name 'mine' is not defined"
    assert run.failed["003_no_python.ipynb"].startswith("SyntaxError: invalid syntax")


def test_no_chapter_pays_for_what_it_imports(tmp_path, environment):
    imports = chapter(tmp_path, "000_imports", "import wave")
    asks = chapter(tmp_path, "000_asks", "import sys; assert 'wave' in sys.modules")
    modules = plain_apart([imports], environment).modules
    assert "wave" in modules
    assert plain_apart([asks], environment, [*modules, "no_such_module"]).failed == {}


def test_a_plain_run_may_spawn_processes(tmp_path, environment):
    spawn = (
        "import multiprocessing\n"
        "child = multiprocessing.get_context('spawn').Process(target=abs, args=(-1,))\n"
        "child.start()\nchild.join()\nassert child.exitcode == 0"
    )
    run = plain_apart([chapter(tmp_path, "000_spawn", spawn)], environment)
    assert run.failed == {}
    assert run.seconds["000_spawn.ipynb"] > 0


def test_a_plain_run_that_kills_the_process_is_an_error(tmp_path, environment):
    killer = chapter(tmp_path, "000_killer", "import os; os._exit(3)")
    with pytest.raises(RuntimeError, match="the plain run ended with 3"):
        plain_apart([killer], environment)


# Kernels.


def test_a_process_that_grows_is_seen_with_its_children():
    grow = "x = bytearray(b'1') * 100_000_000; print('up', flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grow!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        with Peak(psutil.Process(process.pid)) as peak:
            assert peak.now() > 100_000_000
        process.communicate("\n")
    assert peak.now() > 100_000_000  # the most it held, though it is gone


def test_a_kernel_whose_command_line_names_it_was_not_forked():
    wait = [sys.executable, "-c", "input(1)", "kernel-1f2e.json"]
    with subprocess.Popen(wait, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.read(1) == b"1"
        for id, forked in (("1f2e", False), ("3d4c", True)):
            kernel = object.__new__(Kernel)
            vars(kernel).update(_id=id, process=psutil.Process(process.pid))
            assert kernel.forked is forked
        process.communicate(b"\n")


# The other tools.


def test_a_tool_that_is_missing_is_one_line_with_the_cure(tmp_path):
    path = chapter(tmp_path, "000_first", "1")
    tool = tools.Tool("new", ("no_such_tool", "json"), lambda *_: [], lambda _: "")
    with pytest.raises(Failed) as caught:
        tool.run([path], 2, {})
    said = str(caught.value)
    assert said.startswith("no_such_tool not installed for this Python. make setup brings")
    assert "[test,bench]" in said
    assert "\n" not in said


def test_a_tool_that_breaks_is_told_from_one_whose_cells_fail():
    said = "FAILED 103_storage.ipynb::Cell 3\nFAILED x/402_conv.ipynb::Cell 1\n2 failed, 9 passed"
    by_name = {tool.name: tool for tool in tools.TOOLS}
    nbval, papermill = by_name["plain nbval, xdist"], by_name["papermill"]
    assert nbval.says(tools.Done(1.0, 1, said)) == "2 of its tests fail in 103, 402"
    assert nbval.says(tools.Done(1.0, 0, "11 passed in 3 s")) == ""
    with pytest.raises(Failed, match="status 4: no such option"):
        nbval.says(tools.Done(1.0, 4, "usage\nno such option"))
    stops = 'a kernel speaks\n{"402_conv.ipynb": "KeyError", "103_storage.ipynb": "x"}\n'
    assert papermill.says(tools.Done(1.0, 0, stops)) == "stops at an error in 103, 402"
    assert papermill.says(tools.Done(1.0, 0, "{}\n")) == ""
    with pytest.raises(Failed, match="status 1: ImportError"):
        papermill.says(tools.Done(1.0, 1, "Traceback\nImportError: x"))


def test_what_a_process_outside_has_set_is_taken_away(tmp_path, monkeypatch):
    monkeypatch.setenv("BOOK_WARM", "/some/parent")
    monkeypatch.setenv("JUPYTER_DEFAULT_PROVISIONER_NAME", "book-warm")
    monkeypatch.setenv("CHANGED", "1")
    warm, ordinary = (tools.environment(tmp_path, state) for state in (True, False))
    assert "BOOK_WARM" not in warm
    assert ordinary["BOOK_WARM"] == "0"
    assert not {"JUPYTER_DEFAULT_PROVISIONER_NAME", "CHANGED"} & {*warm, *ordinary}
    assert warm["BOOK_HOME"] != ordinary["BOOK_HOME"]
    assert warm["OMP_NUM_THREADS"] == "1"


# Figures.


def test_what_figures_weigh(tmp_path):
    path = chapter(tmp_path, "000_first", "1", "2")
    notebook = nbformat.read(path, as_version=4)
    play = "<figure>é<script>play()</script></figure>"
    for cell, page in zip(notebook.cells, (FIGURE, play), strict=True):
        cell.outputs = [
            nbformat.v4.new_output("display_data", {"text/html": page, "text/plain": "x"}),
            nbformat.v4.new_output("display_data", {"text/html": "<table></table>"}),
        ]
    nbformat.write(notebook, path)
    assert payloads([path]) == [
        Payload("000_first, cell cell1", len(FIGURE), False),
        Payload("000_first, cell cell2", len(play) + 1, True),
    ]
    rows = {row[0]: row for table in tabled(figures=payloads([path])) for row in table.rows}
    assert rows["explorables"] == ("explorables", "1", "0.0 KB", "0.0 KB", "0.0 KB")
    assert rows["000_first, cell cell2"] == ("000_first, cell cell2", "42 bytes")


# Tables.


def tabled(**measured) -> list[report.Table]:
    return report.tables(Results(**measured))


def row(label: str, **measured) -> tuple[str, ...]:
    (found,) = [row for table in tabled(**measured) for row in table.rows if row[0] == label]
    return found


def test_every_ratio_is_made_of_its_two_sides():
    sides = {
        report.SUITE: [10.0, 12.0],
        report.ORDINARY_SUITE: [20.0, 48.0],
        report.PER_CORE: [4.0, 4.0],
        "plain nbval, xdist": [30.0, 36.0],
        report.OPEN: [0.5],
        report.ORDINARY_OPEN: [2.0],
        report.BUILD: [4.0],
        report.BUILT_ALONE: [1.0],
        report.SEVERAL: [3.0],
        report.ORDINARY_SEVERAL: [6.0],
        report.TORCH: [2.0],
        report.HELPERS: [0.01],
        report.EVERYTHING: [1.0],
        report.PEAK: [1e8, 2e8],
        report.ORDINARY_PEAK: [4e8, 4e8],
    }
    notes = {"plain nbval, xdist": "3 of its tests fail"}
    measured = {"sides": sides, "notes": notes}
    suite = ("suite ÷ (code alone ÷ cores)", "2.75", "2.50", "3.00", "2", "11.00 s", "4.00 s", "")
    assert row(suite[0], **measured) == suite
    assert row("suite, ordinary kernels ÷ (code alone ÷ cores)", **measured)[1] == "8.50"
    assert row("suite, warm ÷ ordinary kernels", **measured)[1] == "0.38"
    nbval = row("plain nbval, xdist ÷ suite", **measured)
    assert (nbval[1], nbval[-1]) == ("3.00", "3 of its tests fail")
    assert row("papermill ÷ suite", **measured)[1:] == (*["–"] * 6, "")
    assert row("open a chapter, warm ÷ ordinary", **measured)[1] == "0.25"
    assert row("build one changed chapter ÷ its code alone", **measured)[1] == "4.00"
    assert row("build several, warm ÷ ordinary", **measured)[1] == "0.50"
    assert row("import helpers beyond torch ÷ import torch", **measured)[1] == "0.005"
    assert row("every name of helpers ÷ import torch", **measured)[1] == "0.50"
    memory = row("peak memory of a kernel, warm ÷ ordinary", **measured)
    assert memory[1:7] == ("0.38", "0.25", "0.50", "2", "0.15 GB", "0.40 GB")


def test_growth_has_a_row_for_each_set_and_the_line_through_them():
    growth = {1: [(1.0, 6.0), (1.0, 6.2), (1.0, 5.0)], 4: [(4.0, 9.0)], report.ALL: [(9.0, 14.0)]}
    assert row("1 chapter", growth=growth) == ("1 chapter", "1.00 s", "6.00 s", "6.00 s")
    assert row("4 chapters", growth=growth)[1:] == ("4.00 s", "9.00 s", "9.00 s")
    assert row("16 chapters", growth=growth)[1:] == ("–", "–", "–")
    assert row("all chapters", growth=growth)[1:] == ("9.00 s", "14.00 s", "14.00 s")
    assert row("intercept", growth=growth)[1] == "5.00 s"
    assert row("slope", growth=growth)[1] == "1.00"
    assert row("farthest point from it", growth=growth)[1] == "0%"


def test_a_chapters_row():
    one = Chapter("103_storage", 1.0, 4.5, (6.0, 400_000_000), None)
    assert row("103_storage", chapters=[one])[1:] == (
        *("1.00 s", "4.50 s", "3.50 s", "6.00 s", "–", "0.40 GB", "–"),
    )


def test_the_machine_is_named_in_general_terms():
    page = report.markdown(tabled(), report.machine(2))
    found = re.search(r"on (2 cores, \w+ on \w+, Python 3\.[\d.]+, torch [\d.]+)", page)
    assert found, page.splitlines()[2]
    for private in (socket.gethostname(), str(ROOT), str(Path.home()), sys.prefix, os.uname()[2]):
        assert not re.search(rf"(?<!\w){re.escape(private)}(?!\w)", page), private


def shape(page: str) -> dict[str, tuple[str, list[str]]]:
    """The heading of each table in a page of Markdown, and the first cell of each row."""
    found = {}
    for part in page.split("\n## ")[1:]:
        rows = [line for line in part.splitlines() if line.startswith("|")]
        found[part.splitlines()[0]] = (rows[0], [line.split(" | ")[0][2:] for line in rows[2:]])
    return found


def differences(page: str) -> list[str]:
    """How a kept page differs in its rows from what the code would write today."""
    there, found = shape(page), []
    wanted = shape(report.markdown(tabled(), "x"))
    if list(there) != list(wanted):
        found.append(f"tables: {list(there)}, not {list(wanted)}")
    for table in tabled():
        heading, labels = there.get(table.title, ("", []))
        if heading != wanted[table.title][0]:
            found.append(f"{table.title}: the columns are {heading}")
        if table.varies:
            found += [f"{table.title}: no row"] * (not labels)
        elif labels != wanted[table.title][1]:
            found.append(f"{table.title}: the rows are {labels}")
    return found


def test_the_kept_table_has_the_rows_that_would_be_written():
    assert differences(TABLE.read_text(encoding="utf-8")) == [], "run make bench ARGS=--save"


def test_a_row_that_was_renamed_is_noticed():
    page = TABLE.read_text(encoding="utf-8")
    assert differences(page.replace("papermill ÷ suite", "papermill / suite"))
    assert differences(page.replace("| median |", "| mean |"))
    assert differences(page.replace("## Explorables", "## Playthings"))


# The command.


def test_rounds_go_from_side_to_side_and_give_known_ratios(tmp_path, monkeypatch):
    paths = [chapter(tmp_path, f"00{number}_a", "1") for number in range(7)]
    calls: list[str] = []

    def suite(chapters, environment):
        state = "ordinary" if environment.get("BOOK_WARM") == "0" else "warm"
        calls.append(f"suite {len(chapters)} {state}")
        return {"warm": 2.0, "ordinary": 6.0}[state] + len(chapters), ""

    def tool(self, chapters, count, environment):
        assert environment["BOOK_WARM"] == "0"
        calls.append(self.name)
        return 16.0, ""

    def plain(chapters, environment, modules=()):
        calls.append(f"alone {len(chapters)} {len(modules)}")
        seconds = {path.name: 2.0 for path in chapters if path != paths[3]}
        return Alone(seconds, {"003_a.ipynb": "KeyError: 3"} if paths[3] in chapters else {}, "ab")

    monkeypatch.setattr(tools, "suite", suite)
    monkeypatch.setattr(tools.Tool, "run", tool)
    monkeypatch.setattr("helpers.book.bench.alone.plain_apart", plain)
    for rest in ("verify", "imports", "open", "build"):
        monkeypatch.setattr(Bench, rest, lambda self: None)
    bench = Bench(paths, tmp_path, 2, False, lambda _: None)
    monkeypatch.setattr(bench.results, "cores", 2)
    results = bench.run()
    names = [tool.name for tool in tools.TOOLS]
    suites = ["suite 1 warm", "suite 4 warm", "suite 6 warm", "suite 6 ordinary"]
    once = ["alone 6 2", *suites, *names]
    # The chapter that fails is named, and left out on both sides.
    assert results.failed == {"003_a": "KeyError: 3"}
    assert calls == ["alone 7 0", *once, *once]
    assert results.ratio(report.SUITE, report.PER_CORE).each == [8 / 6, 8 / 6]
    assert results.ratio("papermill", report.SUITE).each == [2.0, 2.0]
    assert results.growth == {1: [(1, 3)] * 2, 4: [(4, 6)] * 2, report.ALL: [(6, 8)] * 2}
    assert results.line().intercept == pytest.approx(2)
    assert results.line().slope == pytest.approx(1)
    assert [one.alone for one in results.chapters] == [2.0, 2.0, 2.0, None, 2.0, 2.0, 2.0]


def test_the_table_is_written_only_with_save_and_only_whole(tmp_path, capsys, monkeypatch):
    chapter(tmp_path, "000_first", "1")
    table = tmp_path / "bench.md"
    results = Results(sides={report.SUITE: [10.0], report.PER_CORE: [4.0]})
    monkeypatch.setattr(Bench, "run", lambda self: results)

    assert command([], notebooks=tmp_path, table=table) == 0
    assert not table.exists()
    for less in (["--quick"], ["--chapters", "000"]):
        assert command(["--save", *less], notebooks=tmp_path, table=table) == 1
        assert "--save keeps the whole picture" in capsys.readouterr().err
        assert not table.exists()
    results.failed["papermill"] = "not there"
    assert command(["--save"], notebooks=tmp_path, table=table) == 1
    assert "book: papermill: not there" in capsys.readouterr().err
    assert not table.exists()
    results.failed.clear()
    assert command(["--save"], notebooks=tmp_path, table=table) == 0
    assert "| suite ÷ (code alone ÷ cores) | 2.50 | 2.50 | 2.50 | 1 |" in table.read_text("utf-8")


def test_a_chapter_that_is_not_there_is_one_line(tmp_path, capsys):
    chapter(tmp_path, "000_first", "1")
    assert command(["--chapters", "000,404"], notebooks=tmp_path) == 1
    assert capsys.readouterr().err.startswith("book: no built chapter 404. There is: 000;")


def test_one_run_measures_everything_and_names_what_fails(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("helpers.book.bench.run.OFTEN", 1)
    monkeypatch.setattr("helpers.book.bench.run.SOME", 1)
    monkeypatch.setattr("helpers.book.bench.run.cores", lambda: 1)
    # Smaller sets are the same suite again.
    monkeypatch.setattr(report, "SIZES", ())
    notebooks = tmp_path / "notebooks"
    (notebooks / "source").mkdir(parents=True)
    for name, title in (("103_planted", "103 · Planted"), ("104_other", "104 · Other")):
        text = SOURCE.replace("103 · Planted", title)
        (notebooks / "source" / f"{name}.py").write_text(text, encoding="utf-8")
    typical = chapter(notebooks, "103_planted", "x = 1", "print(x)", said="1\n")
    before = typical.read_bytes()
    chapter(notebooks, "104_other", "x = 1", "print(x)", said="2\n")
    assert command(["--rounds", "1"], notebooks=notebooks) == 1
    out, err = capsys.readouterr()
    lines = {line.split("  ")[0]: line for line in out.splitlines()}
    one_point = {"intercept", "slope", "farthest point from it"}
    unmeasured = {"all chapters", *one_point, "explorables", "other figures", "none yet"}
    for table in tabled():
        for label in [row[0] for row in table.rows]:
            assert label in lines, label
            assert label in unmeasured or "–" not in lines[label], lines[label]
    assert lines["103_planted"].split()[2::2] == ["s"] * 5 + ["GB"] * 2
    for said in (
        "book: the suite: 1 of its tests fail in 104",
        "book: 104_other, verified: 1 of its tests fail in 104",
    ):
        assert said in err
    assert "1 of its tests fail in 104" in lines["plain nbval, xdist ÷ suite"]
    assert "fail" not in lines["papermill ÷ suite"]
    assert typical.read_bytes() == before
