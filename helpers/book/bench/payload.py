"""What the figures of the built notebooks weigh."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from helpers.book.workbook import read


@dataclass(frozen=True)
class Payload:
    """One figure of a built notebook: an output that holds a ``<figure>``.

    Attributes:
        place: the chapter's name and the cell's id.
        size: the bytes of its HTML.
        explorable: whether a script stands in it.
    """

    place: str
    size: int
    explorable: bool


def payloads(paths: Sequence[Path]) -> list[Payload]:
    """Every figure of the notebooks in ``paths``, in order."""
    found = []
    for path in paths:
        for cell in read(path)["cells"]:
            for output in cell.get("outputs", []):
                page = "".join(output.get("data", {}).get("text/html", ""))
                if "<figure" in page:
                    place = f"{path.stem}, cell {cell['id']}"
                    found.append(Payload(place, len(page.encode()), "<script" in page))
    return found
