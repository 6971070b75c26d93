"""Definitions of churn at the same cutoffs: whom each calls churned, how often they agree, what each gets wrong.

Every definition is asked at the same cutoffs, so that what differs is the meaning and not the season. Two errors are
told of each, whatever its kind, and both are judged by the same span after the horizon: *came back*, of those called
churned, the share with an event that shows that they are there again (activity; after a cancel a new start; after a
lapse a renewal); and *fell silent*, of those called stayed, the share without any activity.

Two definitions are compared on the users whom both look at. Agreement by chance is taken out by kappa (Cohen 1960):
with few churners two definitions agree on most users whatever they mean.

Intervals are bootstrap percentiles over users in random groups, as in `training.silence`.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from itertools import combinations
from operator import add
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.expressions import Chosen
from features.moments import counted, moments_of
from features.pool import OnProgress
from features.snapshots import Bucketed, map_buckets
from features.user_events import FloatArray, IntArray, UserEvents, Wanted
from features.windows import cutoffs_back_from, days, format_span, iso, shift, span_microseconds, to_microseconds
from models.definition import ChurnDefinition
from training import define_tables
from training.silence import Json, Range, draws, number, numbers
from training.silence_counts import GROUPS

EVERY = days(7)  # weekdays stay what they are
MOST_CUTOFFS = 52  # the newest: a year of weeks holds every season once
_SHARES = ("churned", "came_back", "fell_silent")


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """What one definition comes to at the cutoffs."""

    name: str
    definition: ChurnDefinition
    people: IntArray  # in its population at each cutoff
    rates: FloatArray  # the share of them called churned; NaN of nobody
    churned: Range  # over all cutoffs
    came_back: Range  # of those called churned
    fell_silent: Range  # of those called stayed

    @property
    def users_a_cutoff(self) -> float:
        """Mean size of the population."""
        return float(self.people.mean())

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "name": self.name,
            "definition": self.definition.to_json(),
            "id": self.definition.id,
            "says": self.definition.says(),
            "users_a_cutoff": self.users_a_cutoff,
            **{name: getattr(self, name).to_json() for name in _SHARES},
            "by_cutoff": {"users": numbers(self.people), "churned": numbers(self.rates)},
        }


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two definitions on the users whom both look at, all cutoffs together."""

    first: str
    second: str
    users: int  # in both populations, each once a cutoff
    only_first: int  # in the population of the one and not of the other
    only_second: int
    both_churned: float  # shares of those in both
    first_alone: float
    second_alone: float
    same: Range  # the share of the same label
    kappa: Range  # the same beyond chance: 1 always, 0 as by chance

    def to_json(self) -> Json:
        """Plain JSON."""
        shares = {name: number(getattr(self, name)) for name in ("both_churned", "first_alone", "second_alone")}
        counts = {"users": self.users, "only_first": self.only_first, "only_second": self.only_second}
        ranges = {"same": self.same.to_json(), "kappa": self.kappa.to_json()}
        return {"first": self.first, "second": self.second, **counts, **shares, **ranges}


@dataclass(frozen=True, slots=True, eq=False)
class SideBySide:
    """Every definition, and every pair of them."""

    cutoffs: tuple[datetime, ...]
    followed: timedelta  # after each horizon, to see who came back and who fell silent
    sides: tuple[Side, ...]
    agreements: tuple[Agreement, ...]

    def says(self) -> str:
        """The report: plain text, lines of at most 110 characters, no trailing newline."""
        first, last = self.cutoffs[0], self.cutoffs[-1]
        when = f"at {iso(last)[:10]}" if first == last else f"from {iso(first)[:10]} to {iso(last)[:10]}"
        title = f"Your definitions at the same {len(self.cutoffs)} cutoffs, {when}"
        sections = {
            title: define_tables.sides(self.sides, followed=self.followed),
            "How often they agree on the users of both": define_tables.agreements(self.agreements),
        }
        return "\n\n".join(define_tables.section(title, lines) for title, lines in sections.items() if lines)

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "cutoffs": [iso(cutoff) for cutoff in self.cutoffs],
            "followed": format_span(self.followed),
            "sides": [side.to_json() for side in self.sides],
            "agreements": [pair.to_json() for pair in self.agreements],
        }


