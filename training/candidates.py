"""Definitions side by side: which share of the population each calls churned, when, and what it leaves to learn from.

At every cutoff that the history allows, as training takes them (a week apart, or two days for short horizons), the
population is who acted in the look-back, and churned is who then did not act in the horizon. No feature is computed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.user_events import FloatArray, IntArray
from features.windows import cutoffs_back_from, days, format_span, iso, shift, span_microseconds, to_microseconds
from models.definition import ChurnDefinition
from training.silence import Json, Range, band, number, numbers
from training.silence_counts import GROUPS, Acts
from training.splits import SHORT_HORIZON, plan

USUAL_DAYS = (7, 14, 30, 60, 90, 180, 365)  # what people call a week, a fortnight, a month, a quarter, a year
LOOK_BACKS = 3  # usual spans from the horizon on: longer ones hardly add users who can still be lost
MOST_CUTOFFS = 104  # newest ones looked at: two years of weeks
MONTH = days(30)  # what a trend is told by


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """The cutoffs of all candidates in one list, and the instants at which users are looked at."""

    candidates: tuple[ChurnDefinition, ...]
    cutoffs: tuple[datetime, ...]  # of each row
    of: IntArray  # candidate of each row
    instants: IntArray  # ascending: every cutoff and every start of a horizon
    at: IntArray  # place of each row's cutoff among them
    starts: IntArray  # the same of its horizon's start
    look_backs: IntArray  # microseconds
    horizons: IntArray
    followed: NDArray[np.bool_]  # whether `gone_after` is longer than its horizon, and over since its cutoff

    @classmethod
    def up_to(cls, candidates: Sequence[ChurnDefinition], *, start: datetime, end: datetime, gone_after: int) -> Self:
        """The closed cutoffs of each candidate between the start and the end of the log; `gone_after` is in days."""
        dated = [(place, cutoff) for place, each in enumerate(candidates) for cutoff in _cutoffs(each, start, end)]
        spans = [(candidates[place], cutoff, candidates[place].horizon_of(cutoff)) for place, cutoff in dated]
        at = _instants(cutoff for _, cutoff, _ in spans)
        begins = _instants(span.start for _, _, span in spans)
        instants = np.unique(np.concatenate([at, begins]))
        return cls(
            tuple(candidates),
            tuple(cutoff for _, cutoff in dated),
            np.array([place for place, _ in dated], dtype=np.int64),
            instants,
            np.searchsorted(instants, at),
            np.searchsorted(instants, begins),
            np.array([span_microseconds(each.look_back) for each, _, _ in spans], dtype=np.int64),
            np.array([span_microseconds(each.horizon) for each, _, _ in spans], dtype=np.int64),
            np.array([span.end < shift(cutoff, days(gone_after)) <= end for _, cutoff, span in spans], dtype=np.bool_),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """Users and churners of every row by group; adds up over buckets."""

    people: IntArray  # [groups, rows]
    churned: IntArray
    later: IntArray  # of the churned, who acted before `gone_after` was over
    users: IntArray  # [candidates] different users in any of its populations

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def count_labels(acts: Acts, rows: Rows, *, gone_after: int) -> Labels:
    """Who was in each row's population and what then happened; `gone_after` is in microseconds."""
    people, churned, later = (np.zeros((GROUPS, len(rows.of)), dtype=np.int64) for _ in range(3))
    users = np.zeros(len(rows.candidates), dtype=np.int64)
    when = (rows.instants, rows.of, rows.at, rows.starts)
    _count(acts.offsets, acts.times, acts.groups, *when, rows.look_backs, rows.horizons, gone_after,
           people, churned, later, users)  # fmt: skip
    return Labels(people, churned, later, users)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """What a definition comes to on this log."""

    definition: ChurnDefinition
    cutoffs: tuple[datetime, ...]  # closed, with somebody in the population, oldest first
    people: IntArray  # in the population at each
    rates: FloatArray  # the share of them that churned
    low: FloatArray
    high: FloatArray
    base_rate: Range  # over all cutoffs
    trend: Range  # change of the rate in a month of 30 days, by a straight line
    next_change: float  # mean absolute change of the rate from one horizon to the next; NaN for too few cutoffs
    came_back: Range  # of those called churned, the share that acted before `gone_after` was over; NaN if not longer
    users: int  # different ones
    fit_cutoffs: int  # that a training would learn from
    untrainable: str  # why there can be no honest training; empty: there can

    @property
    def users_a_cutoff(self) -> float:
        """Mean size of the population; 0 where there is none."""
        return float(self.people.mean()) if len(self.people) else 0.0

    @property
    def fewer_outcome(self) -> float:
        """Users of the rarer outcome at a cutoff, on average."""
        rate = self.base_rate.value
        return 0.0 if np.isnan(rate) else self.users_a_cutoff * min(rate, 1 - rate)

    @property
    def name(self) -> str:
        """Look-back and horizon as `60d/30d`."""
        return name_of(self.definition)

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "name": self.name,
            "definition": self.definition.to_json(),
            "says": self.definition.says(),
            "base_rate": self.base_rate.to_json(),
            "base_rate_change_a_month": self.trend.to_json(),
            "base_rate_change_to_next_horizon": number(self.next_change),
            "churned_but_came_back": self.came_back.to_json(),
            "users": self.users,
            "users_a_cutoff": self.users_a_cutoff,
            "closed_cutoffs": len(self.cutoffs),
            "fit_cutoffs": self.fit_cutoffs,
            "trainable": not self.untrainable,
            "untrainable_because": self.untrainable or None,
            "by_cutoff": {
                "cutoffs": [iso(cutoff) for cutoff in self.cutoffs],
                "users": numbers(self.people),
                "base_rate": numbers(self.rates),
                "low": numbers(self.low),
                "high": numbers(self.high),
            },
        }


