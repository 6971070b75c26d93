"""The simple models that ours has to beat: last seen, RFM, and a logistic regression on the same features.

Each is fitted on the same cutoffs as the model. The scores of the rules become probabilities on the newest of them,
the calibration cutoff; the regression's are probabilities as they are.
"""

import warnings
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from features.user_events import FloatArray, IntArray, UserEvents
from features.windows import elapsed_days, from_microseconds, shift, to_microseconds
from models.calibration import Calibrator, fit_calibrator
from models.definition import ChurnDefinition
from training.activity import Activity

FIFTHS = (0.2, 0.4, 0.6, 0.8)
MOST_ROWS = 300_000  # that the regression learns from: its copies of a million rows of 177 features took 13 GB


@dataclass(frozen=True, slots=True)
class SimpleFacts:
    """What the rules of thumb look at, a row for each user and cutoff: only events in the look-back."""

    recency_days: FloatArray  # since the last activity before the cutoff
    frequency: FloatArray  # activity events in the look-back
    monetary: FloatArray  # sum of their values; 0 where none had one

    def at(self, rows: NDArray[np.bool_]) -> "SimpleFacts":
        """The same for some of the rows."""
        return SimpleFacts(self.recency_days[rows], self.frequency[rows], self.monetary[rows])

    def put(self, rows: NDArray[np.bool_], facts: "SimpleFacts") -> None:
        """Write the facts of some of the rows."""
        self.recency_days[rows] = facts.recency_days
        self.frequency[rows] = facts.frequency
        self.monetary[rows] = facts.monetary


def simple_facts(
    events: UserEvents,
    definition: ChurnDefinition,
    *,
    users: NDArray[np.object_],
    cutoffs: IntArray,
    as_known: bool = False,
) -> SimpleFacts:
    """Recency, frequency and monetary value of the definition's activity; who had none was seen a look-back ago.

    `as_known` counts only what had been received before each cutoff.
    """
    of_definition = partial(Activity.of, events, kinds=definition.activity, least_value=definition.least_value)
    if not as_known:
        return _facts(of_definition(), definition, users=users, cutoffs=cutoffs)
    found = SimpleFacts(*np.empty((3, len(users))))
    for cutoff in np.unique(cutoffs):
        known, here = of_definition(known_before=int(cutoff)), cutoffs == cutoff
        found.put(here, _facts(known, definition, users=users[here], cutoffs=cutoffs[here]))
    return found


def _facts(
    activity: Activity, definition: ChurnDefinition, *, users: NDArray[np.object_], cutoffs: IntArray
) -> SimpleFacts:
    starts = _look_back_starts(definition, cutoffs=cutoffs)
    first, last = activity.rows(users, starts=starts, ends=cutoffs)
    some = last > first
    times = np.concatenate([activity.times, [0]])
    spent = np.concatenate([[0.0], np.cumsum(np.nan_to_num(activity.values))])
    recency = elapsed_days(np.where(some, times[last - 1], starts), cutoffs)  # a subscriber may be silent throughout
    return SimpleFacts(recency, (last - first).astype(np.float64), spent[last] - spent[first])


