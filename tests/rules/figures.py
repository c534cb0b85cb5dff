"""What the figures of a built notebook say to those who do not see them."""

from __future__ import annotations

from helpers.book.chapters import Chapter
from helpers.book.ledger import sentences
from tests.rules.drift import built
from tests.strict.outputs import is_figure


def said(chapter: Chapter) -> list[str]:
    """Alt text of at least 20 characters, other than the caption; a caption of one sentence."""
    found = []
    for where, cell in built(chapter):
        for output in filter(is_figure, cell.get("outputs", [])):
            facts = output.metadata["figure"]
            alt, caption = facts.get("alt", "").strip(), facts.get("caption", "").strip()
            if len(alt) < 20:
                found.append(f"{where}: the alt text {alt!r} is missing or too short")
            if alt == caption:
                found.append(f"{where}: the alt text repeats the caption {caption!r}")
            if sentences(caption) != 1:
                found.append(
                    f"{where}: the caption {caption!r} is not one sentence with its period"
                )
    return found
