"""How much each step of a training had to learn from or to be tested on."""

from dataclasses import asdict, dataclass

import numpy as np

from training.snapshots import TrainingSet
from training.splits import Cutoffs, Split


@dataclass(frozen=True, slots=True)
class StepFacts:
    """How many rows and users a step of the split had, and which share of the rows churned (NaN: no rows)."""

    cutoffs: int
    rows: int
    users: int
    churned_share: float

    def known(self) -> dict[str, float]:
        """What is known, as plain numbers."""
        return {name: value for name, value in asdict(self).items() if not np.isnan(value)}


def facts_of_steps(rows: TrainingSet, split: Split) -> dict[str, StepFacts]:
    """The facts of the steps that a report tells of, by name."""
    names = ("fit", "calibration", "test", "deployed_fit")
    return {name: _facts(rows.at(getattr(split, name)), getattr(split, name)) for name in names}


def _facts(rows: TrainingSet, cutoffs: Cutoffs) -> StepFacts:
    share = float(rows.labels.mean()) if len(rows) else float("nan")
    return StepFacts(len(cutoffs), len(rows), len(set(rows.users)), share)
