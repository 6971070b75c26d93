"""From log-odds to honest probabilities: several ways, each a few numbers in JSON, and the choice between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from features.errors import BadInput
from models.stretch import fit_stretch
from models.venn_abers import VennAbers, fit_venn_abers

Floats = NDArray[np.float64]
SURE = 1e-9  # nobody is certain: probabilities stay this far from 0 and 1, so that a log loss is finite
FEWEST = 30  # of either outcome; with fewer a fitted curve is mostly noise
SIMPLEST_FIRST = ("identity", "shift", "platt", "beta", "isotonic", "venn_abers")
KINDS = (*SIMPLEST_FIRST, "stretch")  # the last is no rival of the others: it leaves the level as it is


class Calibrator(Protocol):
    """A non-decreasing map from margins (log-odds) to probabilities strictly between 0 and 1."""

    kind: ClassVar[str]

    def probabilities(self, margins: Floats) -> Floats:
        """One probability a margin."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The margin is believed as it is.

    >>> Identity().probabilities(np.array([0.0]))
    array([0.5])
    """

    kind: ClassVar[str] = "identity"

    def probabilities(self, margins: Floats) -> Floats:
        """One probability a margin."""
        return _sure(expit(margins))


@dataclass(frozen=True, slots=True)
class Platt:
    """A straight line on the log-odds; with slope 1 only the level moves."""

    kind: ClassVar[str] = "platt"
    slope: float
    intercept: float

    def probabilities(self, margins: Floats) -> Floats:
        """One probability a margin."""
        return _sure(expit(self.slope * margins + self.intercept))


@dataclass(frozen=True, slots=True)
class Beta:
    """Beta calibration (Kull, Silva Filho and Flach 2017): a slope for each end of the scale; neither is negative."""

    kind: ClassVar[str] = "beta"
    slope_low: float
    slope_high: float
    intercept: float

    def probabilities(self, margins: Floats) -> Floats:
        """One probability a margin."""
        low, high = -np.logaddexp(0.0, -margins), np.logaddexp(0.0, margins)  # log s and -log(1 - s)
        return _sure(expit(self.slope_low * low + self.slope_high * high + self.intercept))


@dataclass(frozen=True, slots=True)
class Isotonic:
    """Straight lines between knots; flat outside them."""

    kind: ClassVar[str] = "isotonic"
    margins: tuple[float, ...]  # ascending, distinct
    heights: tuple[float, ...]  # ascending, inside (0, 1)

    def probabilities(self, margins: Floats) -> Floats:
        """One probability a margin."""
        places, heights = np.array(self.margins), np.array(self.heights)
        if len(places) == 1:
            return _sure(np.full(np.shape(margins), heights[0]))
        left = np.clip(np.searchsorted(places, margins, side="right") - 1, 0, len(places) - 2)
        with np.errstate(over="ignore"):  # beyond two knots that hardly differ: clipped to the upper
            share = np.clip((margins - places[left]) / (places[left + 1] - places[left]), 0.0, 1.0)
        risen = heights[left] + share * (heights[left + 1] - heights[left])
        return _sure(np.minimum(risen, heights[left + 1]))  # rounding must not climb over the next knot


def to_json(calibrator: Calibrator) -> dict[str, Any]:  # Any: JSON
    """Plain JSON that `from_json` reads back to the bit.

    >>> to_json(Platt(slope=1.0, intercept=-0.5))
    {'kind': 'platt', 'slope': 1.0, 'intercept': -0.5}
    """
    known = fields(calibrator)  # type: ignore[arg-type] # all five are dataclasses
    return {"kind": calibrator.kind, **{each.name: getattr(calibrator, each.name) for each in known if each.init}}


def from_json(data: dict[str, Any]) -> Calibrator:  # Any: JSON
    """The calibrator that `to_json` wrote; `BadInput` for a kind this version does not know."""
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    kind = values.pop("kind", None)
    known: dict[str, Callable[..., Calibrator]] = {
        one.kind: one for one in (Identity, Platt, Beta, Isotonic, VennAbers)
    }
    if kind not in known:
        raise BadInput(f"a calibration of kind {kind!r}; this version knows {', '.join(known)}.")
    return known[kind](**values)


def moved(calibrator: Calibrator, *, by: float) -> Calibrator:
    """The calibrator with its probabilities moved by so much on the log-odds.

    >>> moved(Platt(slope=1.0, intercept=0.0), by=0.5)
    Platt(slope=1.0, intercept=0.5)
    """
    if isinstance(calibrator, Platt | Beta):
        return replace(calibrator, intercept=calibrator.intercept + by)
    if isinstance(calibrator, Isotonic | VennAbers):
        return replace(calibrator, heights=tuple(expit(logit(np.array(calibrator.heights)) + by).tolist()))
    return Platt(slope=1.0, intercept=by)


def fit_calibrator(margins: ArrayLike, labels: ArrayLike, *, kind: str, order: ArrayLike | None = None) -> Calibrator:
    """The calibrator of that kind which fits labels 0 and 1 best by log loss.

    `shift` is a `Platt` whose slope stays 1, `stretch` one that leaves the mean margin where it is: its slope is learnt
    with a level for each window, and `order` says of which window each row is. Slopes are never negative: the order of
    users stays.
    """
    scores, outcome = _checked(margins, labels)
    if kind not in KINDS:
        raise BadInput(f"a calibration of kind {kind!r}; expected one of {', '.join(KINDS)}.")
    if kind == "identity":
        return Identity()
    if kind == "isotonic":
        return _isotonic(scores, outcome)
    if kind == "venn_abers":
        return fit_venn_abers(scores, outcome)
    if kind == "beta":
        low, high = -np.logaddexp(0.0, -scores), np.logaddexp(0.0, scores)
        return Beta(*_logistic(np.column_stack([low, high]), outcome, start=[1.0, 1.0, 0.0]))
    return fit_line(scores, outcome, kind=kind, order=order)


def fit_line(margins: ArrayLike, labels: ArrayLike, *, kind: str, order: ArrayLike | None = None) -> Platt:
    """The line on the log-odds that fits labels 0 and 1 best by log loss: `platt`, `shift` or `stretch`, as above."""
    scores, outcome = _checked(margins, labels)
    if kind == "stretch":
        found = fit_stretch(scores, outcome, windows=order)
        return Platt(slope=found.shrunk, intercept=found.pivot * (1.0 - found.shrunk))
    if kind == "shift":
        (intercept,) = _logistic(np.zeros((len(scores), 0)), outcome, start=[0.0], offset=scores)
        return Platt(slope=1.0, intercept=intercept)
    return Platt(*_logistic(scores[:, None], outcome, start=[1.0, 0.0]))


@dataclass(frozen=True, slots=True)
class CalibrationChoice:
    """The chosen calibrator, fitted on all rows, and the cross-validated log loss of every candidate."""

    kind: str
    calibrator: Calibrator
    log_losses: dict[str, float]


def choose_calibrator(
    margins: ArrayLike, labels: ArrayLike, *, order: ArrayLike | None = None, candidates: Sequence[str] = SIMPLEST_FIRST
) -> CalibrationChoice:
    """The simplest calibrator whose held-out log loss is within one standard error of the best.

    `order` says when each row was (its cutoff): with two or more distinct values, calibrators are fitted on the
    earlier and judged on the later rows, otherwise on five folds that each span the whole range of margins.
    With fewer than 30 of either outcome the margin is believed as it is.
    """
    scores, outcome = _checked(margins, labels)
    if min(outcome.sum(), len(outcome) - outcome.sum()) < FEWEST:
        return CalibrationChoice("identity", Identity(), {})
    splits = _splits(scores, order)
    losses = {kind: _held_out(kind, scores, outcome, splits=splits) for kind in candidates}
    best = min(losses, key=lambda kind: float(losses[kind].mean()))
    chosen = next(kind for kind in SIMPLEST_FIRST if kind in losses and _as_good(losses[kind], losses[best]))
    fitted = fit_calibrator(scores, outcome, kind=chosen)
    return CalibrationChoice(chosen, fitted, {kind: float(loss.mean()) for kind, loss in losses.items()})


def log_losses(probabilities: Floats, labels: ArrayLike) -> Floats:
    """Minus the log of the probability given to what happened, one a row.

    >>> log_losses(np.array([0.5]), [1]).round(3)
    array([0.693])
    """
    happened = np.where(np.asarray(labels) == 1, probabilities, 1.0 - probabilities)
    losses: Floats = -np.log(happened)
    return losses


def _sure(probabilities: Floats) -> Floats:
    return np.clip(probabilities, SURE, 1.0 - SURE)


def _checked(margins: ArrayLike, labels: ArrayLike) -> tuple[Floats, Floats]:
    scores, outcome = np.asarray(margins, float), np.asarray(labels, float)
    if scores.shape != outcome.shape or scores.ndim != 1 or not len(scores):
        raise BadInput(f"{scores.shape} margins and {outcome.shape} labels; expected as many of both, and some.")
    if not np.isfinite(scores).all():
        raise BadInput("a margin is missing or infinite; calibrate on margins that the model gave.")
    if not np.isin(outcome, (0.0, 1.0)).all():
        raise BadInput("labels to calibrate on are 0 or 1; leave out users whose horizon is still open.")
    return scores, outcome


def _logistic(basis: Floats, outcome: Floats, *, start: list[float], offset: Floats | float = 0.0) -> list[float]:
    """Slopes (not negative) and the intercept that minimise the log loss against Platt's smoothed targets."""
    from scipy.optimize import minimize  # noqa: PLC0415 - fitting only: loading a bundle stays quick

    positives, negatives = outcome.sum(), len(outcome) - outcome.sum()
    target = np.where(outcome == 1, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    columns = np.column_stack([basis, np.ones(len(outcome))])

    def objective(weights: Floats) -> tuple[float, Floats]:
        margins = columns @ weights + offset
        loss = np.mean(np.logaddexp(0.0, margins) - target * margins)
        return float(loss), columns.T @ (expit(margins) - target) / len(outcome)

    bounds = [(0.0, 1e3)] * basis.shape[1] + [(-50.0, 50.0)]
    found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-12})
    return [float(weight) for weight in found.x]


