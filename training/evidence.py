"""What is known before anything is deployed: the recipe that earlier time chose, and how its model did later.

The figures always come from a model that has seen neither the test rows nor anything after their cutoff.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from features.errors import BadInput
from features.expressions import OfCutoff
from features.feature_set import FeatureSet
from features.snapshots import Bucketed
from features.windows import days, iso
from models.definition import ChurnDefinition
from models.model import ChurnModel
from training import small
from training.baselines import fit_baselines
from training.fit import (
    Recipe,
    Rehearsed,
    TrainSettings,
    calibrate,
    check_outcomes,
    choose_calibration,
    choose_recipe,
    directions_of,
    fit_model,
)
from training.level import Level, choose_level, cutoffs_of_year_ago, follow_at, read_year_ago
from training.profit import priced
from training.ranking import share_of
from training.search import Keeping
from training.snapshots import History, TrainingSet, labelled
from training.splits import Split, plan
from training.trial import Trial, hold_trial
from training.tuned import Tuned
from training.tuning import Identity, applied, check_budget, tune

OnStage = Callable[[str, int, int], None]  # stage, done, total
FITTING_STEPS = 5


class TrainingLog(Bucketed, Protocol):
    """What training needs of an event log."""

    @property
    def version(self) -> int:
        """The table version that is read."""

    def summary(self) -> History:
        """How far the log reaches."""


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known before anything is deployed: the recipe that earlier time chose, and how its model did later."""

    rows: TrainingSet
    recipe: Recipe
    rehearsals: list[Rehearsed]  # oldest first: what models of the recipe said of the windows before the test
    calibration: str
    model: ChurnModel  # the one that was tested
    trial: Trial
    level: Level = field(default_factory=Level)  # where the level of the probabilities comes from
    settings: TrainSettings = field(default_factory=TrainSettings)  # that were used: those of the search, if kept
    tuned: Tuned | None = None  # the search for better settings, where it was asked for


def examine(
    log: TrainingLog,
    features: FeatureSet,
    split: Split,
    *,
    as_known: bool = False,
    settings: TrainSettings,
    keeping: Keeping | None = None,
    on_progress: OnStage | None = None,
) -> Evidence:
    """Choose settings, recipe and calibration on earlier time, fit, and test beside the baselines.

    Raises `BadInput` when nobody is there to learn from or to test on, or when the fit rows hold one outcome only.
    """
    tell = on_progress or tell_nobody
    kept = keeping or Keeping()
    check_budget(settings, kept)
    directions_of(settings, features.names)  # a wrong name is refused now, not after the reading
    rows = read_rows(log, features, split, as_known=as_known, settings=settings, on_progress=tell)
    identity = Identity(log.version, split.definition.id, features.fingerprint, as_known)
    tuned = _tuned(rows, split, identity, settings=settings, keeping=kept, dates=dates_of(features), tell=tell)
    found = examine_rows(rows, features, split, settings=applied(tuned, settings), on_progress=tell)
    return replace(found, tuned=tuned)


def read_rows(
    log: TrainingLog,
    features: FeatureSet,
    split: Split,
    *,
    as_known: bool = False,
    settings: TrainSettings,
    on_progress: OnStage | None = None,
) -> TrainingSet:
    """Features and labels at every cutoff of a split; those tested and calibrated on keep everybody."""
    tell = on_progress or tell_nobody
    log_end = split.closes(split.test)
    rows = labelled(
        log,
        features,
        split.definition,
        split.all,
        log_end=log_end,
        as_known=as_known,
        whole=(*split.test, *split.calibration),
        max_rows=settings.max_rows,
        seed=settings.seed,
        workers=settings.workers,
        on_progress=lambda done, total: tell("reading history", done, total),
    )
    year_ago = read_year_ago(
        log, split, cutoffs_of_year_ago(split), log_end=log_end, as_known=as_known, settings=settings
    )
    return replace(rows, year_ago=year_ago)


