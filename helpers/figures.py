"""Figures in the house style: one output each, with alt text and a visible caption.

A figure is displayed as one ``<figure>`` of HTML with the picture inside it, so that alt text and
caption also reach a reader whose notebook is not trusted. The display's metadata holds the facts
of the drawing (titles, labels, texts, a digest of the data), which the test suite compares.

Colours follow Okabe and Ito, *Color universal design* (2008), whose eight hues stay distinct for
the colour-blind. The paper is opaque, so a figure reads the same in light and dark themes.
"""

from __future__ import annotations

import base64
import html
import io
import logging
import re
from typing import Any

import numpy as np
from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from PIL import Image

# On a new machine the first figure builds a list of fonts, and says so on stderr when that is slow.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

INK = "#1d1d1f"
PAPER = "#fcfbf8"
QUIET = "#8a8a8a"
BLUE = "#0072b2"
ORANGE = "#e69f00"
GREEN = "#009e73"
RED = "#d55e00"
PURPLE = "#cc79a7"
SKY = "#56b4e9"
YELLOW = "#f0e442"
CYCLE = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY, INK)

_STYLE = {
    "axes.edgecolor": QUIET,
    "axes.facecolor": PAPER,
    "axes.grid": False,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.facecolor": PAPER,
    "font.size": 9,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
DPI = 144
_CSS_DPI = 96


def canvas(
    width: float = 7, height: float = 3, rows: int = 1, cols: int = 1, **subplots: Any
) -> tuple[Figure, Any]:
    """An empty figure in the house style, outside pyplot: nothing shows until :func:`show`.

    Args:
        width: inches; 7 fills the column of a notebook.
        height: inches.
        rows, cols: how many axes.
        subplots: passed on to :meth:`matplotlib.figure.Figure.subplots`.

    Returns:
        The figure and its axes: one ``Axes``, or an array of them of shape ``(rows, cols)`` with
        axes of length one squeezed out, as in matplotlib.
    """
    from cycler import cycler

    # The reader's own matplotlibrc must not change what the committed figures look like.
    with rc_context({**rcParamsDefault, **_STYLE, "axes.prop_cycle": cycler(color=CYCLE)}):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(rows, cols, **subplots)
    return figure, axes


def show(figure: Figure, caption: str, alt: str) -> None:
    """Display a figure with its caption under it and its alt text for those who cannot see it.

    Args:
        figure: from :func:`canvas`.
        caption: one sentence that says what the figure shows, ending in a full stop. Words between
            backticks are set as code.
        alt: what a person would say who describes the picture over the telephone.

    Raises:
        ValueError: the caption or the alt text is missing, or the drawn data are not finite.
    """
    from IPython.display import display

    if not caption.strip().endswith("."):
        raise ValueError(f"caption {caption!r}: write one sentence that ends with a full stop")
    if len(alt.strip()) < 20:
        raise ValueError(f"alt text {alt!r}: describe the picture in at least 20 characters")
    facts = [_facts(axes) for axes in figure.axes]
    width = round(figure.get_size_inches()[0] * _CSS_DPI)
    picture = base64.b64encode(_png(figure)).decode()
    code = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(caption))
    markup = (
        f'<figure class="book" style="margin:0.6em 0;max-width:{width}px">'
        f'<img src="data:image/png;base64,{picture}" alt="{html.escape(alt)}" width="{width}" '
        'style="max-width:100%;height:auto;border-radius:6px">'
        f'<figcaption style="margin-top:0.3em">{code}</figcaption></figure>'
    )
    display(
        {"text/html": markup, "text/plain": f"Figure: {caption}"},
        metadata={"figure": {"alt": alt, "caption": caption, "facts": facts}},
        raw=True,
    )


def _png(figure: Figure) -> bytes:
    """PNG bytes with a palette: a third of the size of full colour, and nothing of the machine."""
    raw = io.BytesIO()
    with rc_context({**rcParamsDefault, **_STYLE}):
        figure.savefig(raw, format="png", dpi=DPI, facecolor=PAPER)
    image = Image.open(raw).convert("RGB")
    small = image.quantize(colors=256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    out = io.BytesIO()
    small.save(out, format="PNG", optimize=True)
    return out.getvalue()


def _facts(axes: Axes) -> dict[str, Any]:
    """What a drawing says: its words, and per kind of artist how many and a digest of the data."""
    drawn: dict[str, list[np.ndarray]] = {}
    for artist in axes.get_children():
        if artist is axes.patch or not artist.get_visible():
            continue
        data = _data_of(artist)
        if data is not None and data.size:
            drawn.setdefault(type(artist).__name__, []).append(data)
    words = [axes.get_title(loc=loc) for loc in ("left", "center", "right")]
    return {
        "title": " ".join(word for word in words if word),
        "xlabel": axes.get_xlabel(),
        "ylabel": axes.get_ylabel(),
        "texts": [text.get_text() for text in axes.texts],
        "drawn": {kind: _digests(found, axes) for kind, found in sorted(drawn.items())},
    }


def _data_of(artist: Any) -> np.ndarray | None:
    if isinstance(artist, Line2D):
        return np.asarray(artist.get_xydata(), dtype=float)
    if isinstance(artist, AxesImage):
        return np.ma.getdata(artist.get_array()).astype(float)
    if isinstance(artist, Collection):
        array = artist.get_array()
        if array is not None:
            return np.ma.getdata(array).astype(float)
        paths = [path.vertices for path in artist.get_paths()]
        return np.concatenate([np.asarray(artist.get_offsets(), float), *paths])
    if isinstance(artist, Patch):
        return artist.get_patch_transform().transform(artist.get_path().vertices)
    return None


def _digests(found: list[np.ndarray], axes: Axes) -> list[str]:
    """One digest an artist; one for all of them together where there are many, as in a grid."""
    if len(found) <= 12:
        return [_digest(data, axes) for data in found]
    together = np.concatenate([data.reshape(-1) for data in found])
    return [f"{len(found)} together: {_digest(together, axes)}"]


def _digest(data: np.ndarray, axes: Axes) -> str:
    if not np.isfinite(data).all():
        raise ValueError(
            f"axes {axes.get_title(loc='left')!r}: some of the drawn data are not finite"
        )
    parts = (data.min(), data.max(), data.mean())
    shape = "x".join(map(str, data.shape))
    return f"{shape} " + " ".join(f"{part + 0.0:.3g}" for part in parts)
