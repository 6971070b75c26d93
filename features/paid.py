"""Subscribers by what they paid: from each renewal on until when a user is covered, and when that cover lapsed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import BadInput
from features.expressions import Chosen
from features.instants import NONE, TimeRule, instants
from features.moments import Moments, counted, owners_of
from features.population import NEVER, Population
from features.user_events import NOTHING_MORE, FloatArray, IntArray, Property, UserEvents, Wanted
from features.windows import MICROSECONDS_PER_DAY, days_later, format_span, span_microseconds, to_microseconds

LONGEST_PAID_DAYS = 36_500  # a plan for life; more would leave the calendar
_FOR_EVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True, slots=True, eq=False)
class Cover:
    """From each renewal on until when its user is covered, grace included; sorted by user and time, one an instant."""

    owners: IntArray  # places in user_ids
    starts: IntArray  # of the renewals; microseconds since 1970 UTC
    ends: IntArray  # as all that was paid up to that renewal says; may lie before it, where it takes paid time back

    @property
    def newest(self) -> NDArray[np.bool_]:
        """Which are the newest of their users."""
        return np.append(self.owners[1:] != self.owners[:-1], np.ones(min(1, len(self.owners)), dtype=np.bool_))

    def lapses(self) -> tuple[IntArray, IntArray]:
        """Who lapsed, and when: a cover ended, and no renewal had come before its end or at that very instant."""
        last = self.newest
        following = np.where(last, _FOR_EVER, np.roll(self.starts, -1))
        first = np.roll(last, 1)  # whoever comes after somebody's newest is another's first
        before = np.where(first, NEVER, np.roll(self.ends, 1))
        over = np.maximum(self.starts, self.ends)
        was_covered = (self.ends > self.starts) | (before >= self.starts)
        lapsed = (over < following) & was_covered
        return self.owners[lapsed], over[lapsed]


@dataclass(frozen=True, slots=True)
class Renewals:
    """The events that pay, and for how long: exactly one of a fixed period and two properties of theirs says it.

    A period, or the number of days in the property `paid_days`, counts from the renewal; of several the latest end
    holds. The property `paid_until` holds a date or an instant as ISO text (a date: its midnight UTC), and the newest
    renewal is believed, also where it takes time back. Who has paid is covered for the `grace` after it as well.
    """

    kinds: tuple[str, ...]
    period_days: int = 0
    paid_days: str = ""
    paid_until: str = ""
    grace: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "kinds", tuple(sorted(set(self.kinds))))
        if not self.kinds:
            raise BadInput("no kind of event is named that is a renewal; expected one or more.")
        if sum(map(bool, (self.period_days, self.paid_days, self.paid_until))) != 1:
            raise BadInput(
                f"period_days {self.period_days}, paid_days {self.paid_days!r}, paid_until {self.paid_until!r}: "
                "expected exactly one of them to say how long a renewal pays."
            )
        if not 0 <= self.period_days <= LONGEST_PAID_DAYS:
            raise BadInput(f"a renewal that pays for {self.period_days} days; expected 1 to {LONGEST_PAID_DAYS:,}.")
        if self.grace < timedelta(0):
            raise BadInput("the grace is negative; expected 0d or more.")

    @property
    def wanted(self) -> Wanted:
        """The property that must be read."""
        name = self.paid_days or self.paid_until
        return Wanted(properties=(name,)) if name else NOTHING_MORE

    def cover(
        self, events: UserEvents, *, before: datetime | None = None, known_before: datetime | None = None
    ) -> Cover:
        """The cover by renewals before an instant, and received by another; one that says nothing readable is none."""
        known = None if known_before is None else to_microseconds(known_before)
        paying = counted(events, Chosen(self.kinds), known_before=known)
        if before is not None:
            paying &= events.times < to_microseconds(before)
        places = np.flatnonzero(paying)
        ends = self._ends(events, places)
        places, ends = places[ends != NEVER], ends[ends != NEVER]
        owners, starts, ends = _one_an_instant(owners_of(events, places), events.times[places], ends)
        if not self.paid_until:
            ends = _running_maximum(owners, ends)
        return Cover(owners, starts, ends + span_microseconds(self.grace))

    def lapses(self, events: UserEvents) -> Moments:
        """When users lapsed."""
        return Moments(events.user_ids, *self.cover(events).lapses())

    def says(self) -> str:
        """For how long a renewal pays, in words.

        >>> Renewals(("renewal",), period_days=30, grace=timedelta(days=7)).says()
        'renewal (pays for 30 days, 7d of grace)'
        """
        long = f"for as many days as {self.paid_days!r} says" if self.paid_days else f"until {self.paid_until!r}"
        pays = f"for {self.period_days} days" if self.period_days else long
        grace = f", {format_span(self.grace)} of grace" if self.grace else ""
        return f"{' or '.join(self.kinds)} (pays {pays}{grace})"

    def _ends(self, events: UserEvents, places: IntArray) -> IntArray:
        """Until when each event at these places pays; `NEVER` where it does not say."""
        if self.paid_until:
            column = events.properties[self.paid_until]
            found: IntArray = np.append(_instants(column.texts), NEVER)[
                column.codes[places]
            ]  # -1, none, takes the last
            return found
        times = events.times[places]
        if self.period_days:
            return days_later(times, np.full(len(places), float(self.period_days)))
        column = events.properties[self.paid_days]
        paid = np.append(_numbers(column.texts), np.nan)[column.codes[places]]
        known = ~np.isnan(paid)
        ends = np.full(len(places), NEVER, dtype=np.int64)
        ends[known] = days_later(times[known], np.clip(paid[known], 0, LONGEST_PAID_DAYS))
        return ends


@dataclass(frozen=True, slots=True)
class Paid(Population):
    """The users whose paid time, with grace, reaches beyond the cutoff; activity and look-back play no part in it."""

    renewals: Renewals | None = None

    def __post_init__(self) -> None:
        if self.renewals is None:
            raise BadInput("there is no word on which events pay; expected renewals=Renewals(…).")

    @property
    def wanted(self) -> Wanted:
        """The property that says for how long a renewal pays."""
        return NOTHING_MORE if self.renewals is None else self.renewals.wanted

    def members(self, events: UserEvents, *, cutoff: datetime, known_before: datetime | None) -> NDArray[np.bool_]:
        """Which of the `n` users are covered at the cutoff."""
        members = np.zeros(len(events), dtype=np.bool_)
        if self.renewals is not None:
            cover = self.renewals.cover(events, before=cutoff, known_before=known_before)
            members[cover.owners[cover.newest & (cover.ends > to_microseconds(cutoff))]] = True
        return members

    def says(self, language: str = "en") -> str:
        """What its members are, in English or Chinese (zh), to be followed by the cutoff."""
        return "截止时已付费或在宽限期内" if language == "zh" else "paid up or in grace at the cutoff"


def days_until(column: Property, times: IntArray) -> FloatArray:
    """How many days after each event the date or instant in its property is; NaN where there is none."""
    ends = np.append(_instants(column.texts), NEVER)[column.codes]  # the code of nothing, -1, takes the last
    return np.where(ends == NEVER, np.nan, (ends - times) / MICROSECONDS_PER_DAY)


def _one_an_instant(owners: IntArray, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """Renewals of one user at one instant as one that pays for the longest: their order means nothing."""
    if not len(owners):
        return owners, starts, ends
    first = np.append(True, (owners[1:] != owners[:-1]) | (starts[1:] != starts[:-1]))
    return owners[first], starts[first], np.maximum.reduceat(ends, np.flatnonzero(first))


def _running_maximum(owners: IntArray, ends: IntArray) -> IntArray:
    """The latest end so far of each user: by rank, so that one running maximum over all users does it."""
    different, rank = np.unique(ends, return_inverse=True)
    highest = np.maximum.accumulate(owners * len(different) + rank)
    found: IntArray = different[highest % max(1, len(different))]
    return found


@lru_cache(maxsize=8)  # a bucket's texts are asked for again at every cutoff
def _instants(texts: tuple[str, ...]) -> IntArray:
    found = instants(pa.array(texts, pa.string()), TimeRule(timezone="UTC"))
    return np.where(found.problems == NONE, found.times, NEVER)


@lru_cache(maxsize=8)  # as above
def _numbers(texts: tuple[str, ...]) -> FloatArray:
    return np.array([_number(text) for text in texts], dtype=np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
