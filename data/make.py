"""Make the files of this folder again from the packages they came from.

Run by hand, never by the book. The packages are only unpacked, not installed:

    python -m pip download --no-deps --dest /tmp/origin scikit-learn==1.9.1 scikit-image==0.26.0
    cd /tmp/origin && for wheel in *.whl; do unzip -q "$wheel"; done
    python data/make.py /tmp/origin

It refuses origins whose digest is not the one below, writes ``digits.npz``, ``pictures/*.png``
and their digests in ``SHA256SUMS``. ``digits.npz`` is stored without compression, so its bytes
depend on no library. The pixels of the pictures were made with Pillow 13; another version may
compress them differently, or round a pixel differently: look at ``git diff --stat`` afterwards.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent

DIGITS = (
    "sklearn/datasets/data/digits.csv.gz",
    "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22",
)

# Name: origin, its digest, the box that is kept (left, upper, right, lower; None for all of
# it), and the size it is scaled to (width, height) in pixels.
PICTURES = {
    "astronaut": (
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        (64, 0, 448, 512),
        (240, 320),
    ),
    "bricks": (
        "skimage/data/brick.png",
        "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        None,
        (320, 320),
    ),
    "cat": (
        "skimage/data/chelsea.png",
        "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        None,
        (320, 213),
    ),
    "coffee": (
        "skimage/data/coffee.png",
        "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        None,
        (320, 213),
    ),
}


def checked(folder: Path, name: str, digest: str) -> Path:
    """The path of an origin whose content is the one this script was written for."""
    path = folder / name
    if not path.is_file():
        raise SystemExit(f"make.py: {path} is missing; unpack the wheels there, see --help")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != digest:
        raise SystemExit(f"make.py: {name} has digest {found}, expected {digest}; another version?")
    return path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("origin", type=Path, help="folder in which the two wheels were unpacked")
    origin = parser.parse_args().origin

    rows = np.loadtxt(checked(origin, *DIGITS), delimiter=",", dtype=np.uint8)
    np.savez(HERE / "digits.npz", images=rows[:, :64].reshape(-1, 8, 8), labels=rows[:, 64])

    (HERE / "pictures").mkdir(exist_ok=True)
    for name, (source, digest, box, size) in PICTURES.items():
        with Image.open(checked(origin, source, digest)) as original:
            small = original.resize(size, Image.Resampling.LANCZOS, box=box)
        small.save(HERE / "pictures" / f"{name}.png", optimize=True)

    made = [HERE / "digits.npz", *sorted((HERE / "pictures").glob("*.png"))]
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(HERE).as_posix()}\n"
        for path in made
    ]
    (HERE / "SHA256SUMS").write_text("".join(lines), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
