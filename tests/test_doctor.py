"""The doctor: every check is shown the fault it is there for, and names its cause and its cure."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
import pytest

from helpers.book import doctor
from helpers.book.doctor import CHECKS, Doubt, Run, Trouble
from helpers.book.percent import digest

CPU = {"torch": "2.15.0", "built": "13.2", "threads": 1, "devices": 0, "names": [], "warnings": []}
GPU = {**CPU, "devices": 1, "names": ["Card"]}
CARD = Run(0, "Card, 550.1\n")
NO_CARD = Run(127, "", "nvidia-smi is not installed")
OLD = "The NVIDIA driver on your system is too old (found version 11040)."


def says(known: dict, **changes: object) -> Run:
    return Run(0, json.dumps({**known, **changes}))


def page(names: list[str], disabled: list[str]) -> dict:
    return {"federated_extensions": [{"name": n} for n in names], "disabledExtensions": disabled}


def git(status: str = "", endings: str = "", fails: bool = False):
    def answer(*words: str) -> Run:
        if fails:
            return Run(128, "", "fatal: not a git repository")
        return Run(0, status if words[0] == "status" else endings)

    return answer


FAULTS = [
    # check, what it is shown, what it raises, a part of the fact and cause, a part of the cure
    (doctor.python, {"version": (3, 10, 4)}, Trouble, "Python 3.10.4", "PYTHON=python3.12"),
    (
        doctor.environment,
        {"prefix": Path("/usr"), "environ": {}},
        Trouble,
        "running in /usr",
        "make doctor",
    ),
    (
        doctor.helpers_elsewhere,
        {"imported": Run(1, "", "Traceback\nModuleNotFoundError: No module named 'helpers'")},
        Trouble,
        "No module named 'helpers'",
        "make clean && make lab",
    ),
    (
        doctor.helpers_elsewhere,
        {"imported": Run(0, "/other/helpers/__init__.py\n"), "environ": {"PYTHONPATH": "/other"}},
        Trouble,
        "PYTHONPATH is set to /other",
        "unset PYTHONPATH",
    ),
    (
        doctor.helpers_elsewhere,
        {"imported": Run(0, "/other/helpers/__init__.py\n"), "environ": {}},
        Trouble,
        "installed from another copy",
        "make clean && make lab",
    ),
    (
        doctor.pins,
        {"lock": "torch==2.15.0 \\\n    --hash=sha256:0\n", "installed": {"torch": "2.14.0"}},
        Trouble,
        "torch 2.14.0 (==2.15.0)",
        "make clean && make lab",
    ),
    (
        doctor.pins,
        {"lock": "a==1\nb==1\nc==1\nd==1\n", "installed": {}},
        Trouble,
        "4 of 4 packages differ: a missing (==1), b missing (==1), c missing (==1) and 1 more",
        "make clean && make lab",
    ),
    (doctor.pins, {"lock": "# nothing\n"}, Trouble, "pins nothing", "git checkout"),
    (
        doctor.torch_pair,
        {"tried": Run(1, "", "RuntimeError: operator torchvision::nms does not exist")},
        Trouble,
        "different builds",
        "make clean && make lab",
    ),
    (
        doctor.torch_pair,
        {"tried": Run(1, "", "OSError: libgomp.so.1: cannot open shared object file")},
        Trouble,
        "a library of the system is missing",
        "make clean && make lab",
    ),
    (
        doctor.torch_pair,
        {"tried": Run(-11, "")},
        Trouble,
        "ended with status -11 and said nothing",
        "make clean",
    ),
    (
        doctor.torch_pair,
        {"tried": Run(0, "2.15.0 0.20.0 [0, 1]\n")},
        Trouble,
        "do not belong together",
        "make clean",
    ),
    (
        doctor.cuda,
        {"torch_says": says(CPU), "environ": {"BOOK_DEVICE": "tpu"}},
        Trouble,
        "names no device",
        "unset BOOK_DEVICE",
    ),
    (
        doctor.cuda,
        {"torch_says": says(CPU), "environ": {"BOOK_DEVICE": "cuda"}, "smi": lambda: NO_CARD},
        Trouble,
        "no NVIDIA GPU",
        "unset BOOK_DEVICE",
    ),
    (
        doctor.cuda,
        {"torch_says": says(GPU), "environ": {"BOOK_DEVICE": "cuda:1"}, "smi": lambda: CARD},
        Trouble,
        "torch sees 1 CUDA devices",
        "unset BOOK_DEVICE",
    ),
    (
        doctor.cuda,
        {
            "torch_says": says(CPU, warnings=[OLD]),
            "environ": {"BOOK_DEVICE": "cuda"},
            "smi": lambda: CARD,
        },
        Trouble,
        "driver is too old",
        "driver",
    ),
    (
        doctor.cuda,
        {"torch_says": says(CPU, warnings=[OLD]), "environ": {}, "smi": lambda: CARD},
        Doubt,
        "driver is too old",
        "driver",
    ),
    (
        doctor.cuda,
        {"torch_says": says(CPU, built=None), "environ": {}, "smi": lambda: CARD},
        Doubt,
        "without CUDA",
        "make clean && make lab",
    ),
    (
        doctor.cuda,
        {"torch_says": says(CPU), "environ": {}, "smi": lambda: CARD},
        Doubt,
        "torch sees no device",
        "unset CUDA_VISIBLE_DEVICES",
    ),
    (
        doctor.cuda,
        {
            "torch_says": Run(1, "", "RuntimeError: CUDA error: out of memory"),
            "environ": {},
            "smi": lambda: CARD,
        },
        Doubt,
        "CUDA error: out of memory",
        "BOOK_DEVICE=cpu make lab",
    ),
    (
        doctor.threads,
        {"torch_says": says(CPU), "environ": {"BOOK_THREADS": "many"}},
        Trouble,
        "BOOK_THREADS is 'many'",
        "unset BOOK_THREADS",
    ),
    (
        doctor.threads,
        {"torch_says": says(CPU), "environ": {"OMP_NUM_THREADS": "8"}, "cores": 2},
        Doubt,
        "8 threads on 2 cores",
        "unset OMP_NUM_THREADS",
    ),
    (
        doctor.threads,
        {"torch_says": Run(1, "", "ImportError: no torch"), "environ": {}},
        Trouble,
        "no torch",
        "make clean",
    ),
    (
        doctor.lab_itself,
        {"tried": Run(1, "", "No module named jupyterlab")},
        Trouble,
        "No module named jupyterlab",
        "make clean && make lab",
    ),
    (
        doctor.kernel,
        {"tried": Run(1, "", "RuntimeError: Kernel died before replying to kernel_info")},
        Trouble,
        "Kernel died",
        "make clean && make lab",
    ),
    (
        doctor.kernel,
        {"tried": Run(124, "", "it had not ended after 120 s")},
        Trouble,
        "not ended after 120 s",
        "make clean && make lab",
    ),
    (doctor.kernel, {"tried": Run(0, "/usr\n")}, Trouble, "kernel python3 is that of /usr", "make"),
    (
        doctor.warm_kernels,
        {"tried": Run(0, "cpu\nan import started a thread\n"), "environ": {}},
        Doubt,
        "open slowly: an import started a thread",
        "make",
    ),
    (
        doctor.warm_kernels,
        {"tried": Run(1, "", "AcceleratorError: CUDA error"), "environ": {}},
        Trouble,
        "AcceleratorError: CUDA error",
        "make lab BOOK_WARM=0",
    ),
    (
        doctor.warm_kernels,
        {"environ": {"BOOK_WARM": "perhaps"}},
        Trouble,
        "BOOK_WARM='perhaps' means nothing",
        "unset BOOK_WARM",
    ),
    (
        doctor.widgets,
        {"imported": Run(1, "", "ModuleNotFoundError: No module named 'ipywidgets'")},
        Trouble,
        "cannot be imported",
        "make clean && make lab",
    ),
    (
        doctor.widgets,
        {"imported": Run(0, "8.1"), "info": lambda: page([], [])},
        Trouble,
        "not installed",
        "make clean && make lab",
    ),
    (
        doctor.widgets,
        {
            "imported": Run(0, "8.1"),
            "info": lambda: page([doctor.WIDGETS], [f"{doctor.WIDGETS}:plugin"]),
        },
        Trouble,
        "switched off",
        "labextension enable",
    ),
    (
        doctor.data,
        {"verify": lambda: ["data/a is missing; bring it back with: git checkout -- data/a", "b"]},
        Trouble,
        "data/a is missing (and 1 more)",
        "git checkout -- data/a",
    ),
    (
        doctor.port,
        {"problem": lambda port: "taken", "ports": (8888, 8889)},
        Trouble,
        "no port from 8888 to 8889",
        "--port 9999",
    ),
    (doctor.disk, {"free": lambda path: 1.0}, Doubt, "1.00 GB free", "df -h"),
    (doctor.disk, {"free": lambda path: 0.1}, Trouble, "0.10 GB free", "df -h"),
    (doctor.memory, {"available": lambda: 2.0}, Doubt, "2.0 GB available", "ps aux"),
    (doctor.memory, {"available": lambda: 1.0}, Trouble, "1.0 GB available", "ps aux"),
    (
        doctor.encoding,
        {"name": "ISO-8859-1", "stdout": "utf-8"},
        Trouble,
        "files: ISO-8859-1",
        "PYTHONUTF8=1",
    ),
    (
        doctor.encoding,
        {"name": "UTF-8", "stdout": "ascii"},
        Trouble,
        "the terminal: ascii",
        "PYTHONUTF8=1",
    ),
    (doctor.checkout, {"git": git(fails=True)}, Doubt, "not a git repository", "git status"),
    (
        doctor.checkout,
        {"git": git(endings="i/lf    w/crlf  attr/  \tMakefile\ni/lf    w/lf  attr/  \tx")},
        Trouble,
        "1 files have Windows line endings, as Makefile",
        "core.autocrlf false",
    ),
    (
        doctor.checkout,
        {"git": git(status=" M helpers/draw.py\n")},
        Doubt,
        "as helpers/draw.py",
        "git diff",
    ),
]


@pytest.mark.parametrize(("check", "shown", "kind", "words", "cure"), FAULTS)
def test_a_fault_is_found_with_its_cause_and_its_cure(check, shown, kind, words, cure):
    with pytest.raises(Trouble) as found:
        check(**shown)
    assert type(found.value) is kind
    assert words in f"{found.value.fact}: {found.value.cause}"
    assert cure in found.value.cure
    assert not any("\n" in text for text in (found.value.fact, found.value.cause, found.value.cure))


SOUND = [
    (doctor.python, {"version": (3, 11, 0)}),
    (doctor.environment, {"prefix": Path("/c"), "environ": {"CONDA_PREFIX": "/c"}}),
    (
        doctor.pins,
        {"lock": "a==1 ; sys_platform == 'plan9'\nB_c==1.0 \\\n", "installed": {"b-c": "1.0"}},
    ),
    (doctor.torch_pair, {"tried": Run(0, "2.15.0 0.29.2 [1]\n")}),
    (doctor.cuda, {"torch_says": says(CPU), "environ": {}, "smi": lambda: NO_CARD}),
    (doctor.cuda, {"torch_says": says(GPU), "environ": {}, "smi": lambda: CARD}),
    (doctor.cuda, {"torch_says": says(GPU), "environ": {"BOOK_DEVICE": "cuda:0"}}),
    (
        doctor.cuda,
        {"torch_says": says(CPU), "environ": {"BOOK_DEVICE": "cpu"}, "smi": lambda: CARD},
    ),
    (doctor.threads, {"torch_says": says(CPU), "environ": {}, "cores": 2}),
    (doctor.lab_itself, {"tried": Run(0, "4.6.6\n")}),
    (doctor.kernel, {"tried": Run(0, f"{sys.prefix}\n")}),
    (doctor.warm_kernels, {"tried": Run(0, "cuda\n\n"), "environ": {}}),
    (doctor.warm_kernels, {"environ": {"BOOK_WARM": "0"}}),
    (doctor.warm_kernels, {"obstacle": "this system cannot fork", "environ": {}}),
    (doctor.widgets, {"imported": Run(0, "8.1"), "info": lambda: page([doctor.WIDGETS], [])}),
    (doctor.data, {"verify": list}),
    (doctor.port, {"problem": lambda port: "taken" if port == 8888 else None}),
    (doctor.disk, {"free": lambda path: 9.0}),
    (doctor.memory, {"available": lambda: 9.0}),
    (doctor.encoding, {"name": "utf8", "stdout": "UTF-8"}),
    (doctor.checkout, {"git": git()}),
]


@pytest.mark.parametrize(("check", "shown"), SOUND)
def test_what_is_sound_is_one_line_of_fact(check, shown):
    fact = check(**shown)
    assert fact
    assert "\n" not in fact


def test_what_fails_in_a_forked_kernel_is_found(monkeypatch):
    monkeypatch.setattr(doctor, "_COMPUTE", "raise RuntimeError('CUDA error: initialization')")
    with pytest.raises(Trouble, match="cannot compute") as found:
        doctor.warm_kernels(environ={})
    assert found.value.cause == "RuntimeError: CUDA error: initialization"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A book of one chapter, built from its source."""
    folder = tmp_path / "notebooks"
    (folder / "source").mkdir(parents=True)
    text = "# %% [markdown]\n# # 103 · Storage\n"
    (folder / "source" / "103_storage.py").write_text(text, encoding="utf-8")
    notebook = nbformat.v4.new_notebook(metadata={"book": {"source": digest(text)}})
    nbformat.write(notebook, folder / "103_storage.ipynb")
    return folder


