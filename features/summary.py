"""What an event log holds, in counts: added up a bucket at a time."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import numba as nb
import numpy as np
from numpy.typing import NDArray

from features.kinds import is_reserved
from features.property_counts import PropertyCounts, PropertySummary
from features.reading import Entries
from features.user_events import FloatArray, IntArray, KindArray, UserEvents
from features.windows import MICROSECONDS_PER_DAY, are_dates, ceil_second, from_microseconds, times_of_day, weekdays

_HOURS = 3  # times of the day that are enough to see that events come at more than two
_LARGE = 0.9  # the share of a kind's values that a large one is not below
_WEEK, _AFTER = 7, 56  # days: of the week that may be crowded, and of those after it that tell what is usual
_CROWDED = 2.0  # times as many first seen as in a usual week: most of them are not new
_FEWEST = 100  # first seen in the crowded week; fewer are chance
_STRAY = 0.01  # the share of users whose first events may have a wrong date of long ago


@dataclass(frozen=True, slots=True)
class KindSummary:
    """One kind of event in the log."""

    name: str
    events: int
    users: int
    valued: int  # events that came with a value
    negative: int = 0  # events with a value below 0
    large: float | None = None  # about the 0.9 quantile of the values: the mean of the buckets' own
    least: float | None = None  # of the values
    most: float | None = None


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What the log holds; the kinds that begin with `$` are not counted as events."""

    events: int
    users: int
    start: datetime  # of the first event
    end: datetime  # the first whole second after the last event
    kinds: tuple[KindSummary, ...]  # most used first
    properties: tuple[PropertySummary, ...] = ()  # of events, most used first
    profile_properties: tuple[PropertySummary, ...] = ()
    has_hours: bool = True  # events come at different times of the day; without, they are only dated
    weekdays: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)  # of the UTC week on which there are events, Monday 0
    truncated: datetime | None = None  # the day on which it begins in the midst of things; none: it does not


@dataclass(frozen=True, slots=True)
class Tally:
    """The same of one bucket; no users where there are no events but reserved ones."""

    users: int = 0
    start: int = 0  # microseconds since 1970 UTC
    end: int = 0
    kinds: tuple[KindSummary, ...] = ()
    properties: PropertyCounts = field(default_factory=PropertyCounts)
    profile_properties: PropertyCounts = field(default_factory=PropertyCounts)
    times_of_day: tuple[int, ...] = ()  # as `windows.times_of_day` gives them
    weekdays: tuple[int, ...] = ()  # as `windows.weekdays` gives them
    first_seen: tuple[tuple[int, int], ...] = ()  # UTC days since 1970, and the users whose first event was then


def summarise(buckets: Iterable[UserEvents]) -> LogSummary | None:
    """Counts and span of events whose users are in one bucket each; none when there are no events."""
    return add_up(map(tally, buckets))


