"""The reader's progress: one small JSON file that is never lost and never goes back."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path

from . import registry

FILE = "progress.json"
# Seconds to wait for another kernel that is writing.
PATIENCE = 5.0
_RECORDED = ("wrong", "error", "pass")

# What this session knows, so that progress counts here even where it cannot be saved.
_session: dict[str, dict] = {}
_said: set[str] = set()


def home() -> Path:
    """The folder of the reader's progress: BOOK_HOME, else the user's data folder."""
    if chosen := os.environ.get("BOOK_HOME"):
        return Path(chosen)
    import platformdirs

    return Path(platformdirs.user_data_dir("pytorch-cell-by-cell", appauthor=False))


def record(id: str, state: str) -> None:
    """Note a try. A passed exercise stays passed; nothing that another kernel wrote is lost.

    Args:
        id: of the exercise.
        state: of the check; "todo" and "skipped" are no tries and are not noted.
    """
    if state not in _RECORDED:
        return
    _session[id] = _better(_session.get(id), {"state": state})
    try:
        _save()
    except (OSError, NotImplementedError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        _say_once(
            f"Progress cannot be saved in {home()}: {reason}. It counts until this kernel stops; "
            "set BOOK_HOME to a folder that can be written, to keep it."
        )


def _save() -> None:
    from filelock import FileLock

    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{FILE}.lock", timeout=PATIENCE):
        saved = _read(folder / FILE, move_aside=True)
        entries = saved.setdefault("exercises", {})
        for id, entry in _session.items():
            entries[id] = _better(entries.get(id), entry)
        _write(folder / FILE, saved)


def _better(old: dict | None, new: dict) -> dict:
    """Two entries as one; passed beats everything."""
    if old is None:
        return dict(new)
    state = "pass" if "pass" in (old["state"], new["state"]) else new["state"]
    return {**old, **new, "state": state}


def _read(path: Path, *, move_aside: bool = False) -> dict:
    """The saved progress; a file that is no progress is moved aside, never overwritten.

    Raises:
        OSError: the file is there but cannot be read.
    """
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
        for entry in saved["exercises"].values():
            entry["state"]  # a malformed entry raises here
        return saved
    except FileNotFoundError:
        return {"version": 1, "exercises": {}}
    except (ValueError, KeyError, TypeError, AttributeError):
        if move_aside:
            aside = next(
                spot
                for spot in (path.with_name(f"{path.name}.corrupt-{n}") for n in range(1, 10**6))
                if not spot.exists()
            )
            path.rename(aside)
            _say_once(f"The progress file was damaged; it is kept as {aside.name}.")
        return {"version": 1, "exercises": {}}


def _write(path: Path, saved: dict) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".new", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(saved, file, indent=1, sort_keys=True)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def states() -> dict[str, str]:
    """The best state of every exercise that was tried, by id."""
    try:
        saved = _read(home() / FILE)
    except OSError:
        saved = {"exercises": {}}
    entries = dict(saved["exercises"])
    for id, entry in _session.items():
        entries[id] = _better(entries.get(id), entry)
    return {id: entry["state"] for id, entry in entries.items()}


def tried(id: str) -> bool:
    """Whether an exercise was ever tried."""
    return id in states()


def progress(chapter: str | None = None) -> None:
    """Print how many exercises of each chapter are passed, and which is next.

    Args:
        chapter: only this one ("103").

    Raises:
        LookupError: the chapter has no exercises; the message lists those that have.
    """
    known = states()
    chapters = [chapter] if chapter else registry.chapters_with_exercises()
    declared = {number: registry.exercises_of(number) for number in chapters}
    everything = [exercise for group in declared.values() for exercise in group]
    for number, group in declared.items():
        passed = sum(known.get(exercise.id) == "pass" for exercise in group)
        boxes = "".join("■" if known.get(exercise.id) == "pass" else "□" for exercise in group)
        print(f"Chapter {number}: {passed} of {len(group)} passed  {boxes}")
    still = [exercise for exercise in everything if known.get(exercise.id) != "pass"]
    if len(declared) > 1:
        print(f"Together: {len(everything) - len(still)} of {len(everything)}")
    if still:
        print(f"Next: {still[0].id}, {still[0].name}")
    elif everything:
        print("All are passed.")
    else:
        print("There are no exercises yet.")


def _say_once(message: str) -> None:
    if message not in _said:
        _said.add(message)
        print(message)
