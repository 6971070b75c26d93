"""Curves that only rise, or only fall: what the linear member makes of a feature whose direction is prescribed."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Ramp:
    """A height in log-odds at each of a few corners, straight lines between them, flat outside.

    A missing value has a height of its own, which no direction binds. To the last bit, no value in the curve's
    direction lies on the wrong side of another.

    >>> Ramp(np.array([0.0, 10.0]), np.array([-1.0, 1.0]), missing=0.5).of(np.array([5.0, 99.0, np.nan]))
    array([0. , 1. , 0.5])
    """

    corners: Floats  # ascending, distinct, in the feature's own unit
    heights: Floats  # of the corners; never falling, or never rising
    missing: float

    def of(self, values: Floats) -> Floats:
        """The height of each value."""
        absent = np.isnan(values)
        if len(self.corners) == 1:
            return np.asarray(np.where(absent, self.missing, self.heights[0]), dtype=np.float64)
        inside = np.clip(values, self.corners[0], self.corners[-1])
        left = np.clip(np.searchsorted(self.corners, inside, side="right") - 1, 0, len(self.corners) - 2)
        begin, end = self.heights[left], self.heights[left + 1]
        risen = begin + (inside - self.corners[left]) / (self.corners[left + 1] - self.corners[left]) * (end - begin)
        between = np.clip(risen, np.minimum(begin, end), np.maximum(begin, end))  # rounding must not pass a corner
        return np.asarray(np.where(absent, self.missing, between), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back to the bit."""
        return {"corners": self.corners.tolist(), "heights": self.heights.tolist(), "missing": self.missing}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The curve that `to_json` wrote."""
        return cls(np.array(data["corners"], float), np.array(data["heights"], float), float(data["missing"]))


def pieces(place: Floats, knots: Floats) -> Matrix:
    """One row for each stretch between two knots: how much of it lies below the place, which is 0 at the curve's begin.

    A curve that is a sum of these with weights of one sign only rises, or only falls.

    >>> pieces(np.array([0.3, 0.9]), np.array([0.5])).round(1).tolist()
    [[0.3, 0.5], [0.0, 0.4]]
    """
    edges = np.concatenate([[0.0], knots, [1.0]])
    lengths: Matrix = np.clip(place, edges[:-1, None], edges[1:, None]) - edges[:-1, None]
    return lengths


def ramp(low: float, high: float, knots: Floats, *, slopes: Floats, missing: float, sample: Floats) -> Ramp:
    """The curve of these slopes (one a stretch, all of one sign), centred: its mean over the sample is 0."""
    edges = np.unique(np.concatenate([[0.0], knots, [1.0]]))
    widths = np.diff(edges)
    heights = np.concatenate([[0.0], np.cumsum(slopes[: len(widths)] * widths)])
    corners, kept = np.unique(low + edges * (high - low), return_index=True)  # one where the feature never varies
    bare = Ramp(corners, heights[kept], missing)
    centre = float(bare.of(sample).mean())
    return Ramp(bare.corners, bare.heights - centre, missing - centre)
