"""The README says what is true today: its table, its picture, its numbers, its commands."""

import re

import pytest

from helpers.book import ledger, readme

TEXT = readme.README.read_text(encoding="utf-8")


def test_the_table_of_chapters_is_current():
    assert readme.current(TEXT) == TEXT, "run make notebooks: README's table is out of date"


def test_every_chapter_is_in_the_table():
    for chapter in readme.chapters():
        assert f"(notebooks/{chapter.name}.ipynb)" in TEXT


def test_the_picture_is_the_one_in_the_book():
    assert readme.PICTURE.read_bytes() == readme.picture(), "run make notebooks: cover.png is old"


def test_the_count_of_claims_is_the_ledgers():
    claims = ledger.claims()
    wrong = sum(claim.verdict != "true" for claim in claims)
    flat = " ".join(TEXT.split())
    assert f"Of {len(claims)} checkable statements in them, {wrong} are false" in flat


def test_the_make_targets_it_names_exist():
    makefile = (readme.ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?m)(?:^|`)make ([a-z]+)", TEXT)) | {"test", "lab"}
    assert {"lab", "test", "doctor", "clean", "notebooks"} <= named
    for target in named:
        assert re.search(rf"(?m)^{target}:", makefile), f"README names make {target}"


def test_a_readme_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="end of chapters"):
        readme.current("# No table here\n")
    assert readme.current("<!-- chapters -->\nold\n<!-- end of chapters -->").count("old") == 0
