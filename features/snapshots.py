"""Snapshots: the features of a population at its cutoffs, computed in parallel, one bucket of users at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.feature_set import FeatureSet
from features.fifths import DatedFifths, Fifths
from features.plan import Plan, make_plan
from features.pool import OnProgress, each
from features.population import Eligible, Population
from features.tally import features_of
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import to_microseconds

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

Result = TypeVar("Result")


class Bucketed(Protocol):
    """An event log that can be read bucket by bucket; every user lives in one bucket."""

    @property
    def buckets(self) -> int:
        """How many buckets there are."""

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        """The events of the users of one bucket."""


@dataclass(frozen=True, slots=True, eq=False)
class Snapshots:
    """A row for each user of the population at each cutoff; those of a whole log are sorted by cutoff, bucket and user.

    `matrix` is `[n, features]`, missing is NaN; `cutoffs` are microseconds since 1970 UTC.
    """

    users: NDArray[np.object_]
    cutoffs: NDArray[np.int64]
    names: tuple[str, ...]
    matrix: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.users)

    def at(self, cutoff: datetime) -> "Snapshots":
        """The rows of one cutoff."""
        return self.rows(self.cutoffs == to_microseconds(cutoff))

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Snapshots":
        """The chosen rows, by mask or by index."""
        return Snapshots(self.users[chosen], self.cutoffs[chosen], self.names, self.matrix[chosen])

    def to_pandas(self) -> "pd.DataFrame":
        """The features as columns, indexed by user and cutoff."""
        import pandas as pd  # noqa: PLC0415 - pandas costs half a second that a request must not pay

        index = pd.MultiIndex.from_arrays(
            [self.users, pd.to_datetime(self.cutoffs, unit="us", utc=True)], names=["user_id", "cutoff"]
        )
        return pd.DataFrame(self.matrix, index=index, columns=list(self.names))

    def to_arrow(self) -> "pa.Table":
        """The columns `user_id`, `cutoff` and the features; missing is NaN."""
        import pyarrow as pa  # noqa: PLC0415 - as above

        table = pa.table({"user_id": pa.array(self.users, pa.string())})
        table = table.append_column("cutoff", pa.array(self.cutoffs, pa.timestamp("us", tz="UTC")))
        for place, name in enumerate(self.names):
            table = table.append_column(name, pa.array(self.matrix[:, place]))
        return table


def build(
    log: Bucketed,
    features: FeatureSet,
    *,
    cutoffs: Sequence[datetime],
    population: Population,
    as_known: bool = False,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Snapshots:
    """The features of the population at each cutoff; memory beside the result is bounded by `workers` buckets.

    `as_known` reads only what had been received before each cutoff.
    """
    plan = make_plan(features)

    def of_bucket(events: UserEvents) -> Snapshots:
        return of_events(events, plan, features.names, cutoffs=cutoffs, population=population, as_known=as_known)

    wanted = wanted_by(plan, as_known=as_known, population=population)
    pieces = map_buckets(log, of_bucket, wanted=wanted, workers=workers, on_progress=on_progress)
    return in_population(stack(pieces, names=features.names), plan)


def wanted_by(plan: Plan, *, as_known: bool, population: Eligible | None = None) -> Wanted:
    """What must be read of each event to carry out a plan, and to know who is in the population."""
    properties = {*plan.wanted.properties, *(population.wanted.properties if population else ())}
    return Wanted(received=as_known, properties=tuple(sorted(properties)))


def of_events(
    events: UserEvents,
    plan: Plan,
    names: tuple[str, ...],
    *,
    cutoffs: Sequence[datetime],
    population: Eligible,
    as_known: bool = False,
) -> Snapshots:
    """The snapshots of these users only; the same bits as when they are part of a whole log.

    What is relative to the population is not so yet: `in_population` makes it so when all users are together.
    """
    eligible = np.array(
        [population.eligible(events, cutoff=cutoff, as_known=as_known) for cutoff in cutoffs], dtype=np.bool_
    )
    rows, which = np.nonzero(eligible.reshape(len(cutoffs), len(events)).T)  # user by user, as the kernel walks them
    moments = np.array([to_microseconds(cutoff) for cutoff in cutoffs], dtype=np.int64)[which]
    matrix = features_of(events, plan, rows=rows, cutoffs=moments, as_known=as_known)
    return Snapshots(np.array(events.user_ids, dtype=object)[rows], moments, names, matrix)


def of_user(
    events: UserEvents, plan: Plan, *, cutoff: datetime, as_known: bool = False, fifths: Fifths | None = None
) -> NDArray[np.float64]:
    """The features `[1, features]` of the first user in `events`, whether or not in the population.

    Where he stands in the population is read from `fifths`, and is missing without them.
    """
    moment = np.array([to_microseconds(cutoff)], dtype=np.int64)
    row = features_of(events, plan, rows=np.zeros(1, dtype=np.int64), cutoffs=moment, as_known=as_known)
    return _placed(row, plan, fifths)


def relative_to(snapshots: Snapshots, plan: Plan, fifths: Fifths | None) -> Snapshots:
    """The same with everything that is relative to the population read from `fifths`; missing without them."""
    return replace(snapshots, matrix=_placed(snapshots.matrix.copy(), plan, fifths))


def fifths_of(raw: Snapshots, plan: Plan, *, cutoff: datetime, fingerprint: str) -> DatedFifths | None:
    """The fifths of all rows of a cutoff, before `in_population` has put them in; none when no feature asks for any.

    `fingerprint` is that of the features.
    """
    relative = plan.program.relative
    if not len(relative):
        return None
    rows = np.flatnonzero(raw.cutoffs == to_microseconds(cutoff))
    return DatedFifths.of(Fifths.among(raw.matrix[np.ix_(rows, relative)]), as_of=cutoff, fingerprint=fingerprint)


def in_population(snapshots: Snapshots, plan: Plan) -> Snapshots:
    """The same with everything that is relative to the population counted against all rows of its cutoff."""
    relative = plan.program.relative
    if not len(relative) or not len(snapshots):
        return snapshots
    matrix = snapshots.matrix.copy()
    for cutoff in np.unique(snapshots.cutoffs):
        rows = snapshots.cutoffs == cutoff
        Fifths.among(matrix[np.ix_(rows, relative)]).put(matrix, relative, rows=rows)
    return replace(snapshots, matrix=matrix)


def stack(pieces: Sequence[Snapshots], *, names: tuple[str, ...]) -> Snapshots:
    """The pieces of all buckets, in bucket order, as one, sorted by cutoff."""
    pieces = [piece for piece in pieces if len(piece)]
    if not pieces:
        return Snapshots(np.array([], dtype=object), np.zeros(0, dtype=np.int64), names, np.empty((0, len(names))))
    users = np.concatenate([piece.users for piece in pieces])
    cutoffs = np.concatenate([piece.cutoffs for piece in pieces])
    order = np.argsort(cutoffs, kind="stable")
    return Snapshots(users[order], cutoffs[order], names, np.concatenate([piece.matrix for piece in pieces])[order])


def map_buckets(
    log: Bucketed,
    function: Callable[[UserEvents], Result],
    *,
    wanted: Wanted = NOTHING_MORE,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> list[Result]:
    """The function's results over all buckets, in bucket order."""

    def of_bucket(bucket: int) -> Result:
        return function(log.read_bucket(bucket, wanted))

    return each(of_bucket, range(log.buckets), workers=workers, on_progress=on_progress)


def _placed(matrix: NDArray[np.float64], plan: Plan, fifths: Fifths | None) -> NDArray[np.float64]:
    relative = plan.program.relative
    if len(relative):
        matrix[:, relative] = np.nan if fifths is None else fifths.of(matrix[:, relative])
    return matrix
