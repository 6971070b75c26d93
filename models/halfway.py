"""Boosters that learn who is away halfway through the horizon, brought to the scale of the whole horizon.

Whoever is silent for half a horizon is on the way to be silent for all of it, and such users are more: there is more to
learn from as many rows. A booster of that outcome errs otherwise than its neighbour that learns the whole one, so their
mean is better than that of two of either (several targets that are akin: Caruana 1997, "Multitask Learning").
"""

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.calibration import fit_platt

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
MOST_ROWS = 50_000  # two numbers are no better for more


def to_whole(booster: lightgbm.Booster, matrix: Floats, labels: Labels, *, trees: int) -> str:
    """The first `trees` trees as LightGBM's text, their margins a line through those of the outcome `labels`.

    The line (Platt 1999; it never falls) is fitted on at most 50,000 of the rows; its slope goes into every leaf, its
    intercept into those of the first tree. So a row's margin is a sum of leaves as of any booster.
    """
    some = slice(None, None, -(-len(matrix) // MOST_ROWS))
    margins = np.asarray(booster.predict(matrix[some], raw_score=True, num_iteration=trees, num_threads=1))
    line = fit_platt(margins, labels[some])
    for place, tree in enumerate(booster.dump_model(num_iteration=trees)["tree_info"]):
        added = 0.0 if place else line.intercept
        for leaf in range(tree["num_leaves"]):
            booster.set_leaf_output(place, leaf, line.slope * booster.get_leaf_output(place, leaf) + added)
    text: str = booster.model_to_string(num_iteration=trees)
    return text
