"""The files that install the book, and ruff over all that is Python in it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from helpers.book.chapters import ROOT
from tests.rules import packaging

PYPROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
ENVIRONMENT = (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_the_lock_has_a_hash_for_every_pin_and_names_no_index():
    assert packaging.lock_is_whole(LOCK) == []


def test_the_lock_satisfies_pyproject():
    assert packaging.lock_satisfies(PYPROJECT, LOCK) == []


def test_the_conda_environment_installs_what_pyproject_names():
    assert packaging.environment_agrees(PYPROJECT, ENVIRONMENT) == []


def test_what_readers_write_is_not_tracked():
    assert packaging.ignored(ROOT) == []


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_is_content(command):
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "--no-cache", "."],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.fail(done.stdout + done.stderr, pytrace=False)
