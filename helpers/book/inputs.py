"""What the outputs of a chapter may depend on, told by content: a file's time is no evidence."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from helpers.data import EDITED


def leaned_on(root: Path, number: str, files: dict[str, str] | None = None) -> str:
    """A digest of everything outside its source that a chapter's outputs may depend on.

    Of ``helpers/exercises`` that is the chapter's own module and what all share; ``helpers/book``
    is the machinery itself and does not count. Of ``data/``, ledgers and texts do not count: no
    chapter loads them.

    Args:
        root: the book's folder.
        number: of the chapter.
        files: from :func:`shared_files`, where several chapters are asked about at once.
    """
    total = hashlib.sha256()
    for name, content in (shared_files(root) if files is None else files).items():
        module = re.fullmatch(r"helpers/exercises/(?:.*/)?ex(\d{3})\.py", name)
        if not module or module[1] == number:
            total.update(f"{name}\n{content}\n".encode())
    return total.hexdigest()


def shared_files(root: Path) -> dict[str, str]:
    """The pins and each file of ``helpers/`` and ``data/`` that counts: name and digest."""
    files = [root / "requirements.lock"]
    for folder in (root / "helpers", root / "data"):
        files += sorted(path for path in folder.rglob("*") if path.is_file())
    found = {}
    for path in files:
        parts = path.relative_to(root).parts
        junk = any(part == "__pycache__" or part.startswith(".") for part in parts)
        edited = parts[0] == "data" and path.suffix in EDITED
        if not junk and not edited and parts[:2] != ("helpers", "book"):
            found["/".join(parts)] = content_of(path)
    return found


def content_of(path: Path) -> str:
    """The SHA-256 of a file's content; of nothing, where there is no file."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    return hashlib.sha256(content).hexdigest()
