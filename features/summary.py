"""What an event log holds, in counts: added up a bucket at a time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.user_events import UserEvents
from features.windows import ceil_second, from_microseconds


@dataclass(frozen=True, slots=True)
class KindSummary:
    """One kind of event in the log."""

    name: str
    events: int
    users: int
    valued: int  # events that came with a value


@dataclass(frozen=True, slots=True)
class LogSummary:
    """What the log holds."""

    events: int
    users: int
    start: datetime  # of the first event
    end: datetime  # the first whole second after the last event
    kinds: tuple[KindSummary, ...]  # most used first


def summarise(buckets: Iterable[UserEvents]) -> LogSummary | None:
    """Counts and span of events whose users are in one bucket each; none when there are no events."""
    tallies = [_tally(events) for events in buckets if len(events)]
    if not tallies:
        return None
    return LogSummary(
        events=sum(kind.events for tally in tallies for kind in tally.kinds),
        users=sum(tally.users for tally in tallies),
        start=from_microseconds(min(tally.start for tally in tallies)),
        end=ceil_second(from_microseconds(max(tally.end for tally in tallies))),
        kinds=_added_up(kind for tally in tallies for kind in tally.kinds),
    )


@dataclass(frozen=True, slots=True)
class _Tally:
    users: int
    start: int
    end: int
    kinds: tuple[KindSummary, ...]


def _tally(events: UserEvents) -> _Tally:
    count = len(events.kind_names)
    user_of_row = np.repeat(np.arange(len(events)), np.diff(events.offsets))
    pairs = np.unique(user_of_row * count + events.kinds)
    rows = np.bincount(events.kinds, minlength=count)
    users = np.bincount(pairs % count, minlength=count)
    valued = np.bincount(events.kinds[~np.isnan(events.values)], minlength=count)
    columns = zip(events.kind_names, rows.tolist(), users.tolist(), valued.tolist(), strict=True)
    kinds = tuple(KindSummary(*each) for each in columns)
    return _Tally(len(events), int(events.times.min()), int(events.times.max()), kinds)


def _added_up(kinds: Iterable[KindSummary]) -> tuple[KindSummary, ...]:
    sums: dict[str, KindSummary] = {}
    for kind in kinds:
        so_far = sums.get(kind.name, KindSummary(kind.name, 0, 0, 0))
        sums[kind.name] = KindSummary(
            kind.name, so_far.events + kind.events, so_far.users + kind.users, so_far.valued + kind.valued
        )
    return tuple(sorted(sums.values(), key=lambda kind: (-kind.events, kind.name)))
