"""Adopting an edit, on small notebooks that nobody ran: only cells' text and tags matter."""

import nbformat
import pytest

from helpers.book import adopt as adopter
from helpers.book.adopt import main
from helpers.book.build import Book, committed
from helpers.book.chapters import read_source
from helpers.book.percent import digest

SOURCE = '''# %% [markdown]
# # 103 · Plain
#
# A text, with a list:
#
# - one;
# - two.

# %% tags=["setup"]
# %matplotlib inline
import math

from helpers import draw


# %%
def half(x):
    return x / 2


# %% tags=["claim:C103", "claim:C104"]
with open("x") as file:
    pass

# %%

# %% [markdown]
"""
Quoted, *with* a "quote".
"""

# %%
y = """
# %% no cell
"""



# %%
# # copy is a command to jupytext
# a comment
half(2)
'''


@pytest.fixture
def book(tmp_path):
    (tmp_path / "notebooks/source").mkdir(parents=True)
    return Book(tmp_path)


@pytest.fixture
def source(book):
    path = book.notebooks / "source/103_plain.py"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture
def notebook(book, source):
    """The built notebook, as a function that saves it as it is after ``edit``, as Jupyter does."""
    built = read_source(SOURCE)
    built.metadata["book"] = {"source": digest(SOURCE)}
    path = book.notebooks / "103_plain.ipynb"

    def save(edit=lambda cells: None, to=path):
        edit(built.cells)
        nbformat.write(built, to)
        return to

    save.path = path
    save.built = built
    return save


def insert(at, *new):
    def edit(cells):
        cells[at:at] = new

    return edit


def text_of(index, text):
    def edit(cells):
        cells[index].source = text

    return edit


def test_an_untouched_notebook_leaves_the_source_as_it_is(book, source, notebook, capsys):
    notebook()
    before = source.stat()
    assert main(["103"], book) == 0
    assert capsys.readouterr().out == (
        "103_plain: nothing to adopt, the source holds the same cells\n"
    )
    assert source.read_text(encoding="utf-8") == SOURCE
    assert source.stat().st_ino == before.st_ino


def test_only_the_edited_lines_change(book, source, notebook, capsys):
    def edit(cells):
        cells[-1].source += "\nhalf(3)"
        cells[1].metadata["editable"] = True
        cells[1].metadata["slideshow"] = {"slide_type": ""}
        cells[3].metadata["tags"] = ["claim:C103"]

    notebook(edit)
    assert main(["103"], book) == 0
    expected = SOURCE.replace(', "claim:C104"', "") + "half(3)\n"
    assert source.read_text(encoding="utf-8") == expected
    out = capsys.readouterr().out
    assert "+half(3)" in out
    assert '-# %% tags=["claim:C103", "claim:C104"]' in out
    assert "notebooks/source/103_plain.py: 2 lines added, 1 removed" in out
    assert "make notebooks NB=103" in out
    assert [p.name for p in source.parent.iterdir()] == ["103_plain.py"]


def test_cells_come_go_and_move(book, source, notebook):
    def edit(cells):
        cells.insert(2, nbformat.v4.new_code_cell("import os", metadata={"tags": ["setup"]}))
        cells.append(cells.pop(0))
        del cells[3]

    path = notebook(edit)
    assert main(["103"], book) == 0
    text = source.read_text(encoding="utf-8")
    assert '\n# %% tags=["setup"]\nimport os\n\n\n# %%\ndef half(x):\n' in text
    assert "with open" not in text
    assert text.endswith("# - two.\n")
    got = [(c.cell_type, c.source) for c in read_source(text).cells]
    assert got == [(c.cell_type, c.source) for c in nbformat.read(path, as_version=4).cells]


@pytest.mark.parametrize(
    "text",
    [
        "%matplotlib inline\nx = 1",
        "%%time\nx = 1",
        "!ls",
        "x?",
        "",
        "\n\nx = 1",
        "if x:\n    y = 1\n\n\n\n    z = 2",
        "# only a comment",
        "# copy the tensor",
        "'''\n# %% in a string\n'''",
        "# - list\n# + more",
        "x = 'é 中文 \\n'",
        "class A:\n    pass",
        "#%%time",
    ],
)
@pytest.mark.parametrize("at", [1, 3, 8])
def test_every_construct_of_an_author_comes_back(book, source, notebook, text, at):
    notebook(insert(at, nbformat.v4.new_code_cell(text)))
    assert main(["103"], book) == 0
    new = source.read_text(encoding="utf-8")
    cells = read_source(new).cells
    assert cells[at].source == text
    assert [c.source for c in cells] == [c.source for c in notebook.built.cells]
    rest = new.splitlines()
    assert [line for line in SOURCE.splitlines() if line not in rest] == []


@pytest.mark.parametrize(
    "text", ["# Title\n\n    code\n", "$$\n\\frac{1}{2}\n$$", '"""', "---\na: b\n---", "", "# # x"]
)
def test_every_text_of_an_author_comes_back(book, source, notebook, text):
    notebook(insert(2, nbformat.v4.new_markdown_cell(text)))
    assert main(["103"], book) == 0
    assert read_source(source.read_text(encoding="utf-8")).cells[2].source == text.rstrip()


