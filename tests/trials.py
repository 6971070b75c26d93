"""Test rows whose true chances are known, as a trial of the model alone."""

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray
from training.metrics import evaluate
from training.trial import OURS, Trial

REPLICATES = 200


def known_chances(*, rows: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """True chances and what then happened."""
    draws = np.random.default_rng(seed)
    chances = draws.beta(1.0, 3.0, rows)
    return chances, (draws.random(rows) < chances).astype(np.float64)


def trial_of(
    labels: FloatArray, said: FloatArray, *, users: NDArray[np.object_] | None = None, replicates: int = REPLICATES
) -> Trial:
    names = np.array([f"user-{place}" for place in range(len(labels))], dtype=object) if users is None else users
    found = evaluate(labels, said, users=names, seed=0, ranks=said, replicates=replicates)
    return Trial(names, labels, {OURS: said}, {OURS: said}, {OURS: found})
