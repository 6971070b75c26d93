"""The recipe: what to try, what later time decides (number of trees, blend), and the fit itself.

Rows are never resampled and classes never weighted: both wreck probabilities and buy nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from features.errors import BadInput
from features.user_events import FloatArray, IntArray
from models.blend import Blend
from models.calibration import Identity, choose_calibrator
from models.model import ChurnModel
from models.stretch import fit_stretch
from training.directions import Directions
from training.metrics import log_losses
from training.profit import PAPER, Costs
from training.ranking import CAPACITY
from training.snapshots import MAX_ROWS, TrainingSet

FEWEST_TREES = 30  # early stopping on a noisy validation must not leave a model of three trees
_RANGES: dict[str, tuple[float, float]] = {
    "trees": (1, 100_000),
    "leaves": (2, 100_000),
    "learning_rate": (0.0001, 1),
    "rows_per_leaf": (1, 1_000_000_000),
    "column_share": (0.001, 1),
    "row_share": (0.001, 1),
    "l2": (0, 1e9),
    "linear_l2": (0.001, 1e12),
    "step_days": (1, 3660),
    "max_cutoffs": (1, 100_000),
    "test_cutoffs": (1, 100_000),
    "max_rows": (1, 1_000_000_000),
    "replicates": (1, 100_000),
    "capacity": (0.0001, 1),
    "seed": (0, 2**32 - 1),
    "tune_trials": (0, 10_000),
    "tune_seconds": (0, 1e9),
}


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """Everything that can be turned; with the defaults no baseline was better on any of four public logs."""

    trees: int = 250  # at most; later time may stop earlier
    leaves: int = 7
    learning_rate: float = 0.03
    rows_per_leaf: int = 200
    column_share: float = 0.3  # of the features, drawn for each tree
    row_share: float = 0.8
    l2: float = 20.0
    boosters: int = 2  # whose margins are averaged; every second learns half the horizon, where churn is silence
    linear_l2: float = 1000.0  # of log loss summed over rows, on a standardised basis
    risk_rises_with: tuple[str, ...] = ()  # features (or patterns of them) with which the risk may only rise
    risk_falls_with: tuple[str, ...] = ()  # those with which it may only fall
    blends: tuple[float, ...] = (0.75, 1.0, 0.0)  # the booster's weight; later time picks, the first is the default
    calibration: str | None = None  # the kind of calibrator; None: chosen by held-out log loss
    step_days: int | None = None  # between cutoffs; None: 7, or 2 for horizons up to a fortnight
    max_cutoffs: int = 60
    test_cutoffs: int | None = None  # None: 1, or 4 where the history is rich
    max_rows: int = MAX_ROWS
    replicates: int = 300  # of the bootstrap
    capacity: float = CAPACITY  # share of the users whom a team can look after
    contacts: int = 0  # the same as a number of users at each cutoff; 0: the share
    costs: Costs = PAPER  # of a retention campaign, for the profit
    tune_trials: int = 0  # of a search for better settings, see `training.tuning`; 0: as many as fit
    tune_seconds: float = 0.0  # of that search; 0: no limit. Neither: no search
    risk_curve: bool = False  # learn the risk by day too; see `training.hazard` and what it costs
    drop_families: bool = False  # fit the tested model anew without each family of features: a fit each, or three
    seed: int = 0
    workers: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        """Raises `BadInput` for a setting outside its range, before time is spent on it."""
        for name, (lowest, highest) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not lowest <= value <= highest:
                raise BadInput(f"[train] {name} is {value}; expected {lowest} to {highest}.")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What later time decided: how many trees, and how much of the booster is in the blend (1 all, 0 none)."""

    trees: int
    booster_weight: float
    log_losses: dict[str, float] = field(default_factory=dict)  # of each candidate and of a constant, on validation
    only: tuple[str, ...] = ()  # the features that the regression reads; none named: all
    linear_l2: float | None = None  # of the regression, where it is not the settings'

    @property
    def blend(self) -> str:
        """What its blend is called among the candidates."""
        return _NAMES.get(self.booster_weight, f"blend {self.booster_weight:g}")

    def says(self) -> str:
        """The recipe in a line.

        >>> Recipe(120, 0.75).says()
        '120 trees, three to one with a spline regression (fixed: the history is too short for a validation)'
        """
        if self.only:
            return f"a spline regression alone, on {', '.join(self.only)} (fixed: there are few users to learn from)"
        blend = _BLENDS.get(self.booster_weight, f"{self.booster_weight:.0%} of a blend with a spline regression")
        if not self.log_losses:
            return f"{self.trees} trees, {blend} (fixed: the history is too short for a validation)"
        tried = ", ".join(f"{name} {loss:.4f}" for name, loss in self.log_losses.items())
        return f"{self.trees} trees, {blend} (log loss on validation: {tried})"


