"""The reader's own copy: what is updated, what is kept, and that nothing is ever lost."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import nbformat
import pytest

from helpers.book import workbook
from helpers.book.workbook import Problem, content, read, update

NAME = "103_storage_and_views.ipynb"
NEW = "103_storage_and_views.new.ipynb"


def edition(text: str = "x = 1") -> nbformat.NotebookNode:
    output = nbformat.v4.new_output("stream", name="stdout", text="1\n")
    cell = nbformat.v4.new_code_cell(text, outputs=[output], execution_count=1, id="code")
    prose = nbformat.v4.new_markdown_cell("# 103 · Storage\n\n[201](201_graphs.ipynb)", id="prose")
    return nbformat.v4.new_notebook(cells=[prose, cell])


def publish(notebooks: Path, text: str = "x = 1", name: str = NAME) -> None:
    notebooks.mkdir(exist_ok=True)
    nbformat.write(edition(text), notebooks / name)


@pytest.fixture
def book(tmp_path: Path) -> tuple[Path, Path]:
    """A book of one chapter and its workbook, made once."""
    notebooks, mine = tmp_path / "notebooks", tmp_path / "work book é"
    publish(notebooks)
    update(notebooks, mine)
    return notebooks, mine


def change(path: Path, text: str = "x = 'mine'") -> bytes:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].source = text
    nbformat.write(notebook, path)
    return path.read_bytes()


def source(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[1].source


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_chapters_are_placed_without_outputs_and_with_their_links(book):
    placed = nbformat.read(book[1] / NAME, as_version=4)
    nbformat.validate(placed)
    assert placed.cells[1].outputs == []
    assert placed.cells[1].execution_count is None
    assert "(201_graphs.ipynb)" in placed.cells[0].source
    assert files(book[1]) == {NAME, ".book.json"}


def test_a_second_update_writes_nothing_and_says_nothing(book, monkeypatch):
    monkeypatch.setattr(workbook, "_write", lambda *_: pytest.fail("wrote"))
    done = update(*book)
    assert done.notes == []
    assert [path.name for path in done.chapters] == [NAME]


def test_an_untouched_chapter_follows_the_book(book):
    publish(book[0], "x = 2")
    assert update(*book).notes == [f"{NAME}: updated to the new edition."]
    assert source(book[1] / NAME) == "x = 2"
    assert NEW not in files(book[1])


def test_a_changed_chapter_is_kept_and_the_new_one_stands_beside_it(book):
    before = change(book[1] / NAME)
    assert update(*book).notes == []  # no newer edition, so nothing to say
    publish(book[0], "x = 2")
    notes = update(*book).notes
    assert len(notes) == 1
    assert "kept, you changed it" in notes[0]
    assert NEW in notes[0]
    assert (book[1] / NAME).read_bytes() == before
    assert source(book[1] / NEW) == "x = 2"
    assert nbformat.read(book[1] / NEW, as_version=4).cells[1].outputs == []


def test_editions_do_not_pile_up(book):
    change(book[1] / NAME)
    for text in ("x = 2", "x = 3"):
        publish(book[0], text)
        update(*book)
    assert files(book[1]) == {NAME, NEW, ".book.json"}
    assert source(book[1] / NEW) == "x = 3"


def test_a_changed_copy_beside_is_not_overwritten_either(book):
    before = change(book[1] / NAME)
    publish(book[0], "x = 2")
    update(*book)
    beside = change(book[1] / NEW, "x = 'mine too'")
    publish(book[0], "x = 3")
    (note,) = update(*book).notes
    assert "you changed 103_storage_and_views.new.ipynb too" in note
    assert (book[1] / NAME).read_bytes() == before
    assert (book[1] / NEW).read_bytes() == beside


def test_a_copy_beside_that_the_reader_deleted_comes_back_only_with_the_next_edition(book):
    change(book[1] / NAME)
    publish(book[0], "x = 2")
    update(*book)
    (book[1] / NEW).unlink()
    assert update(*book).notes == []
    assert NEW not in files(book[1])
    publish(book[0], "x = 3")
    update(*book)
    assert source(book[1] / NEW) == "x = 3"


def test_a_chapter_replaced_by_the_copy_beside_is_the_newest_edition_again(book):
    change(book[1] / NAME)
    publish(book[0], "x = 2")
    update(*book)
    (book[1] / NEW).rename(book[1] / NAME)
    assert update(*book).notes == []
    publish(book[0], "x = 3")
    update(*book)
    assert source(book[1] / NAME) == "x = 3"
    assert NEW not in files(book[1])


def test_a_chapter_put_back_as_it_was_takes_the_update_and_the_copy_beside_goes(book):
    untouched = (book[1] / NAME).read_bytes()
    change(book[1] / NAME)
    publish(book[0], "x = 2")
    update(*book)
    (book[1] / NAME).write_bytes(untouched)
    update(*book)
    assert source(book[1] / NAME) == "x = 2"
    assert NEW not in files(book[1])


def run_it(notebook):
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="1\n")]


def add_a_cell(notebook):
    notebook.cells.append(nbformat.v4.new_markdown_cell("my note"))


def swap_cells(notebook):
    notebook.cells.reverse()


def edit_prose(notebook):
    notebook.cells[0].source += "\nmine"


@pytest.mark.parametrize("edit", [run_it, add_a_cell, swap_cells, edit_prose])
def test_what_counts_as_the_readers_work(book, edit):
    notebook = nbformat.read(book[1] / NAME, as_version=4)
    edit(notebook)
    nbformat.write(notebook, book[1] / NAME)
    before = (book[1] / NAME).read_bytes()
    publish(book[0], "x = 2")
    update(*book)
    assert (book[1] / NAME).read_bytes() == before


def test_opening_and_saving_is_not_the_readers_work(book):
    notebook = json.loads((book[1] / NAME).read_text(encoding="utf-8"))
    notebook["metadata"]["kernelspec"] = {"display_name": "Python 3 (ipykernel)"}
    notebook["cells"][1]["metadata"] = {"scrolled": True}
    notebook["cells"][1]["execution_count"] = 7
    notebook["cells"][0]["source"] = "".join(notebook["cells"][0]["source"])
    (book[1] / NAME).write_text(json.dumps(notebook, indent=3), encoding="utf-8")
    publish(book[0], "x = 2")
    update(*book)
    assert source(book[1] / NAME) == "x = 2"


def test_a_deleted_chapter_comes_back(book):
    (book[1] / NAME).unlink()
    assert update(*book).notes == [f"{NAME}: was gone, is back."]
    assert source(book[1] / NAME) == "x = 1"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"a": 1}', b"\xff\xfe", None])
def test_without_its_record_nothing_of_the_readers_is_lost(book, damage):
    before = change(book[1] / NAME)
    if damage is None:
        (book[1] / ".book.json").unlink()
    else:
        (book[1] / ".book.json").write_bytes(damage)
    notes = update(*book).notes
    assert "kept as yours" in notes[0]
    assert (book[1] / NAME).read_bytes() == before
    assert source(book[1] / NEW) == "x = 1"
    assert update(*book).notes == notes[1:]  # the record is whole again


def test_without_its_record_a_chapter_that_was_only_run_is_not_offered_again(book):
    notebook = nbformat.read(book[1] / NAME, as_version=4)
    run_it(notebook)
    nbformat.write(notebook, book[1] / NAME)
    (book[1] / ".book.json").unlink()
    update(*book)
    assert NEW not in files(book[1])


@pytest.mark.parametrize("damage", [b"", b"{", b'{"cells": 3}', b'{"cells": [{}]}', b"\xff"])
def test_a_damaged_chapter_is_kept_and_a_whole_one_put_beside(book, damage):
    (book[1] / NAME).write_bytes(damage)
    (note,) = update(*book).notes
    assert "cannot be read as a notebook" in note
    assert (book[1] / NAME).read_bytes() == damage
    assert source(book[1] / NEW) == "x = 1"


def test_a_damaged_chapter_of_the_book_is_named_and_the_others_go_on(book):
    publish(book[0], "y = 2", "201_graphs.ipynb")
    (book[0] / NAME).write_text("{")
    done = update(*book)
    assert done.notes == [
        f"{NAME}: the book's copy is damaged. Restore it: git checkout -- notebooks/{NAME}"
    ]
    assert [path.name for path in done.chapters] == [NAME, "201_graphs.ipynb"]
    assert source(book[1] / NAME) == "x = 1"


def test_a_chapter_that_left_the_book_stays_with_the_reader(book):
    publish(book[0], "y = 2", "201_graphs.ipynb")
    (book[0] / NAME).unlink()
    done = update(*book)
    assert done.notes == [f"{NAME}: no longer in the book; your copy is kept."]
    assert [path.name for path in done.chapters] == ["201_graphs.ipynb"]


def test_a_book_without_chapters_says_so(tmp_path):
    with pytest.raises(Problem, match=r"no chapter is in .*git checkout -- notebooks"):
        update(tmp_path, tmp_path / "workbook")
    assert not (tmp_path / "workbook").exists()


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EROFS, "chmod -R"),
        (errno.EACCES, "chmod -R"),
        (errno.EIO, "Move .* elsewhere"),
    ],
)
def test_a_folder_that_cannot_be_written_is_one_line_and_loses_nothing(
    book, monkeypatch, code, cure
):
    before = (book[1] / NAME).read_bytes()
    publish(book[0], "x = 2")

    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Problem, match=cure) as problem:
        update(*book)
    assert os.strerror(code) in str(problem.value)
    assert "\n" not in str(problem.value)
    assert (book[1] / NAME).read_bytes() == before
    assert files(book[1]) == {NAME, ".book.json"}


def test_a_file_in_the_workbooks_place_is_left_alone(tmp_path):
    publish(tmp_path / "notebooks")
    (tmp_path / "workbook").write_text("mine")
    with pytest.raises(Problem, match="cannot be written"):
        update(tmp_path / "notebooks", tmp_path / "workbook")
    assert (tmp_path / "workbook").read_text() == "mine"


def test_content_ignores_how_a_text_is_laid_out_but_not_the_text():
    one, other = edition(), edition()
    one.cells[0].source = ["a\n", "b"]
    other.cells[0].source = "a\nb"
    assert content(one) == content(other)
    other.cells[0].source = "a\nc"
    assert content(one) != content(other)


def test_reading_something_else_is_an_error(tmp_path):
    (tmp_path / "x.ipynb").write_text('{"cells": [1]}')
    with pytest.raises(ValueError, match="not a notebook"):
        read(tmp_path / "x.ipynb")


def test_content_ignores_which_run_it_was():
    first, second = edition(), edition()
    for run, notebook in ((1, first), (2, second)):
        result = nbformat.v4.new_output(
            "execute_result", data={"text/plain": "1"}, execution_count=run, metadata={"run": run}
        )
        notebook.cells[1].outputs = [result]
    assert content(first) == content(second)
