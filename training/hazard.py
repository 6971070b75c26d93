"""Learning the risk by day: person-periods of labelled snapshots, the fit, and a test against Kaplan and Meier.

A person-period is a row of features in one interval of time at whose beginning the event had not come (Singer and
Willett 1993). A row counts in the intervals that were over at the moment of learning, and in no other: what is cut off
on the right says how long nothing came, and no more (Allison 1982). So cutoffs too recent for a label teach too.
The number of trees is what later time prefers; the fit is then repeated on everything.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.snapshots import Bucketed, map_buckets
from features.user_events import FloatArray, IntArray, UserEvents
from features.windows import days, shift, span_microseconds, to_microseconds
from models.definition import ChurnDefinition
from models.hazard import LOSS, RETURN, HazardModel, anchored, survival
from models.inactivity import Inactivity
from models.model import ChurnModel
from training.fit import FEWEST_TREES, TrainSettings
from training.labels import churned
from training.metrics import Estimate, estimate_of, log_losses, user_weights
from training.snapshots import TrainingSet
from training.splits import Split

GRID = (
    1,
    2,
    3,
    5,
    7,
    10,
    14,
    21,
    28,
    42,
    56,
    77,
    98,
    126,
    154,
    182,
    238,
    294,
    364,
)  # interval ends, widening by a half
MAX_CELLS = 150_000  # person-periods that trees see: all have the same chance, so no weights are needed
FEWEST_AT_RISK = 100  # person-periods in an interval beyond the horizon, else the curve ends before it
MOST_TREES = 300
PATIENCE = 25  # rounds without a better loss on later time
FIXED_TREES = 100  # where there is no later time to ask
LEARNING_RATE = 0.05
LEAVES = 7
ROWS_PER_LEAF = 200
LEAVES_AT_LEAST = 40  # so many leaves' worth of person-periods; little data get smaller leaves
COLUMN_SHARE = 0.5  # of the columns a tree: the interval should meet the features often
ROW_SHARE = 0.8
L2 = 20.0
ROWS_TO_BIN = 50_000  # the borders of bins are no better for more rows


@dataclass(frozen=True, slots=True, eq=False)
class Durations:
    """When the event came to each row of a training set, by the interval in which it did."""

    ends_days: tuple[int, ...]
    come: FloatArray  # [n, intervals]: 1.0 from the interval in which it came, 0.0 before, NaN where the log ended
    starts: IntArray  # of the horizons, microseconds since 1970 UTC

    def known_at(self, moment: datetime) -> FloatArray:
        """`come` as far as the intervals were over at the moment."""
        spans = np.array([span_microseconds(days(end)) for end in self.ends_days])
        over = self.starts[:, None] + spans <= to_microseconds(moment)
        return np.where(over, self.come, np.nan)

    def first(self, intervals: int) -> "Durations":
        """The same up to an interval."""
        return replace(self, ends_days=self.ends_days[:intervals], come=self.come[:, :intervals])


def durations(
    log: Bucketed, rows: TrainingSet, definition: ChurnDefinition, *, ends_days: Sequence[int], log_end: datetime
) -> Durations:
    """The times to the event, read from the log: at each interval's end the label that a horizon so long would have.

    So they agree with the labels of any definition that differs in the horizon only.
    """
    index, cutoffs = pd.Index(rows.users), rows.snapshots.cutoffs
    come = np.full((len(rows), len(ends_days)), np.nan)
    by_end = [replace(definition, horizon=days(end)) for end in ends_days]

    def of_bucket(events: UserEvents) -> None:
        here = np.flatnonzero(index.isin(events.user_ids))
        users, moments = rows.users[here], cutoffs[here]
        for place, meant in enumerate(by_end):
            come[here, place] = churned(events, meant, users=users, cutoffs=moments, log_end=log_end)

    map_buckets(log, of_bucket, wanted=definition.population.wanted)
    if event_of(definition) == RETURN:
        come = 1.0 - come  # whoever was silent so long had not returned
    return Durations(tuple(ends_days), come, cutoffs + span_microseconds(definition.lead_time))


def event_of(definition: ChurnDefinition) -> str:
    """What time is measured to: silence ends with a return, the other outcomes are losses."""
    return RETURN if definition.outcome.kind == Inactivity.kind else LOSS


def interval_ends(split: Split) -> tuple[int, ...]:
    """The ends of the intervals: the grid as far as half of the cutoffs can see, the horizon among them."""
    definition = split.definition
    middle = shift(split.all[(len(split.all) - 1) // 2], definition.lead_time)
    seen = (split.closes(split.test) - middle) // days(1)
    horizon = definition.horizon // days(1)
    return tuple(sorted({horizon, *(end for end in GRID if end <= max(seen, horizon))}))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Person-periods: the row, the interval, and whether the event came in it."""

    rows: IntArray
    intervals: IntArray
    came: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, come: FloatArray) -> "Cells":
        """Those of `come`: an interval counts where the event had not come before and the interval was observed.

        >>> Cells.of(np.array([[0.0, 1.0, 1.0], [0.0, np.nan, np.nan]])).came.tolist()
        [0.0, 1.0, 0.0]
        """
        before = np.column_stack([np.zeros(len(come)), come[:, :-1]])
        rows, intervals = np.nonzero((before == 0) & ~np.isnan(come))
        return cls(rows.astype(np.int64), intervals.astype(np.int64), come[rows, intervals])

    def drawn(self, most: int, *, seed: int) -> "Cells":
        """About so many of them, each with the same chance; all of them where they are fewer."""
        if len(self) <= most:
            return self
        kept = np.random.default_rng(seed).random(len(self)) < most / len(self)
        return Cells(self.rows[kept], self.intervals[kept], self.came[kept])

    def counts(self, intervals: int) -> tuple[IntArray, FloatArray]:
        """How many were at risk in each interval, and to how many the event came."""
        at_risk = np.bincount(self.intervals, minlength=intervals).astype(np.int64)
        came = np.bincount(self.intervals, weights=self.came, minlength=intervals)
        return at_risk, came.astype(np.float64)


