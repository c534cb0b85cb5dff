"""The reader's own copy of the chapters: made and updated without ever losing the reader's work.

A chapter counts as changed when a cell's kind, its text, its attachments or its outputs differ
from what was placed, or cells came, went or moved. So running a chapter and saving it makes it
the reader's. Opening and saving does not: Jupyter then rewrites only metadata, execution counts
and the layout of the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from helpers.book.chapters import NOTEBOOKS, ROOT

WORKBOOK = ROOT / "workbook"
MANIFEST = ".book.json"


class Problem(Exception):
    """Something the reader can cure; the message is one line that names the cause and the cure."""


@dataclass
class Update:
    """What an update did.

    Attributes:
        chapters: the chapters that are in the workbook now, in the order of the book.
        notes: lines for the reader, one for each thing worth saying.
    """

    chapters: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def update(notebooks: Path = NOTEBOOKS, workbook: Path = WORKBOOK) -> Update:
    """Bring every chapter of the book into the workbook, outputs cleared.

    A chapter the reader has not touched is replaced by the book's newer edition. One the reader
    changed is kept, and a newer edition is put beside it as ``NNN_name.new.ipynb``, once for each
    edition; that copy too is replaced only as long as the reader has not changed it.

    Raises:
        Problem: the book has no built chapter, or the workbook cannot be written.
    """
    editions = sorted(notebooks.glob("[0-9][0-9][0-9]_*.ipynb"))
    if not editions:
        raise Problem(f"no chapter is in {notebooks}. Restore them: git checkout -- notebooks")
    done = Update()
    try:
        workbook.mkdir(parents=True, exist_ok=True)
        known, lost = _read_manifest(workbook)
        if lost:
            done.notes.append(
                f"{MANIFEST} {lost}: every chapter that differs from the book is kept as yours."
            )
        before = json.dumps(known)
        try:
            for edition in editions:
                _bring(edition, workbook, known.setdefault(edition.name, {}), done)
        finally:
            if json.dumps(known) != before:
                _write(workbook / MANIFEST, known)
    except OSError as error:
        raise Problem(_writing_failed(error, workbook)) from error
    gone = sorted(set(known) - {edition.name for edition in editions})
    done.notes += [
        f"{name}: no longer in the book; your copy is kept."
        for name in gone
        if (workbook / name).exists()
    ]
    return done


def cleared(notebook: dict) -> dict:
    """``notebook`` as it is handed to a reader: without outputs and execution counts."""
    cells = [
        {**cell, "outputs": [], "execution_count": None} if cell["cell_type"] == "code" else cell
        for cell in notebook["cells"]
    ]
    return {**notebook, "cells": cells}


def content(notebook: dict) -> str:
    """The SHA-256 of what a reader means by a notebook: its cells, their text and their outputs.

    Raises:
        ValueError: ``notebook`` is not a notebook of format 4.
    """
    try:
        meant = [
            (
                cell["cell_type"],
                _joined(cell["source"]),
                cell.get("attachments") or {},
                [_meant(output) for output in cell.get("outputs", [])],
            )
            for cell in notebook["cells"]
        ]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a notebook") from error
    return hashlib.sha256(json.dumps(meant, sort_keys=True).encode()).hexdigest()


def _meant(output: dict) -> dict:
    kept = {k: _joined(v) for k, v in output.items() if k not in ("execution_count", "metadata")}
    if "data" in output:
        kept["data"] = {mime: _joined(value) for mime, value in output["data"].items()}
    return kept


def _joined(text: object) -> object:
    # The format lets a text stand as one string or as a list of lines; the two mean the same.
    if isinstance(text, list) and all(isinstance(line, str) for line in text):
        return "".join(text)
    return text


def read(path: Path) -> dict:
    """The notebook in ``path``.

    Raises:
        ValueError: the file is damaged or is no notebook.
        OSError: the file cannot be read.
    """
    notebook = json.loads(path.read_text(encoding="utf-8"))
    content(notebook)
    return notebook


def _content_of(path: Path) -> str | None:
    """What ``path`` holds, "" when it cannot be read, None when there is no such file."""
    if not os.path.lexists(path):
        return None
    try:
        return content(read(path))
    except (ValueError, OSError):
        return ""


def _bring(edition: Path, workbook: Path, known: dict[str, str], done: Update) -> None:
    path = workbook / edition.name
    beside = path.with_suffix(".new.ipynb")
    mine = _content_of(path)
    try:
        fresh = cleared(read(edition))
    except (ValueError, OSError):
        done.notes.append(
            f"{edition.name}: the book's copy is damaged. "
            f"Restore it: git checkout -- notebooks/{edition.name}"
        )
        if mine is not None:
            done.chapters.append(path)
        return
    done.chapters.append(path)
    new = content(fresh)

    if mine is None or mine == known.get("placed") or mine == new:
        if mine is None and known:
            done.notes.append(f"{path.name}: was gone, is back.")
        elif mine not in (None, new):
            done.notes.append(f"{path.name}: updated to the new edition.")
        if mine != new:
            _write(path, fresh)
        known["placed"] = new
        # The chapter is the newest edition now: a copy beside it that nobody touched is litter.
        if known.get("offered") and _content_of(beside) in (new, known["offered"]):
            beside.unlink()
        known.pop("offered", None)
        return

    if "placed" not in known and _same_sources(path, fresh):
        known["placed"] = new
    if mine and known.get("placed") == new:
        return
    offered = _content_of(beside)
    why = "you changed it" if mine else "it cannot be read as a notebook"
    if offered is None and known.get("offered") == new:
        return
    if offered not in (None, new, known.get("offered")):
        done.notes.append(
            f"{path.name}: kept, {why}; there is a newer edition, but you changed {beside.name} "
            "too. Rename that to get it."
        )
        return
    if offered != new:
        _write(beside, fresh)
    known["offered"] = new
    done.notes.append(f"{path.name}: kept, {why}; the newer edition is beside it, {beside.name}.")


def _same_sources(path: Path, fresh: dict) -> bool:
    try:
        return content(cleared(read(path))) == content(fresh)
    except (ValueError, OSError):
        return False


def _read_manifest(workbook: Path) -> tuple[dict[str, dict[str, str]], str]:
    """What was placed and offered, by file name, and what is wrong with the record, if anything."""
    try:
        known = json.loads((workbook / MANIFEST).read_text(encoding="utf-8"))
        if all(isinstance(value, str) for entry in known.values() for value in entry.values()):
            return known, ""
    except FileNotFoundError:
        return {}, "is missing" if any(workbook.glob("*.ipynb")) else ""
    except (ValueError, AttributeError):
        pass
    return {}, "is damaged"


def _write(path: Path, value: dict) -> None:
    """Write JSON so that a reader, a crash or a full disk finds the old file or the new, whole."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            json.dump(value, file, ensure_ascii=False, indent=1)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _writing_failed(error: OSError, workbook: Path) -> str:
    cure = f"Move {workbook} elsewhere and run `make lab` again"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        cure = "Free some space and run `make lab` again; nothing was lost"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        cure = f'Make it writable: chmod -R u+rwX "{workbook}"'
    return f"the workbook {workbook} cannot be written: {error.strerror or error}. {cure}"
