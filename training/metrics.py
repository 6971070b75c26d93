"""How good probabilities are, each figure with a 95 % interval that knows that a user's rows belong together.

The intervals are bootstrap percentiles: users, not rows, are drawn with replacement, because one user can be in
several test cutoffs. A replicate is a weight for each row (how often its user was drawn), so that every metric is
computed for all replicates at once and two models are compared on the very same draws.
A metric that the test rows cannot carry, such as AUC where everybody churned, is missing and says why.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray
from training.brier import PARTS, brier_parts
from training.ranking import CAPACITY, RANKING_METRICS, ranking_metrics

CALIBRATION_BINS = 10  # of equal mass, for the expected calibration error and the calibration curve
REPLICATES = 300
CELLS_AT_ONCE = 4_000_000  # replicates are computed in blocks of so many weights: about 32 MB an array
CELLS_IN_ALL = 60_000_000  # beyond, fewer replicates (at least 100) keep a large test set to seconds
CLIP = 1e-12  # log loss of a certain and wrong prediction stays finite
LEVEL_METRICS = ("log_loss", "brier", *PARTS, "calibration_error", "predicted_over_observed")
INFLATED = ("calibration_error", "brier_reliability", "brier_resolution")  # by the noise of drawing users twice
METRICS = (*RANKING_METRICS, *LEVEL_METRICS)

Metrics = dict[str, FloatArray]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval; NaN with a reason when the rows cannot carry it."""

    value: float
    low: float
    high: float
    missing_because: str = ""

    def says(self, *, digits: int = 3) -> str:
        """Short text for a table.

        >>> Estimate(0.8, 0.75, 0.84).says()
        '0.800 [0.750, 0.840]'
        """
        if self.missing_because:
            return f"missing: {self.missing_because}"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All metrics of one model on one test set, and their bootstrap replicates for paired differences."""

    estimates: dict[str, Estimate]
    replicates: Metrics

    def __getitem__(self, metric: str) -> Estimate:
        return self.estimates[metric]


def evaluate(
    labels: FloatArray,
    probabilities: FloatArray,
    *,
    users: NDArray[np.object_],
    seed: int,
    ranks: FloatArray | None = None,
    capacity: float = CAPACITY,
    replicates: int = REPLICATES,
) -> Evaluation:
    """Every metric of these probabilities; the ranking metrics use `ranks` where given (a rule's raw score).

    `capacity` is the share of the rows that can be looked after, for the metrics that end in `_at_capacity`.
    """
    compute = metrics_of(labels, probabilities, ranks=probabilities if ranks is None else ranks, capacity=capacity)
    point = {name: float(values[0]) for name, values in compute(np.ones((1, len(labels)))).items()}
    blocks = [compute(weights) for weights in user_weights(users, seed=seed, replicates=replicates)]
    drawn = {name: np.concatenate([block[name] for block in blocks]) for name in METRICS}
    why = why_missing(labels)
    estimates = {name: estimated(name, point[name], drawn[name], why=why) for name in METRICS}
    return Evaluation(estimates, drawn)


def difference(ours: Evaluation, theirs: Evaluation, *, metric: str) -> Estimate:
    """Ours minus theirs, paired: both must have been evaluated on the same rows with the same seed."""
    gap = ours.replicates[metric] - theirs.replicates[metric]
    value = ours[metric].value - theirs[metric].value
    return estimate_of(value, gap, why=ours[metric].missing_because)


def estimated(metric: str, value: float, drawn: FloatArray, *, why: str) -> Estimate:
    """A metric with the interval of its replicates; `why` it is missing, where it is."""
    found = estimate_of(value, drawn, why=why)
    return _without_bias(found, drawn) if metric in INFLATED else found


def estimate_of(value: float, drawn: FloatArray, *, why: str = "too few rows") -> Estimate:
    """The value with the middle 95 % of those replicates that carry it; missing, and why, where it is NaN."""
    if np.isnan(value):
        return Estimate(np.nan, np.nan, np.nan, why)
    low, high = np.quantile(drawn[~np.isnan(drawn)], [0.025, 0.975])
    return Estimate(value, float(low), float(high))


def user_weights(users: NDArray[np.object_], *, seed: int, replicates: int) -> Iterator[FloatArray]:
    """Blocks `[replicates, rows]`: how often each row's user was drawn; the same seed draws the same users."""
    _, owner = np.unique(users.astype(str), return_inverse=True)
    count = int(owner.max()) + 1
    replicates = min(replicates, max(100, CELLS_IN_ALL // len(users)))
    at_once = max(1, CELLS_AT_ONCE // len(users))
    draws = np.random.default_rng(seed)
    for begin in range(0, replicates, at_once):
        block = min(at_once, replicates - begin)
        drawn = draws.integers(0, count, size=(block, count)) + np.arange(block)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=block * count).reshape(block, count)
        yield times[:, owner].astype(np.float64)


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Rows of similar probability: how many, what was predicted and what happened (shares)."""

    rows: int
    predicted: float
    observed: float


def calibration_curve(
    labels: FloatArray, probabilities: FloatArray, *, bins: int = CALIBRATION_BINS
) -> list[CalibrationBin]:
    """Predicted against observed share in bins of equal mass, lowest probability first.

    >>> calibration_curve(np.array([0.0, 1.0]), np.array([0.2, 0.7]), bins=2)[1]
    CalibrationBin(rows=1, predicted=0.7, observed=1.0)
    """
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return [CalibrationBin(len(p), float(probabilities[p].mean()), float(labels[p].mean())) for p in parts]


def log_losses(labels: FloatArray, probabilities: FloatArray) -> FloatArray:
    """Each row's log loss in nats."""
    clipped = np.clip(probabilities, CLIP, 1 - CLIP)
    return np.asarray(-np.where(labels == 1, np.log(clipped), np.log1p(-clipped)), dtype=np.float64)


def metrics_of(
    labels: FloatArray, probabilities: FloatArray, *, ranks: FloatArray, capacity: float = CAPACITY
) -> Callable[[FloatArray], Metrics]:
    """A function from weights `[replicates, rows]` to every metric `[replicates]`."""
    of_ranks = ranking_metrics(labels, ranks, capacity=capacity)
    of_levels = level_metrics(labels, probabilities)
    return lambda weights: {**of_ranks(weights), **of_levels(weights)}


def level_metrics(labels: FloatArray, probabilities: FloatArray) -> Callable[[FloatArray], Metrics]:
    """The same for the metrics that ask whether probabilities come true."""
    losses = log_losses(labels, probabilities)
    squares = (probabilities - labels) ** 2
    order = np.argsort(probabilities, kind="stable")
    starts = np.array([part[0] for part in np.array_split(np.arange(len(order)), CALIBRATION_BINS) if len(part)])
    said, churned = probabilities[order], labels[order]

    def compute(weights: FloatArray) -> Metrics:
        mass, ordered = weights.sum(axis=1), weights[:, order]
        rows = np.add.reduceat(ordered, starts, axis=1)
        predicted, observed = (np.add.reduceat(ordered * each, starts, axis=1) for each in (said, churned))
        brier = (weights @ squares) / mass
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (weights @ probabilities) / (weights @ labels)
        return {
            "log_loss": (weights @ losses) / mass,
            "brier": brier,
            **brier_parts(rows, predicted, observed, brier=brier),
            "calibration_error": np.abs(predicted - observed).sum(axis=1) / mass,
            "predicted_over_observed": np.where(np.isfinite(ratio), ratio, np.nan),
        }

    return compute


def _without_bias(estimate: Estimate, drawn: FloatArray) -> Estimate:
    """The interval moved back by what drawing users twice adds: gaps are counted absolutely, so noise never cancels.

    No end is below 0, but where the figure itself can be (a reliability from which its noise has been taken).
    """
    bias = float(np.median(drawn)) - estimate.value
    floor = min(0.0, estimate.value)
    return Estimate(estimate.value, max(floor, estimate.low - bias), max(floor, estimate.high - bias))


def why_missing(labels: FloatArray) -> str:
    """Why a metric of these rows is missing, where it is."""
    if not labels.any():
        return f"none of the {len(labels)} test rows churned"
    if labels.all():
        return f"all {len(labels)} test rows churned"
    return "too few rows"