def test_blank_lines_at_a_cells_end_do_not_count(book, source, notebook, capsys):
    notebook(text_of(2, "def half(x):\n    return x / 2\n\n"))
    assert main(["103"], book) == 0
    assert "nothing to adopt" in capsys.readouterr().out
    notebook(text_of(2, "def third(x):\n    return x / 3\n\n  \n"))
    assert main(["103"], book) == 0
    assert source.read_text(encoding="utf-8") == SOURCE.replace("half(x)", "third(x)").replace(
        "x / 2", "x / 3"
    )


@pytest.mark.parametrize(
    ("cell", "where"),
    [
        (nbformat.v4.new_code_cell("x = 1\n# %% a step\ny = 2"), "code cell 3 (id "),
        (nbformat.v4.new_code_cell("# %%\nx = 1"), "code cell 3 (id "),
        (nbformat.v4.new_code_cell("x = 1\n# In[3]:"), "code cell 3 (id "),
        (nbformat.v4.new_markdown_cell("a\n%% b"), "markdown cell 2 (id "),
    ],
)
def test_what_the_format_cannot_hold_is_refused(book, source, notebook, capsys, cell, where):
    notebook(insert(3, cell))
    assert main(["103"], book) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"book: notebooks/103_plain.ipynb, {where}")
    assert "the percent format would begin a new cell at" in line
    assert source.read_text(encoding="utf-8") == SOURCE


def test_a_pasted_picture_is_refused(book, source, notebook, capsys):
    def paste(cells):
        cells[0].attachments = {"a.png": {"image/png": "AAAA"}}
        cells[0].source += "\n\nmore"

    notebook(paste)
    assert main(["103"], book) == 1
    assert "markdown cell 1" in capsys.readouterr().err
    assert source.read_text(encoding="utf-8") == SOURCE


def test_edits_on_both_sides_are_not_mixed(book, source, notebook, capsys):
    notebook(text_of(-1, "half(5)"))
    both = SOURCE + "half(4)\n"
    source.write_text(both, encoding="utf-8")
    assert main(["103"], book) == 1
    said = capsys.readouterr().err
    assert "the source was edited, too, since that notebook was built" in said
    assert "merge them into notebooks/source/103_plain.py by hand" in said
    assert source.read_text(encoding="utf-8") == both
    spare = book.cache / "103_plain.adopted.py"
    assert f".cache/{spare.name}" in said
    assert spare.read_text(encoding="utf-8").endswith("# %%\nhalf(5)\n")


def test_a_source_that_already_holds_the_edit_is_left(book, source, notebook, capsys):
    notebook(text_of(-1, "half(5)"))
    same = SOURCE.replace("# # copy is a command to jupytext\n# a comment\nhalf(2)", "half(5)")
    source.write_text(same, encoding="utf-8")
    assert main(["103"], book) == 0
    assert "nothing to adopt" in capsys.readouterr().out


def test_an_older_notebook_that_nobody_edited_is_told_from_an_edit(
    book, source, notebook, capsys, monkeypatch
):
    path = notebook()
    kept = {path: path.read_text(encoding="utf-8")}
    monkeypatch.setattr("helpers.book.build.committed", kept.get)
    source.write_text(SOURCE + "half(4)\n", encoding="utf-8")
    assert main(["103"], book) == 1
    assert "was not edited since it was built, but the source was" in capsys.readouterr().err


def test_another_file_can_be_adopted(book, source, notebook, tmp_path):
    notebook()
    path = notebook(text_of(-1, "half(9)"), to=tmp_path / "mine.ipynb")
    assert main(["103", "--from", str(path)], book) == 0
    assert source.read_text(encoding="utf-8").endswith("# %%\nhalf(9)\n")


@pytest.mark.parametrize("held", [True, False])
def test_a_notebook_without_a_source_digest_needs_git(
    book, source, notebook, monkeypatch, held, capsys
):
    del notebook.built.metadata["book"]
    notebook(text_of(-1, "half(9)"))
    monkeypatch.setattr(adopter, "committed", lambda path: SOURCE if held else None)
    assert main(["103"], book) == (0 if held else 1)
    if not held:
        assert "git holds no copy" in capsys.readouterr().err
    assert source.read_text(encoding="utf-8").endswith("half(9)\n") == held


def test_outside_git_nothing_is_committed(source):
    assert committed(source) is None


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "which chapter? Name it: make adopt NB=103"),
        (["999"], "no chapter 999. There is: 103"),
        (["103"], "notebooks/103_plain.ipynb is not there. Name the edited notebook: FROM=path"),
    ],
)
def test_a_wrong_call_is_one_line(book, source, capsys, argv, message):
    assert main(argv, book) == 1
    assert capsys.readouterr().err == f"book: {message}\n"


@pytest.mark.parametrize("content", ["{ broken", "[]", '{"nbformat": 4, "cells": 3}', "{}"])
def test_a_file_that_is_no_notebook_is_one_line(book, source, notebook, capsys, content):
    notebook.path.write_text(content)
    assert main(["103"], book) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert "notebooks/103_plain.ipynb" in line
    assert source.read_text(encoding="utf-8") == SOURCE


def test_an_empty_notebook_does_not_empty_the_source(book, source, notebook, capsys):
    notebook(lambda cells: cells.clear())
    assert main(["103"], book) == 1
    assert "has no cells" in capsys.readouterr().err
    assert source.read_text(encoding="utf-8") == SOURCE
