"""What a model, or a part of it, says of rows, and why."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """Margins, and what they are made of."""

    margins: Floats  # n, log-odds before calibration
    contributions: Floats  # [n, k + 1], of each feature; the last column is the bias
