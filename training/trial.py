"""The test: our model and its baselines on the same later rows, which none of them has seen."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.language import FeatureSet
from features.user_events import FloatArray
from models.model import ChurnModel
from training.baselines import FittedBaseline
from training.metrics import Estimate, Evaluation, difference, evaluate
from training.snapshots import TrainingSet

OURS = "model"
NAMES = {
    OURS: "Holdfast model",
    "last_seen_rule": "last-seen rule",
    "rfm": "RFM score",
    "logistic_regression": "logistic regression",
}


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Labels, everybody's predictions and metrics on the test rows; keys are `model` and the baselines' names."""

    users: NDArray[np.object_]
    labels: FloatArray
    probabilities: dict[str, FloatArray]
    scores: dict[str, FloatArray]  # what ranking is judged on
    evaluations: dict[str, Evaluation]

    @property
    def ours(self) -> Evaluation:
        """The model's own metrics."""
        return self.evaluations[OURS]

    def gain(self, baseline: str, *, metric: str) -> Estimate:
        """The model's metric minus the baseline's, on the same bootstrap draws."""
        return difference(self.ours, self.evaluations[baseline], metric=metric)

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Every metric of every model with the ends of its interval; what is missing is null, with the reason."""
        return {
            name: {metric: _to_json(estimate) for metric, estimate in evaluation.estimates.items()}
            for name, evaluation in self.evaluations.items()
        }


def hold_trial(
    model: ChurnModel, baselines: dict[str, FittedBaseline], test: TrainingSet, *, seed: int, replicates: int
) -> Trial:
    """Everybody's predictions on the test rows, evaluated on the same draws of users."""
    rows = test.rows
    probabilities = {OURS: model.predict_proba(test.frame)[:, 1]}
    scores = {OURS: model.margin(test.frame)}
    for name, baseline in baselines.items():
        probabilities[name], scores[name] = baseline.probabilities(rows), baseline.scores(rows)
    evaluations = {
        name: evaluate(
            test.labels, probabilities[name], users=test.users, seed=seed, ranks=scores[name], replicates=replicates
        )
        for name in probabilities
    }
    return Trial(test.users, test.labels, probabilities, scores, evaluations)


def importance_by_family(
    model: ChurnModel, features: FeatureSet, rows: TrainingSet, *, most_rows: int = 1000
) -> dict[str, float]:
    """Mean absolute contribution of each feature family to the margin (log-odds), largest first.

    Contributions of a family are added before the absolute value is taken, so that features which undo each other
    do not look important.
    """
    sample = rows.frame.iloc[:: max(1, len(rows) // most_rows)]
    contributions = model.contributions(sample)[:, :-1]
    families = np.array([features[name].family for name in features.names])
    sizes = {family: float(np.abs(contributions[:, families == family].sum(axis=1)).mean()) for family in set(families)}
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def _to_json(estimate: Estimate) -> dict[str, float | str | None]:
    if estimate.missing_because:
        return {"value": None, "missing_because": estimate.missing_because}
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}
