"""Operators: what can be said of the days on which a user was active, one small function each.

    @operator(family="cadence", unit="days")
    def shortest_gap(active):
        '''The fewest days from one active day to the next.'''
        return np.diff(active.days).min() if len(active.days) > 1 else np.nan

The answer is a number, NaN for missing. A function is compiled by Numba, so it may use NumPy and nothing of ours; it is
compiled when it is first planned with, kept on disk, and never compiled during a request. Every operator that is
registered is held to the laws of features by `tests/laws`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput


class ActiveDays(NamedTuple):
    """What an operator sees of a user: the days with chosen events before the cutoff, at least one."""

    days: NDArray[np.int64]  # their numbers, ascending: a day's age is `today - 1 - day`
    counts: NDArray[np.float64]  # events on each
    totals: NDArray[np.float64]  # sum of the values on each
    today: int  # the number of the day that begins at the cutoff
    silence: float  # days since the newest event
    number: float  # the parameter given in the language


Function = Callable[[ActiveDays], float]

OPERATORS: "dict[str, Operator]" = {}


@dataclass(frozen=True)
class Operator:
    """A function of active days, with what its answer is; `nothing` is the answer where there was no active day."""

    function: Function
    family: str
    unit: str
    nothing: float = field(default=np.nan)

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @cached_property
    def address(self) -> int:
        """Where the compiled function lies in memory, for the kernel to call."""
        from features.compiled import address_of  # noqa: PLC0415 - Numba costs a second that the language need not pay

        return address_of(self.function)


def operator(*, family: str, unit: str, nothing: float = np.nan) -> Callable[[Function], Function]:
    """Register a function of active days under its name, for `Selection.days_say`."""

    def register(function: Function) -> Function:
        OPERATORS[function.__name__] = Operator(function, family, unit, nothing)
        return function

    return register


def known(name: str) -> Operator:
    """The operator of this name; raises `BadInput` when no file that was loaded defines it."""
    if name not in OPERATORS:
        raise BadInput(
            f"{name!r} is not an operator that is known here; expected one of {', '.join(sorted(OPERATORS))}, "
            "or load the file that defines it (--features FILE)."
        )
    return OPERATORS[name]


@operator(family="cadence", unit="days")
def mean_gap(active: ActiveDays) -> float:
    """The mean days from one active day to the next; missing with fewer than two active days."""
    return (active.days[-1] - active.days[0]) / (len(active.days) - 1) if len(active.days) > 1 else np.nan


@operator(family="cadence", unit="days")
def gap_spread(active: ActiveDays) -> float:
    """The standard deviation (population formula) of the gaps; missing with fewer than two active days."""
    if len(active.days) == 1:
        return np.nan
    squares = 0.0
    for place in range(1, len(active.days)):
        squares += float((active.days[place] - active.days[place - 1]) ** 2)
    mean = (active.days[-1] - active.days[0]) / (len(active.days) - 1)
    return math.sqrt(max(0.0, squares / (len(active.days) - 1) - mean * mean))


@operator(family="cadence", unit="days")
def longest_gap(active: ActiveDays) -> float:
    """The most days from one active day to the next; missing with fewer than two active days."""
    longest = np.nan
    for place in range(1, len(active.days)):
        gap = float(active.days[place] - active.days[place - 1])
        if not longest >= gap:
            longest = gap
    return longest


@operator(family="cadence", unit="days")
def newest_gap(active: ActiveDays) -> float:
    """The days between the two newest active days; missing with fewer than two active days."""
    return float(active.days[-1] - active.days[-2]) if len(active.days) > 1 else np.nan


@operator(family="cadence", unit="days")
def gap_quantile(active: ActiveDays) -> float:
    """The gap that a share `number` of the gaps does not exceed: an observed gap, the inverse of their distribution."""
    gaps = len(active.days) - 1
    if gaps == 0:
        return np.nan
    place = min(max(math.ceil(active.number * gaps), 1), gaps)
    counts = np.zeros(64, dtype=np.int64)  # counting sorts the gaps up to two months, which nearly all are
    for at in range(gaps):
        gap = active.days[at + 1] - active.days[at]
        if gap < len(counts):
            counts[gap] += 1
    for gap in range(len(counts)):
        place -= counts[gap]
        if place <= 0:
            return float(gap)
    long = active.days[1:] - active.days[:-1]
    return float(np.sort(long[long >= len(counts)])[place - 1])


@operator(family="cadence", unit="days")
def newest_gaps(active: ActiveDays) -> float:
    """The mean of the `number` newest gaps, of all where there are fewer; missing with fewer than two active days."""
    gaps = min(max(int(active.number), 1), len(active.days) - 1)
    return float(active.days[-1] - active.days[len(active.days) - 1 - gaps]) / gaps if gaps > 0 else np.nan


@operator(family="cadence", unit="share")
def clumpiness(active: ActiveDays) -> float:
    """How far the gaps and the present silence are from equal, 0 to 1; missing with fewer than two active days.

    One less the entropy of their shares in the time since the first active day, over its most (Zhang, Bradlow and
    Small, Predicting Customer Value Using Clumpiness, Marketing Science 2015).
    """
    if len(active.days) == 1:
        return np.nan
    silence, span = float(active.today - active.days[-1]), float(active.today - active.days[0])
    logs = silence * math.log(silence)
    counts = np.zeros(32, dtype=np.int64)  # of the short gaps, which are many: logarithms are dear
    for place in range(1, len(active.days)):
        gap = active.days[place] - active.days[place - 1]
        if gap < len(counts):
            counts[gap] += 1
        else:
            logs += gap * math.log(gap)
    for gap in range(2, len(counts)):  # the logarithm of 1 is 0
        if counts[gap] > 0:
            logs += counts[gap] * (gap * math.log(gap))
    return min(max(0.0, 1.0 - (math.log(span) - logs / span) / math.log(len(active.days))), 1.0)


@operator(family="cadence", unit="share")
def weekday_focus(active: ActiveDays) -> float:
    """How much active days keep to the same days of the week: 0 for all alike, 1 for one day; missing with one only.

    One less the entropy over the seven days, over its most: the weekly regularity of Boroujeni and others, How to
    Quantify Student's Regularity? (2016).
    """
    if len(active.days) == 1:
        return np.nan
    counts = np.zeros(7, dtype=np.int64)
    for day in active.days:
        counts[(day - active.days[0]) % 7] += 1
    logs = 0.0
    for count in counts:
        if count > 1:  # the logarithm of 1 is 0
            logs += count * math.log(count)
    return min(max(0.0, 1.0 - (math.log(len(active.days)) - logs / len(active.days)) / math.log(7.0)), 1.0)


@operator(family="cadence", unit="share")
def longer_gaps(active: ActiveDays) -> float:
    """The share of the gaps that were at least as long as the present silence, 0 to 1."""
    if len(active.days) == 1:
        return np.nan
    longer = 0.0
    for place in range(1, len(active.days)):
        if float(active.days[place] - active.days[place - 1]) >= active.silence:
            longer += 1.0
    return longer / (len(active.days) - 1)


@operator(family="cadence", unit="days", nothing=0.0)
def current_streak(active: ActiveDays) -> float:
    """Active days in a row up to the last full day before the cutoff; 0 when that day was silent."""
    streak = 0
    while streak < len(active.days) and active.days[len(active.days) - 1 - streak] == active.today - 1 - streak:
        streak += 1
    return float(streak)


@operator(family="cadence", unit="days", nothing=0.0)
def longest_streak(active: ActiveDays) -> float:
    """The most active days in a row."""
    longest = streak = 1
    for place in range(1, len(active.days)):
        streak = streak + 1 if active.days[place] == active.days[place - 1] + 1 else 1
        longest = max(longest, streak)
    return float(longest)


@operator(family="cadence", unit="weeks", nothing=0.0)
def active_weeks(active: ActiveDays) -> float:
    """In how many of the last `number` weeks, counted back from the cutoff, there was an event."""
    weeks, newest, week, start = 0.0, -1, 0, active.today - 7
    for place in range(len(active.days) - 1, -1, -1):
        while active.days[place] < start:
            week, start = week + 1, start - 7
        if week >= active.number:
            break
        if week != newest:
            weeks, newest = weeks + 1.0, week
    return weeks


@operator(family="cadence", unit="weeks", nothing=0.0)
def week_streak(active: ActiveDays) -> float:
    """How many weeks in a row, counted back from the cutoff, had an event."""
    streak = 0
    for place in range(len(active.days) - 1, -1, -1):
        week = (active.today - 1 - active.days[place]) // 7
        if week > streak:
            break
        if week == streak:
            streak += 1
    return float(streak)


@operator(family="trend", unit="events a week")
def weekly_slope(active: ActiveDays) -> float:
    """The least-squares slope of the weekly counts over the last `number` weeks; above 0 means growing."""
    slope, week, start = 0.0, 0, active.today - 7
    for place in range(len(active.days) - 1, -1, -1):
        while active.days[place] < start:
            week, start = week + 1, start - 7
        if week >= active.number:
            break
        slope += ((active.number - 1.0) / 2.0 - week) * active.counts[place]
    squares = active.number * (active.number * active.number - 1.0) / 12.0
    return slope / squares if squares > 0.0 else np.nan


@operator(family="trend", unit="events", nothing=0.0)
def peak_week(active: ActiveDays) -> float:
    """The most events in one of the last `number` weeks, counted back from the cutoff."""
    most, inside, week, start = 0.0, 0.0, 0, active.today - 7
    for place in range(len(active.days) - 1, -1, -1):
        while active.days[place] < start:
            week, start, inside = week + 1, start - 7, 0.0
        if week >= active.number:
            break
        inside += active.counts[place]
        most = max(most, inside)
    return most


@operator(family="trend", unit="weeks")
def weeks_since_peak(active: ActiveDays) -> float:
    """How many weeks ago the busiest of the last `number` weeks was; of equal ones the newest."""
    most, inside, peak, week, start = 0.0, 0.0, np.nan, 0, active.today - 7
    for place in range(len(active.days) - 1, -1, -1):
        while active.days[place] < start:
            week, start, inside = week + 1, start - 7, 0.0
        if week >= active.number:
            break
        inside += active.counts[place]
        if inside > most:
            most, peak = inside, float(week)
    return peak


@operator(family="lifecycle", unit="events", nothing=0.0)
def early_count(active: ActiveDays) -> float:
    """The events of the first `number` days, from the day of the first one."""
    early = np.searchsorted(active.days, active.days[0] + np.int64(active.number))
    return float(active.counts[:early].sum())


@operator(family="lifecycle", unit="days", nothing=0.0)
def early_active_days(active: ActiveDays) -> float:
    """The active days among the first `number` days, from the day of the first event."""
    early = np.searchsorted(active.days, active.days[0] + np.int64(active.number))
    return float(early)


@operator(family="lifecycle", unit="value", nothing=0.0)
def early_total(active: ActiveDays) -> float:
    """The values of the first `number` days, from the day of the first event, added up."""
    early = np.searchsorted(active.days, active.days[0] + np.int64(active.number))
    return float(active.totals[:early].sum())