def _isotonic(scores: Floats, outcome: Floats) -> Isotonic:
    """Pools of rows whose churn share rises, each a knot at its mean margin, its share drawn towards the middle.

    One user more of each outcome in every pool keeps shares off 0 and 1; a second pass restores the order.
    """
    from sklearn.isotonic import isotonic_regression  # noqa: PLC0415 - fitting only

    order = np.argsort(scores, kind="stable")
    places, ties = np.unique(scores[order], return_inverse=True)
    sizes = np.bincount(ties).astype(float)
    shares = np.bincount(ties, weights=outcome[order]) / sizes
    level = isotonic_regression(shares, sample_weight=sizes, y_min=0.0, y_max=1.0)
    pool = np.cumsum(np.r_[0, np.diff(level) > 0])
    rows = np.bincount(pool, weights=sizes)
    middle = np.bincount(pool, weights=sizes * places) / rows
    smoothed = (np.bincount(pool, weights=sizes * shares) + 1) / (rows + 2)
    heights = isotonic_regression(smoothed, sample_weight=rows)
    keep = np.r_[True, np.diff(middle) > 0]  # pools too close for a float to tell apart
    return Isotonic(tuple(middle[keep].tolist()), tuple(heights[keep].tolist()))


def _splits(scores: Floats, order: ArrayLike | None) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    moments = np.zeros(len(scores)) if order is None else np.asarray(order)
    steps = np.unique(moments)
    if len(steps) > 1:
        return [(moments < step, moments == step) for step in steps[1:]]
    fold = np.empty(len(scores), dtype=np.int64)
    fold[np.argsort(scores, kind="stable")] = np.arange(len(scores)) % 5
    return [(fold != held_out, fold == held_out) for held_out in range(5)]


def _held_out(
    kind: str, scores: Floats, outcome: Floats, *, splits: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]
) -> Floats:
    parts = []
    for known, later in splits:
        fitted = fit_calibrator(scores[known], outcome[known], kind=kind)
        parts.append(log_losses(fitted.probabilities(scores[later]), outcome[later]))
    return np.concatenate(parts)


def _as_good(losses: Floats, best: Floats) -> bool:
    worse = losses - best
    return bool(worse.mean() <= worse.std() / len(worse) ** 0.5)
