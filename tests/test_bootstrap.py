"""The set-up: when it does nothing, what it refuses, and what it says when an install fails."""

import builtins
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers.book import bootstrap

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with a space and a letter outside ASCII, holding what the set-up reads."""
    root = tmp_path / "mon café"
    root.mkdir()
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    return root


def finished(root: Path) -> Path:
    venv = root / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").touch()
    (venv / "pyvenv.cfg").touch()
    (venv / bootstrap.STAMP).write_text(bootstrap.stamp(root), encoding="utf-8")
    return venv


@pytest.fixture
def installs(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The installers' commands, noted instead of run."""
    commands: list[list[str]] = []

    def note(command: list[str], root: Path, progress: bool = False) -> None:
        commands.append(command)
        if "venv" in command:
            (root / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
            (root / ".venv" / "pyvenv.cfg").touch()

    monkeypatch.setattr(bootstrap, "_run", note)
    return commands


def test_old_python_is_refused_with_a_cure():
    with pytest.raises(bootstrap.SetupError, match=r"3\.10 is too old.*Install Python 3\.11"):
        bootstrap.check_python((3, 10))
    bootstrap.check_python((3, 11))


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_a_python_without_venv_is_told_which_package_brings_it(module, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == module:
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(bootstrap.SetupError, match=rf"no {module} module.*apt-get install"):
        bootstrap.check_python((3, 12))


def test_a_finished_environment_is_current_until_its_pins_change(checkout):
    assert not bootstrap.is_current(checkout)
    venv = finished(checkout)
    assert bootstrap.is_current(checkout)
    with open(checkout / "requirements.lock", "a", encoding="utf-8") as lock:
        lock.write("# another pin\n")
    assert not bootstrap.is_current(checkout)
    (venv / bootstrap.STAMP).write_text(bootstrap.stamp(checkout), encoding="utf-8")
    (venv / "bin" / "python").unlink()
    assert not bootstrap.is_current(checkout)


def test_a_moved_environment_is_made_anew(checkout, installs, tmp_path):
    finished(checkout)
    moved = tmp_path / "elsewhere"
    checkout.rename(moved)
    assert not bootstrap.is_current(moved)
    bootstrap.set_up(moved)
    assert "--clear" in installs[0]


def test_changed_pins_update_the_environment_in_place(checkout, installs):
    finished(checkout)
    with open(checkout / "requirements.lock", "a", encoding="utf-8") as lock:
        lock.write("# another pin\n")
    bootstrap.set_up(checkout)
    assert not any("--clear" in command for command in installs)
    assert any("sync" in command and "--require-hashes" in command for command in installs)
    assert bootstrap.is_current(checkout)


def test_an_interrupted_set_up_is_not_taken_for_a_finished_one(checkout, monkeypatch):
    finished(checkout)
    (checkout / "pyproject.toml").write_text("changed", encoding="utf-8")

    def stopped(command, root, progress=False):
        raise KeyboardInterrupt

    monkeypatch.setattr(bootstrap, "_run", stopped)
    with pytest.raises(KeyboardInterrupt):
        bootstrap.set_up(checkout)
    assert not bootstrap.is_current(checkout)


def test_somebody_elses_folder_is_left_alone(checkout, installs):
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(bootstrap.SetupError, match="not an environment of this book"):
        bootstrap.set_up(checkout)
    assert installs == []
    assert (checkout / ".venv" / "mine.txt").exists()


def test_a_full_disk_is_seen_before_anything_is_made(checkout, installs, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=2e9))
    with pytest.raises(bootstrap.SetupError, match=r"2\.0 GB are free.*8 are needed"):
        bootstrap.set_up(checkout)
    assert installs == []


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        ("error: No space left on device (os error 28)", "the disk is full"),
        ("Hash mismatch for `torch==2.15.0`", "not the pinned one"),
        ("error sending request: invalid peer certificate: UnknownIssuer", "is not trusted"),
        ("error sending request for url: dns error", "registry cannot be reached"),
        ("ERROR: Could not find a version that satisfies", "registry cannot be reached"),
        ("has no wheels with a matching platform tag", "no build for this Python"),
        ("something new\nthe last line", "failed: the last line"),
        ("", "without a word"),
    ],
)
def test_a_failed_install_is_explained_in_one_line(words, cause):
    said = bootstrap.explain(words)
    assert cause in said
    assert "\n" not in said


def test_a_failing_installer_becomes_one_clear_error(checkout):
    script = "import sys; print('dns error', file=sys.stderr); sys.exit(2)"
    with pytest.raises(bootstrap.SetupError, match="registry cannot be reached"):
        bootstrap._run([bootstrap.sys.executable, "-c", script], checkout)


def test_the_lock_pins_the_installer_with_its_hashes():
    lines = bootstrap.lines_of("uv", (ROOT / "requirements.lock").read_text(encoding="utf-8"))
    assert lines.startswith("uv==")
    assert lines.count("--hash=sha256:") >= 5
    with pytest.raises(bootstrap.SetupError, match="does not pin nothing"):
        bootstrap.lines_of("nothing", "other==1\n    --hash=sha256:00\n")


def test_make_names_a_missing_python():
    made = subprocess.run(
        ["make", "-C", str(ROOT), "setup", "PYTHON=python3-that-is-not-there"],
        capture_output=True,
        text=True,
    )
    assert made.returncode != 0
    assert "no python3-that-is-not-there on this machine" in made.stderr


def test_make_alone_lists_the_commands():
    made = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    assert "make lab" in made.stdout
    assert "make test" in made.stdout