@dataclass(frozen=True, slots=True, eq=False)
class Rehearsed:
    """What a model said of later rows that it had not seen, and what then happened."""

    margins: FloatArray
    labels: FloatArray

    @classmethod
    def by(cls, model: ChurnModel, later: TrainingSet) -> "Rehearsed":
        """The model's margins on later rows."""
        return cls(model.margin(later.frame), later.labels)


_NAMES = {1.0: "booster", 0.75: "blend", 0.0: "regression"}
_BLENDS = {1.0: "boosting alone", 0.75: "three to one with a spline regression", 0.0: "a spline regression alone"}


def choose_recipe(
    stopping: TrainingSet, validation: TrainingSet, *, settings: TrainSettings, dates: tuple[str, ...] = ()
) -> tuple[Recipe, Rehearsed | None]:
    """The number of trees and the blend that later time prefers, and what that blend said there.

    Without rows of both outcomes in either set, the defaults. A candidate that is worse than a constant diverged and
    is out; when all are, the booster alone remains, which cannot diverge.
    """
    if not (_both_outcomes(stopping.labels) and _both_outcomes(validation.labels)):
        return Recipe(settings.trees, settings.blends[0]), None
    trial = unfitted(settings, stopping, trees=settings.trees, booster_weight=_any_blend(settings.blends), dates=dates)
    taught(trial, stopping, stopped_by=validation)
    blends = settings.blends if trial.blend_.splines else (1.0,)  # the regression may have failed, and says so
    losses = {weight: _losses(trial, validation, booster_weight=weight) for weight in blends}
    constant = log_losses(validation.labels, np.full(len(validation), stopping.labels.mean()))
    weight = _best({weight: loss for weight, loss in losses.items() if loss.mean() < constant.mean()})
    grown = [count for count in trial.facts_.trees if count] or [settings.trees]
    named = {_NAMES.get(weight, f"blend {weight:g}"): float(loss.mean()) for weight, loss in losses.items()}
    trees = max(FEWEST_TREES, round(float(np.mean(grown))))
    recipe = Recipe(trees, weight, {**named, "constant": float(constant.mean())})
    return recipe, Rehearsed(_mixed(trial, weight).margin(validation.snapshots.matrix), validation.labels)


def choose_calibration(rehearsals: Sequence[Rehearsed], *, settings: TrainSettings) -> str:
    """The kind of calibrator that, fitted on one rehearsal, served the next one best.

    Often none at all did. Then the level is left to the model, and its margins are stretched about their mean where
    the windows together want a slope that is more than a standard error from 1; see `models.stretch` how far.

    A level that moves from window to window cannot be learnt from one window, so calibrators that look good within
    it are tried on the next. With a single rehearsal there is no next one, and the margin is believed: on each of
    three public logs with such cutoffs, correcting by one window alone made the log loss worse.
    """
    if settings.calibration is not None:
        return settings.calibration
    if len(rehearsals) == 1:
        return Identity.kind
    margins, labels, window = _pooled(rehearsals)
    kind = choose_calibrator(margins, labels, order=window).kind
    if kind == Identity.kind and fit_stretch(margins, labels, windows=window).shrunk != 1.0:
        return "stretch"
    return kind


def calibrate(model: ChurnModel, rehearsals: Sequence[Rehearsed], *, kind: str) -> ChurnModel:
    """The model with a calibrator fitted on all rehearsals: two windows swing less than one."""
    margins, labels, window = _pooled(rehearsals)
    return model.calibrate_margins(margins, labels, kind=kind, order=window)


def _pooled(rehearsals: Sequence[Rehearsed]) -> tuple[FloatArray, FloatArray, IntArray]:
    """Margins and labels of all rehearsals, and which of them each row is of."""
    margins = np.concatenate([rehearsal.margins for rehearsal in rehearsals])
    window = np.repeat(np.arange(len(rehearsals)), [len(rehearsal.labels) for rehearsal in rehearsals])
    return margins, np.concatenate([rehearsal.labels for rehearsal in rehearsals]), window