def baseline_of(cells: Cells, intervals: int) -> FloatArray:
    """The log-odds of each interval's hazard for everybody, half a case on either side (Haldane 1956).

    Their survival curve is that of Kaplan and Meier (1958) on these intervals, but for those halves.
    """
    at_risk, came = cells.counts(intervals)
    return np.asarray(np.log((came + 0.5) / (at_risk - came + 0.5)), dtype=np.float64)


def fit_hazard(
    rows: TrainingSet, known: Durations, *, until: datetime, event: str, trees: int, seed: int
) -> HazardModel:
    """The hazard model of all intervals that were over by `until`, with so many trees; with 0 the baseline alone."""
    cells = Cells.of(known.known_at(until))
    count = int(cells.intervals.max()) + 1  # nobody was yet seen to reach a later interval
    baseline = baseline_of(cells, count)
    text = ""
    if trees and 0 < cells.came.sum() < len(cells):
        chosen = cells.drawn(MAX_CELLS, seed=seed)
        learnt = lightgbm.train(_parameters(len(chosen), seed), _dataset(rows, chosen, baseline), trees)
        text = learnt.model_to_string()
    return HazardModel(known.ends_days[:count], tuple(baseline.tolist()), event, rows.snapshots.names, text)


def choose_trees(rows: TrainingSet, known: Durations, *, later: datetime, until: datetime, seed: int) -> int:
    """How many trees later time prefers: grown on what was known at `later`, judged by later cutoffs up to `until`."""
    cutoffs = rows.snapshots.cutoffs
    older = Cells.of(known.known_at(later))
    seen = np.unique(older.intervals)
    newer = Cells.of(np.where((cutoffs >= to_microseconds(later))[:, None], known.known_at(until), np.nan)[:, seen])
    if not (0 < older.came.sum() < len(older) and 0 < newer.came.sum() < len(newer)):
        return FIXED_TREES
    baseline = baseline_of(older, len(known.ends_days))
    grown_on, judge = older.drawn(MAX_CELLS, seed=seed), newer.drawn(MAX_CELLS // 3, seed=seed)
    grow = _dataset(rows, grown_on, baseline)
    stop: list[Callable[..., object]] = [lightgbm.early_stopping(PATIENCE, verbose=False)]
    booster = lightgbm.train(
        _parameters(len(grown_on), seed),
        grow,
        MOST_TREES,
        valid_sets=[_dataset(rows, judge, baseline, like=grow)],
        callbacks=stop,
    )
    return max(FEWEST_TREES, int(booster.best_iteration))


@dataclass(frozen=True, slots=True)
class CurveTrial:
    """The tested hazard model on the test rows, at the horizon and up to it; intervals are clustered by user."""

    rows: int
    trees: int
    log_loss: Estimate  # of the hazard model alone, at the definition's horizon
    log_loss_classifier: Estimate
    log_loss_more: Estimate  # the first minus the second
    brier: Estimate  # integrated up to the horizon: of the curve in step with the classifier
    brier_alone: Estimate  # of the hazard model alone
    brier_kaplan_meier: Estimate
    brier_more: Estimate  # of the curve minus Kaplan and Meier
    brier_step: Estimate  # of the curve minus the hazard model alone

    def to_json(self) -> dict[str, object]:
        """Plain JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class LearntCurve:
    """The hazard model to deploy, and what the tested one was worth."""

    model: HazardModel
    tested: HazardModel
    trial: CurveTrial


def curve_if_asked(
    log: Bucketed, rows: TrainingSet, split: Split, classifier: ChurnModel, *, settings: TrainSettings
) -> LearntCurve | None:
    """What `learn_curve` comes to where the settings ask for the risk by day."""
    return learn_curve(log, rows, split, classifier, settings=settings) if settings.risk_curve else None


def model_of(curve: LearntCurve | None) -> HazardModel | None:
    """The model to deploy, where there is one."""
    return None if curve is None else curve.model


def learn_curve(
    log: Bucketed,
    rows: TrainingSet,
    split: Split,
    classifier: ChurnModel,
    *,
    settings: TrainSettings,
) -> LearntCurve:
    """Fit on what was known at the oldest test cutoff, test, and fit again on everything for the deployed model."""
    end, opened = split.closes(split.test), split.test[0]
    event = event_of(split.definition)
    known = durations(log, rows, split.definition, ends_days=interval_ends(split), log_end=end)
    known = known.first(_carried(known, end, horizon=split.definition.horizon // days(1)))
    judged_from = split.validation[0] if split.validation else split.calibration[0]
    seed = settings.seed
    trees = choose_trees(rows, known, later=judged_from, until=opened, seed=seed)

    def fit(until: datetime) -> HazardModel:
        return fit_hazard(rows, known, until=until, event=event, trees=trees, seed=seed)

    with ThreadPoolExecutor(max_workers=max(1, settings.threads)) as pool:  # a thread a booster
        tested, model = pool.map(fit, (opened, end))
    trial = try_curve(tested, classifier, rows, known, split=split, replicates=settings.replicates, seed=seed)
    return LearntCurve(model, tested, trial)


def try_curve(
    tested: HazardModel,
    classifier: ChurnModel,
    rows: TrainingSet,
    known: Durations,
    *,
    split: Split,
    replicates: int,
    seed: int,
) -> CurveTrial:
    """The figures on the test rows, whose every interval up to the horizon was observed."""
    moments = [to_microseconds(cutoff) for cutoff in split.test]
    chosen = np.isin(rows.snapshots.cutoffs, moments) & ~np.isnan(rows.labels)
    test, horizon = rows.where(chosen), split.definition.horizon // days(1)
    upto = tested.days.index(horizon) + 1
    ends = tested.days[:upto]
    not_come = 1.0 - known.come[chosen][:, :upto]
    said = classifier.predict_proba(test.frame)[:, 1]
    alone = tested.log_survival(test.snapshots.matrix)[:, :upto]
    in_step = anchored(alone, alone[:, -1], not_come=said if tested.event == RETURN else 1 - said)
    everybody = HazardModel(tested.days, tested.baseline, tested.event, tested.names)
    curve = everybody.log_survival(test.snapshots.matrix)[:, :upto]
    briers = [integrated_brier(survival(each), not_come, ends) for each in (in_step, alone, curve)]
    at_end = survival(alone[:, -1:])[:, 0]
    losses = [log_losses(test.labels, each) for each in (at_end if tested.event == RETURN else 1 - at_end, said)]
    columns = [*losses, losses[0] - losses[1], *briers, briers[0] - briers[2], briers[0] - briers[1]]
    figures = clustered_means(np.column_stack(columns), test.users, seed=seed, replicates=replicates)
    trees = tested.booster.num_trees() if tested.booster is not None else 0
    return CurveTrial(len(test), trees, *figures)


def integrated_brier(not_come: FloatArray, observed: FloatArray, ends: Sequence[int]) -> FloatArray:
    """Each row's squared error averaged over time from 0 to the last end, by trapezia (Graf and others 1999).

    Every row must have been observed to the last end, so that no weights for censoring are needed.

    >>> integrated_brier(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0]]), (2, 4)).tolist()
    [0.1875]
    """
    errors = np.column_stack([np.zeros(len(not_come)), (not_come - observed) ** 2])
    widths = np.diff([0.0, *ends])
    found: FloatArray = ((errors[:, 1:] + errors[:, :-1]) / 2 * widths).sum(axis=1) / ends[-1]
    return found


def clustered_means(
    columns: FloatArray, users: NDArray[np.object_], *, seed: int, replicates: int
) -> tuple[Estimate, ...]:
    """The mean of each column with its interval; all columns see the same draws of users."""
    blocks = [
        (weights @ columns) / weights.sum(axis=1, keepdims=True)
        for weights in user_weights(users, seed=seed, replicates=replicates)
    ]
    drawn, means = np.concatenate(blocks), columns.mean(axis=0)
    return tuple(estimate_of(float(mean), column) for mean, column in zip(means, drawn.T, strict=True))


def _parameters(cells: int, seed: int) -> dict[str, object]:
    return {
        "objective": "binary",
        "learning_rate": LEARNING_RATE,
        "num_leaves": LEAVES,
        "min_data_in_leaf": max(1, min(ROWS_PER_LEAF, cells // LEAVES_AT_LEAST)),
        "feature_fraction": COLUMN_SHARE,
        "bagging_fraction": ROW_SHARE,
        "bagging_freq": 1,
        "lambda_l2": L2,
        "boost_from_average": False,  # the baseline is there already
        "feature_pre_filter": False,
        "bin_construct_sample_cnt": ROWS_TO_BIN,
        "deterministic": True,
        "force_col_wise": True,
        "seed": seed,
        "num_threads": 1,  # LightGBM's own threads wait for one another at every split; see `learn_curve`
        "verbosity": -1,
    }


def _dataset(
    rows: TrainingSet, cells: Cells, baseline: FloatArray, *, like: lightgbm.Dataset | None = None
) -> lightgbm.Dataset:
    matrix = np.column_stack([rows.snapshots.matrix[cells.rows], cells.intervals])
    coded = [place for place, name in enumerate(rows.snapshots.names) if name in rows.categorical]
    return lightgbm.Dataset(
        matrix,
        cells.came,
        reference=like,
        init_score=baseline[cells.intervals],
        categorical_feature=coded,
        params={
            "verbosity": -1,
            "feature_pre_filter": False,
            "num_threads": 1,
            "bin_construct_sample_cnt": ROWS_TO_BIN,
        },
    )


def _carried(known: Durations, moment: datetime, *, horizon: int) -> int:
    """So many intervals: all up to the horizon, and those after it in which enough rows are at risk."""
    at_risk, _ = Cells.of(known.known_at(moment)).counts(len(known.ends_days))
    upto = known.ends_days.index(horizon) + 1
    few = np.flatnonzero(at_risk[upto:] < FEWEST_AT_RISK)
    return upto + int(few[0]) if len(few) else len(known.ends_days)
