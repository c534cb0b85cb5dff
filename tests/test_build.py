"""The builder, on trivial chapters in a temporary book; only what must be run starts a kernel."""

import gc
import json
import os
import subprocess
import sys
import threading
import time

import nbformat
import psutil
import pytest

from helpers.book import build as builder
from helpers.book.build import Book, main, one_at_a_time
from helpers.book.chapters import METADATA
from helpers.book.percent import SourceError, check, digest, first_lines

PLAIN = "# %% [markdown]\n# # 103 · Plain\n\n# %%\nprint(1)\n"

SLEEPER = (
    "import subprocess\nimport sys\n\n"
    "sleep = [sys.executable, '-c', 'import time; time.sleep(60)', '{}']\n"
    "_ = subprocess.Popen(sleep, start_new_session=True)"
)


def code(*cells):
    """A source of code cells."""
    return "\n".join(f"# %%\n{cell}\n" for cell in cells)


@pytest.fixture
def book(tmp_path):
    for folder in ("notebooks/source", "helpers/exercises", "helpers/book", "data"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "requirements.lock").write_text("torch==1\n")
    (tmp_path / "helpers/draw.py").write_text("grid = 1\n")
    return Book(tmp_path)


def put(book, name, text):
    (book.notebooks / "source" / f"{name}.py").write_text(text, encoding="utf-8")
    return book.notebooks / f"{name}.ipynb"


@pytest.fixture
def unrun(monkeypatch):
    """Write notebooks without running them; the list of the chapters that would have been run."""
    ran = []
    monkeypatch.setenv("BOOK_WARM", "0")

    def pretend(book, chapter, text, limit):
        ran.append(chapter.number)
        notebook = builder.read_source(text)
        notebook.metadata["book"] = {"source": digest(text)}
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.execution_count = 1
        builder.write_atomically(chapter.notebook, nbformat.writes(notebook) + "\n")
        return notebook

    monkeypatch.setattr(builder, "build", pretend)
    return ran


def left_running(marker):
    return [p for p in psutil.process_iter(["cmdline"]) if marker in (p.info["cmdline"] or [])]


def test_a_chapter_becomes_an_executed_notebook(book, monkeypatch, tmp_path, capsys):
    user = tmp_path / "user"
    kernels = user / "jupyter/kernels/python3"
    startup = user / "ipython/profile_default/startup"
    for folder in (kernels, startup):
        folder.mkdir(parents=True)
    spec = {"argv": ["false"], "display_name": "mine", "language": "python"}
    (kernels / "kernel.json").write_text(json.dumps(spec))
    (startup / "00.py").write_text("mine = 1\n")
    monkeypatch.setenv("JUPYTER_PATH", str(user / "jupyter"))
    monkeypatch.setenv("IPYTHONDIR", str(user / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup / "00.py"))
    monkeypatch.setenv("BOOK_HOME", str(user / "progress"))
    pieces = (
        "import time\n\nprint('a', flush=True)\ntime.sleep(0.3)\n"
        "print('b', flush=True)\ndisplay(7)\nprint('c')"
    )
    home = "print(sorted(os.listdir(os.environ['BOOK_HOME'])), os.path.basename(os.getcwd()))"
    source = (
        "# %% [markdown]\n# # 103 · Plain\n\n"
        '# %% tags=["setup", "claim:C1"]\nimport os\nimport sys\n\n'
        'sys.executable, "mine" in globals()\n\n'
        f"# %%\n\n# %%\n{pieces}\n\n# %%\n{home}\n"
    )
    path = put(book, "103_plain", source)
    assert main([], book) == 0
    assert "103_plain: 4 cells" in capsys.readouterr().out

    text = path.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert '\n "cells"' in text
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata == {**METADATA, "book": {"source": digest(source)}}
    title, setup, empty, printed, where = notebook.cells
    assert title.metadata == empty.metadata == {}
    assert setup.metadata == {"tags": ["setup", "claim:C1"]}
    assert [setup.execution_count, printed.execution_count, where.execution_count] == [1, 2, 3]
    assert setup.outputs[0].data["text/plain"] == repr((sys.executable, False))
    assert [o.get("text") or o.data["text/plain"] for o in printed.outputs] == [
        "a\nb\n",
        "7",
        "c\n",
    ]
    assert where.outputs[0].text == "[] notebooks\n"
    assert sorted(p.name for p in book.notebooks.iterdir()) == ["103_plain.ipynb", "source"]
    assert path.stat().st_mode & 0o777 == (book.root / "requirements.lock").stat().st_mode & 0o777

    assert main([], book) == 0
    assert capsys.readouterr().out == "1 up to date\n"
    assert main(["103", "--force"], book) == 0
    assert path.read_text(encoding="utf-8") == text, "building twice must give the same file"


