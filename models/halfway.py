"""Boosters that learn who is away halfway through the horizon, brought to the scale of the whole horizon.

Whoever is silent for half a horizon is on the way to be silent for all of it, and such users are more: there is more to
learn from as many rows. A booster of that outcome errs otherwise than its neighbour that learns the whole one, so their
mean is better than that of two of either (several targets that are akin: Caruana 1997, "Multitask Learning").
"""

from dataclasses import dataclass

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.calibration import fit_line

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
MOST_ROWS = 50_000  # two numbers are no better for more


@dataclass(frozen=True, slots=True, eq=False)
class Grown:
    """A booster, and how many of its trees are kept."""

    booster: lightgbm.Booster
    trees: int

    def margins(self, matrix: Floats) -> Floats:
        """Its log-odds, one a row."""
        return np.asarray(self.booster.predict(matrix, raw_score=True, num_iteration=self.trees, num_threads=1))

    def text(self) -> str:
        """LightGBM's text of the trees that are kept."""
        text: str = self.booster.model_to_string(num_iteration=self.trees)
        return text


def to_whole(half: Grown, matrix: Floats, labels: Labels, *, beside: Grown) -> None:
    """Put the leaves of `half` on the scale of the outcome `labels`, which the booster `beside` it has learnt.

    On the rows that they learnt from boosters are more timid than the labels, and on noise as much as on what lasts. So
    the slope is that of half's margins through the labels divided by that of its neighbour's: neither gets bolder than
    the other. Slope and level are fitted on at most 50,000 of the rows (Platt 1999; a slope is never negative). The
    slope goes into every leaf, the level into those of the first tree: a margin is a sum of leaves as of any booster.
    """
    some = slice(None, None, -(-len(matrix) // MOST_ROWS))
    margins, outcome = half.margins(matrix[some]), labels[some]
    timid = fit_line(beside.margins(matrix[some]), outcome, kind="platt").slope
    slope = fit_line(margins, outcome, kind="platt").slope / timid if timid > 0 else 0.0
    level = fit_line(slope * margins, outcome, kind="shift").intercept
    for place, tree in enumerate(half.booster.dump_model(num_iteration=half.trees)["tree_info"]):
        added = 0.0 if place else level
        for leaf in range(tree["num_leaves"]):
            half.booster.set_leaf_output(place, leaf, slope * half.booster.get_leaf_output(place, leaf) + added)
