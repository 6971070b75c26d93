"""What moved rows most, as numbers: words take ten times the memory, and are made when somebody is to read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NOBODY = -1  # in the place of a column: there are fewer


@dataclass(frozen=True, slots=True, eq=False)
class Movers:
    """The strongest features of the families that moved each of n rows most, the strongest first."""

    places: NDArray[np.int32]  # n x top, columns of the feature set, or NOBODY
    values: Floats  # n x top, the user's own
    sums: Floats  # n x top, of the whole family, log-odds; above 0 towards churn
    before: Floats  # n x top, the user's own value then; n x 0 where nothing is compared

    @classmethod
    def none(cls, rows: int) -> Self:
        """Those of rows that nothing moved."""
        return cls(np.empty((rows, 0), dtype=np.int32), *[np.empty((rows, 0)) for _ in range(3)])

    @classmethod
    def joined(cls, pieces: Sequence["Movers"]) -> Self:
        """The rows of all pieces, one behind the other; all of them looked for as many."""
        return cls(
            np.concatenate([piece.places for piece in pieces]),
            np.concatenate([piece.values for piece in pieces]),
            np.concatenate([piece.sums for piece in pieces]),
            np.concatenate([piece.before for piece in pieces]),
        )

    def __len__(self) -> int:
        return len(self.places)

    def rows(self, chosen: slice) -> "Movers":
        """Some of the rows."""
        return Movers(self.places[chosen], self.values[chosen], self.sums[chosen], self.before[chosen])

    def spread(self, rows: NDArray[np.int64], *, over: int) -> "Movers":
        """The same as these rows of so many, of which nothing moved the others."""
        places = np.full((over, self.places.shape[1]), NOBODY, dtype=np.int32)
        places[rows] = self.places
        numbers = []
        for each in (self.values, self.sums, self.before):
            table = np.full((over, each.shape[1]), np.nan)
            table[rows] = each
            numbers.append(table)
        return Movers(places, *numbers)
