"""Figures that can be compared on a busy machine: sides measured in turn, ratios pair by pair."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Measure = Callable[[], float]
Say = Callable[[str], None]


class Failed(Exception):
    """Why something could not be measured, in one line."""


def interleaved(
    sides: Mapping[str, Measure], rounds: int, failed: dict[str, str], say: Say
) -> dict[str, list[float]]:
    """Measure each side once a round, in the order given: A B C A B C.

    Args:
        sides: how to measure each, by its name.
        rounds: how often.
        failed: gets the reason of each side that failed; it is not measured again.
        say: told what is being measured.

    Returns:
        What each side gave, one number a round as far as it went.
    """
    came: dict[str, list[float]] = {name: [] for name in sides}
    broken = set()
    for number in range(1, rounds + 1):
        for name, measure in sides.items():
            if name in broken:
                continue
            say(f"{name}, {number} of {rounds}")
            try:
                came[name].append(measure())
            except Failed as why:
                failed[name] = str(why)
                broken.add(name)
    return came


@dataclass(frozen=True)
class Ratio:
    """The ratios of two sides, a pair for each round that measured both."""

    above: Sequence[float]
    below: Sequence[float]

    @property
    def each(self) -> list[float]:
        """One ratio for each pair.

        >>> Ratio([2.0, 9.0, 5.0], [1.0, 3.0]).each
        [2.0, 3.0]
        """
        return [a / b for a, b in zip(self.above, self.below, strict=False)]

    @property
    def median(self) -> float:
        """The median of the ratios, which is not the ratio of the medians.

        >>> Ratio([2.0, 9.0, 40.0], [1.0, 3.0, 10.0]).median
        3.0
        """
        return statistics.median(self.each)


@dataclass(frozen=True)
class Line:
    """The straight line through points, by least squares.

    Attributes:
        intercept: where it meets x = 0.
        slope: how much y grows with x.
        off: how far the farthest point lies from it, as a share of that point's y.
    """

    intercept: float
    slope: float
    off: float


def line(points: Sequence[tuple[float, float]]) -> Line | None:
    """The line through ``points``, or None where fewer than two have an x of their own.

    >>> line([(0, 1), (1, 3), (2, 5)])
    Line(intercept=1.0, slope=2.0, off=0.0)
    """
    if len({x for x, _ in points}) < 2:
        return None
    xs, ys = zip(*points, strict=True)
    slope, intercept = statistics.linear_regression(xs, ys)
    off = max(abs(y - intercept - slope * x) / y for x, y in points)
    return Line(intercept, slope, off)


def nested(costs: Mapping[str, float]) -> list[str]:
    """The names in an order in which their cost grows as evenly as it can.

    Each next one is that which brings the sum nearest to its share of the whole: the first n of N
    cost about n/N of all.

    >>> nested({"a": 1, "b": 2, "c": 3})
    ['b', 'a', 'c']
    """
    left, order, total = dict(costs), [], 0.0
    mean = sum(costs.values()) / max(1, len(costs))
    while left:
        wanted = (len(order) + 1) * mean - total
        name = min(left, key=lambda name: abs(left[name] - wanted))
        order.append(name)
        total += left.pop(name)
    return order
