"""Heights of categories: what the linear member makes of a feature whose numbers are codes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Matrix = NDArray[np.float64]
RARE = 0.1  # a rarer category's indicator is not blown up to deviation 1: a few users must not steer a steep weight


@dataclass(frozen=True, slots=True)
class Levels:
    """A height in log-odds for each code of a category, centred: their mean over the training rows is 0.

    A code that training did not see has the height 0, that of the average user.
    """

    heights: Floats  # of the codes 0, 1, 2 …
    missing: float

    def of(self, values: Floats) -> Floats:
        """The height of each code; of a number that is no whole one, that of the code which it is cut to."""
        table = np.concatenate([self.heights, [0.0, self.missing]])
        count = len(self.heights)
        codes = np.trunc(np.clip(np.nan_to_num(values), -1.0, count))
        codes = np.where(codes < 0, count, codes)
        found: Floats = table[np.where(np.isnan(values), count + 1, codes).astype(np.int64)]
        return found

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back to the bit."""
        return {"heights": self.heights.tolist(), "missing": self.missing}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The levels that `to_json` wrote."""
        return cls(np.array(data["heights"], float), float(data["missing"]))


@dataclass(frozen=True, slots=True)
class Indicators:
    """One column for each category that the training rows hold: 1 where a row has it, less the mean, scaled."""

    columns: NDArray[np.int64]  # w, places in the matrix
    codes: Floats  # w; NaN: the value is missing
    shares: Floats  # w, of the training rows
    scales: Floats  # w

    @classmethod
    def of(cls, sample: Matrix, columns: Sequence[int]) -> Self:
        """The indicators of some columns of codes; none for a column that never varies."""
        found = []
        for column in columns:
            codes, counts = np.unique(_codes(sample[:, column]), return_counts=True)  # all NaN are one
            if len(codes) > 1:
                found += [(column, code, count / len(sample)) for code, count in zip(codes, counts, strict=True)]
        places, codes, shares = np.array(found, dtype=np.float64).reshape(-1, 3).T
        return cls(places.astype(np.int64), codes, shares, np.maximum(np.sqrt(shares * (1 - shares)), RARE))

    @property
    def width(self) -> int:
        """How many there are."""
        return len(self.columns)

    def write(self, sample: Matrix, target: Matrix) -> None:
        """The indicators of the rows, a row of the target each."""
        for place, (column, code) in enumerate(zip(self.columns, self.codes, strict=True)):
            values = _codes(sample[:, column])
            has = np.isnan(values) if np.isnan(code) else values == code
            target[place] = (has - self.shares[place]) / self.scales[place]

    def levels(self, weights: Floats) -> dict[int, Levels]:
        """The heights, by column, that these weights mean."""
        raw = weights / self.scales
        return {int(column): self._levels(raw, self.columns == column) for column in np.unique(self.columns)}

    def _levels(self, raw: Floats, own: NDArray[np.bool_]) -> Levels:
        codes, shares = self.codes[own], self.shares[own]
        centred = raw[own] - (raw[own] * shares).sum()
        known = ~np.isnan(codes)
        heights = np.zeros(int(np.nanmax(codes, initial=-1.0)) + 1)
        heights[codes[known].astype(np.int64)] = centred[known]
        return Levels(heights, float(centred[~known].sum()))


def _codes(values: Floats) -> Floats:
    return np.trunc(values)
