"""The test: our model and its baselines on the same later rows, which none of them has seen."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray
from models.model import ChurnModel
from training.baselines import FittedBaseline
from training.metrics import Estimate, Evaluation, difference, evaluate
from training.profit import PAPER, Appraisal, Costs, Predicted, appraise
from training.ranking import CAPACITY
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
    capacity: float = CAPACITY  # the share of the rows that can be looked after
    appraisal: Appraisal | None = None  # what a campaign would bring; none where one outcome is all there is
    foretold: bool = False  # whether the definition's outcome is mostly told by dates that are known at the cutoff

    @property
    def ours(self) -> Evaluation:
        """The model's own metrics."""
        return self.evaluations[OURS]

    def gain(self, baseline: str, *, metric: str) -> Estimate:
        """The model's metric minus the baseline's, on the same bootstrap draws."""
        return difference(self.ours, self.evaluations[baseline], metric=metric)

    def quality(self) -> dict[str, float]:
        """The model's metrics, each with `_low` and `_high`, the ends of its interval; missing ones are left out."""
        figures = self.ours.estimates | (self.appraisal.metrics(OURS) if self.appraisal else {})
        found = {name: estimate for name, estimate in figures.items() if not estimate.missing_because}
        return {name + end: value for name in found for end, value in _ends(found[name]).items()}

    def baselines(self) -> dict[str, float]:
        """Each `baseline_metric`, and what the model gains as `gain_metric_over_baseline`, with the interval's ends."""
        found = {}
        for name in self.evaluations.keys() - {OURS}:
            for metric, estimate in self.evaluations[name].estimates.items():
                if not estimate.missing_because:
                    found[f"{name}_{metric}"] = estimate.value
            for metric in ("auc", "log_loss"):
                gain = self.gain(name, metric=metric)
                if not gain.missing_because:
                    found |= {f"gain_{metric}_over_{name}{end}": value for end, value in _ends(gain).items()}
        return dict(sorted(found.items()))


def hold_trial(
    model: ChurnModel,
    baselines: dict[str, FittedBaseline],
    test: TrainingSet,
    *,
    seed: int,
    replicates: int,
    dates: tuple[str, ...] = (),
    capacity: float = CAPACITY,
    costs: Costs = PAPER,
) -> Trial:
    """Everybody's predictions on the test rows, evaluated on the same draws of users.

    `dates` names features of the cutoff itself, which the baselines were not given. `capacity` is the share of the
    rows that can be looked after.
    """
    rows = test.rows_without(dates)
    probabilities = {OURS: model.predict_proba(test.frame)[:, 1]}
    scores = {OURS: model.margin(test.frame)}
    for name, baseline in baselines.items():
        probabilities[name], scores[name] = baseline.probabilities(rows), baseline.scores(rows)
    evaluations = {
        name: evaluate(
            test.labels,
            probabilities[name],
            users=test.users,
            seed=seed,
            ranks=scores[name],
            capacity=capacity,
            replicates=replicates,
        )
        for name in probabilities
    }
    held = Trial(test.users, test.labels, probabilities, scores, evaluations, capacity)
    if held.ours["auc"].missing_because:
        return held
    return replace(held, appraisal=_appraised(held, costs=costs, seed=seed, replicates=replicates))


def _appraised(held: Trial, *, costs: Costs, seed: int, replicates: int) -> Appraisal:
    models = {name: Predicted(held.probabilities[name], held.scores[name]) for name in held.probabilities}
    return appraise(
        held.labels,
        models,
        users=held.users,
        costs=costs,
        capacity=held.capacity,
        ours=OURS,
        seed=seed,
        replicates=replicates,
    )


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"": estimate.value, "_low": estimate.low, "_high": estimate.high}
