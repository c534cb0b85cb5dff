"""The data files are what the manifest says, and every fault of theirs is named with its cure."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from helpers import data

# Of the decoded pixels, row by row, three bytes each: whatever the PNG was compressed with.
PIXELS = {
    "astronaut": "e795b377cbe095529d6bf2ccf583e7a175b76ff931a02f51fc138999072cf47b",
    "bricks": "9bdcbd5139d9171ebe39693e3af38aaa4422d0e73de40ffbb0485196a0f72fa2",
    "cat": "fc60b434838db9fc924467830b738b9aa8b7a78e4c730e1a4b3ac44df7f05a5f",
    "coffee": "53054710742c46b467e7fdda79a4eac9fc126fa0b580fd1482305c3b5f82e687",
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the data folder, to be damaged."""
    return shutil.copytree(data.DATA, tmp_path / "data of élise")


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_digits_have_the_shapes_types_and_labels_they_promise():
    digits = data.load_digits()
    assert digits.images.shape == (1797, 1, 8, 8)
    assert digits.images.dtype == torch.uint8
    assert digits.images.min() == 0
    assert digits.images.max() == 16
    assert digits.labels.shape == (1797,)
    assert digits.labels.dtype == torch.int64
    # The counts that UCI states for its test set.
    assert digits.labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert hashlib.sha256(digits.images.numpy().tobytes()).hexdigest() == (
        "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    )


def test_digits_are_upright_and_written_in_ink():
    images, labels = data.load_digits()
    mean = images[labels == 7].float().mean(0)[0]
    assert mean[0:2].sum() > mean[6:8].sum()
    assert images[labels == 0, 0, 3:5, 3:5].float().mean() < 4


def test_loaded_digits_may_be_written_to():
    data.load_digits().images.zero_()
    assert data.load_digits().images.any()


def test_pictures_decode_to_the_same_pixels():
    assert data.picture_names() == tuple(PIXELS)
    for name, digest in PIXELS.items():
        picture = data.load_picture(name)
        assert picture.mode == "RGB"
        assert max(picture.size) == 320
        assert hashlib.sha256(picture.tobytes()).hexdigest() == digest, name


def test_pictures_are_small_and_come_in_both_formats():
    sizes = {name: data.load_picture(name).size for name in data.picture_names()}
    assert any(width > height for width, height in sizes.values())
    assert any(width < height for width, height in sizes.values())
    for path in (data.DATA / "pictures").iterdir():
        assert path.stat().st_size < 150_000, path.name


def test_the_untouched_folder_has_no_problem(copy: Path):
    assert data.verify() == []
    assert data.verify(copy) == []


@pytest.mark.parametrize("name", ["digits.npz", "pictures/cat.png"])
def test_a_flipped_bit_is_damage(copy: Path, name: str):
    flip_a_bit(copy / name)
    cure = rf"data/{name} is damaged.*git checkout -- data/{name}"
    with pytest.raises(data.DataError, match=cure):
        data.data_path(name, copy)
    with pytest.raises(data.DataError, match=cure):
        data.load_digits(copy) if name == "digits.npz" else data.load_picture("cat", copy)
    [problem] = data.verify(copy)
    assert f"data/{name} is damaged" in problem


def test_a_missing_file_is_named(copy: Path):
    (copy / "digits.npz").unlink()
    with pytest.raises(data.DataError, match=r"digits.npz is missing; .*git checkout -- data/dig"):
        data.load_digits(copy)
    [problem] = data.verify(copy)
    assert "data/digits.npz is missing" in problem


def test_an_unreadable_file_is_named(copy: Path):
    (copy / "digits.npz").unlink()
    (copy / "digits.npz").mkdir()
    with pytest.raises(data.DataError, match=r"digits.npz cannot be read.*git checkout"):
        data.load_digits(copy)


def test_an_extra_file_is_named(copy: Path):
    shutil.copy(copy / "pictures" / "cat.png", copy / "pictures" / "dog.png")
    with pytest.raises(LookupError, match=r"'pictures/dog.png': it is not in data/SHA256SUMS"):
        data.data_path("pictures/dog.png", copy)
    with pytest.raises(LookupError, match=r"no picture 'dog'; there is: astronaut, bricks"):
        data.load_picture("dog", copy)
    [problem] = data.verify(copy)
    assert problem.startswith("data/pictures/dog.png is not in data/SHA256SUMS: remove it")


def test_ledgers_and_hidden_files_are_not_extra(copy: Path):
    (copy / "new.yml").touch()
    (copy / ".DS_Store").touch()
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "make.pyc").touch()
    assert data.verify(copy) == []


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(LookupError, match=r"no such file in data/SHA256SUMS, which lists: digits"):
        data.data_path("mnist.npz")


@pytest.mark.parametrize(
    "content", ["", "abc  digits.npz\n", "no digest at all\n", "\n", "ü\xff\n"]
)
def test_a_damaged_manifest_is_named(copy: Path, content: str):
    (copy / data.MANIFEST).write_bytes(content.encode("latin-1"))
    cure = r"data/SHA256SUMS is damaged.*git checkout -- data/SHA256SUMS"
    with pytest.raises(data.DataError, match=cure):
        data.data_path("digits.npz", copy)
    with pytest.raises(data.DataError, match=cure):
        data.picture_names(copy)
    [problem] = data.verify(copy)
    assert "git checkout" in problem


def test_a_missing_manifest_is_named(copy: Path):
    (copy / data.MANIFEST).unlink()
    with pytest.raises(data.DataError, match=r"data/SHA256SUMS is missing; .*git checkout"):
        data.load_digits(copy)


def test_a_manifest_with_other_line_ends_or_binary_marks_is_read(copy: Path):
    manifest = copy / data.MANIFEST
    text = manifest.read_text(encoding="utf-8")
    manifest.write_bytes(text.replace("  ", " *").replace("\n", "\r\n").encode())
    assert data.verify(copy) == []


def test_the_readme_states_the_digest_of_every_file():
    readme = (data.DATA / "README.md").read_text(encoding="utf-8")
    for line in (data.DATA / data.MANIFEST).read_text(encoding="utf-8").splitlines():
        digest, name = line.split()
        assert f"| `{name}` | `{digest}` |" in readme


def test_loading_needs_no_working_folder_and_importing_loads_nothing(tmp_path: Path):
    program = (
        "import sys, helpers.data\n"
        "print([m for m in ('torch', 'torchvision', 'matplotlib', 'PIL', 'numpy')"
        " if m in sys.modules])\n"
        "print(helpers.data.load_picture('cat').size, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "(320, 213) False"]
