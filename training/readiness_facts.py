"""What is counted in an event log before anything is learnt from it: volume by day, clocks, twins, outcomes at cutoffs.

Each bucket of users is read once for the log's facts and once for those of the cutoffs; what is kept is small whatever
the log's size. Days are numbers of days since 1970 UTC.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.bots import PLAUSIBLE_PER_DAY
from features.busiest import busiest
from features.kinds import is_reserved
from features.pool import OnProgress
from features.snapshots import Bucketed, map_buckets
from features.user_events import IntArray, UserEvents
from features.windows import MICROSECONDS_PER_DAY, to_microseconds
from models.definition import ChurnDefinition
from training.activity import Activity
from training.labels import churned

MINUTES = 1440  # of a day
_MICROSECONDS_PER_MINUTE = MICROSECONDS_PER_DAY // MINUTES
MOST_KINDS = 200  # followed one by one, the most used; a log of thousands would fill memory with days
_CROWDED = 20  # events of a bucket at one instant, below which nobody looks
STRAY_SHARE, STRAY_EVENTS = 0.001, 5  # beyond a gap lies the bulk's other half, or something stray: at most so many
STRAY_GAP, STRAY_FACTOR = 7, 3  # days without any event, and times the longest such pause before


@dataclass(frozen=True, slots=True, eq=False)
class LogFacts:
    """Counts over all ordinary events; `daily` runs from `first_day` on, a number of events a day."""

    users: int
    events: int
    first_day: int
    daily: IntArray  # [days]
    kinds: dict[str, IntArray]  # the most used ones' [days]
    minutes: dict[str, IntArray]  # their [1440], by the minute of the UTC day
    twins: int  # events that share user, kind, time and value with another, beyond the first
    crowded: int  # events at the fullest instant
    crowded_at: int  # that instant, microseconds since 1970 UTC
    ahead: int  # events later than now
    busy_users: int  # with more events on a day than a person has
    busy_events: int  # all events of theirs

    @property
    def bulk(self) -> tuple[int, int]:
        """The first and the last day without the stray events beyond a long pause at either end."""
        last = _end_of_bulk(self.daily)
        first = len(self.daily) - 1 - _end_of_bulk(self.daily[::-1])
        if first > last:  # nothing but pauses: there is no bulk to be beyond of
            first, last = 0, len(self.daily) - 1
        return self.first_day + first, self.first_day + last

    def between(self, first: int, last: int) -> int:
        """How many events fall on these days, both included."""
        chosen = slice(max(0, first - self.first_day), max(0, last - self.first_day + 1))
        return int(self.daily[chosen].sum())


@dataclass(frozen=True, slots=True)
class CutoffFacts:
    """The population at a cutoff: how many users, how many of them churned, and who has been seen but once."""

    cutoff: datetime
    users: int
    churners: int
    seen_once: int

    @property
    def churned_share(self) -> float:
        """Missing where nobody is there."""
        return self.churners / self.users if self.users else float("nan")


@dataclass(frozen=True, slots=True)
class Outcomes:
    """The facts of each cutoff, and how many different users and churners there are in all of them."""

    cutoffs: tuple[CutoffFacts, ...]
    users: int
    churners: int


def log_facts(log: Bucketed, *, now: datetime, workers: int = 1, on_progress: OnProgress | None = None) -> LogFacts:
    """The facts of the whole log, a bucket at a time."""
    present = to_microseconds(now)
    pieces = map_buckets(log, lambda events: _piece(events, present), workers=workers, on_progress=on_progress)
    pieces = [piece for piece in pieces if piece.events]
    first, last = min(piece.first_day for piece in pieces), max(piece.last_day for piece in pieces)
    kinds = _most_used(pieces)
    instants = sum((piece.instants for piece in pieces), Counter[int]())
    crowded_at, crowded = instants.most_common(1)[0] if instants else (0, 0)
    return LogFacts(
        users=sum(piece.users for piece in pieces),
        events=sum(piece.events for piece in pieces),
        first_day=first,
        daily=_laid_out([(piece.first_day, piece.daily.sum(axis=0)) for piece in pieces], first=first, last=last),
        kinds={kind: _laid_out(_of(pieces, kind), first=first, last=last) for kind in kinds},
        minutes={kind: _minutes(pieces, kind) for kind in kinds},
        twins=sum(piece.twins for piece in pieces),
        crowded=crowded,
        crowded_at=crowded_at,
        ahead=sum(piece.ahead for piece in pieces),
        busy_users=sum(piece.busy_users for piece in pieces),
        busy_events=sum(piece.busy_events for piece in pieces),
    )


def outcomes(
    log: Bucketed,
    definition: ChurnDefinition,
    cutoffs: Sequence[datetime],
    *,
    log_end: datetime,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Outcomes:
    """Who was in the population at each cutoff, and what then happened, by event time."""

    def of_bucket(events: UserEvents) -> tuple[IntArray, int, int]:
        return _outcomes_of(events, definition, cutoffs, log_end=log_end)

    wanted = definition.population.wanted
    pieces = map_buckets(log, of_bucket, wanted=wanted, workers=workers, on_progress=on_progress)
    counts = sum((piece for piece, _, _ in pieces), np.zeros((len(cutoffs), 3), dtype=np.int64))
    rows = zip(cutoffs, counts.tolist(), strict=True)
    return Outcomes(
        tuple(CutoffFacts(cutoff, *row) for cutoff, row in rows),
        users=sum(users for _, users, _ in pieces),
        churners=sum(churners for _, _, churners in pieces),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """What one bucket adds."""

    users: int
    events: int
    first_day: int
    kind_names: tuple[str, ...]
    daily: IntArray  # [kinds, days]
    minutes: IntArray  # [kinds, 1440]
    twins: int
    instants: Counter[int]
    ahead: int
    busy_users: int
    busy_events: int

    @property
    def last_day(self) -> int:
        return self.first_day + int(self.daily.shape[1]) - 1


def _piece(events: UserEvents, present: int) -> _Piece:
    ordinary = np.array([not is_reserved(kind) for kind in events.kind_names], dtype=np.bool_)[events.kinds]
    times, kinds = events.times[ordinary], events.kinds[ordinary]
    owners = np.repeat(np.arange(len(events)), np.diff(events.offsets))[ordinary]
    rates = busiest(events)
    busy = rates.counts > PLAUSIBLE_PER_DAY
    day = times // MICROSECONDS_PER_DAY
    first = int(day.min(initial=0 if not len(day) else day[0]))
    return _Piece(
        users=int((rates.events > 0).sum()),
        events=len(times),
        first_day=first,
        kind_names=events.kind_names,
        daily=_counted(kinds, day - first, of=len(events.kind_names), width=int((day - first).max(initial=0)) + 1),
        minutes=_counted(
            kinds,
            times % MICROSECONDS_PER_DAY // _MICROSECONDS_PER_MINUTE,
            of=len(events.kind_names),
            width=MINUTES,
        ),
        twins=_twins(owners, times, kinds, events.values[ordinary]),
        instants=_crowded(times),
        ahead=int((times > present).sum()),
        busy_users=int(busy.sum()),
        busy_events=int(rates.events[busy].sum()),
    )


def _counted(kinds: NDArray[np.int32], places: IntArray, *, of: int, width: int) -> IntArray:
    """How many events of each kind fall on each place: `[kinds, width]`."""
    flat = np.bincount(kinds.astype(np.int64) * width + places, minlength=of * width)
    return flat.reshape(of, width).astype(np.int64)


def _twins(owners: IntArray, times: IntArray, kinds: NDArray[np.int32], values: NDArray[np.float64]) -> int:
    """Events that repeat another of the same user, kind, time and value; only rows that share a time are sorted."""
    same = (np.diff(owners) == 0) & (np.diff(times) == 0)
    shared = np.concatenate([same, [False]]) | np.concatenate([[False], same]) if len(times) else np.zeros(0, bool)
    columns = [owners[shared], times[shared], kinds[shared].astype(np.int64), np.nan_to_num(values[shared], nan=-0.5)]
    order = np.lexsort(columns[::-1])
    repeated = np.ones(max(0, len(order) - 1), dtype=np.bool_)
    for column in columns:
        repeated &= np.diff(column[order]) == 0
    return int(repeated.sum())


def _crowded(times: IntArray) -> Counter[int]:
    """The instants at which a bucket has many events; users are spread over buckets, so a crowd shows in each."""
    ordered = np.sort(times)
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    counts = np.diff(np.append(starts, len(ordered)))
    many = counts >= max(_CROWDED, STRAY_SHARE * len(times))
    return Counter(dict(zip(ordered[starts[many]].tolist(), counts[many].tolist(), strict=True)))


def _most_used(pieces: Sequence[_Piece]) -> list[str]:
    totals = Counter[str]()
    for piece in pieces:
        totals.update(dict(zip(piece.kind_names, piece.daily.sum(axis=1).tolist(), strict=True)))
    return [kind for kind, events in totals.most_common(MOST_KINDS) if events]


def _of(pieces: Sequence[_Piece], kind: str) -> list[tuple[int, IntArray]]:
    """A kind's events by day in each bucket that has the kind."""
    return [
        (piece.first_day, piece.daily[piece.kind_names.index(kind)]) for piece in pieces if kind in piece.kind_names
    ]