def fit_model(rows: TrainingSet, recipe: Recipe, *, settings: TrainSettings, dates: tuple[str, ...] = ()) -> ChurnModel:
    """The model of the recipe, fitted on the rows and not yet calibrated.

    `dates` names features of the cutoff itself: trees may use them, the regression would run away with them.
    """
    check_outcomes(rows)
    if recipe.only:
        rows = replace(rows, growing=())  # the few features are all there is
        dates = (*dates, *(name for name in rows.snapshots.names if name not in recipe.only and name not in dates))
    if recipe.linear_l2 is not None:
        settings = replace(settings, linear_l2=recipe.linear_l2)
    model = unfitted(settings, rows, trees=recipe.trees, booster_weight=recipe.booster_weight, dates=dates)
    return taught(model, rows)


def taught(model: ChurnModel, rows: TrainingSet, *, stopped_by: TrainingSet | None = None) -> ChurnModel:
    """The model fitted on the rows, the number of its trees chosen by those of a later time where they are given."""
    later = None if stopped_by is None else (stopped_by.frame, stopped_by.labels, stopped_by.halfway)
    return model.fit(rows.frame, rows.labels, halfway=rows.halfway, validation=later)


def unfitted(
    settings: TrainSettings, rows: TrainingSet, *, trees: int, booster_weight: float, dates: tuple[str, ...]
) -> ChurnModel:
    """The model of the settings, not fitted: `rows` say which features there are, `dates` as for `fit_model`.

    What grows as the log does is for the trees alone too: the regression would follow it out of what is known
    (measured: on the newest cutoff of the groceries it predicted .81 of what came with it, .94 without).
    """
    directions = directions_of(settings, rows.snapshots.names, categorical=rows.categorical)
    return ChurnModel(
        n_estimators=trees,
        learning_rate=settings.learning_rate,
        num_leaves=settings.leaves,
        min_child_samples=settings.rows_per_leaf,
        feature_fraction=settings.column_share,
        bagging_fraction=settings.row_share,
        reg_lambda=settings.l2,
        n_seeds=settings.boosters,
        booster_weight=booster_weight,
        linear_l2=settings.linear_l2,
        booster_only=(*dates, *rows.growing),
        categorical=rows.categorical,
        rising=directions.rising,
        falling=directions.falling,
        random_state=settings.seed,
        n_threads=settings.threads,
    )


def directions_of(settings: TrainSettings, names: Sequence[str], *, categorical: Sequence[str] = ()) -> Directions:
    """Which of the features the settings prescribe a direction; raises `BadInput` for names that mean none."""
    return Directions.of(
        names, rising=settings.risk_rises_with, falling=settings.risk_falls_with, categorical=categorical
    )


def check_outcomes(rows: TrainingSet) -> None:
    """Raises `BadInput` when there is nobody, or nobody of one outcome, to learn from."""
    if not len(rows):
        raise BadInput("nobody is in the population at any training cutoff; expected a longer --look-back.")
    if not _both_outcomes(rows.labels):
        what, mend = ("churned", "longer") if rows.labels[0] else ("stayed", "shorter")
        raise BadInput(
            f"all {len(rows)} training rows {what}; expected some of both outcomes. "
            f"A {mend} --horizon (or other --activity kinds) would give both."
        )


def _both_outcomes(labels: FloatArray) -> bool:
    return len(labels) > 0 and bool(labels.min() < labels.max())


def _best(losses: dict[float, FloatArray]) -> float:
    """The first weight, unless another's loss is lower by more than a standard error: one window is a small judge."""
    if not losses:
        return 1.0
    first, best = next(iter(losses)), min(losses, key=lambda weight: float(losses[weight].mean()))
    gain = losses[first] - losses[best]
    return best if gain.mean() > gain.std() / len(gain) ** 0.5 else first


def _any_blend(blends: tuple[float, ...]) -> float:
    """A weight at which every member that a candidate needs is fitted."""
    return blends[0] if len(set(blends)) == 1 else 0.5


def _losses(trial: ChurnModel, validation: TrainingSet, *, booster_weight: float) -> FloatArray:
    """Log loss of each row on validation with the members mixed otherwise: their fits do not depend on the weights."""
    mixed = _mixed(trial, booster_weight)
    probabilities = mixed.probabilities(mixed.margin(validation.snapshots.matrix))  # not calibrated yet
    return log_losses(validation.labels, probabilities)


def _mixed(trial: ChurnModel, booster_weight: float) -> Blend:
    return replace(trial.blend_, booster_weight=booster_weight)
