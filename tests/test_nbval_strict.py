"""The plugin's own workings: kernels, parallel runs, limits, pictures, skipped tests."""

from __future__ import annotations

import base64
import io
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image, ImageDraw

from helpers.book import suite
from helpers.book.chapters import METADATA
from tests.nbval_strict import Summary, read_notebook
from tests.strict import changed, pictures
from tests.strict.kernel import KernelDied, OutOfTime, StrictKernel
from tests.strict.outputs import difference, normal, problems


def notebook(path: Path, *sources: str) -> Path:
    """A notebook whose cells put out nothing, as if it had been run."""
    cells = [
        new_code_cell(source, id=f"cell-{count}", execution_count=count)
        for count, source in enumerate(sources, 1)
    ]
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), path)
    return path


def run(
    folder: Path, *arguments: str, cache: bool = False, **environment: str
) -> subprocess.CompletedProcess:
    """pytest with the plugin in another folder, with no configuration but the arguments."""
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(folder)]
    command += ["-p", "tests.nbval_strict", "--color=no", *arguments]
    if not cache:
        command += ["-p", "no:cacheprovider"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    clean.pop("CI", None)
    return subprocess.run(
        command,
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_in_parallel_elsewhere_whatever_kernels_there_are(tmp_path):
    book = tmp_path / "a book, copiée"
    book.mkdir()
    spec = tmp_path / "jupyter" / "kernels" / "python3"
    spec.mkdir(parents=True)
    broken = {"argv": ["false", "{connection_file}"], "display_name": "x", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(broken))
    profile = tmp_path / "ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    (profile / "loud.py").write_text("print('hello from the profile'); raised = 1")
    asks = (
        "import os, sys, warnings",
        f"assert os.path.samefile(sys.executable, {sys.executable!r})",
        f"assert os.path.samefile(os.getcwd(), {str(book)!r})",
        "assert not [name for name in os.environ if name.startswith('PYTEST')]",
        "assert os.environ['OMP_NUM_THREADS'] == '1'",
        "assert not os.path.exists(os.environ['BOOK_HOME'])",
        "assert 'raised' not in globals()",
        "assert 'EncodingWarning' not in str(warnings.filters)",
        "try:\n    assert False\nexcept AssertionError:\n    pass\nelse:\n    raise OSError",
    )
    for number in (1, 2, 3):
        notebook(book / f"90{number}_asks.ipynb", *asks)
    done = run(
        book,
        *("--nbval", "-n2", "--dist=loadfile", "-q"),
        JUPYTER_PATH=str(tmp_path / "jupyter"),
        IPYTHONDIR=str(tmp_path / "ipython"),
        PYTHONSTARTUP=str(profile / "loud.py"),
        PYTHONOPTIMIZE="1",
        PYTHONWARNINGS="error::EncodingWarning",
        BOOK_HOME=str(tmp_path),
        BOOK_THREADS="1",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "27 cells compared, 0 ignored, 0 figures compared, in 3 chapters" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("27 passed")


def test_slowest_first_and_deselected_cells_are_counted(tmp_path):
    for name in ("quick", "slow", "unknown"):
        notebook(tmp_path / f"{name}.ipynb", "one = 1", "two = 2")
    (tmp_path / "test_a.py").write_text("def test_a(): pass")
    known = tmp_path / ".pytest_cache" / "v" / "book" / "seconds"
    known.parent.mkdir(parents=True)
    known.write_text('{"slow.ipynb": 60, "quick.ipynb": 1, "test_a.py": 30}')
    done = run(tmp_path, "--nbval", "-v", "-k", "cell-1 or test_a", cache=True)
    files = [line.split("::")[0] for line in done.stdout.splitlines() if "::" in line]
    assert list(dict.fromkeys(files)) == ["unknown.ipynb", "slow.ipynb", "test_a.py", "quick.ipynb"]
    assert "1 ignored: deselected" in done.stdout
    assert "3 cells compared, 3 ignored" in done.stdout
    assert json.loads(known.read_text())["slow.ipynb"] < 60


def test_what_was_never_measured_is_guessed(tmp_path):
    for name, cells in (("long", 9), ("short", 1)):
        notebook(tmp_path / f"{name}.ipynb", *["pass"] * cells)
    (tmp_path / "test_calm.py").write_text("def test_calm(): pass")
    starts = "import subprocess\ndef test_starts():\n    subprocess.run(['true'])"
    (tmp_path / "test_starts.py").write_text(starts)
    done = run(tmp_path, "--nbval", "--co", "-q")
    files = [line.split("::")[0] for line in done.stdout.splitlines() if "::" in line]
    assert list(dict.fromkeys(files)) == [
        "test_starts.py",
        "long.ipynb",
        "short.ipynb",
        "test_calm.py",
    ]


def summary(tmp_path: Path, **options: object) -> Summary:
    """What says at the end what was compared, as pytest would make it."""
    usual = {"verbose": -1, "nbval": True, "changed": False}
    return Summary(
        SimpleNamespace(
            option=SimpleNamespace(**{**usual, **options}),
            rootpath=tmp_path,
            invocation_params=SimpleNamespace(dir=tmp_path),
            args=["notebooks"],
        )
    )


def report(nodeid: str, seconds: float, **said: object) -> SimpleNamespace:
    """What a cell (or a test) reports when it has run and passed."""
    record = {"of": 1, "figures": 0, "ignored": "", "why": None, **said}
    properties = [("book", record)] if ".ipynb" in nodeid else []
    return SimpleNamespace(
        nodeid=nodeid,
        duration=seconds,
        when="call",
        failed=False,
        passed=True,
        user_properties=properties,
    )


def test_the_slowest_chapters_are_named_and_all_are_summed_up(tmp_path):
    quiet, loud = summary(tmp_path), summary(tmp_path, verbose=0)
    for one in (quiet, loud):
        for number in range(101, 109):
            nodeid = f"notebooks/{number}_name.ipynb::cell 1"
            one.pytest_runtest_logreport(report(nodeid, number - 100, figures=2))
        late = report("notebooks/101_name.ipynb::cell 2", 0.5, ignored="not run: its kernel died")
        one.pytest_runtest_logreport(late)
        one.pytest_runtest_logreport(report("tests/test_data.py::test_one", 30))
    slowest = [
        f"    {number - 100}.0 s  {number}_name: 1 cells, 2 figures" for number in range(101, 109)
    ]
    slowest[0] = slowest[0].replace("1.0 s", "1.5 s")
    ignored = "           1 ignored: not run: its kernel died"
    totals = [
        "8 cells compared, 1 ignored, 16 figures compared, in 8 chapters",
        "36.5 s for the chapters, 30.0 s for the other tests",
    ]
    assert [*quiet.chapters()] == [
        "the 5 slowest chapters, and any with something ignored:",
        *slowest[:2:-1],
        slowest[0],
        ignored,
        "    5.0 s  the other 2 together (-v lists them): 2 cells, 4 figures",
        *totals,
    ]
    assert [*loud.chapters()] == [*slowest[::-1], ignored, *totals]


def test_ordinary_kernels_are_named_where_warm_ones_were_to_be_had(tmp_path):
    said = summary(tmp_path)
    for name, why in (("101_a", "the parent is gone"), ("102_b", None), ("103_c", "X has changed")):
        said.pytest_runtest_logreport(report(f"notebooks/{name}.ipynb::cell 1", 1, why=why))
    [first, second] = [line for line in said.chapters() if "an ordinary kernel" in line]
    assert first == "in an ordinary kernel, not a warm one: 1 (101), since the parent is gone"
    assert second.endswith("1 (103), since X has changed")


def test_only_a_cell_that_passed_counts_as_green(tmp_path):
    (tmp_path / "notebooks").mkdir()
    path = notebook(tmp_path / "notebooks" / "101_name.ipynb", "one = 1")
    cell = report("notebooks/101_name.ipynb::cell 1", 1)
    for passed, failed in ((False, False), (False, True), (True, True)):
        one = summary(tmp_path)
        cell.passed, cell.failed = passed, failed
        one.pytest_runtest_logreport(cell)
        one.verified.keep()
        assert one.verified.unchanged() == []
    cell.passed, cell.failed = True, False
    one = summary(tmp_path)
    one.pytest_runtest_logreport(cell)
    one.verified.keep()
    assert one.verified.unchanged() == [path]


def test_what_cannot_be_read_leaves_nothing_out(tmp_path, monkeypatch):
    def refused(root, chapters, machinery=None):
        if [*chapters]:
            raise PermissionError(13, "no", "notebooks/101_name.ipynb")
        return {}

    (tmp_path / "notebooks").mkdir()
    notebook(tmp_path / "notebooks" / "101_name.ipynb", "one = 1")
    monkeypatch.setattr(changed, "digests", refused)
    one = summary(tmp_path, changed=True)
    assert one.left_out == []
    assert "what changed is not known: " in one.trouble


def test_a_chapter_has_a_hard_limit(tmp_path):
    long = notebook(tmp_path / "long.ipynb", *["import time; time.sleep(0.8)"] * 6)
    began = time.monotonic()
    done = run(tmp_path, "--nbval", "--chapter-timeout=2", "-q", str(long))
    assert "out of time: the chapter took more than 2 s; its kernel was killed" in done.stdout
    assert "not run: stopped at cell 3 (cell-3)" in done.stdout
    assert time.monotonic() - began < 30


def test_what_loosens_nbval_is_refused(tmp_path):
    done = run(tmp_path, "--nbval", "--nbval-lax")
    assert done.returncode != 0
    assert "compares every cell whole" in done.stderr


SKIPPING = """
import pytest

def test_skipped(): pytest.skip("no browser")

@pytest.mark.xfail
def test_known(): assert False
"""


def test_a_skipped_test_fails_in_ci_and_only_there(tmp_path):
    (tmp_path / "test_one.py").write_text(SKIPPING)
    (tmp_path / "test_two.py").write_text('import pytest\npytest.importorskip("no_such_thing")')
    at_home = run(tmp_path, "-q")
    assert at_home.returncode == 0
    assert "2 skipped, 1 xfailed" in at_home.stdout
    parallel = ("-n1", "--dist=loadfile", "--continue-on-collection-errors")
    in_ci = run(tmp_path, "-q", *parallel, CI="true")
    assert in_ci.returncode != 0
    assert in_ci.stdout.count(": no test may be skipped in CI") >= 2
    assert "no browser" in in_ci.stdout
    assert "no_such_thing" in in_ci.stdout
    assert "1 failed, 1 xfailed, 1 error" in in_ci.stdout


@pytest.fixture
def kernel(tmp_path):
    running = StrictKernel(tmp_path)
    yield running
    running.stop()


def test_a_kernel_keeps_its_numbers_and_names_late_output(kernel):
    assert kernel.run("1 + 1", 20)[0]["data"] == {"text/plain": "2"}
    assert kernel.run("Out[1], _", 20)[0]["data"] == {"text/plain": "(2, 2)"}
    kernel.run("import threading\nthreading.Timer(0.3, print, ['late']).start()", 20)
    time.sleep(1)
    (late,) = kernel.run("pass", 20)
    assert late["output_type"] == "late output"
    assert "late" in problems(late)[0]


def test_a_dead_kernel_is_named_within_seconds(kernel):
    began = time.monotonic()
    with pytest.raises(KernelDied, match="killed by SIGSEGV"):
        kernel.run("import ctypes\nctypes.string_at(0)", 60)
    assert time.monotonic() - began < 10


def test_a_kernel_that_does_not_start_says_why(tmp_path, monkeypatch):
    (tmp_path / "zmq.py").write_text("raise ImportError('zmq is broken here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="zmq is broken here"):
        StrictKernel(tmp_path)


@pytest.mark.parametrize("taken", [1, 3])
def test_a_port_that_another_takes_first_is_tried_again(tmp_path, monkeypatch, taken):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        started = []

        class Unlucky(KernelManager):
            def __init__(self, **options):
                started.append(self)
                first = {"shell_port": port} if len(started) <= taken else {}
                super().__init__(**options, **first, cache_ports=False)

        monkeypatch.setattr("tests.strict.kernel.KernelManager", Unlucky)
        if taken < 3:
            kernel = StrictKernel(tmp_path)
            assert kernel.run("print(1)", 20)[0]["text"] == "1\n"
            kernel.stop()
        else:
            with pytest.raises(RuntimeError, match="Address already in use"):
                StrictKernel(tmp_path)
        assert len(started) == min(taken + 1, 3)


def test_out_of_time_ends_the_kernel_and_its_children(tmp_path):
    kernel = StrictKernel(tmp_path)
    with pytest.raises(OutOfTime):
        kernel.run("import subprocess\nsubprocess.run(['sleep', '985'])", 2)
    children = kernel.processes()
    assert [child.name() for child in children] == ["sleep"]
    kernel.stop()
    children[0].wait(5)
    assert not kernel.is_alive()


def png(*lines: tuple, size: tuple[int, int] = (400, 200), colour: str = "blue") -> str:
    picture = Image.new("RGB", size, "white")
    for line in lines:
        ImageDraw.Draw(picture).line(line, fill=colour, width=3)
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode()


CURVE = [(20, 180), (200, 150), (380, 20)]


def test_pictures_are_equal_that_differ_by_less_than_an_eye_sees():
    moved = [(x + 0.5, y) for x, y in CURVE]
    assert pictures.difference(png(CURVE), png(CURVE)) is None
    assert pictures.difference(png(CURVE), png(moved)) is None


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (png(CURVE[::-1], [(20, 20), (380, 180)]), "another picture"),
        (png([(20, 20), (200, 50), (380, 180)]), "another picture"),
        (png(CURVE, size=(400, 210)), "400 x 200 pixels, now it is 400 x 210"),
        (png(), "new: the picture is blank"),
        ("", "new: the picture is missing"),
        ("AAAA", "new: the picture cannot be read"),
    ],
)
def test_pictures_that_differ(other, says):
    assert says in pictures.difference(png(CURVE), other)


def test_outputs_are_compared_in_their_places():
    def said(name: str, text: str) -> dict:
        return {"output_type": "stream", "name": name, "text": text}

    pieces = [said("stdout", "a"), said("stdout", "b\n"), said("stderr", "c"), said("stdout", "d")]
    assert [output["text"] for output in normal(pieces)] == ["ab\n", "c", "d"]
    assert difference(pieces, [said("stdout", "ab\n"), *pieces[2:]]) is None
    swapped = [pieces[2], *pieces[:2], pieces[3]]
    assert "stdout (ab) was stored, stderr (c) came" in difference(pieces, swapped)


def test_a_widget_is_compared_by_its_text():
    def widget(model: str, text: str) -> list[dict]:
        view = {"model_id": model, "version_major": 2}
        data = {"application/vnd.jupyter.widget-view+json": view, "text/plain": text}
        return [{"output_type": "display_data", "metadata": {}, "data": data}]

    assert difference(widget("a", "IntSlider(value=1)"), widget("b", "IntSlider(value=1)")) is None
    assert difference(widget("a", "IntSlider(value=1)"), widget("a", "IntSlider(value=2)"))


def test_lines_of_a_notebook_are_joined(tmp_path):
    path = notebook(tmp_path / "n.ipynb", "a = 1\nb = 2")
    assert read_notebook(path).cells[0].source == "a = 1\nb = 2"


def test_the_suite_runs_everything_or_what_is_asked_for():
    everything = suite.command(["-k", "storage"])
    assert everything[-5:] == ["notebooks", "tests", "helpers", "-k", "storage"]
    assert {"--nbval", "--dist=loadfile", "--doctest-modules"} < {*everything}
    assert "notebooks" not in suite.command(["tests/test_data.py::test_one"])
    assert "--changed" not in everything
    assert "--changed" in suite.command([], changed=True)