def test_chapters_that_are_whole(book):
    assert doctor.chapters(book).startswith("1 chapters")


@pytest.mark.parametrize("damage", ["", "{", '{"cells": 1}', '{"nbformat": 4, "cells": [{}]}'])
def test_a_damaged_chapter_is_named(book, damage):
    (book / "103_storage.ipynb").write_text(damage)
    with pytest.raises(Trouble, match=r"103_storage.ipynb is damaged") as found:
        doctor.chapters(book)
    assert found.value.cure == "git checkout -- notebooks/103_storage.ipynb"
    assert found.value.cause


def test_a_missing_chapter_is_named(book):
    (book / "103_storage.ipynb").unlink()
    with pytest.raises(Trouble, match="not there: 103_storage"):
        doctor.chapters(book)


def test_a_chapter_out_of_step_with_its_source_is_named(book):
    (book / "source" / "103_storage.py").write_text("# %%\n1\n")
    with pytest.raises(Doubt) as found:
        doctor.chapters(book)
    assert found.value.cure == "make notebooks NB=103"


def test_a_book_without_chapters_is_found(tmp_path):
    with pytest.raises(Trouble, match="there are none"):
        doctor.chapters(tmp_path)


def test_the_workbook(tmp_path, monkeypatch):
    folder = tmp_path / "work book"
    assert "not made yet" in doctor.workbook(folder)
    folder.mkdir()
    notebook = folder / "103_storage.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), notebook)
    with pytest.raises(Doubt, match=r"\.book\.json is gone"):
        doctor.workbook(folder)
    (folder / ".book.json").write_text("{}")
    assert doctor.workbook(folder) == "1 notebooks"
    notebook.write_text("{")
    with pytest.raises(Doubt, match="cannot be read as a notebook") as found:
        doctor.workbook(folder)
    assert found.value.cure.startswith("mv ")
    read_only(monkeypatch)
    with pytest.raises(Trouble, match="cannot be written") as found:
        doctor.workbook(folder)
    assert found.value.cure == f'chmod -R u+rwX "{folder}"'


