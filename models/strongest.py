"""The families of features that move a row most: machine code, as a lone row has no time for a loop of array calls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from features.feature_set import Grouped

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Strongest:
    """The families that move each of n rows most, the strongest first; of equal ones the first in the feature set."""

    families: tuple[str, ...]
    order: Integers  # n x top, places in `families`
    places: Integers  # n x top, of each family the feature that moves the row most the family's way
    sums: Floats  # n x top, of the whole family


def strongest(grouped: Grouped, moved: Floats, *, top: int, either_way: bool) -> Strongest:
    """Up to `top` families a row, from what each feature did to it, `[n, features]`.

    With `either_way` the size of a family's sum counts, else the sum itself.
    """
    shape = (len(moved), min(top, len(grouped.families)))
    order, places, sums = np.empty(shape, dtype=np.int64), np.empty(shape, dtype=np.int64), np.empty(shape)
    _rank(order, places, sums, np.ascontiguousarray(moved), grouped.columns, grouped.starts, either_way)
    return Strongest(grouped.families, order, places, sums)


_TYPES: Any = numba.types  # Any: Numba ships no types
_compiled: Callable[[Callable[..., None]], Callable[..., None]] = numba.njit(
    _TYPES.void(
        *[_TYPES.int64[:, ::1]] * 2,
        *[_TYPES.float64[:, ::1]] * 2,
        *[_TYPES.int64[::1]] * 2,
        _TYPES.boolean,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)


@_compiled
def _rank(
    order: Integers,
    places: Integers,
    sums: Floats,
    moved: Floats,
    columns: Integers,
    starts: Integers,
    either_way: bool,
) -> None:
    """Add up each family of each row, in the order of its columns, and keep those that count most."""
    families, top = len(starts) - 1, order.shape[1]
    totals, weights = np.empty(families), np.empty(families)
    for row in range(len(moved)):
        for family in range(families):
            total = 0.0
            for place in range(starts[family], starts[family + 1]):
                total += moved[row, columns[place]]
            totals[family] = total
            weights[family] = abs(total) if either_way else total
        for rank in range(top):
            chosen = 0
            for family in range(1, families):
                if weights[family] > weights[chosen]:
                    chosen = family
            sign = -1.0 if either_way and totals[chosen] <= 0.0 else 1.0
            best = columns[starts[chosen]]
            for place in range(starts[chosen] + 1, starts[chosen + 1]):
                if sign * moved[row, columns[place]] > sign * moved[row, best]:
                    best = columns[place]
            order[row, rank], places[row, rank], sums[row, rank] = chosen, best, totals[chosen]
            weights[chosen] = -np.inf