def _look_back_starts(definition: ChurnDefinition, *, cutoffs: IntArray) -> IntArray:
    distinct, place = np.unique(cutoffs, return_inverse=True)
    starts = [to_microseconds(shift(from_microseconds(cutoff), -definition.look_back)) for cutoff in distinct]
    return np.array(starts, dtype=np.int64)[place]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a baseline may look at."""

    matrix: FloatArray
    facts: SimpleFacts
    categorical: tuple[int, ...] = ()  # columns whose numbers are codes


class LastSeen:
    """The longer silent, the more likely gone: nothing to learn, the score is the logarithm of days since last seen."""

    def fit(self, rows: Rows, labels: FloatArray) -> "LastSeen":  # noqa: ARG002 - the rule learns nothing
        """Nothing to learn."""
        return self

    def score(self, rows: Rows) -> FloatArray:
        """log(1 + days since last seen)."""
        return np.asarray(np.log1p(rows.facts.recency_days), dtype=np.float64)


class Rfm:
    """Recency, frequency and monetary value, each cut into fifths (1 to 5, 5 is best) and added up."""

    edges: tuple[FloatArray, FloatArray, FloatArray]

    def fit(self, rows: Rows, labels: FloatArray) -> "Rfm":  # noqa: ARG002 - the fifths need no outcome
        """The borders of the fifths among the fit rows."""
        facts = rows.facts
        self.edges = (
            np.quantile(-facts.recency_days, FIFTHS),
            np.quantile(facts.frequency, FIFTHS),
            np.quantile(facts.monetary, FIFTHS),
        )
        return self

    def score(self, rows: Rows) -> FloatArray:
        """Minus the RFM score: 3 (worst) to 15 (best)."""
        parts = (-rows.facts.recency_days, rows.facts.frequency, rows.facts.monetary)
        fifths = [1 + np.searchsorted(edges, part) for edges, part in zip(self.edges, parts, strict=True)]
        return np.asarray(-np.sum(fifths, axis=0), dtype=np.float64)


class Logistic:
    """Logistic regression on all features: gaps filled by the median, outliers clipped, standardised, L2.

    A column of codes becomes an indicator for each category, one of them for a missing value.
    """

    pipeline: Pipeline
    borders: tuple[FloatArray, FloatArray]

    def fit(self, rows: Rows, labels: FloatArray) -> "Logistic":
        """Fit on rows whose labels are all known, every second, third … of them where they are many."""
        every = -(-len(labels) // MOST_ROWS)
        rows, labels = replace(rows, matrix=rows.matrix[::every]), labels[::every]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a column that is missing throughout has no quantile
            low, high = np.nanquantile(rows.matrix, [0.005, 0.995], axis=0)
        low[list(rows.categorical)], high[list(rows.categorical)] = -np.inf, np.inf  # a rare category is no outlier
        self.borders = (low, high)
        numbers = np.setdiff1d(np.arange(rows.matrix.shape[1]), rows.categorical)
        gaps = SimpleImputer(strategy="median", keep_empty_features=True)
        columns = make_column_transformer(
            (make_pipeline(gaps, StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), list(rows.categorical)),
        )
        self.pipeline = make_pipeline(columns, LogisticRegression(C=0.1, max_iter=200, tol=1e-3))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the third digit of a coefficient does not matter here
            self.pipeline.fit(self._clipped(rows), labels)
        return self

    def score(self, rows: Rows) -> FloatArray:
        """Log-odds."""
        return np.asarray(self.pipeline.decision_function(self._clipped(rows)), dtype=np.float64)

    def _clipped(self, rows: Rows) -> FloatArray:
        return np.clip(rows.matrix, *self.borders)


@dataclass(frozen=True, slots=True)
class FittedBaseline:
    """A baseline that was fitted on older cutoffs, and the curve that turns its scores into probabilities."""

    model: LastSeen | Rfm | Logistic
    calibrator: Calibrator

    def scores(self, rows: Rows) -> FloatArray:
        """Raw scores: what ranking is judged on."""
        return self.model.score(rows)

    def probabilities(self, rows: Rows) -> FloatArray:
        """Calibrated probabilities: what log loss is judged on."""
        return self.calibrator.probabilities(self.model.score(rows))


def fit_baselines(rows: Rows, labels: FloatArray, *, calibration: tuple[Rows, FloatArray]) -> dict[str, FittedBaseline]:
    """Every baseline, fitted on the rows of the fit cutoffs; a rule's score gets a logistic curve on `calibration`."""
    fitted = {}
    for name, kind in BASELINES.items():
        model = kind().fit(rows, labels)
        scores, outcome = model.score(calibration[0]), calibration[1]
        kind_of_curve = "identity" if isinstance(model, Logistic) else "platt"
        fitted[name] = FittedBaseline(model, fit_calibrator(scores, outcome, kind=kind_of_curve))
    return fitted


BASELINES: dict[str, type[LastSeen] | type[Rfm] | type[Logistic]] = {
    "last_seen_rule": LastSeen,
    "rfm": Rfm,
    "logistic_regression": Logistic,
}
