"""Whether the numbers that a model is asked about are finite."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def infinite(matrix: NDArray[np.float64], names: Sequence[str] | None) -> str:
    """What to say of the first infinite value; empty when there is none.

    >>> infinite(np.array([[1.0, np.inf]]), ["visits", "spend"])
    "feature 'spend' is inf (infinity) in row 0; expected a finite one, or NaN for missing."
    """
    if not np.isinf(matrix).any():
        return ""
    row, column = (int(place) for place in np.argwhere(np.isinf(matrix))[0])
    name = repr(names[column]) if names is not None else f"number {column}"
    value = matrix[row, column]
    return f"feature {name} is {value} (infinity) in row {row}; expected a finite one, or NaN for missing."