def test_a_failing_cell_is_named_and_the_others_are_built(book, capsys):
    old = put(book, "103_bad", PLAIN)
    old.write_text("the old notebook")
    failing = (
        '# %% [markdown]\n# """\n\n# %%\ndef half(x):\n    return x / 0\n\n\n# %%\ny = 2\nhalf(y)\n'
    )
    put(book, "103_bad", failing)
    good = put(book, "104_good", PLAIN)
    assert main([], book) == 1
    out = capsys.readouterr()
    assert "104_good: 1 cells" in out.out
    assert "1 built, 1 failed" in out.out
    assert "103 not built: code cell 2 (id " in out.err
    assert "), notebooks/source/103_bad.py line 11\n" in out.err
    assert out.err.splitlines()[1:] == [
        "    line 11: half(y)",
        "    line 6: return x / 0",
        "    ZeroDivisionError: division by zero",
    ]
    assert old.read_text() == "the old notebook"
    assert good.exists()


def test_stderr_fails_the_build(book, capsys):
    path = put(book, "103_warns", code("x = 1", "import warnings\n\nwarnings.warn('old call')"))
    assert main([], book) == 1
    said = capsys.readouterr().err
    assert "code cell 2" in said
    assert "line 5 wrote to stderr" in said
    assert "old call" in said
    assert not path.exists()


def test_a_dead_kernel_is_named_and_its_children_end(book, capsys):
    marker = "dead-kernel-child"
    die = "import os\n\nos._exit(3)"
    put(book, "103_dies", code(SLEEPER.format(marker), die))
    began = time.monotonic()
    assert main([], book) == 1
    assert time.monotonic() - began < 15
    assert "the kernel died in code cell 2" in capsys.readouterr().err
    assert not left_running(marker)


def test_a_cell_that_ignores_interrupts_is_killed_with_its_children(book, capsys, caplog):
    marker = "endless-cell-child"
    endless = (
        "import signal\n\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "while True:\n    pass"
    )
    path = put(book, "103_endless", code(SLEEPER.format(marker), endless))
    began = time.monotonic()
    assert main(["--limit", "4"], book) == 1
    assert time.monotonic() - began < 15
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
    said = capsys.readouterr().err
    assert "it took more than 4 s and was stopped in code cell 2" in said
    assert not left_running(marker)
    assert not path.exists()


def test_a_python_without_a_kernel_is_one_clear_line(book, capsys, monkeypatch, tmp_path):
    put(book, "103_plain", PLAIN)
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\necho 'No module named ipykernel_launcher' >&2\nexit 1\n")
    bare.chmod(0o755)
    for python, cause in (
        (bare, "No module named ipykernel_launcher"),
        (tmp_path / "no", "No such"),
    ):
        monkeypatch.setattr(sys, "executable", str(python))
        assert main([], book) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert line.startswith("book: 103 not built: its kernel did not start: ")
        assert cause in line
        assert "make doctor" in line


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (code("x = 1", "y = (1,\nz = 2"), "line 5: '(' was never closed: 'y = (1,'"),
        ("x = 1\n", "line 1: a source has no header"),
        ("# ---\n# jupyter: {}\n# ---\n\n# %%\nx = 1\n", "line 1: a source has no header"),
        ("# %% A title\nx = 1\n", "line 1: '# %% A title' is not how the percent format"),
        ("# %%\n!ls\n", "line 2: '!ls' is not how the percent format writes it. Write '# !ls'"),
        ("# %%\nx = 1", "line 3: the end of the file is not how"),
        (code("x = 1\n# copy the tensor\ny = 2"), "line 3: jupytext reads the comment"),
        (code("# why?\ny = 2"), "line 2: jupytext reads the comment '# why?' as a command"),
    ],
)
def test_a_source_that_cannot_run_is_refused_before_a_kernel_starts(text, message):
    with pytest.raises(SourceError) as refused:
        check(text)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        '# %% [markdown]\n"""\nA text\nin quotes\n"""\n\n# %%\nx = 1\n',
        code("# %matplotlib inline\nx = 1", "await_ = 1\nawait thing()", "# # copy the tensor"),
        code("x = 1\n\n", "", "", '"""\n# %% no cell\n"""', "with open('x') as f:\n    pass"),
    ],
)
def test_what_authors_write_passes_the_check(text):
    check(text)


def test_first_lines_are_where_the_cells_begin():
    text = '# %% [markdown]\n"""\nquoted\n"""\n\n' + code("", '"""\n# %% no cell\n"""\n\n', "y = 1")
    lines = text.splitlines()
    assert [lines[n - 1] for n in first_lines(text) if n != 7] == ["quoted", '"""', "y = 1"]


