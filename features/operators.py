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

MEMORY = 72  # numbers that an operator may keep from one cutoff of a user to the next
WEEKS = 52  # that are counted for all operators


class ActiveDays(NamedTuple):
    """What an operator sees of a user: the days with chosen events before the cutoff, at least one.

    A user's cutoffs are asked in ascending order, so an operator that looks at each day once may go on where it was:
    the first `before` days were there at the cutoff before, and `memory` is as the operator left it then. Where
    `before` is 0 the memory holds anything.
    """

    days: NDArray[np.int64]  # their numbers, ascending: a day's age is `today - 1 - day`
    counts: NDArray[np.float64]  # events on each
    totals: NDArray[np.float64]  # sum of the values on each
    weeks: NDArray[np.float64]  # [WEEKS], events in each of the last weeks, counted back from the cutoff
    today: int  # the number of the day that begins at the cutoff
    silence: float  # days since the newest event
    number: float  # the parameter given in the language
    before: int  # how many of the days the operator has seen
    memory: NDArray[np.float64]  # [MEMORY], its own


Function = Callable[[ActiveDays], float]

_SHORT = 64  # days: gaps below are counted one by one
_LOGS = np.arange(512) * np.log(np.maximum(np.arange(512), 1))  # n log n: logarithms are dear

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
    if active.before == 0:
        active.memory[0] = 0.0
    for place in range(max(active.before, 1), len(active.days)):
        active.memory[0] += float((active.days[place] - active.days[place - 1]) ** 2)
    gaps = len(active.days) - 1
    if gaps == 0:
        return np.nan
    mean = (active.days[-1] - active.days[0]) / gaps
    return math.sqrt(max(0.0, active.memory[0] / gaps - mean * mean))


@operator(family="cadence", unit="days")
def longest_gap(active: ActiveDays) -> float:
    """The most days from one active day to the next; missing with fewer than two active days."""
    if active.before == 0:
        active.memory[0] = np.nan
    for place in range(max(active.before, 1), len(active.days)):
        gap = float(active.days[place] - active.days[place - 1])
        if not active.memory[0] >= gap:
            active.memory[0] = gap
    return float(active.memory[0])


@operator(family="cadence", unit="days")
def newest_gap(active: ActiveDays) -> float:
    """The days between the two newest active days; missing with fewer than two active days."""
    return float(active.days[-1] - active.days[-2]) if len(active.days) > 1 else np.nan


@operator(family="cadence", unit="days")
def gap_quantile(active: ActiveDays) -> float:
    """The gap that a share `number` of the gaps does not exceed: an observed gap, the inverse of their distribution."""
    counts, gaps = active.memory[:_SHORT], len(active.days) - 1  # counting sorts the short gaps, which nearly all are
    if active.before == 0:
        counts[:] = 0.0
    for at in range(max(active.before, 1), len(active.days)):
        gap = active.days[at] - active.days[at - 1]
        if gap < _SHORT:
            counts[gap] += 1.0
    if gaps == 0:
        return np.nan
    left = float(min(max(math.ceil(active.number * gaps), 1), gaps))
    for gap in range(_SHORT):
        left -= counts[gap]
        if left <= 0.0:
            return float(gap)
    long = active.days[1:] - active.days[:-1]
    return float(np.sort(long[long >= _SHORT])[int(left) - 1])


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
    if active.before == 0:
        active.memory[0] = 0.0
    for place in range(max(active.before, 1), len(active.days)):
        gap = active.days[place] - active.days[place - 1]
        active.memory[0] += _LOGS[gap] if gap < len(_LOGS) else gap * math.log(gap)
    if len(active.days) == 1:
        return np.nan
    silence, span = active.today - active.days[-1], float(active.today - active.days[0])
    logs = float(active.memory[0]) + (_LOGS[silence] if silence < len(_LOGS) else silence * math.log(silence))
    return float(min(max(0.0, 1.0 - (math.log(span) - logs / span) / math.log(len(active.days))), 1.0))


