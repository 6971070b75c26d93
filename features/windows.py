"""All arithmetic on time: UTC inside, half-open intervals, whole days counted back from a cutoff.

Instants are aware `datetime` at the edges and `int` microseconds since 1970 UTC in columns;
spans are `timedelta` at the edges. No other module adds or subtracts times.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput

MICROSECONDS_PER_DAY = 86_400_000_000
_DAYS_PER_WEEK = 7
_CLOCK_CHANGE = 3_600_000_000  # microseconds that clocks are put forward and back
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_SPAN = 36_500  # whatever the unit, more is a slip
_SPAN = re.compile(r"(\d+)(d|w)")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?")


@dataclass(frozen=True, slots=True)
class Interval:
    """A half-open span of time `[start, end)`.

    >>> Interval(utc("2026-01-01"), utc("2026-01-31")).days
    30.0
    """

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def days(self) -> float:
        """The length in days."""
        return (self.end - self.start) / timedelta(days=1)


def days(count: int) -> timedelta:
    """A span of whole days.

    >>> days(28)
    datetime.timedelta(days=28)
    """
    return timedelta(days=count)


def parse_span(text: str) -> timedelta:
    """The span that `60d` (days) or `8w` (weeks) names.

    Raises `BadInput` for anything else; a bare number is refused because its unit would be a guess.

    >>> parse_span("8w").days
    56
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise BadInput(f"{text!r} is not a span of time; expected whole days or weeks, for example 60d or 8w.")
    number = int(found[1])
    if number > _LONGEST_SPAN:
        raise BadInput(f"{text!r} is longer than any history; expected a span such as 60d or 8w.")
    return timedelta(days=number * (7 if found[2] == "w" else 1))


def format_span(span: timedelta) -> str:
    """The text that `parse_span` reads back.

    >>> format_span(days(56))
    '56d'
    """
    return f"{span // timedelta(days=1)}d"


def utc(text: str) -> datetime:
    """The instant that an ISO 8601 text names; a date is its midnight and no offset means UTC.

    Meant for cutoffs, which people type; times of events go through the stricter reader of sources.
    Raises `BadInput` for everything else, such as `20261101` (a date or a Unix time?).

    >>> utc("2026-06-01T02:00:00+02:00")
    datetime.datetime(2026, 6, 1, 0, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        moment = datetime.fromisoformat(text.strip() if _INSTANT.fullmatch(text.strip()) else "")
    except ValueError:
        raise BadInput(
            f"{text!r} is not a time; expected ISO 8601, for example 2026-12-01 or 2026-12-01T09:00:00Z."
        ) from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def iso(moment: datetime) -> str:
    """ISO 8601 text in UTC with a `Z`, with no more digits than the moment needs.

    >>> iso(utc("2026-06-01"))
    '2026-06-01T00:00:00Z'
    """
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def to_microseconds(moment: datetime) -> int:
    """Microseconds since 1970 UTC.

    >>> to_microseconds(utc("1970-01-02"))
    86400000000
    """
    return (moment - _EPOCH) // _MICROSECOND


def from_microseconds(microseconds: int) -> datetime:
    """The aware UTC instant of so many microseconds since 1970.

    >>> iso(from_microseconds(86400000000))
    '1970-01-02T00:00:00Z'
    """
    return _EPOCH + timedelta(microseconds=int(microseconds))


def span_microseconds(span: timedelta) -> int:
    """A span in microseconds.

    >>> span_microseconds(days(1))
    86400000000
    """
    return span // _MICROSECOND


def ceil_second(moment: datetime) -> datetime:
    """The first whole second after the moment, so that a cutoff there has seen an event at it.

    >>> iso(ceil_second(utc("2026-06-01T09:30:00.250000Z")))
    '2026-06-01T09:30:01Z'
    """
    return _EPOCH + timedelta(seconds=(moment - _EPOCH) // timedelta(seconds=1) + 1)


def zone_named(name: str) -> ZoneInfo:
    """The time zone of an IANA name; raises `BadInput` for anything else.

    >>> zone_named("Europe/London").key
    'Europe/London'
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadInput(
            f"{name!r} is not a time zone; expected an IANA name, for example Europe/London or UTC."
        ) from None


def local_to_utc(local: NDArray[np.int64], *, timezone: str) -> NDArray[np.int64]:
    """Local wall-clock microseconds as microseconds UTC, for the years 1990 to 2100.

    An hour that the clocks show twice means its first run, and one that they skip counts on from the hour before it
    (PEP 495 with `fold=0`), so that every local time means one instant, always the same.

    >>> noon_in_july = to_microseconds(utc("2026-07-01T12:00"))
    >>> iso(from_microseconds(local_to_utc(np.array([noon_in_july]), timezone="Europe/London")[0]))
    '2026-07-01T11:00:00Z'
    """
    starts, offsets = _offsets(timezone)
    return local - offsets[np.searchsorted(starts, local, side="right") - 1]


