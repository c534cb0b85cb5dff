"""Which chapters are as they were when all their cells last passed.

That is told by content, never by a file's time. What counts is the notebook, its source, all that
the chapter may lean on, the pins and pytest's options, what verifies it, and what it runs on: the
Python, the installed packages, the processors that do the work and the environment variables that
reach into a kernel. So a run with cold kernels (BOOK_WARM=0, or pytest by itself), with other
threads or on another device is noted apart, and never stands in for one without these settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from helpers.book.chapters import ROOT
from helpers.book.files import write_atomically
from helpers.book.inputs import content_of, leaned_on, shared_files
from helpers.book.kernel import kernel_environment

RECORD = Path(".cache", "verified.json")
# Green runs kept of a chapter: those with other settings, and of branches that one comes back to.
KEPT = 8
MACHINERY = (
    "helpers/book/__init__.py",
    "helpers/book/chapters.py",
    "helpers/book/files.py",
    "helpers/book/inputs.py",
    "helpers/book/kernel.py",
    "helpers/book/parent.py",
    "helpers/book/provisioner.py",
    "helpers/book/suite.py",
    "helpers/book/warm.py",
    "tests/__init__.py",
    "tests/conftest.py",
    "tests/nbval_strict.py",
    "tests/strict/*.py",
)
# Beginnings of the names of variables that may change what a cell puts out.
_REACHING = (
    *("BOOK_DEVICE", "CUDA_", "KMP_", "MKL_", "MPL", "NVIDIA_", "OMP_", "OPENBLAS_"),
    *("PYTHON", "PYTORCH_", "TORCH"),
)


def chapters_in(root: Path) -> list[Path]:
    """The notebooks of the book in ``root`` that are chapters."""
    found = sorted((root / "notebooks").glob("[0-9][0-9][0-9]_*.ipynb"))
    return [path for path in found if path.is_file()]


def digests(root: Path, chapters: Iterable[Path], machinery: Path = ROOT) -> dict[str, str]:
    """By name below ``root``, a digest of all that each chapter's verification depends on.

    Args:
        root: the book's folder.
        chapters: their notebooks.
        machinery: the folder of the plugin that verifies them.
    """
    chapters = list(chapters)
    if not chapters:
        return {}
    common = [*_settings(), content_of(root / "pyproject.toml")]
    for pattern in MACHINERY:
        for path in sorted(machinery.glob(pattern)):
            common.append(f"{path.relative_to(machinery).as_posix()} {content_of(path)}")
    files = shared_files(root)
    found = {}
    for path in chapters:
        own = [content_of(path), content_of(path.parent / "source" / f"{path.stem}.py")]
        parts = [*common, leaned_on(root, path.name[:3], files), *own]
        found[_name(path, root)] = hashlib.sha256("\n".join(parts).encode()).hexdigest()
    return found


def _settings() -> list[str]:
    """What a chapter runs on."""
    kernel = kernel_environment("")
    variables = [f"{name}={kernel[name]}" for name in sorted(kernel) if name.startswith(_REACHING)]
    installed = {path.name for folder in sys.path for path in Path(folder).glob("*.dist-info")}
    # Whether torch sees a device costs its import; what the system shows tells a change as well.
    devices = sorted(path.name for path in Path("/dev").glob("nvidia[0-9]*"))
    return [
        # It holds the folder of what forks them, or nothing that is a path.
        "warm kernels" if os.path.isabs(kernel.get("BOOK_WARM", "")) else "cold kernels",
        *(sys.version, sys.platform, platform.machine()),
        *(*variables, *sorted(installed), *devices),
    ]


class Verified:
    """What passed before, what passes now.

    Args:
        root: the book's folder.
        chapters: the notebooks that this run may hold.
        machinery: the folder of the plugin that verifies them.
    """

    def __init__(self, root: Path, chapters: Iterable[Path], machinery: Path = ROOT) -> None:
        self._root, self._machinery = root, machinery
        self._chapters = {_name(path, root): path for path in chapters}
        # Taken before the run: what changes while it lasts must be run again.
        self._before = digests(root, self._chapters.values(), machinery)
        self._passed: defaultdict[str, set[str]] = defaultdict(set)
        self._cells: dict[str, int] = {}
        self._red: set[str] = set()

    def unchanged(self) -> list[Path]:
        """The chapters that are as they were at one of their last green runs."""
        known = _read(self._root / RECORD)
        return [
            path
            for name, path in self._chapters.items()
            if self._before[name] in known.get(name, ())
        ]

    def passed(self, name: str, cell: str, cells: int) -> None:
        """Note that one of the ``cells`` cells of a chapter ran and passed."""
        self._passed[name].add(cell)
        self._cells[name] = cells

    def failed(self, name: str) -> None:
        """Note that something of a chapter failed."""
        self._red.add(name)

    def keep(self) -> None:
        """Remember the chapters all of whose cells passed, and forget what is red now.

        Raises:
            OSError: the record cannot be written.
        """
        green = [
            name
            for name, cells in self._cells.items()
            if name in self._chapters and name not in self._red and len(self._passed[name]) == cells
        ]
        now = digests(self._root, [self._chapters[name] for name in green], self._machinery)
        green = [name for name in green if now[name] == self._before[name]]
        red = self._red & {*self._chapters}
        if not green and not red:
            return
        path = self._root / RECORD
        path.parent.mkdir(exist_ok=True)
        # Imported where it is needed: a run that leaves all out has nothing to write.
        from filelock import FileLock

        with FileLock(path.with_suffix(".lock")):
            known = _read(path)
            for name in (*green, *red):
                before = [one for one in known.get(name, ()) if one != self._before[name]]
                new = [self._before[name]] if name in green else []
                known[name] = [*new, *before][:KEPT]
            there = {name: kept for name, kept in known.items() if (self._root / name).exists()}
            write_atomically(path, json.dumps(there, indent=1, sort_keys=True) + "\n")


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _read(path: Path) -> dict[str, list[str]]:
    """What is remembered; of a damaged file, nothing."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [str(one) for one in kept] for name, kept in known.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