def read_only(monkeypatch):
    def refuse(**_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    # Root may write everywhere, so a folder's permissions would prove nothing here.
    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


@pytest.mark.parametrize("name", ["torch.py", "random.py", "helpers.py", "numpy/__init__.py"])
def test_a_file_that_hides_a_module_is_named(tmp_path, name):
    (tmp_path / "mine.py").touch()
    assert doctor.shadows(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    with pytest.raises(Trouble, match="hides the module") as found:
        doctor.shadows(tmp_path)
    assert "my_" in found.value.cure


def test_progress(tmp_path, monkeypatch):
    home = tmp_path / "deep" / "home"
    assert "none yet" in doctor.progress(home)
    assert not home.exists()
    home.mkdir(parents=True)
    (home / "progress.json").write_text('{"exercises": {"103.1": {"state": "pass"}}}')
    assert doctor.progress(home).startswith("1 exercises passed")
    for damage in ("{", "[]", '{"exercises": {"103.1": 1}}', "{}"):
        (home / "progress.json").write_text(damage)
        with pytest.raises(Doubt, match="cannot be read") as found:
            doctor.progress(home)
        assert found.value.cure.startswith("mv ")
    read_only(monkeypatch)
    with pytest.raises(Trouble, match="cannot be saved"):
        doctor.progress(home)


def test_folders_that_jupyter_cannot_write(tmp_path, monkeypatch):
    assert str(tmp_path) in doctor.jupyter_folders([tmp_path])
    read_only(monkeypatch)
    with pytest.raises(Trouble, match="Jupyter cannot write") as found:
        doctor.jupyter_folders([tmp_path / "not there"])
    assert str(tmp_path) in found.value.cure
    assert "not there" not in found.value.cure


def test_a_command_that_hangs_or_is_missing_is_an_answer():
    hung = doctor.run([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.5)
    assert hung.status == 124
    assert doctor.run(["no-such-command-of-the-book"]).last.endswith("is not installed")


def test_a_crash_inside_a_check_is_a_failure_and_never_a_traceback(capsys):
    def broken() -> str:
        raise KeyError("a\nb")

    assert doctor.main([], [("Good", lambda: "fine"), ("Broken", broken)]) == 1
    out = capsys.readouterr().out
    assert "FAIL  Broken  the check itself failed: KeyError: 'a\\nb'" in out
    assert "Traceback" not in out
    assert "2 checks: 1 ok, 0 warnings, 1 failed" in out


def test_a_doubt_is_shown_with_its_cure_but_is_no_failure(capsys):
    def doubtful() -> str:
        raise Doubt("nearly full", "much is stored", "df -h .")

    assert doctor.main([], [("Disk", doubtful)]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "warn  Disk  nearly full",
        "            cause: much is stored",
        "            cure:  df -h .",
    ]


def test_every_check_has_a_fault_that_it_was_shown():
    elsewhere = {
        doctor.chapters,
        doctor.workbook,
        doctor.shadows,
        doctor.progress,
        doctor.jupyter_folders,
    }
    assert {check for _, check in CHECKS} == {fault[0] for fault in FAULTS} | elsewhere
    assert len(CHECKS) >= 15


def test_on_this_machine_every_check_comes_to_a_finding(tmp_path):
    environ = {**os.environ, "BOOK_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "helpers.book", "doctor"],
        env=environ,
        capture_output=True,
        text=True,
        cwd=doctor.ROOT,
    )
    lines = done.stdout.splitlines()
    for name, _ in CHECKS:
        assert sum(line[6:].startswith(f"{name}  ") for line in lines) == 1, name
    assert "the check itself failed" not in done.stdout
    assert done.stderr == ""
    assert done.returncode == (1 if any(line.startswith("FAIL") for line in lines) else 0)


def test_a_terminal_without_utf8_does_not_stop_it(tmp_path):
    code = (
        "from helpers.book import doctor;"
        "doctor.main([], [('Path', lambda: '/home/é 视图'), ('Encoding', doctor.encoding)])"
    )
    environ = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True)
    assert "/home/? ??" in done.stdout
    assert "the terminal: ascii" in done.stdout
    assert done.stderr == ""
