"""The book's own small data: real digits and real photographs, checked each time they are loaded.

The files lie in ``data/``; ``data/README.md`` names their origins and licences, and
``data/SHA256SUMS`` holds their digests.

>>> load_digits().images.shape
torch.Size([1797, 1, 8, 8])
>>> picture_names()
('astronaut', 'bricks', 'cat', 'coffee')
>>> load_picture("cat").size
(320, 213)
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

DATA = Path(__file__).resolve().parents[1] / "data"
MANIFEST = "SHA256SUMS"
# Files of the folder that people edit, that no digest holds fast and that no chapter loads.
EDITED = {".md", ".py", ".yml"}


class DataError(Exception):
    """A data file is damaged, missing, or one too many; the message names the cure."""


class Digits(NamedTuple):
    """Handwritten digits.

    Attributes:
        images: uint8, (1797, 1, 8, 8): picture, channel, row, column. A value counts the inked
            dots of a 4x4 block in the scan: 0 is blank paper, 16 is solid ink.
        labels: int64, (1797,): the digit that was written, 0 to 9.
    """

    images: torch.Tensor
    labels: torch.Tensor


def data_path(name: str, folder: Path = DATA) -> Path:
    """The path of a data file, once its content is proved to be what the book was written with.

    Args:
        name: as it stands in the manifest: "digits.npz", "pictures/cat.png".
        folder: where the manifest and the files lie.

    Raises:
        LookupError: the manifest lists no such file; the message lists what there is.
        DataError: the file or the manifest is missing or damaged.
    """
    digests = _manifest(folder)
    if name not in digests:
        there = "it is not in" if (folder / name).is_file() else "no such file in"
        raise LookupError(
            f"{name!r}: {there} data/{MANIFEST}, which lists: {', '.join(digests) or 'nothing'}"
        )
    if problem := _problem(name, digests[name], folder):
        raise DataError(problem)
    return folder / name


def load_digits(folder: Path = DATA) -> Digits:
    """1,797 handwritten digits of 13 people, 8x8 pixels each, on the CPU.

    Returns:
        images, uint8 of shape (1797, 1, 8, 8), values 0 (paper) to 16 (ink), and labels, int64
        of shape (1797,), values 0 to 9: new tensors at every call, so they may be written to.

    Raises:
        DataError: the file is missing or damaged.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine
        Learning Repository, 1998 (its test set).
    """
    import numpy as np
    import torch

    with np.load(data_path("digits.npz", folder), allow_pickle=False) as file:
        images = torch.from_numpy(file["images"]).unsqueeze(1)
        labels = torch.from_numpy(file["labels"]).to(torch.int64)
    return Digits(images, labels)


def load_picture(name: str, folder: Path = DATA) -> Image:
    """A photograph as a PIL picture of mode RGB: three bytes a pixel, 0 to 255, sRGB.

    Args:
        name: one of ``picture_names()``.
        folder: where the manifest and the files lie.

    Raises:
        LookupError: there is no such picture; the message lists what there is.
        DataError: the file is missing or damaged.

    Source: scikit-image's sample pictures, scaled down; see data/README.md.
    """
    names = picture_names(folder)
    if name not in names:
        raise LookupError(f"no picture {name!r}; there is: {', '.join(names) or 'none'}")

    from PIL import Image

    with Image.open(data_path(f"pictures/{name}.png", folder)) as file:
        return file.convert("RGB")


def picture_names(folder: Path = DATA) -> tuple[str, ...]:
    """The names that ``load_picture`` knows, in the order of the alphabet.

    Raises:
        DataError: the manifest is missing or damaged.
    """
    pictures = [Path(name) for name in _manifest(folder) if name.startswith("pictures/")]
    return tuple(sorted(path.stem for path in pictures))


def verify(folder: Path = DATA) -> list[str]:
    """What is wrong with the data files, one line each with its cure; empty when nothing is.

    A damaged, a missing and an extra file are told apart. Ledgers, scripts and hidden files are
    not counted.
    """
    try:
        digests = _manifest(folder)
    except DataError as error:
        return [str(error)]
    problems = [_problem(name, digest, folder) for name, digest in digests.items()]
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        ours = name in digests or name == MANIFEST or path.suffix in EDITED
        hidden = any(part.startswith((".", "__")) for part in Path(name).parts)
        if path.is_file() and not ours and not hidden:
            problems.append(
                f"data/{name} is not in data/{MANIFEST}: remove it, or add it in data/make.py"
            )
    return [problem for problem in problems if problem]


def _problem(name: str, digest: str, folder: Path) -> str | None:
    """What is wrong with one file of the manifest."""
    try:
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    except FileNotFoundError:
        what = "is missing"
    except OSError as error:
        what = f"cannot be read ({error.strerror})"
    else:
        if found == digest:
            return None
        what = "is damaged: its SHA-256 is not the one in the manifest"
    return f"data/{name} {what}; bring it back with: git checkout -- data/{name}"


def _manifest(folder: Path) -> dict[str, str]:
    """The digest of each data file by its name, from a file as ``sha256sum`` writes it."""
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
        pairs = [line.split(maxsplit=1) for line in lines]
        digests = {name.removeprefix("*"): digest for digest, name in pairs}
        if not digests or any(len(bytes.fromhex(digest)) != 32 for digest in digests.values()):
            raise ValueError
    except FileNotFoundError:
        what = "is missing"
    except (OSError, ValueError):
        what = "is damaged: each line is a SHA-256, two spaces and a name"
    else:
        return digests
    raise DataError(f"data/{MANIFEST} {what}; bring it back with: git checkout -- data/{MANIFEST}")
