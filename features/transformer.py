"""Features as a step of a scikit-learn pipeline: users and cutoffs in, a matrix in the same order out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from features import catalog
from features.errors import BadInput
from features.feature_set import FeatureSet
from features.fifths import Fifths
from features.log import EventLog
from features.plan import Plan, make_plan
from features.pool import each
from features.population import Population
from features.snapshots import of_events, wanted_by
from features.table import EVERYBODY, moments
from features.tally import features_of
from features.user_events import UserEvents
from features.windows import from_microseconds, to_microseconds

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = ("user_id", "cutoff")


# Any in this class: scikit-learn's callers pass whatever frame they have.
class EventFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """Turns rows of `user_id` and `cutoff` into features, whether or not the user was in any population then.

    `log` is an event log, or its folder, of which every call then reads the newest version. Without `features` they
    are the standard catalogue for the log at the time of `fit`, which learns nothing else. A user without events gets
    what nobody's history says: counts 0, everything else missing. A category is the number of its place. What is
    relative to a population is counted against `population` at the row's cutoff, by default everybody with an event in
    the 364 days before.
    """

    def __init__(
        self,
        features: FeatureSet | None = None,
        *,
        log: EventLog | Path | str | None = None,
        population: Population | None = None,
        as_known: bool = False,
        workers: int = 2,
    ) -> None:
        self.features = features
        self.log = log
        self.population = population
        self.as_known = as_known
        self.workers = workers

    def fit(self, X: Any, y: Any = None) -> "EventFeatures":  # noqa: N803, ARG002 scikit-learn's words
        """Choose the features; raises `BadInput` when the log or a column is missing."""
        _users_and_cutoffs(X)
        log = self._log()
        self.features_ = self.features if self.features is not None else catalog.standard(log.summary())
        self.feature_names_in_ = np.array(_COLUMNS, dtype=object)
        self.n_features_in_ = len(_COLUMNS)
        return self

    def transform(self, X: Any) -> NDArray[np.float64]:  # noqa: N803 as above
        """The features `[rows, features]` in the order of the rows, missing as NaN; reads a bucket of users once."""
        check_is_fitted(self, "features_")
        users, cutoffs = _users_and_cutoffs(X)
        job = _Job(make_plan(self.features_), self.features_.names, self.population or EVERYBODY, self.as_known)
        return job.run(self._log(), users, cutoffs, workers=self.workers)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:  # noqa: ARG002 as above
        """The names of the columns."""
        check_is_fitted(self, "features_")
        return np.array(self.features_.names, dtype=object)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.no_validation = True  # what comes in is ids and times, not numbers
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags

    def _log(self) -> EventLog:
        if self.log is None:
            raise BadInput('there is no log to read; expected for example EventFeatures(log="holdfast-data/events").')
        return self.log if isinstance(self.log, EventLog) else EventLog.open(Path(self.log))


class _Job:
    """A plan to be carried out for some rows."""

    def __init__(self, plan: Plan, names: tuple[str, ...], population: Population, as_known: bool) -> None:
        self._plan = plan
        self._names = names
        self._population = population
        self._as_known = as_known

    def run(
        self, log: EventLog, users: Sequence[str], cutoffs: NDArray[np.int64], *, workers: int
    ) -> NDArray[np.float64]:
        """The features of every row."""
        relative, moments_asked = self._plan.program.relative, np.unique(cutoffs)
        rows_of = _by_bucket(log, users)
        wanted = wanted_by(self._plan, as_known=self._as_known, population=self._population)
        matrix = np.empty((len(users), len(self._names)), dtype=np.float64)

        def of_bucket(bucket: int) -> dict[int, NDArray[np.float64]]:
            events = log.read_bucket(bucket, wanted)
            rows = rows_of.get(bucket, np.zeros(0, dtype=np.int64))
            matrix[rows] = self._of_rows(events, [users[row] for row in rows], cutoffs[rows])
            return self._of_population(events, moments_asked) if len(relative) else {}

        buckets = range(log.buckets) if len(relative) else sorted(rows_of)
        pieces = each(of_bucket, buckets, workers=workers)
        for cutoff in moments_asked.tolist() if len(relative) else []:
            fifths = Fifths.among(np.concatenate([piece[cutoff] for piece in pieces]))
            fifths.put(matrix, relative, rows=cutoffs == cutoff)
        return matrix

    def _of_rows(self, events: UserEvents, users: Sequence[str], cutoffs: NDArray[np.int64]) -> NDArray[np.float64]:
        place_of = {user: place for place, user in enumerate(events.user_ids)}
        nobody = len(events)
        with_nobody = replace(
            events, user_ids=(*events.user_ids, ""), offsets=np.append(events.offsets, events.offsets[-1])
        )
        rows = np.array([place_of.get(user, nobody) for user in users], dtype=np.int64)
        return features_of(with_nobody, self._plan, rows=rows, cutoffs=cutoffs, as_known=self._as_known)

    def _of_population(self, events: UserEvents, cutoffs: NDArray[np.int64]) -> dict[int, NDArray[np.float64]]:
        """What decides the places in the population, cutoff by cutoff: `[users, relative features]`."""
        found = of_events(
            events,
            self._plan,
            self._names,
            cutoffs=[from_microseconds(cutoff) for cutoff in cutoffs],
            population=self._population,
            as_known=self._as_known,
        )
        values = found.matrix[:, self._plan.program.relative]
        return {cutoff: values[found.cutoffs == cutoff] for cutoff in cutoffs.tolist()}


def _by_bucket(log: EventLog, users: Sequence[str]) -> dict[int, NDArray[np.int64]]:
    """The rows of each bucket that has any."""
    bucket_of = {user: log.bucket_of(user) for user in set(users)}
    buckets = np.array([bucket_of[user] for user in users], dtype=np.int64)
    return {int(bucket): np.flatnonzero(buckets == bucket) for bucket in np.unique(buckets)}


def _users_and_cutoffs(rows: Any) -> tuple[list[str], NDArray[np.int64]]:  # Any: as above
    """The users as texts and the cutoffs in microseconds since 1970 UTC."""
    frame = rows.to_pandas() if hasattr(rows, "to_pandas") else rows
    columns = getattr(frame, "columns", None)
    missing = [name for name in _COLUMNS if columns is None or name not in columns]
    if missing:
        found = type(rows).__name__ if columns is None else f"the columns {', '.join(map(str, columns))}"
        raise BadInput(f"found {found}; expected a data frame with the columns user_id and cutoff.")
    if bool(frame["user_id"].isna().any()):
        raise BadInput("a user_id is missing; expected a text in every row.")
    return [str(user) for user in frame["user_id"]], _microseconds(frame["cutoff"])


def _microseconds(column: "pd.Series[Any]") -> NDArray[np.int64]:  # Any: as above
    codes, found = column.factorize()
    if (codes < 0).any():
        raise BadInput("a cutoff is missing; expected a time in every row.")
    known = np.array([to_microseconds(moments(cutoff)[0]) for cutoff in found], dtype=np.int64)
    cutoffs: NDArray[np.int64] = known[codes]
    return cutoffs
