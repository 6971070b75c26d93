"""Which of a user's activity falls between two instants: found for many users and cutoffs at once, without a loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.expressions import Chosen
from features.user_events import FloatArray, IntArray, UserEvents


@dataclass(frozen=True, slots=True)
class Activity:
    """The events that count as being alive, still sorted by user and time."""

    user_ids: tuple[str, ...]
    owners: IntArray  # per event: its user's place in user_ids
    times: IntArray  # microseconds since 1970 UTC
    values: FloatArray

    @classmethod
    def of(cls, events: UserEvents, *, kinds: Sequence[str], known_before: int | None = None) -> Self:
        """The events of these kinds; all but the reserved ones when no kinds are given.

        With `known_before` (microseconds since 1970 UTC) only those that had been received by then.
        """
        owners = np.repeat(np.arange(len(events), dtype=np.int64), np.diff(events.offsets))
        covered = Chosen(tuple(kinds)).covers
        kept = np.array([covered(name) for name in events.kind_names], dtype=bool)[events.kinds]
        if known_before is not None and events.received is not None:
            kept &= events.received < known_before
        if kept.all():
            return cls(events.user_ids, owners, events.times, events.values)
        return cls(events.user_ids, owners[kept], events.times[kept], events.values[kept])

    def rows(self, users: NDArray[np.object_], *, starts: IntArray, ends: IntArray) -> tuple[IntArray, IntArray]:
        """For each asked user the rows `first:last` of his activity in `[start, end)`.

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

    def _places(self, users: NDArray[np.object_]) -> IntArray:
        place_of = {user: place for place, user in enumerate(self.user_ids)}
        return np.fromiter((place_of[user] for user in users), dtype=np.int64, count=len(users))
