"""The reader's progress: never lost, never backwards, never in the way; and never the tests'."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import filelock
import pytest

from helpers.book.chapters import ROOT
from helpers.exercises import Exercise, Wrong, progress, registry, store


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """A reader's folder of this test's own, which is not there yet."""
    folder = tmp_path / "Ünser home" / "progress"
    monkeypatch.setenv("BOOK_HOME", str(folder))
    _new_kernel()
    return folder


def _new_kernel() -> None:
    store._session.clear()
    store._said.clear()


def _saved(folder) -> dict[str, str]:
    entries = json.loads((folder / "progress.json").read_text(encoding="utf-8"))["exercises"]
    return {id: entry["state"] for id, entry in entries.items()}


def test_home_is_book_home_else_the_users_data_folder(monkeypatch, home):
    assert store.home() == home
    monkeypatch.setenv("BOOK_HOME", "")
    assert store.home().name == "pytorch-cell-by-cell"
    monkeypatch.delenv("BOOK_HOME")
    assert store.home().name == "pytorch-cell-by-cell"


def test_tries_are_noted_and_todo_is_no_try(home):
    store.record("103.1", "todo")
    store.record("103.1", "skipped")
    assert not home.exists()
    assert not store.tried("103.1")
    store.record("103.1", "wrong")
    assert _saved(home) == {"103.1": "wrong"}
    assert store.tried("103.1")


def test_passed_stays_passed_in_this_kernel_and_the_next(home):
    store.record("103.1", "pass")
    store.record("103.1", "wrong")
    assert _saved(home) == {"103.1": "pass"}
    _new_kernel()
    store.record("103.1", "error")
    assert _saved(home) == {"103.1": "pass"}
    assert store.states() == {"103.1": "pass"}


def test_another_kernels_entries_and_unknown_fields_are_kept(home):
    store.record("103.1", "pass")
    path = home / "progress.json"
    other = json.loads(path.read_text())
    other["exercises"]["201.1"] = {"state": "pass", "later": "field"}
    other["more"] = [1]
    path.write_text(json.dumps(other))
    store.record("103.2", "wrong")
    now = json.loads(path.read_text())
    assert _saved(home) == {"103.1": "pass", "103.2": "wrong", "201.1": "pass"}
    assert now["more"] == [1]
    assert now["exercises"]["201.1"]["later"] == "field"


MANY = """
import sys
from helpers.exercises import store
for k in range(15):
    store._session.clear()
    store.record(f"{sys.argv[1]}.{k + 1}", "pass")
"""


def test_kernels_at_the_same_time_lose_nothing(home):
    running = [
        subprocess.Popen([sys.executable, "-c", MANY, chapter], cwd=ROOT)
        for chapter in ("101", "102", "103")
    ]
    assert [process.wait(timeout=120) for process in running] == [0, 0, 0]
    assert len(_saved(home)) == 45
    assert sorted(os.listdir(home))[0] == "progress.json"
    assert not [name for name in os.listdir(home) if name.endswith(".new")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"exercises": []}',
        b'{"exercises": {"1": 2}}',
        b"{}",
    ],
)
def test_a_damaged_file_is_moved_aside_and_said_once(home, capsys, content):
    home.mkdir(parents=True)
    (home / "progress.json").write_bytes(content)
    (home / "progress.json.corrupt-1").write_text("an older one")
    assert store.states() == {}
    store.record("103.1", "pass")
    store.record("103.2", "pass")
    assert _saved(home) == {"103.1": "pass", "103.2": "pass"}
    assert (home / "progress.json.corrupt-2").read_bytes() == content
    assert (home / "progress.json.corrupt-1").read_text() == "an older one"
    said = capsys.readouterr().out
    assert said == "The progress file was damaged; it is kept as progress.json.corrupt-2.\n"


def test_a_folder_that_cannot_be_made_is_said_once_and_progress_counts(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BOOK_HOME", str(tmp_path / "file" / "home"))
    store.record("103.1", "pass")
    store.record("103.2", "wrong")
    said = capsys.readouterr().out
    assert said.count("Progress cannot be saved") == 1
    assert "Not a directory" in said
    assert "BOOK_HOME" in said
    assert store.states() == {"103.1": "pass", "103.2": "wrong"}


def test_a_full_disk_keeps_the_old_file_whole_and_saves_later(home, monkeypatch, capsys):
    store.record("103.1", "pass")
    before = (home / "progress.json").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(store.os, "fsync", full)
        store.record("103.2", "pass")
    assert (home / "progress.json").read_bytes() == before
    assert not [name for name in os.listdir(home) if name.endswith(".new")]
    assert "No space left on device" in capsys.readouterr().out
    store.record("103.3", "wrong")
    assert _saved(home) == {"103.1": "pass", "103.2": "pass", "103.3": "wrong"}


def test_a_file_that_cannot_be_read_is_left_alone(home, monkeypatch, capsys):
    store.record("103.1", "pass")
    before = (home / "progress.json").read_bytes()
    _new_kernel()

    def refused(*_, **__):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(store.Path, "read_text", refused)
        assert store.states() == {}
        store.record("103.2", "wrong")
    assert (home / "progress.json").read_bytes() == before
    assert "Permission denied" in capsys.readouterr().out


def test_a_lock_that_is_held_too_long_is_said(home, monkeypatch, capsys):
    home.mkdir(parents=True)
    monkeypatch.setattr(store, "PATIENCE", 0.1)
    with filelock.FileLock(home / "progress.json.lock"):
        store.record("103.1", "pass")
    assert "Progress cannot be saved" in capsys.readouterr().out
    assert store.states() == {"103.1": "pass"}


# progress()


def _key():
    return 1


def _declared(id: str) -> Exercise:
    wrong = [Wrong(2, "two"), Wrong(3, "three")]
    return Exercise(
        id=id, name=f"Name of {id}", kind="predict", key=_key, hints=["a", "b"], wrong=wrong
    )


@pytest.fixture
def two_chapters(monkeypatch):
    book = {"103": ["103.1", "103.2"], "201": ["201.1"]}
    monkeypatch.setattr(registry, "chapters_with_exercises", lambda: list(book))
    monkeypatch.setattr(registry, "exercises_of", lambda n: [_declared(id) for id in book[n]])


def test_progress_by_chapter_and_what_is_next(two_chapters, capsys):
    store.record("103.1", "pass")
    store.record("103.2", "wrong")
    progress()
    assert capsys.readouterr().out.splitlines() == [
        "Chapter 103: 1 of 2 passed  ■□",
        "Chapter 201: 0 of 1 passed  □",
        "Together: 1 of 3",
        "Next: 103.2, Name of 103.2",
    ]
    progress("201")
    assert capsys.readouterr().out.splitlines() == [
        "Chapter 201: 0 of 1 passed  □",
        "Next: 201.1, Name of 201.1",
    ]


def test_progress_when_all_is_done_and_when_there_is_nothing(two_chapters, monkeypatch, capsys):
    for id in ("103.1", "103.2", "201.1"):
        store.record(id, "pass")
    progress()
    assert capsys.readouterr().out.endswith("Together: 3 of 3\nAll are passed.\n")
    monkeypatch.setattr(registry, "chapters_with_exercises", list)
    progress()
    assert capsys.readouterr().out == "There are no exercises yet.\n"


def test_progress_of_a_chapter_without_exercises_lists_those_with():
    with pytest.raises(LookupError, match="chapter '999' has no exercises"):
        progress("999")