def tally(events: UserEvents, properties: Iterable[tuple[Entries, Entries]] = ()) -> Tally:
    """What one bucket holds; `properties` in pieces, those of events and those of profiles."""
    of_events, of_profiles = PropertyCounts(), PropertyCounts()
    for entries, profile_entries in properties:
        of_events.add(entries)
        of_profiles.add(profile_entries)
    ordinary = np.array([not is_reserved(kind) for kind in events.kind_names], dtype=np.bool_)
    counts, firsts = _counts(events.offsets, events.kinds, events.values, ordinary)
    times = events.times if ordinary.all() else events.times[ordinary[events.kinds]]
    if not len(times):
        return Tally(properties=of_events, profile_properties=of_profiles)
    columns = zip(events.kind_names, *counts.T.tolist(), *zip(*_amounts(events), strict=True), strict=True)
    kinds = tuple(KindSummary(*each) for each in columns if not is_reserved(each[0]))
    began, users = np.unique(events.times[firsts] // MICROSECONDS_PER_DAY, return_counts=True)
    return Tally(
        users=len(firsts),
        start=int(times.min()),
        end=int(times.max()),
        kinds=kinds,
        properties=of_events,
        profile_properties=of_profiles,
        times_of_day=times_of_day(times, most=_HOURS),
        weekdays=weekdays(times),
        first_seen=tuple(zip(began.tolist(), users.tolist(), strict=True)),
    )


def add_up(tallies: Iterable[Tally]) -> LogSummary | None:
    """All buckets together; none when there are no events."""
    properties, profile_properties = PropertyCounts(), PropertyCounts()
    found = []
    for each in tallies:
        properties.merge(each.properties)
        profile_properties.merge(each.profile_properties)
        if each.users:
            found.append(replace(each, properties=properties, profile_properties=profile_properties))
    if not found:
        return None
    start, end = min(each.start for each in found), max(each.end for each in found)
    return LogSummary(
        events=sum(kind.events for each in found for kind in each.kinds),
        users=sum(each.users for each in found),
        start=from_microseconds(start),
        end=ceil_second(from_microseconds(end)),
        kinds=_added_up(kind for each in found for kind in each.kinds),
        properties=properties.summaries(),
        profile_properties=profile_properties.summaries(),
        has_hours=not are_dates({time for each in found for time in each.times_of_day}),
        weekdays=tuple(sorted({day for each in found for day in each.weekdays})),
        truncated=_truncated([first for each in found for first in each.first_seen], end=end),
    )


@nb.njit(nogil=True, cache=True)
def _counts(
    offsets: IntArray, kinds: KindArray, values: FloatArray, ordinary: NDArray[np.bool_]
) -> tuple[IntArray, IntArray]:
    """Events, users, events with a value and with one below 0 of each kind `[kinds, 4]`.

    Beside them the row of the first ordinary event of each user who has one.
    """
    counts = np.zeros((len(ordinary), 4), dtype=np.int64)
    newest_user = np.full(len(ordinary), -1, dtype=np.int64)
    firsts, users = np.empty(len(offsets) - 1, dtype=np.int64), 0
    for user in range(len(offsets) - 1):
        counted = False
        for row in range(offsets[user], offsets[user + 1]):
            kind, value = kinds[row], values[row]
            counts[kind, 0] += 1
            counts[kind, 1] += newest_user[kind] != user
            counts[kind, 2] += not np.isnan(value)
            counts[kind, 3] += value < 0
            newest_user[kind] = user
            if ordinary[kind] and not counted:
                counted = True
                firsts[users] = row
                users += 1
    return counts, firsts[:users]


def _truncated(first_seen: list[tuple[int, int]], *, end: int) -> datetime | None:
    """The day on which a left-truncated log begins; none where it begins with the business, or does not tell.

    Customers of long ago are first seen when they next come, so a log that begins in the midst of things seems to win
    a crowd in its first week, and far fewer in a week of the eight that follow. A business wins its users week by week.
    A log that ends (`end`, in microseconds) within those nine weeks does not tell.
    """
    days, users = np.array(first_seen, dtype=np.int64).T
    since = int(days.min())
    new = np.bincount(days - since, weights=users)
    weekly = np.convolve(new, np.ones(_WEEK))[_WEEK - 1 :]  # of the week from each day on
    began = int(np.flatnonzero(weekly == weekly.max())[-1])
    usual = new[began + _WEEK : began + _WEEK + _AFTER].sum() * _WEEK / _AFTER
    told = end // MICROSECONDS_PER_DAY - since - began >= _WEEK + _AFTER
    begins = new[:began].sum() <= _STRAY * new.sum()
    if not (told and begins and weekly[began] >= _FEWEST and weekly[began] > _CROWDED * usual):
        return None
    return from_microseconds((since + began) * MICROSECONDS_PER_DAY)


def _amounts(events: UserEvents) -> list[tuple[float, float, float] | tuple[None, None, None]]:
    """The 0.9 quantile of each kind's values, by nearest rank, the least and the most; none for a kind without any."""
    valued = np.flatnonzero(~np.isnan(events.values))
    by_kind = valued[np.argsort(events.kinds[valued], kind="stable")]
    ends = np.cumsum(np.bincount(events.kinds[valued], minlength=len(events.kind_names)))
    return [_amounts_of(values) for values in np.split(events.values[by_kind], ends[:-1])]


def _amounts_of(values: FloatArray) -> tuple[float, float, float] | tuple[None, None, None]:
    if not len(values):
        return None, None, None
    rank = max(math.ceil(_LARGE * len(values)) - 1, 0)
    return float(np.partition(values, rank)[rank]), float(values.min()), float(values.max())


def _added_up(kinds: Iterable[KindSummary]) -> tuple[KindSummary, ...]:
    by_name: dict[str, list[KindSummary]] = {}
    for kind in kinds:
        by_name.setdefault(kind.name, []).append(kind)
    sums = [_sum(name, each) for name, each in by_name.items()]
    return tuple(sorted(sums, key=lambda kind: (-kind.events, kind.name)))


def _sum(name: str, parts: list[KindSummary]) -> KindSummary:
    valued = sum(part.valued for part in parts)
    large = math.fsum(part.large * part.valued for part in parts if part.large is not None)
    return KindSummary(
        name,
        events=sum(part.events for part in parts),
        users=sum(part.users for part in parts),
        valued=valued,
        negative=sum(part.negative for part in parts),
        large=large / valued if valued else None,
        least=min((part.least for part in parts if part.least is not None), default=None),
        most=max((part.most for part in parts if part.most is not None), default=None),
    )