def name_of(definition: ChurnDefinition) -> str:
    """Look-back and horizon, as they are typed.

    >>> name_of(ChurnDefinition(look_back=days(60), horizon=days(30)))
    '60d/30d'
    """
    return f"{format_span(definition.look_back)}/{format_span(definition.horizon)}"


def usual(like: ChurnDefinition, *, history: timedelta) -> list[ChurnDefinition]:
    """The same with usual spans, each look-back at least its horizon, of which the history sees one to its end."""
    pairs = [
        (days(look_back), days(horizon))
        for place, horizon in enumerate(USUAL_DAYS)
        for look_back in USUAL_DAYS[place : place + LOOK_BACKS]
    ]
    return [
        replace(like, look_back=look_back, horizon=horizon)
        for look_back, horizon in pairs
        if look_back + like.lead_time + horizon <= history
    ]


def candidates(labels: Labels, rows: Rows, *, start: datetime, end: datetime, drawn: FloatArray) -> list[Candidate]:
    """Each definition's base rate, its course and what can be trained on it between the log's start and end."""
    return [_candidate(place, labels, rows, history=(start, end), drawn=drawn) for place in range(len(rows.candidates))]


def _candidate(
    place: int, labels: Labels, rows: Rows, *, history: tuple[datetime, datetime], drawn: FloatArray
) -> Candidate:
    definition = rows.candidates[place]
    chosen = np.flatnonzero((rows.of == place) & (labels.people.sum(axis=0) > 0))
    cutoffs = tuple(rows.cutoffs[row] for row in chosen)
    people, churned = drawn @ labels.people[:, chosen], drawn @ labels.churned[:, chosen]
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = churned / people
        totals = churned.sum(axis=1) / people.sum(axis=1)
    low, high = band(rates[1:])
    trends = _trends(rates, people, cutoffs)
    fit_cutoffs, untrainable = _training(definition, *history)
    return Candidate(
        definition,
        cutoffs,
        labels.people[:, chosen].sum(axis=0),
        rates[0],
        low,
        high,
        base_rate=Range.of(totals[0], totals[1:]),
        trend=Range.of(trends[0], trends[1:]),
        next_change=_next_change(definition, rates[0], cutoffs),
        came_back=_came_back(labels, chosen[rows.followed[chosen]], drawn=drawn),
        users=int(labels.users[place]),
        fit_cutoffs=fit_cutoffs,
        untrainable=untrainable,
    )


