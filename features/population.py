"""The population: who is eligible at a cutoff."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numpy.typing import NDArray

from features.busiest import too_busy
from features.expressions import Chosen
from features.user_events import IntArray, KindArray, UserEvents
from features.windows import Interval, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Population:
    """The users eligible at a cutoff: those with an event of the `activity` kinds (empty: any) in the look-back."""

    activity: tuple[str, ...]
    look_back: timedelta
    most_a_day: int = 0  # who ever had more events on a day is no person and not eligible; 0: no such limit

    def eligible(self, events: UserEvents, *, cutoff: datetime, as_known: bool = False) -> NDArray[np.bool_]:
        """Which of the `n` users were active in `[cutoff - look_back, cutoff)`, `as_known` as far as was known then."""
        known_before = cutoff if as_known else None
        interval = Interval(cutoff - self.look_back, cutoff)
        active = active_in(events, interval, kinds=self.activity, known_before=known_before)
        if not self.most_a_day:
            return active
        return active & ~too_busy(events, limit=self.most_a_day, before=cutoff, known_before=known_before)


def active_in(
    events: UserEvents, interval: Interval, *, kinds: tuple[str, ...], known_before: datetime | None = None
) -> NDArray[np.bool_]:
    """Which of the `n` users had an event of these kinds (empty: of any but reserved ones) in the interval.

    With `known_before` only events count that had been received by then.
    """
    covers = Chosen(kinds).covers
    counts = np.array([covers(name) for name in events.kind_names], dtype=np.bool_)
    by_receipt = known_before is not None and events.received is not None
    found = np.zeros(len(events), dtype=np.bool_)
    _mark_active(
        found,
        events.offsets,
        events.times,
        events.kinds,
        counts,
        events.received if by_receipt and events.received is not None else events.times,
        to_microseconds(interval.start),
        to_microseconds(interval.end),
        to_microseconds(known_before) if by_receipt and known_before is not None else np.iinfo(np.int64).max,
    )
    return found


def _read_only(dtype: Any) -> Any:  # Any here and below: Numba ships no types
    return numba.types.Array(dtype, 1, "C", readonly=True)


_compiled: "Callable[[Callable[..., None]], Callable[..., None]]" = numba.njit(
    numba.void(
        numba.boolean[::1],
        _read_only(numba.int64),
        _read_only(numba.int64),
        _read_only(numba.int32),
        numba.boolean[::1],
        _read_only(numba.int64),
        *[numba.int64] * 3,
    ),
    cache=True,
    nogil=True,
)


@_compiled
def _mark_active(  # noqa: PLR0913, PLR0917 - Numba takes no objects
    found: NDArray[np.bool_],
    offsets: IntArray,
    times: IntArray,
    kinds: KindArray,
    counts: NDArray[np.bool_],
    received: IntArray,
    start: int,
    end: int,
    known: int,
) -> None:
    """Look from each user's last event before the end back to the first that counts."""
    for user in range(len(found)):
        event = offsets[user] + np.searchsorted(times[offsets[user] : offsets[user + 1]], end) - 1
        while event >= offsets[user] and times[event] >= start:
            if counts[kinds[event]] and received[event] < known:
                found[user] = True
                break
            event -= 1