def zone_changes(timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From which microsecond UTC on which offset in microseconds holds in a zone; the first holds for ever before.

    >>> starts, offsets = zone_changes("Asia/Shanghai")
    >>> int(offsets[-1]) // 3_600_000_000
    8
    """
    local, offsets = _offsets(timezone)
    starts = local.copy()
    starts[1:] -= np.maximum(offsets[1:], offsets[:-1])  # `_offsets` counts a skipped and a doubled hour to the old
    return starts, offsets


@lru_cache(maxsize=1024)  # there are some six hundred zones
def _offsets(timezone: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """From which local microsecond on which offset from UTC holds; the first holds for ever before."""
    zone = zone_named(timezone)
    day, last = datetime(1989, 12, 1), datetime(2101, 1, 1)  # noqa: DTZ001 - wall clocks have no zone yet
    offset = _offset(zone, day)
    found = [(np.iinfo(np.int64).min, offset)]
    while day < last:
        following = day + days(7)  # no zone has changed twice within a week
        if _offset(zone, following) != offset:
            change = _first_with_another_offset(zone, day, following)
            offset = _offset(zone, following)
            found.append((to_microseconds(change.replace(tzinfo=UTC)), offset))
        day = following
    starts, offsets = zip(*found, strict=True)
    return np.array(starts, dtype=np.int64), np.array(offsets, dtype=np.int64)


def _offset(zone: ZoneInfo, local: datetime) -> int:
    offset = local.replace(tzinfo=zone, fold=0).utcoffset()
    return span_microseconds(offset or timedelta(0))


def _first_with_another_offset(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    offset = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


def cutoffs_back_from(newest: datetime, *, every: timedelta, earliest: datetime) -> Sequence[datetime]:
    """Cutoffs at regular steps, oldest first, ending at `newest` and none before `earliest`.

    >>> [iso(c)[:10] for c in cutoffs_back_from(utc("2026-01-15"), every=days(7), earliest=utc("2026-01-01"))]
    ['2026-01-01', '2026-01-08', '2026-01-15']
    """
    steps = (newest - earliest) // every
    return [newest - every * step for step in range(steps, -1, -1)]


def shift(moment: datetime, span: timedelta) -> datetime:
    """The instant a span later; a negative span goes back.

    >>> iso(shift(utc("2026-06-30"), -days(29)))
    '2026-06-01T00:00:00Z'
    """
    return moment + span


def times_of_day(instants: NDArray[np.int64], *, most: int) -> tuple[int, ...]:
    """The different times of the UTC day, in microseconds; no more than `most` of them.

    >>> times_of_day(np.array([5, 7 * MICROSECONDS_PER_DAY + 5, MICROSECONDS_PER_DAY]), most=9)
    (0, 5)
    """
    for rows in (instants[:1000], instants):  # where there are many, the first rows show it
        found = np.unique(rows % MICROSECONDS_PER_DAY)
        if len(found) >= most:
            break
    return tuple(found[:most].tolist())


def weekdays(instants: NDArray[np.int64]) -> tuple[int, ...]:
    """The different days of the UTC week, Monday 0.

    >>> weekdays(np.array([0, 7 * MICROSECONDS_PER_DAY, 8 * MICROSECONDS_PER_DAY]))  # 1970 began on a Thursday
    (3, 4)
    """
    for rows in (instants[:1000], instants):  # where there are many, the first rows show it
        found = np.unique((rows // MICROSECONDS_PER_DAY + 3) % _DAYS_PER_WEEK)
        if len(found) == _DAYS_PER_WEEK:
            break
    return tuple(found.tolist())


def are_dates(times: Collection[int]) -> bool:
    """Whether events at these times of the UTC day have a date and no hour: midnight, say, of some time zone.

    That is one time, or two an hour apart, as midnight is in UTC where clocks are changed.

    >>> hour = 3_600_000_000
    >>> are_dates([22 * hour, 23 * hour]), are_dates([0, 23 * hour]), are_dates([0, 12 * hour])
    (True, True, False)
    """
    apart = max(times) - min(times)
    return len(times) <= 2 and min(apart, MICROSECONDS_PER_DAY - apart) <= _CLOCK_CHANGE  # noqa: PLR2004 - above


def elapsed_days(since: NDArray[np.int64], until: NDArray[np.int64]) -> NDArray[np.float64]:
    """Days from each instant to its partner, both in microseconds since 1970.

    >>> elapsed_days(np.array([0]), np.array([43_200_000_000])).tolist()
    [0.5]
    """
    return (until - since) / MICROSECONDS_PER_DAY


def days_later(instants: NDArray[np.int64], days: NDArray[np.float64]) -> NDArray[np.int64]:
    """Each instant so many days later, to the microsecond.

    >>> days_later(np.array([0]), np.array([0.5])).tolist()
    [43200000000]
    """
    return instants + np.rint(days * MICROSECONDS_PER_DAY).astype(np.int64)