def _came_back(labels: Labels, followed: IntArray, *, drawn: FloatArray) -> Range:
    churned = (drawn @ labels.churned[:, followed]).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = (drawn @ labels.later[:, followed]).sum(axis=1) / churned
    return Range.of(shares[0], shares[1:])


def _trends(rates: FloatArray, people: FloatArray, cutoffs: Sequence[datetime]) -> FloatArray:
    """Each row's slope a month of the least squares line, a cutoff weighted by its users; NaN for fewer than three."""
    if len(cutoffs) < 3:  # noqa: PLR2004 - through two points goes every line
        return np.full(len(rates), np.nan)
    months = np.array([(cutoff - cutoffs[0]) / MONTH for cutoff in cutoffs])
    with np.errstate(divide="ignore", invalid="ignore"):  # a draw may have nobody
        weights = people / people.sum(axis=1, keepdims=True)
        apart = months - (weights * months).sum(axis=1, keepdims=True)
        found: FloatArray = (weights * apart * np.nan_to_num(rates)).sum(axis=1) / (weights * apart**2).sum(axis=1)
    return found


def _next_change(definition: ChurnDefinition, rates: FloatArray, cutoffs: Sequence[datetime]) -> float:
    """Mean absolute change of the rate between cutoffs a lead time and horizon apart, or the next more."""
    ahead = -(-(definition.lead_time + definition.horizon) // _step(definition))
    if len(cutoffs) <= ahead:
        return float("nan")
    return float(np.abs(rates[ahead:] - rates[:-ahead]).mean())


def _training(definition: ChurnDefinition, start: datetime, end: datetime) -> tuple[int, str]:
    """How many cutoffs a training would fit on, or why there can be none."""
    try:
        return len(plan(definition, start=start, end=end).fit), ""
    except BadInput as error:
        return 0, str(error)


def _cutoffs(definition: ChurnDefinition, start: datetime, end: datetime) -> Sequence[datetime]:
    newest = shift(end, -(definition.lead_time + definition.horizon))
    earliest = shift(start, definition.look_back)
    if newest < earliest:
        return ()
    return cutoffs_back_from(newest, every=_step(definition), earliest=earliest)[-MOST_CUTOFFS:]


def _step(definition: ChurnDefinition) -> timedelta:
    """The distance between cutoffs, as `splits.plan` has it."""
    return days(2) if definition.horizon <= SHORT_HORIZON else days(7)


def _instants(moments: Iterable[datetime]) -> IntArray:
    return np.array([to_microseconds(moment) for moment in moments], dtype=np.int64)


@nb.njit(nogil=True, cache=True)
def _count(  # noqa: PLR0913, PLR0917 - Numba takes no objects
    offsets: IntArray,
    times: IntArray,
    groups: IntArray,
    instants: IntArray,
    of: IntArray,
    at: IntArray,
    starts: IntArray,
    look_backs: IntArray,
    horizons: IntArray,
    gone_after: int,
    people: IntArray,
    churned: IntArray,
    later: IntArray,
    users: IntArray,
) -> None:
    """Of each user the last act before and the next act from every instant on, and from these the rows he is in."""
    newest, coming = np.empty(len(instants), dtype=np.int64), np.empty(len(instants), dtype=np.int64)
    seen = np.empty(len(users), dtype=np.bool_)
    never, for_ever = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    for user in range(len(groups)):
        group, first, stop = groups[user], offsets[user], offsets[user + 1]
        row = first
        for place in range(len(instants)):
            while row < stop and times[row] < instants[place]:
                row += 1
            newest[place] = times[row - 1] if row > first else never
            coming[place] = times[row] if row < stop else for_ever
        seen[:] = False
        for each in range(len(of)):
            cutoff, start = instants[at[each]], instants[starts[each]]
            if newest[at[each]] < cutoff - look_backs[each]:
                continue
            people[group, each] += 1
            seen[of[each]] = True
            if coming[starts[each]] >= start + horizons[each]:
                churned[group, each] += 1
                later[group, each] += coming[starts[each]] < cutoff + gone_after
        users += seen
