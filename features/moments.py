"""Instants of many users, and which of them fall into an interval: found for all users at once, without a loop."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.expressions import Chosen
from features.user_events import IntArray, UserEvents


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Instants, sorted by user and time."""

    user_ids: tuple[str, ...]
    owners: IntArray  # per instant: its user's place in user_ids
    times: IntArray  # microseconds since 1970 UTC

    def rows(self, users: NDArray[np.object_], *, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        """For each asked user the rows `first:last` of his instants in `[start, end)`.

        Instants become their rank among all asked edges, so that one sorted key of user and rank finds every
        interval by bisection and nothing can overflow.
        """
        edges = np.unique(np.concatenate([starts, ends]))
        width = len(edges) + 1
        keys = self.owners * width + np.searchsorted(edges, self.times, side="right")
        places = self._places(users) * width
        first = np.searchsorted(keys, places + np.searchsorted(edges, starts) + 1)
        last = np.searchsorted(keys, places + np.searchsorted(edges, ends) + 1)
        return first.astype(np.int64), last.astype(np.int64)

    def any_within(self, users: NDArray[np.object_], *, starts: IntArray, ends: IntArray) -> NDArray[np.bool_]:
        """Which of the asked users have an instant in their `[start, end)`."""
        first, last = self.rows(users, starts=starts, ends=ends)
        return last > first

    def _places(self, users: NDArray[np.object_]) -> IntArray:
        place_of = {user: place for place, user in enumerate(self.user_ids)}
        return np.fromiter((place_of[user] for user in users), dtype=np.int64, count=len(users))


def moments_of(events: UserEvents, which: NDArray[np.bool_]) -> Moments:
    """The times of some of the events."""
    places = np.flatnonzero(which)
    return Moments(events.user_ids, owners_of(events, places), events.times[places])


def counted(events: UserEvents, chosen: Chosen, *, known_before: int | None = None) -> NDArray[np.bool_]:
    """Which events are of the chosen kinds, and worth at least what is asked for.

    With `known_before` (microseconds since 1970 UTC) only those that had been received by then.
    """
    kinds = [chosen.covers(name) for name in events.kind_names]
    kept = np.array(kinds, dtype=np.bool_)[events.kinds]
    if chosen.least is not None:
        kept &= events.values >= chosen.least  # an event without a value is worth nothing that could be compared
    if known_before is not None and events.received is not None:
        kept &= events.received < known_before
    return kept


def owners_of(events: UserEvents, places: IntArray) -> IntArray:
    """Whose the events at these places are, as places in `user_ids`.

    >>> nobody = np.zeros(0, dtype=np.float64)
    >>> two = UserEvents(("ada", "bert"), np.array([0, 2, 3]), np.arange(3), np.zeros(3, np.int32), ("visit",), nobody)
    >>> owners_of(two, np.array([1, 2])).tolist()
    [0, 1]
    """
    return np.searchsorted(events.offsets, places, side="right").astype(np.int64) - 1