def test_a_wrong_source_leaves_the_notebook_and_says_where(book, capsys):
    path = put(book, "103_wrong", "# %%\nx = = 1\n")
    path.write_text("old")
    (book.notebooks / "source/104_bytes.py").write_bytes(b"# %%\n\xff\n")
    assert main([], book) == 1
    first, second = capsys.readouterr().err.splitlines()
    assert first == (
        "book: 103 not built: notebooks/source/103_wrong.py line 2: invalid syntax: 'x = = 1'"
    )
    assert second.startswith("book: 104 not built: ")
    assert path.read_text() == "old"


def test_a_chapter_that_does_not_exist_is_one_line(book, capsys, unrun):
    put(book, "103_plain", PLAIN)
    assert main(["103", "999"], book) == 1
    assert capsys.readouterr().err == "book: no chapter 999. There is: 103\n"
    assert unrun == []


def test_an_orphan_notebook_is_reported(book, capsys, unrun):
    put(book, "103_plain", PLAIN)
    (book.notebooks / "104_gone.ipynb").write_text("{}")
    assert main([], book) == 0
    said = capsys.readouterr().err
    assert said.startswith("book: notebooks/104_gone.ipynb has no source")
    assert "103" not in said


def test_only_what_changed_is_run(book, unrun):
    put(book, "103_a", PLAIN)
    put(book, "104_b", PLAIN)

    def ran(*argv):
        unrun.clear()
        assert main(list(argv), book) == 0
        return unrun[:]

    assert ran("103") == ["103"]
    assert ran() == ["104"]
    assert ran() == []
    put(book, "103_a", PLAIN + "print(2)\n")
    assert ran() == ["103"]
    put(book, "103_a", PLAIN.replace("\n\n", "\n\n\n") + "print(2)\n")
    assert ran() == ["103"], "the digest in the notebook must be that of the source"
    for name in ("book/build.py", "draw.pyc", "__pycache__/draw.py", "exercises/.ex103.py.swp"):
        path = book.root / "helpers" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("new")
        assert ran() == ([] if name != "draw.pyc" else ["103", "104"])
    (book.root / "helpers/exercises/ex104.py").write_text("EXERCISES = []\n")
    assert ran() == ["104"]
    for name in ("helpers/exercises/check.py", "data/a.csv", "requirements.lock"):
        (book.root / name).write_text("new")
        assert ran("104") == ["104"]
        assert ran() == ["103"]
    assert ran("--force", "104_b") == ["104"]
    (book.notebooks / "104_b.ipynb").write_text("{ broken")
    assert ran() == ["104"]


def test_a_fresh_clone_trusts_what_is_committed_from_then_on(book, unrun):
    put(book, "103_a", PLAIN)
    main([], book)
    unrun.clear()
    (book.cache / "build.json").unlink()
    (book.root / "data/a.csv").write_text("as cloned")
    assert main([], book) == 0
    assert unrun == []
    (book.root / "data/a.csv").write_text("edited")
    assert main([], book) == 0
    assert unrun == ["103"]


def edit(path, text):
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].source = text
    nbformat.write(notebook, path)


def test_an_edit_made_in_jupyter_is_not_overwritten(book, capsys, unrun):
    path = put(book, "103_a", PLAIN)
    main([], book)
    edit(path, "print('mine')")
    for source in (PLAIN, PLAIN + "print(2)\n"):
        put(book, "103_a", source)
        assert main([], book) == 1
        assert "its notebook was edited in Jupyter. Keep the edit: make adopt NB=103" in (
            capsys.readouterr().err
        )
        assert "mine" in path.read_text()
    assert main(["--force"], book) == 0
    assert "mine" not in path.read_text()


def test_a_stripped_notebook_is_run_again(book, unrun):
    path = put(book, "103_a", PLAIN)
    main([], book)
    path.write_text(path.read_text().replace('"execution_count": 1', '"execution_count": null'))
    main([], book)
    assert unrun == ["103", "103"]


def test_a_committed_notebook_may_be_overwritten_when_its_source_changed(book, unrun):
    put(book, "103_a", PLAIN)
    main([], book)
    git = ["git", "-C", str(book.root), "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "notebooks"], ["commit", "-qm", "built"]):
        subprocess.run([*git, *command], check=True)
    (book.cache / "build.json").unlink()
    put(book, "103_a", PLAIN + "print(2)\n")
    assert main([], book) == 0
    assert unrun == ["103", "103"]


def test_two_builds_wait_for_each_other(book, capsys, unrun):
    put(book, "103_a", PLAIN)
    second = threading.Thread(target=main, args=([], book))
    with one_at_a_time(book):
        second.start()
        second.join(0.5)
        assert second.is_alive()
        assert unrun == []
    second.join(10)
    assert unrun == ["103"]
    assert capsys.readouterr().out.startswith("waiting for another build")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.ipynb"
    path.write_text("old")
    with path.open() as reader:
        builder.write_atomically(path, "older")
        assert (reader.read(), path.read_text()) == ("old", "older")
    path.write_text("old")

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(OSError, match="No space"):
        builder.write_atomically(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.ipynb"]
