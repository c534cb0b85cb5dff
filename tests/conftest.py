"""What every test of the book runs in: an empty home, one thread a process."""

from __future__ import annotations

import os

import pytest

from helpers.book.kernel import THREADS

for _name in THREADS:
    os.environ.setdefault(_name, os.environ.get("BOOK_THREADS") or "1")


@pytest.fixture(autouse=True)
def _empty_home(tmp_path_factory, monkeypatch):
    """No test reads or writes the progress of whoever runs it."""
    monkeypatch.setenv("BOOK_HOME", str(tmp_path_factory.mktemp("home", numbered=True)))
