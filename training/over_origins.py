"""Many test cutoffs as one trial: every origin counts alike, and a user is drawn with all his rows at all origins.

Ranking metrics, log loss and Brier score are means over the origins of what each origin's rows give, because a list is
made at one cutoff and one crowded month should not outvote the others. Whether probabilities come true (calibration
error, predicted ÷ observed) is asked of all rows together. Intervals are bootstrap percentiles as in
`training.metrics`; a user who is tested at five origins is drawn, or not drawn, at all five.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from scipy.stats import t as student

from features.user_events import FloatArray
from training.metrics import (
    METRICS,
    Estimate,
    Evaluation,
    Metrics,
    difference,
    estimated,
    level_metrics,
    metrics_of,
    user_weights,
    why_missing,
)
from training.trial import OURS, Trial

OF_ANY_ROWS = ("log_loss", "brier")  # what rows of one outcome carry, too
OF_ALL_ROWS = ("calibration_error", "predicted_over_observed")
FEWEST_FOR_TREND = 4  # origins: a line through three always fits well enough to mislead
LEVEL = 0.95

Compute = Callable[[FloatArray], Metrics]


@dataclass(frozen=True, slots=True)
class Trend:
    """The straight line through a metric over the origins: change per 100 days, the origins being the sample."""

    metric: str
    per_100_days: Estimate
    over_days: float  # from the first origin to the last

    @property
    def in_all(self) -> float:
        """The change from the first origin to the last."""
        return self.per_100_days.value * self.over_days / 100


def together(trials: Sequence[Trial], *, seed: int, replicates: int) -> Trial:
    """All origins' test rows as one trial, whose evaluations are of all origins."""
    users = np.concatenate([trial.users for trial in trials])
    labels = np.concatenate([trial.labels for trial in trials])
    names = list(trials[0].evaluations)
    probabilities = {name: np.concatenate([trial.probabilities[name] for trial in trials]) for name in names}
    scores = {name: np.concatenate([trial.scores[name] for trial in trials]) for name in names}
    computes = {name: _pooling(trials, name) for name in names}
    point = {name: compute(np.ones((1, len(labels)))) for name, compute in computes.items()}
    drawn: dict[str, list[Metrics]] = {name: [] for name in names}
    for weights in user_weights(users, seed=seed, replicates=replicates):
        for name, compute in computes.items():
            drawn[name].append(compute(weights))
    why = why_missing(labels)
    evaluations = {name: _evaluation(point[name], drawn[name], why=why) for name in names}
    return Trial(users, labels, probabilities, scores, evaluations, foretold=trials[0].foretold)


def slices(trials: Sequence[Trial]) -> Iterator[slice]:
    """Where each origin's rows lie among all of them."""
    begin = 0
    for trial in trials:
        yield slice(begin, begin + len(trial.labels))
        begin += len(trial.labels)


def trend(days: Sequence[float], values: Sequence[float], *, metric: str) -> Trend | None:
    """The least-squares line with its 95 % t interval; none where fewer than four origins carry the metric.

    >>> line = trend([0.0, 100.0, 200.0, 300.0], [0.8, 0.7, 0.6, 0.5], metric="auc")
    >>> round(line.per_100_days.value, 3), round(line.in_all, 3)
    (-0.1, -0.3)
    """
    known = ~np.isnan(np.array(values, dtype=np.float64))
    x, y = np.array(days, dtype=np.float64)[known] / 100, np.array(values, dtype=np.float64)[known]
    if len(x) < FEWEST_FOR_TREND:
        return None
    spread = float(((x - x.mean()) ** 2).sum())
    slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
    left = y - y.mean() - slope * (x - x.mean())
    error = sqrt(float((left**2).sum()) / (len(x) - 2) / spread)
    reach = float(student.ppf((1 + LEVEL) / 2, len(x) - 2)) * error
    return Trend(metric, Estimate(slope, slope - reach, slope + reach), 100 * float(x.max() - x.min()))


def figures(trial: Trial) -> dict[str, Any]:  # Any: JSON
    """Everybody's metrics, and what the model's are above each baseline's, paired."""
    others = [name for name in trial.evaluations if name != OURS]
    return {
        "rows": len(trial.labels),
        "users": len(np.unique(trial.users.astype(str))),
        "churned_share": float(trial.labels.mean()),
        "metrics": {name: _all(found.estimates) for name, found in trial.evaluations.items()},
        "model_minus": {name: _all({metric: trial.gain(name, metric=metric) for metric in METRICS}) for name in others},
    }


def of_estimate(estimate: Estimate) -> dict[str, float | str]:
    """An estimate as JSON; a missing one says why."""
    if estimate.missing_because:
        return {"missing_because": estimate.missing_because}
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def gains(trials: Sequence[Trial], baseline: str, *, metric: str) -> list[Estimate]:
    """What the model's metric is above a baseline's at each origin, paired."""
    return [difference(trial.ours, trial.evaluations[baseline], metric=metric) for trial in trials]


def _pooling(trials: Sequence[Trial], name: str) -> Compute:
    """A function from weights of all rows to one contestant's metrics over all origins."""
    parts = [metrics_of(trial.labels, trial.probabilities[name], ranks=trial.scores[name]) for trial in trials]
    labels = np.concatenate([trial.labels for trial in trials])
    whole = level_metrics(labels, np.concatenate([trial.probabilities[name] for trial in trials]))
    places = list(slices(trials))
    carried = [not trial.ours["auc"].missing_because for trial in trials]  # an origin with one outcome has no ranking

    def compute(weights: FloatArray) -> Metrics:
        of_all = whole(weights)
        each = [part(weights[:, place]) for part, place in zip(parts, places, strict=True)]
        return {metric: of_all[metric] if metric in OF_ALL_ROWS else _mean(each, metric, carried) for metric in METRICS}

    return compute


def _mean(each: Sequence[Metrics], metric: str, carried: Sequence[bool]) -> FloatArray:
    """The mean over the origins whose rows carry the metric; where a draw lost one of them, that draw is missing."""
    kept = [found[metric] for found, there in zip(each, carried, strict=True) if there or metric in OF_ANY_ROWS]
    return np.asarray(np.mean(kept, axis=0)) if kept else np.full(len(each[0][metric]), np.nan)


def _evaluation(point: Metrics, drawn: Sequence[Metrics], *, why: str) -> Evaluation:
    replicates = {name: np.concatenate([block[name] for block in drawn]) for name in METRICS}
    estimates = {name: estimated(name, float(point[name][0]), replicates[name], why=why) for name in METRICS}
    return Evaluation(estimates, replicates)


def _all(estimates: dict[str, Estimate]) -> dict[str, Any]:  # Any: JSON
    return {name: of_estimate(estimate) for name, estimate in estimates.items()}