def side_by_side(
    log: Bucketed,
    definitions: Mapping[str, ChurnDefinition],
    *,
    start: datetime,
    end: datetime,
    seed: int = 0,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> SideBySide:
    """The definitions by name at the newest cutoffs that all of them can be judged at, between the log's ends.

    Raises `BadInput` where the history is too short for that.
    """
    meant = list(definitions.values())
    followed = max(each.horizon for each in meant)
    cutoffs = _cutoffs(meant, followed=followed, start=start, end=end)

    def of_bucket(events: UserEvents) -> _Counts:
        return _counts(events, meant, cutoffs, followed=followed)

    pieces = map_buckets(log, of_bucket, wanted=_wanted(meant), workers=workers, on_progress=on_progress)
    found, drawn = reduce(add, pieces), draws(seed=seed)
    names = list(definitions)
    sides = tuple(_side(place, name, meant[place], found, drawn) for place, name in enumerate(names))
    pairs = tuple(_agreement(both, found, place, drawn=drawn) for place, both in enumerate(combinations(names, 2)))
    return SideBySide(cutoffs, followed, sides, pairs)


def _cutoffs(
    meant: Sequence[ChurnDefinition], *, followed: timedelta, start: datetime, end: datetime
) -> tuple[datetime, ...]:
    """A week apart, newest last: every horizon and what follows it is over, every look-back within the log."""
    newest = min(shift(end, -(each.lead_time + each.horizon + followed)) for each in meant)
    earliest = max(shift(start, each.look_back) for each in meant)
    if newest < earliest:
        longest = max(each.look_back + each.lead_time + each.horizon for each in meant) + followed
        raise BadInput(
            f"the log holds {(end - start) // days(1)} days; to hold these definitions side by side it takes "
            f"{longest // days(1)}: the longest look-back, lead time and horizon, and the longest horizon once more to "
            "see who came back."
        )
    return tuple(cutoffs_back_from(newest, every=EVERY, earliest=earliest)[-MOST_CUTOFFS:])


@dataclass(frozen=True, slots=True, eq=False)
class _Counts:
    """Sums over users, which add up over buckets."""

    people: IntArray  # [groups, definitions, cutoffs]
    churned: IntArray
    back: IntArray  # of the churned
    silent: IntArray  # of those who stayed
    pairs: IntArray  # [groups, pairs, 4]: both stayed, the first alone, the second alone, both churned
    alone: IntArray  # [pairs, 2]: in the one population only

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def _counts(
    events: UserEvents, meant: Sequence[ChurnDefinition], cutoffs: Sequence[datetime], *, followed: timedelta
) -> _Counts:
    inside, gone = (np.zeros((len(meant), len(cutoffs), len(events)), dtype=np.bool_) for _ in range(2))
    groups = np.array([zlib.crc32(user.encode()) % GROUPS for user in events.user_ids], dtype=np.int64)
    back, silent = (np.zeros((GROUPS, len(meant), len(cutoffs)), dtype=np.int64) for _ in range(2))
    for place, each in enumerate(meant):
        for when, cutoff in enumerate(cutoffs):
            inside[place, when] = each.population.eligible(events, cutoff=cutoff)
        which, who = np.nonzero(inside[place])
        labels, again, quiet = _what_became(events, each, which, who, cutoffs=cutoffs, followed=followed)
        gone[place, which, who] = labels
        _tally(back[:, place], groups[who], which, labels & again)
        _tally(silent[:, place], groups[who], which, ~labels & quiet)
    people, churned = (_by_group(mask, groups) for mask in (inside, inside & gone))
    return _Counts(people, churned, back, silent, *_pairs(inside, gone, groups))


def _pairs(inside: NDArray[np.bool_], gone: NDArray[np.bool_], groups: IntArray) -> tuple[IntArray, IntArray]:
    """What each two definitions say of the users of both, and how many are in the population of one alone."""
    couples = list(combinations(range(len(inside)), 2))
    pairs = np.zeros((GROUPS, len(couples), 4), dtype=np.int64)
    alone = np.zeros((len(couples), 2), dtype=np.int64)
    for place, (a, b) in enumerate(couples):
        shared = inside[a] & inside[b]
        _, who = np.nonzero(shared)
        said = gone[a][shared] + 2 * gone[b][shared].astype(np.int64)
        _tally(pairs[:, place], groups[who], said, np.ones(len(who), dtype=np.bool_))
        alone[place] = (inside[a] & ~inside[b]).sum(), (inside[b] & ~inside[a]).sum()
    return pairs, alone


def _what_became(
    events: UserEvents,
    meant: ChurnDefinition,
    which: IntArray,
    who: IntArray,
    *,
    cutoffs: Sequence[datetime],
    followed: timedelta,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Of users at cutoffs who churned; who showed afterwards that he is back; who showed no activity afterwards."""
    users = np.array(events.user_ids, dtype=object)[who]
    horizons = [meant.horizon_of(cutoff) for cutoff in cutoffs]
    starts, ends = (
        np.array([to_microseconds(moment) for moment in moments], dtype=np.int64)[which]
        for moments in zip(*((each.start, each.end) for each in horizons), strict=True)
    )
    labels = meant.churned(events, users=users, starts=starts, ends=ends)
    later = ends + span_microseconds(followed)

    def seen(chosen: Chosen) -> NDArray[np.bool_]:
        return moments_of(events, counted(events, chosen)).any_within(users, starts=ends, ends=later)

    return labels, seen(meant.back), ~seen(meant.active.alive)


def _tally(into: IntArray, groups: IntArray, columns: IntArray, chosen: NDArray[np.bool_]) -> None:
    """Add one for each chosen row at its group and column."""
    np.add.at(into, (groups[chosen], columns[chosen]), 1)


def _by_group(mask: NDArray[np.bool_], groups: IntArray) -> IntArray:
    """Users of `[definitions, cutoffs, users]` as `[groups, definitions, cutoffs]`."""
    found = np.zeros((GROUPS, *mask.shape[:2]), dtype=np.int64)
    np.add.at(found, groups, np.moveaxis(mask, 2, 0).astype(np.int64))
    return found


def _side(place: int, name: str, meant: ChurnDefinition, found: _Counts, drawn: FloatArray) -> Side:
    people, churned = found.people[:, place], found.churned[:, place]
    stayed = people - churned
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = churned.sum(axis=0) / people.sum(axis=0)
    return Side(
        name,
        meant,
        people.sum(axis=0),
        rates,
        churned=_share(churned, people, drawn),
        came_back=_share(found.back[:, place], churned, drawn),
        fell_silent=_share(found.silent[:, place], stayed, drawn),
    )


def _share(part: IntArray, whole: IntArray, drawn: FloatArray) -> Range:
    """The share over all cutoffs; both are `[groups, cutoffs]`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = (drawn @ part.sum(axis=1)) / (drawn @ whole.sum(axis=1))
    return Range.of(float(found[0]), found[1:])


def _agreement(names: tuple[str, str], found: _Counts, place: int, *, drawn: FloatArray) -> Agreement:
    cells = drawn @ found.pairs[:, place]
    total = cells.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        stayed, first, second, both = (cells / total[:, None]).T
        same = stayed + both
        by_chance = (first + both) * (second + both) + (stayed + second) * (stayed + first)
        kappa = (same - by_chance) / (1 - by_chance)
    only_first, only_second = found.alone[place].tolist()
    return Agreement(
        *names,
        users=int(total[0]),
        only_first=only_first,
        only_second=only_second,
        both_churned=float(both[0]),
        first_alone=float(first[0]),
        second_alone=float(second[0]),
        same=Range.of(float(same[0]), same[1:]),
        kappa=Range.of(float(kappa[0]), kappa[1:]),
    )


def _wanted(meant: Sequence[ChurnDefinition]) -> Wanted:
    names = {name for each in meant for name in each.population.wanted.properties}
    return Wanted(properties=tuple(sorted(names)))
