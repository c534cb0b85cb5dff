"""Pictures of what a chapter talks about: tensors, storage, graphs, windows, events, photographs.

Each function draws the tensors it is given and displays one figure (:func:`helpers.show`). Every
one takes a ``caption`` (one sentence) and writes its own alt text from the data where ``alt`` is
not given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path

from helpers.figures import (
    BLUE,
    CYCLE,
    DPI,
    GREEN,
    INK,
    PAPER,
    QUIET,
    RED,
    canvas,
    show,
)

# Light tints in which black numbers stay readable, told apart by hue and by lightness.
TINTS = ("#cfe4f3", "#fbe3b5", "#c3e8da", "#f7d3bf", "#eed7e4", "#e4f1fb", "#f8f4b8", "#dcdcdc")
_CELL = 0.44  # inches
_WIDEST = 7.4  # inches
_MOST_CELLS = 640


class _Sheet:
    """Shapes in units of one cell, y downwards; becomes a figure just large enough for them."""

    def __init__(self) -> None:
        self.patches: list[Any] = []
        self.words: list[tuple[float, float, str, dict[str, Any]]] = []
        self.right = 0.0
        self.bottom = 0.0

    def box(self, x: float, y: float, text: str = "", fill: str = PAPER, **style: Any) -> None:
        look = {"edgecolor": QUIET, "linewidth": 0.8, "facecolor": fill, **style}
        self.patches.append(Rectangle((x, y), 1, 1, **look))
        if text:
            self.text(x + 0.5, y + 0.5, text, ha="center", va="center", size=_size(text))
        self.reach(x + 1, y + 1)

    def text(self, x: float, y: float, text: str, **style: Any) -> None:
        self.words.append((x, y, text, {"color": INK, "size": 9, **style}))
        left = {"center": 0.5, "right": 1.0}.get(style.get("ha", "left"), 0.0)
        letter = 0.0215 if style.get("weight") == "bold" else 0.019
        self.reach(x + (1 - left) * letter * style.get("size", 9) * len(text), y + 0.2)

    def arrow(self, start: tuple[float, float], end: tuple[float, float], **style: Any) -> None:
        look = {"arrowstyle": "-|>", "mutation_scale": 10, "color": INK, "linewidth": 1.2, **style}
        self.patches.append(FancyArrowPatch(start, end, shrinkA=0, shrinkB=0, **look))
        self.reach(max(start[0], end[0]), max(start[1], end[1]))

    def reach(self, x: float, y: float) -> None:
        self.right, self.bottom = max(self.right, x), max(self.bottom, y)

    def show(self, caption: str, alt: str) -> None:
        wide, high = self.right + 0.3, self.bottom + 0.3
        cell = min(_CELL, _WIDEST / wide)
        figure, axes = canvas(max(wide * cell, 2.5), high * cell)
        figure.set_layout_engine("none")
        axes.set_position((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(-0.15, max(wide, 2.5 / cell) - 0.15)
        axes.set_ylim(high - 0.15, -0.15)
        shrink = cell / _CELL
        for patch in self.patches:
            axes.add_patch(patch)
        for x, y, text, style in self.words:
            axes.text(x, y, text, **{**style, "size": style["size"] * max(shrink, 0.6)})
        show(figure, caption, alt)


def grid(
    *tensors: torch.Tensor,
    caption: str,
    titles: Sequence[str] | None = None,
    highlight: Sequence[torch.Tensor | None] | torch.Tensor | None = None,
    columns: int | None = None,
    labels: tuple[Sequence[str], Sequence[str]] | None = None,
    alt: str | None = None,
) -> None:
    """Draw small tensors as grids of their values, side by side.

    Args:
        tensors: of 0 to 3 dimensions, any dtype; one of 3 dimensions becomes a row of pages.
            At most 640 cells together.
        caption: one sentence.
        titles: one a tensor.
        highlight: one boolean tensor a tensor (or one for all, or None): where True, the cell is
            filled in orange and framed.
        columns: how many tensors stand in a row before the next row begins; by default as many as
            the width allows.
        labels: names of the rows and of the columns, the same for every tensor; for tensors of at
            most 2 dimensions.
        alt: by default the values in words.

    Raises:
        ValueError: a tensor has more than 3 dimensions, the tensors are too large to be read as
            numbers, or titles, highlights or labels do not fit the tensors.
    """
    names = list(titles) if titles is not None else [""] * len(tensors)
    marks = [highlight] * len(tensors) if isinstance(highlight, torch.Tensor) else highlight
    marks = list(marks) if marks is not None else [None] * len(tensors)
    if not tensors or len(names) != len(tensors) or len(marks) != len(tensors):
        raise ValueError(f"{len(tensors)} tensors, {len(names)} titles, {len(marks)} highlights")
    _check_size(tensors)
    aside, over = _label_room(tensors, labels)
    sheet = _Sheet()
    x, y, lowest, across = 0.0, 0.0, 0.0, 0
    for tensor, name, mark in zip(tensors, names, marks, strict=True):
        values = tensor.detach().cpu()
        if mark is not None and mark.shape != tensor.shape:
            raise ValueError(f"highlight {tuple(mark.shape)} for a tensor {tuple(tensor.shape)}")
        pages = values if values.dim() == 3 else values.reshape(1, *_as_matrix(values).shape)
        wide = aside + len(pages) * (pages.shape[2] + 0.6)
        full = across == columns if columns else x > 0 and x + max(wide, _width_of(name)) > 18
        if full:
            x, y, across = 0.0, lowest + 0.5, 0
        top = y + (0.75 if name else 0.0)
        if name:
            sheet.text(x, y + 0.4, name, va="center", weight="bold")
        if labels is not None:
            _write_labels(sheet, (x + aside, top + over), *labels)
            top += over
        for number, page in enumerate(pages):
            left = x + aside + number * (pages.shape[2] + 0.6)
            chosen = None if mark is None else mark.cpu().reshape(pages.shape)[number]
            _cells(sheet, left, top, page, chosen)
            if len(pages) > 1:
                sheet.text(
                    left, top + page.shape[0] + 0.35, f"[{number}]", color=QUIET, va="center"
                )
        lowest = max(lowest, top + pages.shape[1] + (0.6 if len(pages) > 1 else 0))
        x += max(wide + 0.5, _width_of(name) + 0.8)
        across += 1
    said = _grid_alt(tensors, names)
    if labels is not None:
        said += f" Rows: {', '.join(labels[0])}. Columns: {', '.join(labels[1])}."
    sheet.show(caption, alt or said)


def _label_room(
    tensors: Sequence[torch.Tensor], labels: tuple[Sequence[str], Sequence[str]] | None
) -> tuple[float, float]:
    """The width that row names take at the left of a grid, and the height of column names."""
    if labels is None:
        return 0.0, 0.0
    rows, columns = labels
    for tensor in tensors:
        fits = tensor.dim() <= 2 and _as_matrix(tensor).shape == (len(rows), len(columns))
        if not fits:
            given = f"{len(rows)} row and {len(columns)} column labels"
            raise ValueError(f"{given} for a tensor {tuple(tensor.shape)}")
    return 0.3 + 0.16 * max(map(len, rows), default=0), 0.5


def _write_labels(
    sheet: _Sheet, corner: tuple[float, float], rows: Sequence[str], columns: Sequence[str]
) -> None:
    left, top = corner
    for number, name in enumerate(rows):
        style = {"ha": "right", "va": "center", "color": QUIET, "size": 8}
        sheet.text(left - 0.15, top + number + 0.5, name, **style)
    for number, name in enumerate(columns):
        style = {"ha": "center", "va": "center", "color": QUIET, "size": 8}
        sheet.text(left + number + 0.5, top - 0.25, name, **style)


def _cells(
    sheet: _Sheet, left: float, top: float, page: torch.Tensor, chosen: torch.Tensor | None
) -> None:
    for row in range(page.shape[0]):
        for column in range(page.shape[1]):
            text = _number(page[row, column])
            on = chosen is not None and bool(chosen[row, column])
            fill = "#fbd38a" if on else PAPER
            style = {"edgecolor": RED, "linewidth": 1.6, "zorder": 3} if on else {}
            sheet.box(left + column, top + row, text, fill, **style)


def moves(
    sources: torch.Tensor | Sequence[torch.Tensor],
    results: torch.Tensor | Sequence[torch.Tensor],
    *,
    caption: str,
    taken: torch.Tensor | Sequence[torch.Tensor] | None = None,
    put: torch.Tensor | Sequence[torch.Tensor] | None = None,
    titles: Sequence[str] | None = None,
    below: bool = False,
    alt: str | None = None,
) -> None:
    """Draw which cell of the sources each cell of the results came from, as arrows.

    Give ``taken`` or ``put``. Cells are numbered from 0 in reading order, through all sources (or
    all results) one after the other; -1 means no arrow. The operation itself can make these
    numbers: ``torch.arange(x.numel()).reshape(x.shape)[index]`` says where ``x[index]`` was taken.

    Args:
        sources: one tensor or several, each of 0 to 2 dimensions.
        results: the same.
        caption: one sentence.
        taken: integers in the shapes of the results: the source cell that each came from.
        put: integers in the shapes of the sources: the result cell that each went to.
        titles: one a tensor, sources first.
        below: the results stand below the sources, not to their right.
        alt: by default the values and the arrows in words.

    Raises:
        ValueError: both or none of ``taken`` and ``put`` are given, shapes or titles do not fit, a
            place does not exist, a tensor has more than 2 dimensions, or there are more than 40
            arrows.
    """
    sources, results = _listed(sources), _listed(results)
    names = list(titles) if titles is not None else [""] * (len(sources) + len(results))
    if len(names) != len(sources) + len(results):
        raise ValueError(f"{len(names)} titles for {len(sources) + len(results)} tensors")
    if any(tensor.dim() > 2 for tensor in (*sources, *results)):
        raise ValueError("arrows go between tensors of at most 2 dimensions: take a slice")
    pairs = _pairs(sources, results, taken, put)
    total = sum(tensor.numel() for tensor in sources)
    tints = [_shade(place, total) for place in range(total)]
    fills = [PAPER] * sum(tensor.numel() for tensor in results)
    for start, end in pairs:
        fills[end] = tints[start]
    sheet = _Sheet()
    starts = _stack(sheet, sources, names[: len(sources)], tints, (0.0, 0.0), below)
    corner = (0.0, sheet.bottom + 1.0) if below else (sheet.right + 2.5, 0.0)
    ends = _stack(sheet, results, names[len(sources) :], fills, corner, below, title_under=below)
    for start, end in pairs:
        # The arrows of one row leave at different heights, or they would lie on each other.
        (x0, y0, part), (x1, y1, stop) = starts[start], ends[end]
        tail = (x0 + part, y0 + 0.88) if below else (x0 + 0.88, y0 + part)
        head = (x1 + stop, y1 + 0.04) if below else (x1 + 0.04, y1 + stop)
        colour = CYCLE[start % len(CYCLE)]
        sheet.arrow(tail, head, color=colour, alpha=0.8, linewidth=1.1, zorder=2)
    said = ", ".join(f"{start} to {end}" for start, end in pairs)
    spoken = f"{_grid_alt([*sources, *results], names)} Arrows from source cell to result cell: "
    sheet.show(caption, alt or f"{spoken}{said or 'none'}.")


def _listed(tensors: torch.Tensor | Sequence[torch.Tensor]) -> list[torch.Tensor]:
    return [tensors] if isinstance(tensors, torch.Tensor) else list(tensors)


def _pairs(
    sources: list[torch.Tensor], results: list[torch.Tensor], taken: Any, put: Any
) -> list[tuple[int, int]]:
    """Number of the source cell and of the result cell of each arrow, checked."""
    if (taken is None) == (put is None):
        raise ValueError("say where values were taken, or where they were put: one of the two")
    here, there, places = (
        (sources, results, _listed(put)) if taken is None else (results, sources, _listed(taken))
    )
    if [place.shape for place in places] != [tensor.shape for tensor in here]:
        given = [tuple(place.shape) for place in places]
        raise ValueError(f"places {given} for shapes {[tuple(tensor.shape) for tensor in here]}")
    flat = [number for place in places for number in place.flatten().tolist()]
    cells = sum(tensor.numel() for tensor in there)
    if any(not -1 <= number < cells for number in flat):
        raise ValueError(f"places from {min(flat)} to {max(flat)}, but there are {cells} cells")
    pairs = [(place, number) for place, number in enumerate(flat) if number >= 0]
    if len(pairs) > 40:
        raise ValueError(f"{len(pairs)} arrows cannot be read; draw at most 40")
    return pairs if taken is None else [(start, end) for end, start in pairs]


def _stack(
    sheet: _Sheet,
    tensors: list[torch.Tensor],
    names: list[str],
    fills: list[str],
    corner: tuple[float, float],
    below: bool,
    title_under: bool = False,
) -> list[tuple[float, float, float]]:
    """Draw tensors under each other (side by side if ``below``); corner and part of each cell."""
    (x, y), spots = corner, []
    for tensor, name in zip(tensors, names, strict=True):
        page = _as_matrix(tensor.detach().cpu())
        top = y + (0.75 if name and not title_under else 0.0)
        if name:
            height = top + page.shape[0] if title_under else y
            sheet.text(x, height + 0.4, name, va="center", weight="bold")
        for row in range(page.shape[0]):
            for column in range(page.shape[1]):
                sheet.box(x + column, top + row, _number(page[row, column]), fills[len(spots)])
                part = (row + 0.5) / page.shape[0] if below else (column + 0.5) / page.shape[1]
                spots.append((x + column, top + row, 0.2 + 0.6 * part))
        if below:
            x += max(page.shape[1], _width_of(name)) + 0.8
        else:
            y = top + page.shape[0] + 0.4
    return spots


def storage(caption: str, alt: str | None = None, **views: torch.Tensor) -> None:
    """Draw one storage as a strip, and under it each view with the places it looks at.

    A cell of a view has the colour of the place in the storage that it shows, and that place's
    number in its corner. Two cells with one number are one memory.

    Args:
        caption: one sentence.
        alt: by default the storage and each view in words.
        views: tensors of 0 to 3 dimensions by name, all on one storage of at most 24 elements.

    Raises:
        ValueError: no view is given, they are not on one storage, or it is too large to draw.
    """
    from helpers.memory import shares_storage

    if not views:
        raise ValueError("give at least one tensor by name, as in storage(caption, x=x)")
    first = next(iter(views.values()))
    for name, view in views.items():
        if not shares_storage(first, view) or view.dtype != first.dtype:
            raise ValueError(f"{name} is not on the storage of {next(iter(views))}")
    memory = torch.empty(0, dtype=first.dtype, device=first.device)
    memory = memory.set_(first.untyped_storage()).detach().cpu()
    if memory.numel() > 24:
        raise ValueError(f"a storage of {memory.numel()} elements; draw at most 24")
    sheet = _Sheet()
    sheet.text(0, 0.3, "storage", weight="bold", va="center")
    for place in range(memory.numel()):
        sheet.box(place, 0.7, _number(memory[place]), _shade(place, memory.numel()))
        sheet.text(place + 0.5, 1.95, str(place), ha="center", va="center", size=7, color=QUIET)
    x, y, lowest = 0.0, 2.6, 2.6
    said = [f"A storage of {memory.numel()} elements: {_said(memory.tolist())}."]
    for name, view in views.items():
        places = _places(view)
        pages = places if places.dim() == 3 else _as_matrix(places).unsqueeze(0)
        title = f"{name}   shape {tuple(view.shape)}  strides {view.stride()}"
        title += f"  offset {view.storage_offset()}" if view.storage_offset() else ""
        wide = max(len(pages) * (pages.shape[2] + 0.6), _width_of(title))
        if x > 0 and x + wide > 18:
            x, y = 0.0, lowest + 0.6
        sheet.text(x, y + 0.25, title, weight="bold", va="center", size=8.5)
        for number, page in enumerate(pages):
            left = x + number * (pages.shape[2] + 0.6)
            for row in range(page.shape[0]):
                for column in range(page.shape[1]):
                    place = int(page[row, column])
                    spot = (left + column, y + 0.65 + row)
                    sheet.box(*spot, _number(memory[place]), _shade(place, memory.numel()))
                    sheet.text(spot[0] + 0.95, spot[1] + 0.86, str(place), ha="right", size=5.5)
        lowest = max(lowest, y + 0.65 + pages.shape[1])
        x += wide + 0.9
        said.append(f"{name}: shape {tuple(view.shape)}, shows places {places.tolist()}.")
    sheet.show(caption, alt or " ".join(said))


def graph(
    *roots: torch.Tensor,
    caption: str,
    names: Mapping[str, torch.Tensor] | None = None,
    gradients: bool = False,
    alt: str | None = None,
) -> None:
    """Draw the autograd graph behind tensors: leaves on the left, results on the right.

    Ovals are tensors, boxes are the backward functions that autograd recorded. Arrows point the
    way the values went; backward walks them from right to left.

    Args:
        roots: tensors with a ``grad_fn``.
        caption: one sentence.
        names: tensors by name; a leaf or a result without one is shown by its shape.
        gradients: write on each arrow the gradient that flows back along it, for a gradient of
            ones at each root. Nothing is accumulated in ``.grad`` and the graph is retained.
        alt: by default the functions and leaves in words.

    Raises:
        ValueError: a root has no ``grad_fn``, or the graph has more than 40 nodes or 9 layers.
    """
    known = list((names or {}).items())
    net = _Net()
    for root in roots:
        if root.grad_fn is None:
            raise ValueError("a root without grad_fn has no graph: it is a leaf, or was detached")
    keys = _walk(net, roots, known)
    if len(net.nodes) > 40:
        raise ValueError(f"a graph of {len(net.nodes)} nodes cannot be read; draw a smaller one")
    flows = _flows(roots, keys) if gradients else {}
    layers = net.layers()
    if len(layers) > 9:
        raise ValueError(f"a graph {len(layers)} steps deep cannot be read; draw a shorter one")
    spot = _spots(net, layers)
    tallest = max(map(len, layers))
    said = [len(line) for flow in flows.values() for line in _short(flow).split("\n")]
    gap = max(2.3, 1.7 + 0.08 * max(said)) if said else 1.75
    wide = gap * (len(layers) - 1) + 1.5
    scale = min(1.05, _WIDEST / wide)
    spot = {node: (x * gap, y) for node, (x, y) in spot.items()}
    detours = {(start, end) for start, end, _ in net.edges() if _blocked(start, end, spot)}
    top, bottom = tallest / 2 * 0.8 + 0.1, -tallest / 2 * 0.8 - 0.1
    bottom = min([bottom, *(spot[start][1] - 0.65 for start, _ in detours)])
    figure, axes = canvas(wide * scale, (top - bottom) * max(scale, 0.75))
    axes.set_axis_off()
    _draw_net(axes, net, spot, flows, detours, max(scale, 0.6))
    axes.set_xlim(-0.75, wide - 0.75)
    axes.set_ylim(bottom, top)
    show(figure, caption, alt or _graph_alt(net, spot, flows))


class _Net:
    """A graph whose edges have a direction: what is known of each node, and where it leads."""

    def __init__(self) -> None:
        self.nodes: dict[int, dict[str, str]] = {}
        # By node, the nodes that it leads to, with the slots in which it arrives there.
        self.after: dict[int, dict[int, tuple[int, ...]]] = {}

    def add(self, node: int, **known: str) -> None:
        self.nodes.setdefault(node, {}).update(known)
        self.after.setdefault(node, {})

    def lead(self, start: int, end: int, slot: int | None = None) -> None:
        self.add(start)
        self.add(end)
        slots = self.after[start].get(end, ())
        self.after[start][end] = slots if slot is None else (*slots, slot)

    def edges(self) -> Iterator[tuple[int, int, tuple[int, ...]]]:
        for start, after in self.after.items():
            for end, slots in after.items():
                yield start, end, slots

    def layers(self) -> list[list[int]]:
        """The nodes that lead nowhere, then those that lead only to these, and so on."""
        steps: dict[int, int] = {}

        def steps_of(node: int) -> int:
            if node not in steps:
                steps[node] = 1 + max(map(steps_of, self.after[node]), default=-1)
            return steps[node]

        layers: list[list[int]] = [[] for _ in range(1 + max(map(steps_of, self.nodes)))]
        for node in sorted(self.nodes):
            layers[steps[node]].append(node)
        return layers


def _graph_alt(net: _Net, spot: Mapping[int, Any], flows: Mapping[Any, Any]) -> str:
    words = {node: known["label"].replace("\n", " ") for node, known in net.nodes.items()}
    said = ", ".join(words[node] for node in sorted(words, key=spot.get))
    back = [
        f"{words[end]} to {words[start]} {_short(flows[end, slot])}"
        for start, end, slots in net.edges()
        for slot in slots
        if (end, slot) in flows
    ]
    gradients = f" Gradients going back: {'; '.join(back)}." if back else ""
    return f"Autograd graph, left to right: {said}.{gradients}"


def _walk(
    net: _Net, roots: Sequence[torch.Tensor], known: list[tuple[str, torch.Tensor]]
) -> dict[Any, int]:
    """Fill ``net`` with numbered nodes, in an order that is the same in every run."""
    keys: dict[Any, int] = {}
    todo = []
    for number, root in enumerate(roots):
        net.add(-1 - number, label=_tensor_label(root, known), kind="result")
        todo.append(root.grad_fn)
        keys.setdefault(root.grad_fn, len(keys))
        net.lead(keys[root.grad_fn], -1 - number)
    done: set[int] = set()
    while todo:
        node = todo.pop(0)
        if keys[node] in done:
            continue
        done.add(keys[node])
        leaf = getattr(node, "variable", None)
        label = _tensor_label(leaf, known) if leaf is not None else node.name()
        for name, tensor in known:
            if leaf is None and tensor.grad_fn is node and all(tensor is not r for r in roots):
                label += f"\n→ {name}"
        net.add(keys[node], label=label, kind="op" if leaf is None else "leaf")
        for slot, (parent, _) in enumerate(node.next_functions):
            if parent is None:
                continue
            start = keys.setdefault(parent, len(keys))
            net.lead(start, keys[node], slot)
            todo.append(parent)
    return keys


def _spots(net: _Net, layers: Sequence[Sequence[int]]) -> dict[int, tuple[float, float]]:
    """Column and height of each node: a node stands beside the middle of those it leads to."""
    spot: dict[int, tuple[float, float]] = {}
    for back, layer in enumerate(layers):

        def middle(node: int) -> tuple[float, int]:
            after = [spot[other][1] for other in net.after[node]]
            return (-sum(after) / len(after) if after else 0.0, node)

        for row, node in enumerate(sorted(layer, key=middle)):
            height = ((len(layer) - 1) / 2 - row) * 0.8
            spot[node] = (len(layers) - 1 - back, height)
    return spot


def _tensor_label(tensor: torch.Tensor, known: list[tuple[str, torch.Tensor]]) -> str:
    name = next((name for name, other in known if other is tensor), "")
    value = f"{tensor.item():.4g}" if tensor.numel() == 1 else f"{tuple(tensor.shape)}"
    return f"{name}\n{value}" if name else value


def _flows(roots: Sequence[torch.Tensor], keys: Mapping[Any, int]) -> dict[Any, torch.Tensor]:
    """The gradient each function hands to each of its inputs, by (function, slot)."""
    flows: dict[Any, torch.Tensor] = {}
    handles = []
    leaves = [node.variable for node in keys if hasattr(node, "variable")]
    for node, key in keys.items():
        if hasattr(node, "variable"):
            continue

        def record(inputs: Any, _outputs: Any, key: int = key) -> None:
            for slot, gradient in enumerate(inputs):
                if gradient is not None:
                    flows[key, slot] = gradient.detach().clone()

        handles.append(node.register_hook(record))
    try:
        ones = [torch.ones_like(root) for root in roots]
        flows.update({-1 - number: one for number, one in enumerate(ones)})
        torch.autograd.grad(list(roots), leaves, ones, retain_graph=True, allow_unused=True)
    finally:
        for handle in handles:
            handle.remove()
    return flows


def _blocked(start: int, end: int, spot: Mapping[int, Any]) -> bool:
    """Whether a straight arrow between two nodes would run through a third."""
    (x0, y0), (x1, y1) = spot[start], spot[end]
    return any(
        x0 + 0.1 < x < x1 - 0.1 and abs(y0 + (y1 - y0) * (x - x0) / (x1 - x0) - y) < 0.35
        for x, y in spot.values()
    )


def _draw_net(
    axes: Axes,
    net: _Net,
    spot: Mapping[int, Any],
    flows: Mapping[Any, Any],
    detours: set[tuple[int, int]],
    scale: float,
) -> None:
    for start, end, slots in net.edges():
        (x0, y0), (x1, y1) = spot[start], spot[end]
        look = {"arrowstyle": "-|>", "mutation_scale": 11, "color": QUIET, "linewidth": 1.2}
        tail, head = (x0 + 0.64, y0), (x1 - 0.64, y1)
        bent = (start, end) in detours
        if bent:
            turns = [tail, (tail[0] + 0.3, y0 - 0.68), (head[0] - 0.3, y1 - 0.68), head]
            way = Path(turns, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4])
            axes.add_patch(FancyArrowPatch(path=way, **look))
        else:
            axes.add_patch(FancyArrowPatch(tail, head, **look))
        back = [flows[end, slot] for slot in slots if (end, slot) in flows]
        if flows and end < 0:
            back = [flows[end]]
        if back:
            parts = [_short(gradient) for gradient in back]
            text = (" + " if sum(map(len, parts)) < 12 else "\n+ ").join(parts)
            part = 0.5 if y0 == y1 or bent else 0.36
            lift = -0.51 if bent else 0.0
            at = (tail[0] + part * (head[0] - tail[0]), y0 + part * (y1 - y0) + lift)
            paper = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.6}
            axes.text(
                *at,
                text,
                color=RED,
                size=8.5 * max(scale, 0.8),
                ha="center",
                va="center",
                bbox=paper,
            )
    fills = {"leaf": (TINTS[2], GREEN), "result": (TINTS[0], BLUE), "op": (PAPER, INK)}
    for node, data in net.nodes.items():
        x, y = spot[node]
        style = "round,pad=0.02,rounding_size=0.2" if data["kind"] != "op" else "square,pad=0.02"
        fill, edge = fills[data["kind"]]
        box = FancyBboxPatch((x - 0.6, y - 0.24), 1.2, 0.48, boxstyle=style, facecolor=fill)
        box.set_edgecolor(edge)
        axes.add_patch(box)
        # In a narrow box even "NegBackward0" needs two lines.
        label = _folded(data["label"], 17 if scale >= 0.75 else 11)
        longest = len(max(label.split("\n"), key=len))
        size = min(10.5, 118 / longest) * scale
        axes.text(x, y, label, ha="center", va="center", size=size)


def _folded(label: str, most: int) -> str:
    """A name longer than ``most`` in two lines, broken before the capital nearest its middle."""
    if "\n" in label or len(label) <= most:
        return label
    capitals = [place for place, letter in enumerate(label) if letter.isupper() and place]
    if not capitals:
        return label
    middle = min(capitals, key=lambda place: abs(place - len(label) / 2))
    return f"{label[:middle]}\n{label[middle:]}"


def _short(gradient: torch.Tensor) -> str:
    if gradient.numel() == 1:
        return f"{gradient.item():.4g}"
    if gradient.numel() <= 3:
        return "[" + ", ".join(f"{value:.3g}" for value in gradient.flatten().tolist()) + "]"
    return f"{tuple(gradient.shape)}"


def window(
    size: int | tuple[int, int],
    kernel: int | tuple[int, int],
    *,
    outputs: Sequence[tuple[int, int]],
    caption: str,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int | tuple[int, int] = 1,
    alt: str | None = None,
) -> None:
    """Draw where a convolution's kernel stands on its input for some of its output cells.

    One panel for each of ``outputs``: the input with its padding (dashed), the cells that the
    kernel reads (orange), the cells that no position of the kernel ever reads (crossed out), and
    beside it the output with the cell that is being computed.

    Args:
        size: height and width of the input, in cells.
        kernel: height and width of the kernel.
        outputs: row and column of the output cells to show.
        caption: one sentence.
        stride, padding, dilation: as in :func:`torch.nn.functional.conv2d`.
        alt: by default the settings in words.

    Raises:
        ValueError: the kernel does not fit, or an output cell does not exist.
        RuntimeError: torch itself refuses the settings.
    """
    pairs = [value if isinstance(value, tuple) else (value, value) for value in (size, kernel)]
    (height, width), (tall, wide) = pairs
    steps, pads, holes = (
        value if isinstance(value, tuple) else (value, value)
        for value in (stride, padding, dilation)
    )
    # Torch itself says how large the output is, so that the picture cannot differ from it.
    shape = torch.nn.functional.conv2d(
        torch.zeros(1, 1, height, width), torch.zeros(1, 1, tall, wide), None, steps, pads, holes
    ).shape[2:]
    read = torch.zeros(height + 2 * pads[0], width + 2 * pads[1], dtype=torch.bool)
    for row in range(shape[0]):
        for column in range(shape[1]):
            read[
                _taps(row, steps[0], holes[0], tall)[:, None],
                _taps(column, steps[1], holes[1], wide),
            ] = True
    sheet = _Sheet()
    x, y = 0.0, 0.0
    for row, column in outputs:
        if not (0 <= row < shape[0] and 0 <= column < shape[1]):
            raise ValueError(f"output cell {(row, column)}: the output is {tuple(shape)}")
        now = torch.zeros_like(read)
        now[
            _taps(row, steps[0], holes[0], tall)[:, None], _taps(column, steps[1], holes[1], wide)
        ] = True
        panel = read.shape[1] + 1.2 + shape[1]
        if x > 0 and x + panel > 36:
            x, y = 0.0, y + read.shape[0] + 0.9
        _panel(sheet, x, y, read, now, pads)
        left, top = x + read.shape[1] + 1.2, y + (read.shape[0] - shape[0]) / 2
        for i in range(shape[0]):
            for j in range(shape[1]):
                hit = (i, j) == (row, column)
                sheet.box(left + j, top + i, fill="#fbd38a" if hit else TINTS[2])
        middle = y + read.shape[0] / 2
        sheet.arrow((left - 0.95, middle), (left - 0.25, middle))
        x += panel + 1.6
    settings = f"kernel {tall} by {wide}, stride {steps}, padding {pads}, dilation {holes}"
    lost = int((~read[pads[0] : pads[0] + height, pads[1] : pads[1] + width]).sum())
    said = f"Input {height} by {width}, {settings}: output {shape[0]} by {shape[1]}. "
    said += f"Shown for output cells {[tuple(cell) for cell in outputs]}. "
    said += f"{lost} input cells are never read."
    sheet.show(caption, alt or said)


def _taps(position: int, step: int, hole: int, count: int) -> torch.Tensor:
    return position * step + hole * torch.arange(count)


def _panel(
    sheet: _Sheet, x: float, y: float, read: torch.Tensor, now: torch.Tensor, pads: Sequence[int]
) -> None:
    height, width = read.shape
    for i in range(height):
        for j in range(width):
            inside = pads[0] <= i < height - pads[0] and pads[1] <= j < width - pads[1]
            style = {} if inside else {"linestyle": (0, (2, 2))}
            fill = TINTS[0] if inside else PAPER
            if now[i, j]:
                fill, style = "#fbd38a", {**style, "edgecolor": RED, "linewidth": 1.5, "zorder": 3}
            sheet.box(x + j, y + i, "" if read[i, j] else "×", fill, **style)


def timeline(
    events: Sequence[tuple[str, str]] | Sequence[tuple[str, str, int, int]],
    caption: str,
    alt: str | None = None,
    lanes: Sequence[str] | None = None,
) -> None:
    """Draw events in the order in which they came, one lane for each thing that they happen to.

    Args:
        events: pairs ``(lane, label)``, one step each in the order given; or
            ``(lane, label, start, stop)`` with steps of your own (integers, ``stop`` after
            ``start``). A step is an order, not a time.
        caption: one sentence.
        alt: by default the events in words.
        lanes: the lanes from top to bottom; by default in the order of their first events.

    Raises:
        ValueError: there is no event, one is on none of ``lanes``, or one stops before it starts.
    """
    if not events:
        raise ValueError("a timeline needs at least one event")
    spans = [
        event if len(event) == 4 else (*event, step, step + 1) for step, event in enumerate(events)
    ]
    met = list(dict.fromkeys(span[0] for span in spans))
    lanes = list(lanes or met)
    if not set(met) <= set(lanes):
        raise ValueError(f"events on {sorted(set(met) - set(lanes))}, but the lanes are {lanes}")
    last = max(span[3] for span in spans)
    figure, axes = canvas(_WIDEST, 0.42 * len(lanes) + 0.75)
    for lane, label, start, stop in spans:
        if stop <= start:
            raise ValueError(f"event {label!r}: it stops at {stop}, not after its start {start}")
        row = lanes.index(lane)
        tint = TINTS[row % len(TINTS)]
        axes.barh(row, stop - start, left=start, height=0.78, color=tint, edgecolor=CYCLE[row % 7])
        fit = 8.5 if len(label) * last < 105 * (stop - start) else 6.5
        turn = 0 if len(label) * last < 150 * (stop - start) else 90
        size = fit if not turn else 5.5
        axes.text(
            (start + stop) / 2, row, label, ha="center", va="center", size=size, rotation=turn
        )
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_xticks(range(last + 1))
    axes.set_xlabel("step (order, not time)")
    axes.set_xlim(-0.01 * last, 1.01 * last)
    axes.set_ylim(len(lanes) - 0.45, -0.55)
    said = "; ".join(f"step {span[2]}: {span[0]} {span[1]}" for span in spans)
    show(figure, caption, alt or f"Timeline of {len(spans)} events: {said}.")


def pictures(
    images: Iterable[Any],
    caption: str,
    alt: str,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    width: float = _WIDEST,
    same_scale: bool = False,
) -> None:
    """Show photographs or other images side by side, each at its own proportions.

    Args:
        images: PIL images, or tensors of shape (C, H, W) or (H, W): uint8 in 0 to 255 or floating
            point in 0 to 1 (C is 1 or 3; one channel is shown in grey). A batch is such a sequence.
        caption: one sentence.
        alt: what is to be seen; a picture cannot be put into words from its pixels.
        titles: one an image.
        columns: how many to a row.
        width: of the figure, in inches.
        same_scale: draw the pixels of all images equally large, so that sizes can be compared.

    Raises:
        ValueError: no image, titles that do not fit, a tensor of another shape or value range.
    """
    images = list(images)
    if not images or (titles is not None and len(titles) != len(images)):
        raise ValueError(f"{len(images)} images, {len(titles or [])} titles")
    across = min(columns, len(images))
    arrays = [_pixels(image) for image in images]
    rows = [arrays[start : start + across] for start in range(0, len(arrays), across)]
    # In one scale every picture has the frame of the largest; otherwise each fills its own.
    tall, wide = (max(array.shape[side] for array in arrays) for side in (0, 1))
    shares = [
        tall / wide if same_scale else max(array.shape[0] / array.shape[1] for array in row)
        for row in rows
    ]
    heads = [0.1 + 0.17 * max(len(t.split("\n")) if t else 0 for t in titles or [""])] * len(rows)
    heights = [
        width / across * min(share, 1.6) + head for share, head in zip(shares, heads, strict=True)
    ]
    figure, axes = canvas(
        width, sum(heights), len(rows), across, squeeze=False, height_ratios=heights
    )
    for place, axis in enumerate(axes.flat):
        axis.set_axis_off()
        if place < len(arrays):
            # Enlarged, a pixel is a square; made smaller, a picture must not alias.
            shown = width / across * DPI / (wide if same_scale else arrays[place].shape[1])
            # The margins between pictures take up to a tenth of the width.
            smooth = "nearest" if shown >= 1.1 else "hanning"
            axis.imshow(arrays[place], cmap="gray", vmin=0, vmax=255, interpolation=smooth)
            if same_scale:
                axis.set_xlim(-0.5, wide - 0.5)
                axis.set_ylim(tall - 0.5, -0.5)
            side = "left" if same_scale else "center"
            axis.set_title(titles[place] if titles else "", fontsize=9, loc=side)
    show(figure, caption, alt)


def _pixels(image: Any) -> Any:
    import numpy as np

    if not isinstance(image, torch.Tensor):
        return np.asarray(image.convert("RGB") if image.mode not in ("L", "RGB") else image)
    values = image.detach().cpu()
    if values.dim() == 3 and values.shape[0] in (1, 3):
        values = values[0] if values.shape[0] == 1 else values.permute(1, 2, 0)
    elif values.dim() != 2:
        raise ValueError(
            f"an image is (C, H, W) with 1 or 3 channels, or (H, W), not {image.shape}"
        )
    if values.is_floating_point():
        if values.min() < 0 or values.max() > 1:
            raise ValueError(
                f"floating-point pixels from {values.min():.3g} to {values.max():.3g}: "
                "scale them to 0 to 1 first"
            )
        values = (values * 255).round()
    return values.to(torch.uint8).numpy()


def _check_size(tensors: Sequence[torch.Tensor]) -> None:
    for tensor in tensors:
        if tensor.dim() > 3:
            raise ValueError(
                f"shape {tuple(tensor.shape)}: draw at most 3 dimensions, take a slice"
            )
    cells = sum(tensor.numel() for tensor in tensors)
    if cells > _MOST_CELLS:
        raise ValueError(f"{cells} cells are too many to read; draw at most {_MOST_CELLS}")


def _as_matrix(values: torch.Tensor) -> torch.Tensor:
    return values if values.dim() == 2 else values.reshape(1, -1)


def _places(view: torch.Tensor) -> torch.Tensor:
    """For each element of a view, its place in the storage, counted in elements."""
    places = torch.full(view.shape, view.storage_offset())
    for dim, (length, stride) in enumerate(zip(view.shape, view.stride(), strict=True)):
        along = [1] * view.dim()
        along[dim] = length
        places = places + stride * torch.arange(length).reshape(along)
    return places


def _shade(place: int, count: int) -> str:
    """A tint for a place in a storage: blue, green, sand, rose; black numbers stand on all."""
    stops = ((0.60, 0.79, 0.94), (0.68, 0.88, 0.74), (0.99, 0.88, 0.56), (0.97, 0.70, 0.64))
    part = place / max(count - 1, 1) * (len(stops) - 1)
    low = min(int(part), len(stops) - 2)
    mixed = [
        round(255 * (a + (b - a) * (part - low)))
        for a, b in zip(stops[low], stops[low + 1], strict=True)
    ]
    return "#" + "".join(f"{value:02x}" for value in mixed)


def _number(value: torch.Tensor) -> str:
    if value.dtype == torch.bool:
        return "T" if value else "F"
    return _said(value.item())


def _said(values: Any) -> str:
    """Nested lists of numbers in words, floats to three digits, whole ones below 10,000 in full."""
    if isinstance(values, list):
        return "[" + ", ".join(map(_said, values)) + "]"
    if not isinstance(values, float):
        return str(values)
    whole = values.is_integer() and abs(values) < 10_000
    return f"{values:.0f}" if whole else f"{values:.3g}"


def _size(text: str) -> float:
    return 9 if len(text) <= 3 else 7.5 if len(text) == 4 else 6.5


def _width_of(text: str) -> float:
    """The width of a title in cells, at its usual size."""
    return 0.165 * len(text)


def _grid_alt(tensors: Sequence[torch.Tensor], names: Sequence[str]) -> str:
    said = []
    for tensor, name in zip(tensors, names, strict=True):
        values = _said(tensor.tolist()) if tensor.numel() <= 24 else f"{tensor.numel()} values"
        said.append(f"{name or 'a tensor'} of shape {tuple(tensor.shape)}: {values}")
    return "Grids of values. " + "; ".join(said) + "."