@operator(family="cadence", unit="share")
def weekday_focus(active: ActiveDays) -> float:
    """How much active days keep to the same days of the week: 0 for all alike, 1 for one day; missing with one only.

    One less the entropy over the seven days, over its most: the weekly regularity of Boroujeni and others, How to
    Quantify Student's Regularity? (2016).
    """
    counts = active.memory[:7]
    if active.before == 0:
        counts[:] = 0.0
    for place in range(active.before, len(active.days)):
        counts[(active.days[place] - active.days[0]) % 7] += 1.0
    if len(active.days) == 1:
        return np.nan
    logs = 0.0
    for count in counts:
        logs += _LOGS[int(count)] if count < len(_LOGS) else count * math.log(count)
    return min(max(0.0, 1.0 - (math.log(len(active.days)) - logs / len(active.days)) / math.log(7.0)), 1.0)


@operator(family="cadence", unit="share")
def longer_gaps(active: ActiveDays) -> float:
    """The share of the gaps that were at least as long as the present silence, 0 to 1."""
    counts, gaps = active.memory[:_SHORT], len(active.days) - 1
    if active.before == 0:
        counts[:] = 0.0
    for place in range(max(active.before, 1), len(active.days)):
        counts[min(active.days[place] - active.days[place - 1], _SHORT - 1)] += 1.0  # the last stands for all above
    if gaps == 0:
        return np.nan
    longer = 0.0
    if active.silence > _SHORT - 1:
        for place in range(1, len(active.days)):
            longer += active.days[place] - active.days[place - 1] >= active.silence
    else:
        for gap in range(math.ceil(active.silence), _SHORT):
            longer += counts[gap]
    return longer / gaps


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
    longest, streak = 1.0, 1.0
    if active.before > 0:
        longest, streak = float(active.memory[0]), float(active.memory[1])
    for place in range(max(active.before, 1), len(active.days)):
        streak = streak + 1.0 if active.days[place] == active.days[place - 1] + 1 else 1.0
        longest = max(longest, streak)
    active.memory[0], active.memory[1] = longest, streak
    return longest


@operator(family="cadence", unit="weeks", nothing=0.0)
def active_weeks(active: ActiveDays) -> float:
    """In how many of the last `number` weeks, counted back from the cutoff, there was an event."""
    weeks = 0.0
    for week in range(min(int(active.number), len(active.weeks))):
        weeks += active.weeks[week] > 0.0
    return weeks


@operator(family="cadence", unit="weeks", nothing=0.0)
def week_streak(active: ActiveDays) -> float:
    """How many weeks in a row, counted back from the cutoff, had an event; `WEEKS` at most."""
    streak = 0
    while streak < len(active.weeks) and active.weeks[streak] > 0.0:
        streak += 1
    return float(streak)


@operator(family="trend", unit="events a week")
def weekly_slope(active: ActiveDays) -> float:
    """The least-squares slope of the weekly counts over the last `number` weeks; above 0 means growing."""
    slope, weeks = 0.0, min(int(active.number), len(active.weeks))
    for week in range(weeks):
        slope += ((weeks - 1.0) / 2.0 - week) * active.weeks[week]
    squares = weeks * (weeks * weeks - 1.0) / 12.0
    return slope / squares if squares > 0.0 else np.nan


@operator(family="trend", unit="events", nothing=0.0)
def peak_week(active: ActiveDays) -> float:
    """The most events in one of the last `number` weeks, counted back from the cutoff."""
    most = 0.0
    for week in range(min(int(active.number), len(active.weeks))):
        most = max(most, active.weeks[week])
    return most


@operator(family="trend", unit="weeks")
def weeks_since_peak(active: ActiveDays) -> float:
    """How many weeks ago the busiest of the last `number` weeks was; of equal ones the newest."""
    most, peak = 0.0, np.nan
    for week in range(min(int(active.number), len(active.weeks))):
        if active.weeks[week] > most:
            most, peak = active.weeks[week], float(week)
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