def _minutes(pieces: Sequence[_Piece], kind: str) -> IntArray:
    total = np.zeros(MINUTES, dtype=np.int64)
    for piece in pieces:
        if kind in piece.kind_names:
            total += piece.minutes[piece.kind_names.index(kind)]
    return total


def _laid_out(pieces: Sequence[tuple[int, IntArray]], *, first: int, last: int) -> IntArray:
    """The sum of rows that begin on different days, from the first day to the last."""
    total = np.zeros(last - first + 1, dtype=np.int64)
    for begin, counts in pieces:
        total[begin - first : begin - first + len(counts)] += counts
    return total


def _end_of_bulk(daily: IntArray) -> int:
    """The place of the last day before the first pause that is far too long and has next to nothing behind it."""
    active = np.flatnonzero(daily)
    pauses = np.diff(active) - 1
    few = max(STRAY_EVENTS, STRAY_SHARE * daily.sum())
    left = daily.sum() - np.cumsum(daily[active])[:-1]  # behind each pause
    longest = np.maximum.accumulate(np.concatenate([[0], pauses]))[:-1]  # among the pauses before
    stray = (pauses >= STRAY_GAP) & (pauses > STRAY_FACTOR * longest) & (left <= few) & (left < daily.sum() / 2)
    found = np.flatnonzero(stray)
    return int(active[found[0]]) if len(found) else int(active[-1])


def _outcomes_of(
    events: UserEvents, definition: ChurnDefinition, cutoffs: Sequence[datetime], *, log_end: datetime
) -> tuple[IntArray, int, int]:
    """Users, churners and those seen once at each cutoff `[cutoffs, 3]`; users and churners in any."""
    eligible = np.array([definition.population.eligible(events, cutoff=cutoff) for cutoff in cutoffs], dtype=np.bool_)
    which, places = np.nonzero(eligible.reshape(len(cutoffs), len(events)))
    users = np.array(events.user_ids, dtype=object)[places]
    moments = np.array([to_microseconds(cutoff) for cutoff in cutoffs], dtype=np.int64)[which]
    gone = churned(events, definition, users=users, cutoffs=moments, log_end=log_end) == 1
    alive = Activity.of(events, kinds=definition.activity, least_value=definition.least_value)
    first, last = alive.rows(users, starts=np.full_like(moments, np.iinfo(np.int64).min), ends=moments)
    columns = (np.ones(len(users), dtype=np.bool_), gone, last - first == 1)
    counts = np.column_stack([np.bincount(which[column], minlength=len(cutoffs)) for column in columns])
    return counts.astype(np.int64), len(np.unique(places)), len(np.unique(places[gone]))
