"""Kinds of event that are written because a user leaves: after them users are gone, as after no other kind.

Gone is what the definition calls so: silent for a horizon, a cancel in it, or paid time that runs out in it.

Of each user and kind the middle event is looked at, one a user, so that users with many events do not outweigh the
others and a kind is not judged by everybody's last day. What follows within a day of it belongs to the same visit.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.expressions import tallies
from features.feature_set import FeatureSet
from features.kinds import is_reserved
from features.snapshots import Bucketed
from features.user_events import IntArray, UserEvents, Wanted
from features.windows import MICROSECONDS_PER_DAY, span_microseconds, to_microseconds
from models.definition import ChurnDefinition

MOST_USERS = 20_000  # enough for a kind that one user in 500 has
SURE = 3.0  # standard errors; a log has dozens of kinds
GONE_SHARE, GONE_LOW = 0.9, 0.8  # of the users who had the event, and what the interval must not fall below
ODDS = 10.0  # times the odds after the other kinds: where nearly all are gone anyway, nothing is special


@dataclass(frozen=True, slots=True)
class Ending:
    """A kind that users have when they leave."""

    kind: str
    users: int  # who had it, one event each
    gone_share: float  # of them, by the definition in the horizon afterwards
    others_share: float  # the same after events of the other kinds
    features: tuple[str, ...]  # that name the kind
    went: str  # what it means to be gone

    def says(self) -> str:
        """What was found, in a sentence."""
        return (
            f"after “{self.kind}” {self.gone_share:.0%} of {self.users:,} users {self.went}, "
            f"after other kinds {self.others_share:.0%}"
        )


@dataclass(frozen=True, slots=True)
class Endings:
    """How much was looked at, and the kinds that were found."""

    users: int
    kinds: int
    found: tuple[Ending, ...]


def endings(log: Bucketed, definition: ChurnDefinition, features: FeatureSet, *, end: datetime) -> Endings:
    """The kinds after which nearly everybody is gone; `end` is until when the log can be believed to be complete."""
    asked, lost, users = Counter[str](), Counter[str](), 0
    for events in _buckets(log, definition.population.wanted):
        users += len(events)
        kinds, gone = _afterwards(events, definition, end=to_microseconds(end))
        names = np.array(events.kind_names, dtype=object)
        asked.update(names[kinds].tolist())
        lost.update(names[kinds[gone]].tolist())
    kinds_asked = [kind for kind in asked if not is_reserved(kind)]
    judged = sorted({*kinds_asked} - {*definition.outcome_kinds})  # whoever had one of these is in no population
    found = (_judged(kind, asked, lost, features, went=definition.outcome.went) for kind in judged)
    return Endings(users, len(kinds_asked), tuple(one for one in found if one is not None))


def _buckets(log: Bucketed, wanted: Wanted) -> Iterator[UserEvents]:
    users = 0
    for bucket in range(log.buckets):
        events = log.read_bucket(bucket, wanted)
        users += len(events)
        yield events
        if users >= MOST_USERS:
            return


def _afterwards(events: UserEvents, definition: ChurnDefinition, *, end: int) -> tuple[IntArray, NDArray[np.bool_]]:
    """The kind of one event a user and kind, and whether he was gone in the horizon after its day."""
    span = span_microseconds(definition.horizon)
    starts = events.times + MICROSECONDS_PER_DAY
    ordinary = np.array([not is_reserved(kind) for kind in events.kind_names], dtype=np.bool_)
    closed = np.flatnonzero((starts + span <= end) & ordinary[events.kinds])
    owners = np.repeat(np.arange(len(events)), np.diff(events.offsets))[closed]
    chosen = closed[_middles(owners * len(events.kind_names) + events.kinds[closed])]
    whose = np.searchsorted(events.offsets, chosen, side="right") - 1
    users = np.array(events.user_ids, dtype=object)[whose]
    gone = definition.churned(events, users=users, starts=starts[chosen], ends=starts[chosen] + span)
    return events.kinds[chosen].astype(np.int64), gone


def _middles(groups: IntArray) -> IntArray:
    """The place of the middle member of each group, the earlier of two; members stand in order of time."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][:1] - 1))
    sizes = np.diff(np.append(starts, len(groups)))
    found: IntArray = order[starts + (sizes - 1) // 2]
    return found


def _judged(kind: str, asked: Counter[str], lost: Counter[str], features: FeatureSet, *, went: str) -> Ending | None:
    users, gone = asked[kind], lost[kind]
    others = asked.total() - users
    if not others:
        return None  # of one kind alone nothing can be said
    share, usual = gone / users, (lost.total() - gone) / others
    rare = wilson_low(gone, users) >= GONE_LOW and share >= GONE_SHARE
    if not rare or _odds(share, users) < ODDS * _odds(usual, others):
        return None
    named = tuple(
        each.name for each in features if any(kind in tally.chosen.kinds for tally in tallies(each.expression))
    )
    return Ending(kind, users, share, usual, named, went)


def wilson_low(hits: int, of: int, *, errors: float = SURE) -> float:
    """The lower end of the interval of a share (Wilson 1927), so many standard errors below.

    >>> round(wilson_low(36, 36), 2)
    0.8
    """
    share, extra = hits / of, errors**2 / of
    spread = errors * (share * (1 - share) / of + errors**2 / (4 * of**2)) ** 0.5
    return float((share + extra / 2 - spread) / (1 + extra))


def _odds(share: float, of: int) -> float:
    """The odds of a share, with half a case on either side so that none and all are numbers (Haldane 1956)."""
    return (share * of + 0.5) / ((1 - share) * of + 0.5)
