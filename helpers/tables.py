"""A small table that reads well in a notebook, in plain text and in an untrusted notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence


def table(rows: Sequence[Mapping[str, object]], caption: str = "") -> None:
    """Display rows as a table: HTML in a notebook, aligned columns in plain text.

    Args:
        rows: one mapping a row, all with the same keys, which head the columns. True and False
            are written yes and no; None is written as a dash.
        caption: one sentence under the table.

    Raises:
        ValueError: there is no row, or a row has other keys than the first.
    """
    from IPython.display import display

    if not rows:
        raise ValueError("a table needs at least one row")
    heads = list(rows[0])
    for number, row in enumerate(rows):
        if list(row) != heads:
            raise ValueError(f"row {number} has the columns {list(row)}, the first has {heads}")
    cells = [[_text(row[head]) for head in heads] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in [heads, *cells]
    ]
    plain = "\n".join([*lines, caption] if caption else lines)
    display({"text/html": _html(heads, cells, caption), "text/plain": plain}, raw=True)


def _text(value: object) -> str:
    if value is True or value is False:
        return "yes" if value else "no"
    return "–" if value is None else str(value)


def _html(heads: list[str], cells: list[list[str]], caption: str) -> str:
    def line(values: list[str], tag: str) -> str:
        inside = "".join(
            f'<{tag} style="text-align:left">{html.escape(value)}</{tag}>' for value in values
        )
        return f"<tr>{inside}</tr>"

    body = "".join(line(values, "td") for values in cells)
    foot = f"<p>{html.escape(caption)}</p>" if caption else ""
    return f"<table><thead>{line(heads, 'th')}</thead><tbody>{body}</tbody></table>{foot}"
