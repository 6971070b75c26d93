"""The curves of a lone row in machine code: two dozen calls on short arrays would take ten times as long."""

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_TYPES: Any = numba.types  # Any: Numba ships no types
_GIVEN, _TABLE = (_TYPES.Array(_TYPES.float64, dimensions, "A", readonly=True) for dimensions in (1, 2))
_compiled: Callable[[Callable[..., None]], Callable[..., None]] = numba.njit(
    _TYPES.void(_TYPES.float64[::1], *[_GIVEN] * 3, *[_TABLE] * 2, *[_GIVEN] * 2),
    cache=True,
    nogil=True,
    error_model="numpy",
)


@_compiled
def draw(
    found: Floats,
    row: Floats,
    low: Floats,
    high: Floats,
    knots: Floats,
    slopes: Floats,
    missing: Floats,
    centre: Floats,
) -> None:
    """Write the height of every feature's curve; the steps, and so the bits, are those of `Splines.terms`."""
    for feature in range(len(row)):
        value = row[feature]
        if np.isnan(value):
            found[feature] = missing[feature] - centre[feature]
            continue
        span = high[feature] - low[feature]
        inside = min(max(value, low[feature]), high[feature])
        place = (inside - low[feature]) / (span if span > 0.0 else 1.0)
        height = place * slopes[feature, 0]
        for step in range(knots.shape[1]):
            height += max(place - knots[feature, step], 0.0) * slopes[feature, step + 1]
        found[feature] = height - centre[feature]