def examine_rows(
    rows: TrainingSet,
    features: FeatureSet,
    split: Split,
    *,
    settings: TrainSettings,
    on_progress: OnStage | None = None,
) -> Evidence:
    """The same for rows that have been read."""
    tell = on_progress or tell_nobody
    check_outcomes(rows.at(split.fit))
    _check_tested(rows.at(split.test), split)
    dates = dates_of(features)
    tell("fitting", 0, FITTING_STEPS)
    recipe, earliest = _recipe(rows, split, features, settings=settings, dates=dates)
    tell("fitting", 1, FITTING_STEPS)
    rehearsal = fit_model(rows.at(split.rehearsal), recipe, settings=settings, dates=dates)
    later = Rehearsed.by(rehearsal, rows.at(split.calibration))
    rehearsals = [earliest, later] if earliest else [later]
    kind = choose_calibration(rehearsals, settings=settings)
    tell("fitting", 2, FITTING_STEPS)
    tested = fit_model(rows.at(split.fit), recipe, settings=settings, dates=dates)
    calibrate(tested, rehearsals, kind=kind)
    level = choose_level(rows, split, recipe, settings=settings, dates=dates)
    level = replace(level, shift=follow_at(level, tested, rows, split, cutoff=split.test[0]))
    tell("fitting", 3, FITTING_STEPS)
    trial = _test(tested, rows, split=split, settings=settings, dates=dates)
    tell("fitting", 4, FITTING_STEPS)
    return Evidence(rows, recipe, rehearsals, kind, tested, trial, level, settings)


def plan_for(
    history: History, definition: ChurnDefinition, *, cutoff: datetime | None, settings: TrainSettings
) -> Split:
    """The split of a log by these settings; raises `BadInput` when the history is too short."""
    return plan(
        definition,
        start=history.start,
        end=history.end,
        newest=cutoff,
        step=None if settings.step_days is None else days(settings.step_days),
        max_cutoffs=settings.max_cutoffs,
        test_cutoffs=settings.test_cutoffs,
    )


def dates_of(features: FeatureSet) -> tuple[str, ...]:
    """The features of the cutoff itself."""
    return tuple(feature.name for feature in features if isinstance(feature.expression, OfCutoff))


def tell_nobody(stage: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""


def _tuned(
    rows: TrainingSet,
    split: Split,
    identity: Identity,
    *,
    settings: TrainSettings,
    keeping: Keeping,
    dates: tuple[str, ...],
    tell: OnStage,
) -> Tuned | None:
    """The search for better settings; none where it was not asked for, an empty one where there are few users."""
    if not (settings.tune_trials or settings.tune_seconds):
        return None
    few = small.few(rows.at(split.fit))
    if few is not None:
        return Tuned(because=f"with only {few.users:,} users a search would find what suits them by chance")
    return tune(rows, split, identity, settings=settings, keeping=keeping, dates=dates, on_progress=tell)


def _recipe(
    rows: TrainingSet, split: Split, features: FeatureSet, *, settings: TrainSettings, dates: tuple[str, ...]
) -> tuple[Recipe, Rehearsed | None]:
    """What later time prefers; with few users nothing is tried, and the recipe is the simple one."""
    older, newer = rows.at(split.stopping), rows.at(split.validation)
    if small.few(rows.at(split.fit)) is None:
        return choose_recipe(older, newer, settings=settings, dates=dates)
    recipe = small.simple_recipe(rows.at(split.fit), features)
    return recipe, small.rehearse(older, newer, recipe, settings=settings)


def _test(
    tested: ChurnModel, rows: TrainingSet, *, split: Split, settings: TrainSettings, dates: tuple[str, ...]
) -> Trial:
    fit, later = rows.at(split.fit), rows.at(split.calibration)
    calibration = (later.rows_without(dates), later.labels)
    baselines = fit_baselines(fit.rows_without(dates), fit.labels, calibration=calibration)
    test = rows.at(split.test)
    look_back_days = split.definition.look_back / days(1)
    costs = priced(settings.costs, spent=test.facts.monetary, churned=test.labels, look_back_days=look_back_days)
    held = hold_trial(
        tested,
        baselines,
        test,
        seed=settings.seed,
        replicates=settings.replicates,
        dates=dates,
        capacity=_capacity(settings, rows=len(test), cutoffs=len(split.test)),
        costs=costs,
    )
    return replace(held, foretold=split.definition.outcome.foretold)


def _capacity(settings: TrainSettings, *, rows: int, cutoffs: int) -> float:
    return share_of(settings.contacts, rows=rows, cutoffs=cutoffs) if settings.contacts else settings.capacity


def _check_tested(test: TrainingSet, split: Split) -> None:
    if not len(test):
        raise BadInput(
            f"nobody was {split.definition.population.says()} {iso(max(split.test))}; expected another --cutoff, or "
            "[churn] to say who can be lost so that somebody is (its look_back, or what pays or starts)."
        )
