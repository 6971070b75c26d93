"""What the Brier score is made of: are probabilities true, do they tell users apart, and how hard is the question.

Murphy (1973): Brier = reliability - resolution + uncertainty, over bins of similar probability. That is exact only
where all probabilities of a bin are the same; Stephenson, Coelho and Jolliffe (2008) give the rest, the variance of
the probabilities within bins less twice their covariance with the outcome, so that the parts add up for any bins.
A bin's share of churners is an estimate: its noise inflates reliability and resolution, and shrinks uncertainty.
Ferro and Fricker (2012) take it out for rows that are independent; the sum stays as it is. Corrected so, a
reliability can be a little below 0: the gaps are then smaller than chance alone makes them.
"""

import numpy as np

from features.user_events import FloatArray

PARTS = ("brier_reliability", "brier_resolution", "brier_uncertainty", "brier_within_bins")


def brier_parts(
    mass: FloatArray, predicted: FloatArray, churned: FloatArray, *, brier: FloatArray
) -> dict[str, FloatArray]:
    """The parts of each replicate's Brier score, from the sums in its bins; brier = reliability - resolution + others.

    `mass`, `predicted` and `churned` are `[replicates, bins]`: rows, sum of probabilities, churners.

    >>> two, ones = np.array([[2.0, 2.0]]), np.array([[0.0, 2.0]])
    >>> parts = brier_parts(two, np.array([[0.0, 2.0]]), ones, brier=np.array([0.0]))
    >>> {name: round(float(value[0]), 3) for name, value in parts.items() if name != "brier_within_bins"}
    {'brier_reliability': 0.0, 'brier_resolution': 0.333, 'brier_uncertainty': 0.333}
    """
    rows, full = mass.sum(axis=1), np.where(mass > 0, mass, 1.0)
    share, said, overall = churned / full, predicted / full, churned.sum(axis=1) / rows
    reliability = (mass * (said - share) ** 2).sum(axis=1) / rows
    resolution = (mass * (share - overall[:, None]) ** 2).sum(axis=1) / rows
    uncertainty = overall * (1 - overall)
    of_bins = (_noise(share, mass) * mass).sum(axis=1) / rows
    of_all = _noise(overall, rows)
    return {
        "brier_reliability": reliability - of_bins,
        "brier_resolution": resolution - of_bins + of_all,
        "brier_uncertainty": uncertainty + of_all,
        "brier_within_bins": brier - (reliability - resolution + uncertainty),
    }


def _noise(share: FloatArray, rows: FloatArray) -> FloatArray:
    """The estimated variance of a share; 0 where one row cannot tell."""
    noise: FloatArray = np.where(rows > 1, share * (1 - share) / np.where(rows > 1, rows - 1, 1.0), 0.0)
    return noise
