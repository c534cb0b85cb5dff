"""What `make bench` measures: that it measures it, never how long it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nbformat
import psutil
import pytest

from helpers.book import bench
from helpers.book.chapters import METADATA
from helpers.book.kernel import kernel_environment

pytestmark = pytest.mark.timeout(300)


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


def test_plain_runs_share_one_process_but_no_names(tmp_path, environment):
    import_it = "import torch; torch.set_default_dtype(torch.float64); mine = 1"
    first = chapter(tmp_path, "000_first", import_it, "print(mine)", "mine")
    other = chapter(
        tmp_path, "001_other", "import torch; assert torch.get_default_dtype() is torch.float32"
    )
    wrong = chapter(tmp_path, "002_wrong", "mine")
    seconds, failed = bench.plain_apart([first, other, wrong], environment)
    assert set(seconds) == {"000_first.ipynb", "001_other.ipynb"}
    assert all(took > 0 for took in seconds.values())
    assert failed == {"002_wrong.ipynb": "NameError: name 'mine' is not defined"}


def test_a_plain_run_may_spawn_processes(tmp_path, environment):
    spawn = (
        "import multiprocessing\n"
        "child = multiprocessing.get_context('spawn').Process(target=abs, args=(-1,))\n"
        "child.start()\nchild.join()\nassert child.exitcode == 0"
    )
    seconds, failed = bench.plain_apart([chapter(tmp_path, "000_spawn", spawn)], environment)
    assert failed == {}
    assert seconds["000_spawn.ipynb"] > 0


def test_a_plain_run_that_kills_the_process_is_an_error(tmp_path, environment):
    killer = chapter(tmp_path, "000_killer", "import os; os._exit(3)")
    with pytest.raises(RuntimeError, match="the plain run ended with 3"):
        bench.plain_apart([killer], environment)


def test_a_process_that_grows_is_seen_with_its_children():
    grow = "x = bytearray(b'1') * 100_000_000; print('up', flush=True); input()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {grow!r}])"
    with subprocess.Popen(
        [sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "up\n"
        with bench.Peak(psutil.Process(process.pid)) as peak:
            assert peak.now() > 100_000_000
        process.communicate("\n")
    assert peak.now() > 100_000_000  # the most it held, though it is gone


def test_imports_are_timed(environment):
    times = bench.import_times(environment, 1)
    assert list(times) == ["import helpers, beyond torch", "  and every name it offers"]
    first, everything = times.values()
    assert 0 < first < everything


def test_one_run_prints_every_number(tmp_path, capsys):
    chapter(tmp_path, "000_first", "x = 1", "print(x)", said="1\n")
    assert bench.main(["--quick"], notebooks=tmp_path) == 0
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if line.startswith("000_first")]
    assert row.split()[2::2] == ["s", "s", "s", "s", "GB"]
    for what in (
        "all cells, code alone",
        "import helpers, beyond torch",
        "JupyterLab answers",
        "the first cell is done",
    ):
        assert what in out
    assert "the whole suite" not in out


def test_a_chapter_that_fails_is_named_and_the_rest_is_measured(tmp_path, capsys):
    chapter(tmp_path, "000_first", "x = 1", "print(x)", said="2\n")
    chapter(tmp_path, "001_other", "x = 1", "1 / 0")
    assert bench.main(["--quick"], notebooks=tmp_path) == 1
    out, err = capsys.readouterr()
    assert "000_first, verified: pytest ended with status 1" in err
    assert "001_other, in a kernel: code cell 2: ZeroDivisionError: division by zero" in err
    assert "001_other.ipynb: ZeroDivisionError" in err
    assert "the first cell is done" in out


def test_a_chapter_that_is_not_there_is_one_line(tmp_path, capsys):
    chapter(tmp_path, "000_first", "1")
    assert bench.main(["--chapters", "000,404"], notebooks=tmp_path) == 1
    assert capsys.readouterr().err.startswith("book: no built chapter 404. There is: 000;")


def test_the_suite_is_part_of_a_whole_run(tmp_path, capsys, monkeypatch):
    chapter(tmp_path, "000_first", "x = 1", "print(x)", said="1\n")
    asked = []

    def timed(command, environment):
        asked.append(command)
        return 2.0, 1 if "suite" in command else 0

    monkeypatch.setattr(bench, "timed", timed)
    monkeypatch.setattr(bench, "_opened", lambda *_: ({}, []))
    monkeypatch.setattr(bench, "import_times", lambda *_: {})
    monkeypatch.setattr(bench, "plain_apart", lambda *_: ({"000_first.ipynb": 0.5}, {}))
    assert bench.main([], notebooks=tmp_path) == 1
    out, err = capsys.readouterr()
    assert [sys.executable, "-m", "helpers.book", "suite"] in asked
    assert "suite / code alone              4.0" in out
    assert "the suite: it ended with status 1" in err
