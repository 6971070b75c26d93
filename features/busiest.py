"""How busy users were on their busiest day, a day of UTC; profiles do not count as events."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.expressions import Chosen
from features.user_events import UserEvents
from features.windows import MICROSECONDS_PER_DAY, to_microseconds


def too_busy(
    events: UserEvents, *, limit: int, before: datetime, known_before: datetime | None = None
) -> NDArray[np.bool_]:
    """Which of the `n` users had a day with more than `limit` events before a moment; later events change nothing.

    With `known_before` only events count that had been received by then.
    """
    seen = events.times < to_microseconds(before)
    if known_before is not None and events.received is not None:
        seen &= events.received < to_microseconds(known_before)
    return np.asarray(busiest(events, seen=seen).counts > limit, dtype=np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Busiest:
    """Of each of the `n` users: events on the busiest day, the first such day since 1970, and events in all."""

    counts: NDArray[np.int64]
    days: NDArray[np.int64]
    events: NDArray[np.int64]


def busiest(events: UserEvents, *, seen: NDArray[np.bool_] | None = None) -> Busiest:
    """The busiest day of each user, among the events that are `seen` (none given: all); profiles do not count."""
    ordinary = np.array([Chosen().covers(kind) for kind in events.kind_names], dtype=np.bool_)
    chosen = ordinary[events.kinds] if seen is None else ordinary[events.kinds] & seen
    users = np.repeat(np.arange(len(events)), np.diff(events.offsets))[chosen]
    days = events.times[chosen] // MICROSECONDS_PER_DAY
    starts = np.flatnonzero(np.diff(users, prepend=-1) | np.diff(days, prepend=days[:1]))
    counts = np.diff(np.append(starts, len(users)))
    order = np.lexsort((-starts, counts, users[starts]))  # the last of each user is the first of the busiest days
    of_user = users[starts][order]
    last = np.flatnonzero(np.diff(of_user, append=len(events)))
    found = Busiest(*(np.zeros(len(events), dtype=np.int64) for _ in range(3)))
    found.counts[of_user[last]] = counts[order][last]
    found.days[of_user[last]] = days[starts][order][last]
    found.events[:] = np.bincount(users, minlength=len(events))
    return found
