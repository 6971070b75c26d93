"""Where a user stands among the others: percentiles, and tiers cut by how many users a team can look after."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from features.errors import BadInput

Tier: TypeAlias = Literal["high", "medium", "low"]
_ROUNDING = 1e-9  # a rank that meets a boundary meets it in spite of float arithmetic


def percentiles(scores: ArrayLike) -> NDArray[np.float64]:
    """The share of the scored population below each user in percent, half of the equals counted as below.

    Ranges inside (0, 100) with mean 50; equal scores have equal percentiles; a lone user stands at 50.

    >>> percentiles([0.2, 0.8, 0.2, 0.9]).tolist()
    [25.0, 62.5, 25.0, 87.5]
    """
    found = _scores(scores)
    _, group, sizes = np.unique(found, return_inverse=True, return_counts=True)
    below = np.cumsum(sizes) - sizes
    ranks: NDArray[np.float64] = 100.0 * (below + sizes / 2)[group] / max(len(found), 1)
    return ranks


@dataclass(frozen=True, slots=True)
class TierRule:
    """Shares of the population, by capacity: who comes first is `high`, who comes next `medium`, the rest `low`.

    >>> TierRule(high=0.25, medium=0.5).tiers([0.1, 0.2, 0.3, 0.4])
    ['low', 'medium', 'medium', 'high']
    """

    high: float = 0.10
    medium: float = 0.20

    def __post_init__(self) -> None:
        if not (self.high >= 0 and self.medium >= 0 and self.high + self.medium <= 1):
            raise BadInput(
                f"tiers of {self.high:g} high and {self.medium:g} medium; expected shares of the population "
                "that add up to 1 at most, for example 0.1 and 0.2."
            )

    def tiers(self, scores: ArrayLike) -> list[Tier]:
        """One tier a user, from the percentile.

        Users with equal scores share a tier; equals on a boundary go, all of them, where their middle lies.
        """
        places = percentiles(scores) + _ROUNDING
        high, medium = 100 * (1 - self.high), 100 * (1 - self.high - self.medium)
        return ["high" if place >= high else "medium" if place >= medium else "low" for place in places]


def _scores(scores: ArrayLike) -> NDArray[np.float64]:
    found = np.asarray(scores, dtype=np.float64)
    if found.ndim != 1 or np.isnan(found).any():
        raise BadInput("scores to rank are one number a user; some are missing. Score every user first.")
    return found
