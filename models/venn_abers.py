"""Venn-Abers calibration: isotonic regression asked twice about each user, once as if he left and once as if he stayed.

Vovk and Petej (2014): isotonic regression is fitted to the calibration rows and the user himself, with the label 0 and
with the label 1. The two heights at his margin, p0 and p1, hold the truth between them in the sense of that paper, and
their merger p1 / (1 - p0 + p1) is the probability whose log loss is the least in the worst case. How far they are apart
is how much the calibration rows know about users like him.

Both heights change at the calibration rows' margins only, so all answers are computed once, as steps of one function
(Vovk, Petej and Fedorova 2015, algorithms 1 and 2): exact, and quick at serving.
"""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class VennAbers:
    """A step function: a height at each knot, and one below, between and above them."""

    kind: ClassVar[str] = "venn_abers"
    margins: tuple[float, ...]  # knots, ascending, distinct
    heights: tuple[float, ...]  # below the first knot, at it, between it and the next …: two for each knot and one
    _knots: Floats = field(init=False, repr=False, compare=False)  # as arrays: a lone row has no time to make them
    _heights: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_knots", np.array(self.margins))
        object.__setattr__(self, "_heights", np.array(self.heights))

    def probabilities(self, margins: Floats) -> Floats:
        """One probability a margin.

        >>> VennAbers((0.0,), (0.2, 0.5, 0.8)).probabilities(np.array([-1.0, 0.0, 0.1]))
        array([0.2, 0.5, 0.8])
        """
        places = np.searchsorted(self._knots, margins, "left") + np.searchsorted(self._knots, margins, "right")
        found: Floats = self._heights[places]
        return found


def fit_venn_abers(scores: Floats, outcome: Floats) -> VennAbers:
    """The merged probabilities for every margin there can be, from calibration margins and labels 0 and 1."""
    knots, ties = np.unique(scores, return_inverse=True)
    rows = np.bincount(ties).astype(np.int64)
    churned = np.bincount(ties, weights=outcome).round().astype(np.int64)
    upper = np.append(_as_if_left(rows, churned), 1.0)  # up to each knot, and above the last
    lower = np.append(
        0.0, 1.0 - _as_if_left(rows[::-1], (rows - churned)[::-1])[::-1]
    )  # below the first, from each knot
    heights = np.empty(2 * len(knots) + 1)
    heights[0::2] = _merged(lower, upper)
    heights[1::2] = _merged(lower[1:], upper[:-1])
    heights = np.maximum.accumulate(heights)  # rounding must not step down
    steps = np.flatnonzero((heights[:-2:2] != heights[1::2]) | (heights[1::2] != heights[2::2]))
    kept = np.append(0, np.column_stack([2 * steps + 1, 2 * steps + 2]))
    return VennAbers(tuple(knots[steps].tolist()), tuple(heights[kept].tolist()))


def _merged(lower: Floats, upper: Floats) -> Floats:
    return upper / (1.0 - lower + upper)


def _as_if_left(rows: Ints, churned: Ints) -> Floats:
    """The isotonic height of a further row with the label 1 that has the margin of each group, or comes just before it.

    The height is the slope of the greatest convex minorant of the cumulative sums, where the further row is a step of
    (1, 1); it wanders from group to group, and each moves one point only. Sums are whole numbers, so turns are exact.
    """
    xs, ys = np.append(0, np.cumsum(rows)).tolist(), np.append(0, np.cumsum(churned)).tolist()
    corners = _minorant([(-1, -1), *zip(xs, ys, strict=True)])[::-1]  # the leftmost is the last: on top of the stack
    found = np.empty(len(rows))
    for place in range(len(rows)):
        left, right = corners[-1], corners[-2]
        found[place] = (right[1] - left[1]) / (right[0] - left[0])
        moved = (xs[place + 1] - 1, ys[place + 1] - 1)
        if _turn(left, right, moved) >= 0:  # at or above the line: the minorant stays
            continue
        corners.pop()
        while len(corners) > 1 and _turn(moved, corners[-1], corners[-2]) <= 0:
            corners.pop()
        corners.append(moved)
    return found


def _minorant(points: list[Point]) -> list[Point]:
    """The corners of the greatest convex function below points that are sorted from left to right."""
    corners: list[Point] = []
    for point in points:
        while len(corners) > 1 and _turn(corners[-2], corners[-1], point) <= 0:
            corners.pop()
        corners.append(point)
    return corners


def _turn(first: Point, second: Point, third: Point) -> int:
    """Positive for a left turn at the second point, negative for a right turn, 0 for none."""
    return (second[0] - first[0]) * (third[1] - first[1]) - (second[1] - first[1]) * (third[0] - first[0])
