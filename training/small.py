"""Small data: a simple model that few users can carry, said openly, instead of a refusal or of a model that guesses.

With few users the boosters and a thousand spline weights learn the users by heart. What is left is a logistic
regression on a handful of robust features, each with a curve, drawn towards no effect as if every user counted once.
"""

from dataclasses import dataclass

import numpy as np

from features.feature_set import FeatureSet
from training.fit import Recipe, Rehearsed, TrainSettings, fit_model
from training.snapshots import TrainingSet
from training.verdict import Decision, Finding

FEW_USERS, FEW_CHURNERS = 300, 50  # below either: about ten churners to a coefficient (Peduzzi and others 1996)
MOST_FEATURES = 6  # ten churners to each would be 60
ROBUST = (  # in the standard catalogue: when last, how often lately and usually, for how long, at which pace
    "days_since_last_event",
    "active_days_28d",
    "active_days_91d",
    "active_weeks_share",
    "days_since_first_event",
    "mean_gap_days",
)
L2_PER_USER = 10.0  # a standard deviation of a feature moves the log-odds by .3, unless the users say otherwise


@dataclass(frozen=True, slots=True)
class Few:
    """How few there are to learn from."""

    users: int
    churners: int  # users who churned at any of the cutoffs

    def finding(self, recipe: Recipe) -> Finding:
        """What the verdict says of it."""
        return Finding(
            "few_to_learn_from",
            f"learnt from only {self.users:,} users, of whom {self.churners:,} ever churned (expected {FEW_USERS} and "
            f"{FEW_CHURNERS}): a simple regression on {len(recipe.only)} features; read the intervals, they are wide.",
            Decision.WITH_CARE,
        )


def few(fit: TrainingSet) -> Few | None:
    """How few there are, none when they are enough for the usual recipe."""
    users = len(np.unique(fit.users.astype(str)))
    churners = len(np.unique(fit.users[fit.labels == 1].astype(str)))
    return Few(users, churners) if users < FEW_USERS or churners < FEW_CHURNERS else None


def simple_recipe(fit: TrainingSet, features: FeatureSet) -> Recipe:
    """The regression alone, on few features; nothing is chosen by outcomes, so nothing can be chosen too well."""
    rows_per_user = len(fit) / max(1, len(np.unique(fit.users.astype(str))))
    return Recipe(trees=0, booster_weight=0.0, only=robust(features), linear_l2=L2_PER_USER * rows_per_user)


def robust(features: FeatureSet) -> tuple[str, ...]:
    """The robust ones of the catalogue; of a set of one's own that has none of them, the first."""
    known = tuple(name for name in ROBUST if name in features.names)
    return known or features.names[:MOST_FEATURES]


def rehearse(
    stopping: TrainingSet, validation: TrainingSet, recipe: Recipe, *, settings: TrainSettings
) -> Rehearsed | None:
    """What the simple model, fitted on the oldest outcomes, said of the next; none where either has one outcome."""
    if not (_both(stopping) and _both(validation)):
        return None
    return Rehearsed.by(fit_model(stopping, recipe, settings=settings), validation)


def _both(rows: TrainingSet) -> bool:
    return len(rows) > 0 and bool(rows.labels.min() < rows.labels.max())
