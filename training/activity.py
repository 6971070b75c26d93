"""Which of a user's activity falls between two instants, and what it was worth: the facts of the rules of thumb."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from features.expressions import Chosen
from features.moments import Moments, counted, owners_of
from features.user_events import FloatArray, UserEvents


@dataclass(frozen=True, slots=True, eq=False)
class Activity(Moments):
    """The events that count as being alive, still sorted by user and time."""

    values: FloatArray

    @classmethod
    def of(
        cls, events: UserEvents, *, kinds: Sequence[str], least_value: float = 0.0, known_before: int | None = None
    ) -> Self:
        """The events of these kinds; all but the reserved ones when no kinds are given.

        With a `least_value` only those that are worth as much, with `known_before` (microseconds since 1970 UTC) only
        those that had been received by then.
        """
        kept = counted(events, Chosen(tuple(kinds), least=least_value or None), known_before=known_before)
        places = np.flatnonzero(kept)
        return cls(events.user_ids, owners_of(events, places), events.times[places], events.values[places])
