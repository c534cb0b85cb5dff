"""What ``make test CHANGED=1`` leaves out: on a planted book of three small chapters."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers.book import suite
from helpers.book.chapters import METADATA, ROOT
from helpers.book.inputs import shared_files
from tests.nbval_strict import Summary
from tests.strict import changed

ALL = ["101", "102", "103"]
# Fails where the book holds a file called flag, on which no chapter is known to lean.
FLAGGED = "import os\nassert not os.path.exists('../flag')"


def chapter(root: Path, number: str, *sources: str) -> Path:
    """A chapter whose cells put out nothing, as if it had been built."""
    path = root / "notebooks" / f"{number}_planted.ipynb"
    cells = [
        new_code_cell(source, id=f"cell-{count}", execution_count=count)
        for count, source in enumerate(sources, 1)
    ]
    nbformat.write(new_notebook(cells=cells, metadata=METADATA), path)
    (path.parent / "source" / f"{number}_planted.py").write_text("\n\n".join(sources))
    return path


def run(root: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """The suite's pytest in a planted book, with the plugin and the helpers of that book."""
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", "--rootdir", str(root)]
    command += ["-p", "tests.nbval_strict", "-p", "no:cacheprovider", "--color=no", "--nbval", "-q"]
    without = ("PYTEST_", "PYTHONPATH", "CI", "CHANGED")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return subprocess.run(
        [*command, *arguments],
        cwd=root,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def first_run(tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    """A planted book, and what its first run with --changed said, on two processes."""
    root = tmp_path_factory.mktemp("changed") / "book"
    junk = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "helpers", root / "helpers", ignore=junk)
    shutil.copytree(ROOT / "tests" / "strict", root / "tests" / "strict", ignore=junk)
    for name in ("__init__.py", "conftest.py", "nbval_strict.py"):
        shutil.copy(ROOT / "tests" / name, root / "tests" / name)
    for name in ("notebooks/source", "data"):
        (root / name).mkdir(parents=True)
    (root / "data" / "numbers.txt").write_text("1 2 3\n")
    (root / "requirements.lock").write_text("torch==1\n")
    (root / "pyproject.toml").write_text("[project]\n")
    chapter(root, "101", "one = 1", "assert one == 1")
    chapter(root, "102", "two = 2", "assert two == 2")
    chapter(root, "103", FLAGGED)
    return root, run(root, "-n2", "--dist=loadfile", "--changed", "notebooks")


@pytest.fixture
def book(first_run, tmp_path, monkeypatch) -> Path:
    """A copy of the planted book after its green run."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return shutil.copytree(first_run[0], tmp_path / "book")


def to_run(root: Path) -> list[str]:
    """The numbers of the chapters that are not left out."""
    chapters = changed.chapters_in(root)
    same = changed.Verified(root, chapters, root).unchanged()
    return [path.name[:3] for path in chapters if path not in same]


def append(name: str) -> Callable[[Path], object]:
    def change(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + "\n")

    return change


def touch(root: Path) -> None:
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, (1, 1))


CHANGES = {
    "nothing": (lambda root: None, []),
    "file times": (touch, []),
    "a source": (append("notebooks/source/102_planted.py"), ["102"]),
    "a notebook": (append("notebooks/102_planted.ipynb"), ["102"]),
    "its own exercises": (append("helpers/exercises/ex102.py"), ["102"]),
    "another's exercises": (append("helpers/exercises/ex201.py"), []),
    "what all exercises share": (append("helpers/exercises/check.py"), ALL),
    "a helper": (append("helpers/draw.py"), ALL),
    "a new file of the helpers": (append("helpers/explore/new.js"), ALL),
    "a data file": (append("data/numbers.txt"), ALL),
    "a data file's name": (lambda root: (root / "data/numbers.txt").rename(root / "data/n"), ALL),
    "a data file is gone": (lambda root: (root / "data/numbers.txt").unlink(), ALL),
    "a ledger": (append("data/finished.yml"), []),
    "the pins": (append("requirements.lock"), ALL),
    "pytest's options": (append("pyproject.toml"), ALL),
    "the plugin": (append("tests/nbval_strict.py"), ALL),
    "a part of the plugin": (append("tests/strict/outputs.py"), ALL),
    "how a kernel starts": (append("helpers/book/kernel.py"), ALL),
    "what no chapter leans on": (append("helpers/book/doctor.py"), []),
    "a test": (append("tests/test_data.py"), []),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_changed_is_run_again_and_nothing_else(book, name):
    change, again = CHANGES[name]
    change(book)
    assert to_run(book) == again


@pytest.mark.parametrize(
    ("variable", "value", "again"),
    [
        ("BOOK_THREADS", "1", []),
        ("BOOK_THREADS", "2", ALL),
        ("BOOK_DEVICE", "cpu", ALL),
        ("CUDA_VISIBLE_DEVICES", "", ALL),
        ("PYTHONDEVMODE", "1", ALL),
        ("PYTHONOPTIMIZE", "2", []),
        ("BOOK_HOME", "/elsewhere", []),
        ("EDITOR", "vi", []),
    ],
)
def test_a_run_with_other_settings_does_not_count(book, monkeypatch, variable, value, again):
    monkeypatch.setenv(variable, value)
    assert to_run(book) == again


def test_warm_and_cold_kernels_are_not_mixed_up(book, monkeypatch):
    warm = os.path.isabs(os.environ.get("BOOK_WARM", ""))
    monkeypatch.setenv("BOOK_WARM", "/parent")
    assert to_run(book) == ([] if warm else ALL)
    monkeypatch.setenv("BOOK_WARM", "/the/parent/of/another/run")
    assert to_run(book) == ([] if warm else ALL)
    monkeypatch.setenv("BOOK_WARM", "0")
    assert to_run(book) == (ALL if warm else [])


def test_other_packages_are_seen(book, tmp_path, monkeypatch):
    (tmp_path / "site" / "torch-99.0.dist-info").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert to_run(book) == ALL


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", '{"notebooks/101_planted.ipynb": 3}', "\0\0", "é"]
)
def test_of_a_damaged_record_nothing_is_known(book, content):
    (book / changed.RECORD).write_text(content, encoding="latin-1")
    assert to_run(book) == ALL
    again = changed.Verified(book, changed.chapters_in(book), book)
    again.passed("notebooks/101_planted.ipynb", "a", 1)
    again.keep()
    assert to_run(book) == ["102", "103"]


def test_what_was_green_before_counts_when_it_comes_back(book):
    source = book / "notebooks/source/102_planted.py"
    before = source.read_text()
    source.write_text("another")
    other = changed.Verified(book, changed.chapters_in(book), book)
    for cell in ("a", "b"):
        assert to_run(book) == ["102"]
        other.passed("notebooks/102_planted.ipynb", cell, 2)
        other.keep()
    assert to_run(book) == []
    source.write_text(before)
    assert to_run(book) == []


def test_what_was_replaced_while_it_ran_is_not_verified(book):
    source = book / "notebooks/source/102_planted.py"
    before = source.read_text()
    source.write_text("another")
    one = changed.Verified(book, changed.chapters_in(book), book)
    source.write_text("what was run")
    one.passed("notebooks/102_planted.ipynb", "a", 1)
    one.keep()
    assert to_run(book) == ["102"]
    source.write_text("another")
    assert to_run(book) == ["102"]
    source.write_text(before)
    assert to_run(book) == []


def test_only_so_many_green_runs_are_kept(book):
    source = book / "notebooks/source/102_planted.py"
    for count in range(changed.KEPT):
        source.write_text(f"edition {count}")
        one = changed.Verified(book, changed.chapters_in(book), book)
        one.passed("notebooks/102_planted.ipynb", "a", 1)
        one.keep()
    assert to_run(book) == []
    source.write_text("two = 2\n\nassert two == 2")
    assert to_run(book) == ["102"]


def test_a_chapter_that_is_gone_is_forgotten(book):
    (book / "notebooks/103_planted.ipynb").unlink()
    one = changed.Verified(book, changed.chapters_in(book), book)
    one.failed("notebooks/101_planted.ipynb")
    one.keep()
    assert "103_planted" not in (book / changed.RECORD).read_text()
    assert to_run(book) == ["101"]


def test_the_first_run_knows_nothing_and_runs_all(first_run):
    root, done = first_run
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 cells compared, 0 ignored, 0 figures compared, in 3 chapters" in done.stdout
    assert "left out" not in done.stdout
    kept = sorted(path.name for path in (root / ".cache").iterdir() if path.suffix != ".lock")
    assert kept == ["verified.json"]


@pytest.mark.parametrize("asked", [["notebooks"], ["notebooks", "tests"]], ids=len)
def test_that_all_is_left_out_is_no_failure(book, asked):
    (book / "flag").touch()
    done = run(book, "-n2", "--dist=loadfile", "--changed", *asked)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out, unchanged since their last green run: 3 (101, 102, 103)" in done.stdout
    assert "compared" not in done.stdout
    # For no work, or one chapter, no other process is started.
    assert ("bringing up nodes" in done.stdout) == (len(asked) > 1)


@pytest.mark.parametrize(
    ("again", "asked", "alone"),
    [
        ([], ["notebooks"], True),
        (["102"], ["notebooks"], True),
        (["102"], ["notebooks", "notebooks/102_planted.ipynb"], True),
        (["101", "102"], ["notebooks"], False),
        (["102"], ["notebooks", "tests"], False),
        (["102"], ["."], False),
        (ALL, ["notebooks"], False),
    ],
)
def test_one_chapter_needs_no_other_process(book, monkeypatch, again, asked, alone):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(changed, "Verified", partial(changed.Verified, machinery=book))
    for number in again:
        append(f"notebooks/source/{number}_planted.py")(book)
    config = SimpleNamespace(
        option=SimpleNamespace(nbval=True, changed=True),
        rootpath=book,
        invocation_params=SimpleNamespace(dir=book),
        args=asked,
    )
    assert Summary(config).at_most_one_chapter() == alone


def test_what_changed_is_run_and_other_tests_are_too(book):
    append("notebooks/source/102_planted.py")(book)
    (book / "flag").touch()
    (book / "tests/test_one.py").write_text("def test_one(): pass\n")
    done = run(book, "-n2", "--dist=loadfile", "--changed", "notebooks", "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "left out, unchanged since their last green run: 2 (101, 103)" in done.stdout
    assert "2 cells compared, 0 ignored, 0 figures compared, in 1 chapters" in done.stdout
    assert done.stdout.rstrip().splitlines()[-1].startswith("3 passed")
    assert to_run(book) == []


def test_without_the_option_nothing_is_left_out_and_with_a_name_neither(book):
    def asked(*arguments: str) -> tuple[list[str], list[str]]:
        said = run(book, "--collect-only", *arguments).stdout
        left = re.search(r"left out.*\((.*)\)", said)
        ran = sorted({*re.findall(r"(?m)^notebooks/(\d{3})_planted.ipynb::", said)})
        return ran, left[1].split(", ") if left else []

    assert asked("notebooks") == (ALL, [])
    assert asked("--changed", "notebooks/102_planted.ipynb", "notebooks") == (
        ["102"],
        ["101", "103"],
    )
    assert asked("--changed", "tests") == ([], [])


def test_ci_runs_all_and_says_so(book):
    done = run(book, "--collect-only", "--changed", "notebooks", CI="true")
    assert "5 tests collected" in done.stdout
    assert "CHANGED is ignored in CI: no chapter was left out" in done.stdout
    assert "left out, unchanged" not in done.stdout


def test_a_record_is_no_must(book):
    shutil.rmtree(book / ".cache")
    (book / ".cache").touch()
    done = run(book, "--changed", "notebooks/102_planted.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "what passed cannot be noted for --changed: " in done.stdout


def test_only_a_whole_green_run_counts(book):
    grown = "notebooks/source/104_planted.py"
    chapter(book, "102", "two = 2", "assert two == 3", "three = 3")
    chapter(book, "104", "one = 1", f"_ = open('../{grown}', 'a').write('# more')")
    chapter(book, "105", "one = 1", "assert one == 1")
    (book / "flag").touch()
    selected = run(book, "-k", "105 and cell-1", "notebooks")
    assert "1 passed" in selected.stdout
    done = run(book, "--changed", "notebooks", "--deselect", "notebooks/105_planted.ipynb")
    assert done.returncode == 1
    assert "left out, unchanged since their last green run: 2 (101, 103)" in done.stdout
    stopped = run(book, "-x", "notebooks/102_planted.ipynb", "notebooks/105_planted.ipynb")
    assert stopped.returncode == 1
    failed = run(book, "notebooks/103_planted.ipynb")
    assert failed.returncode == 1
    (book / "flag").unlink()
    # 102 failed, 103 was green before and failed now, 104 changed as it ran, 105 never ran whole.
    assert to_run(book) == ["102", "103", "104", "105"]


def test_no_chapter_reads_a_file_that_does_not_count():
    """Neither a ledger, which is no data, nor the machinery or the tests."""
    other = re.compile(r"\.(?:yml|md|ipynb)\b[\"']|helpers[./]book|\btests[./]")
    for path in (ROOT / "notebooks" / "source").glob("*.py"):
        found = other.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path.name}: {found[0]}"


def test_no_exercises_lean_on_those_of_another_chapter():
    for path in (ROOT / "helpers" / "exercises").glob("*.py"):
        found = {*re.findall(r"(?m)^\s*(?:from|import) .*\bex(\d{3})\b", path.read_text("utf-8"))}
        assert not found, f"{path.name} imports the exercises of {', '.join(found)}"


def test_what_the_plugin_loads_counts_as_its_part():
    code = (
        "import sys, tests.conftest, tests.nbval_strict;"
        "files = [getattr(module, '__file__', None) for module in sys.modules.values()];"
        "print(*[file for file in files if file], sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    paths = [Path(line) for line in done.stdout.splitlines()]
    loaded = {path for path in paths if path.is_relative_to(ROOT) and ".venv" not in path.parts}
    counted = {path for pattern in changed.MACHINERY for path in ROOT.glob(pattern)}
    others = {path.relative_to(ROOT).as_posix() for path in loaded - counted}
    assert others <= {*shared_files(ROOT)}, "add them to MACHINERY"


def test_each_part_of_the_machinery_is_there():
    assert not [pattern for pattern in changed.MACHINERY if not [*ROOT.glob(pattern)]]


def test_make_asks_for_it_by_the_environment(monkeypatch):
    asked = []

    def pretend(command, cwd, env):
        asked.append(("--changed" in command, "CHANGED" in env))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setenv("BOOK_WARM", "0")
    monkeypatch.setattr(suite.subprocess, "run", pretend)
    for value in ("1", "yes", "0", "no", ""):
        monkeypatch.setenv("CHANGED", value)
        assert suite.main([]) == 0
    assert asked == [(True, False)] * 2 + [(False, False)] * 3
