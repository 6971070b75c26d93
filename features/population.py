"""The population: who is eligible at a cutoff. Here whoever was active; subscribers have modules of their own.

`features.subscribed` and `features.paid` are the other kinds; each says in one place who its members are.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import numba
import numpy as np
from numpy.typing import NDArray

from features.busiest import too_busy
from features.expressions import Chosen
from features.user_events import NOTHING_MORE, FloatArray, IntArray, KindArray, UserEvents, Wanted
from features.windows import Interval, to_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER = int(np.iinfo(np.int64).min)  # before every instant, so that a comparison needs no case of its own
_ALWAYS_KNOWN = int(np.iinfo(np.int64).max)


class Eligible(Protocol):
    """Whatever says who is in a snapshot."""

    @property
    def wanted(self) -> Wanted:
        """What it must know of each event beside its user, time, kind and value."""

    def eligible(self, events: UserEvents, *, cutoff: datetime, as_known: bool = False) -> NDArray[np.bool_]:
        """Which of the `n` users are, judged by events before the cutoff only."""


@dataclass(frozen=True, slots=True)
class Population:
    """The users eligible at a cutoff: those with an event of the `activity` kinds (empty: any) in the look-back."""

    activity: tuple[str, ...]
    look_back: timedelta
    most_a_day: int = 0  # who ever had more events on a day is no person and not eligible; 0: no such limit
    least_value: float = 0.0  # an event of smaller value, or of none, is no activity; 0: every event is

    @property
    def alive(self) -> Chosen:
        """The events that count as activity."""
        return Chosen(self.activity, least=self.least_value or None)

    @property
    def wanted(self) -> Wanted:
        """What it must know of each event beside its user, time, kind and value."""
        return NOTHING_MORE

    def eligible(self, events: UserEvents, *, cutoff: datetime, as_known: bool = False) -> NDArray[np.bool_]:
        """Which of the `n` users are members at the cutoff and no machines, `as_known` as far as was known then."""
        known_before = cutoff if as_known else None
        members = self.members(events, cutoff=cutoff, known_before=known_before)
        if not self.most_a_day:
            return members
        return members & ~too_busy(events, limit=self.most_a_day, before=cutoff, known_before=known_before)

    def members(self, events: UserEvents, *, cutoff: datetime, known_before: datetime | None) -> NDArray[np.bool_]:
        """Which of the `n` users were active in `[cutoff - look_back, cutoff)`."""
        look_back = Interval(cutoff - self.look_back, cutoff)
        return active_in(
            events, look_back, kinds=self.activity, least_value=self.least_value, known_before=known_before
        )

    def says(self, language: str = "en") -> str:
        """What its members are, in English or Chinese (zh), to be followed by the cutoff.

        >>> Population((), timedelta(days=60)).says()
        'active in the 60 days before'
        """
        return f"之前 {self.look_back.days} 天内有活动" if language == "zh" else _active(self.look_back)


def _active(look_back: timedelta) -> str:
    return f"active in the {look_back.days} days before"


def active_in(
    events: UserEvents,
    interval: Interval,
    *,
    kinds: tuple[str, ...],
    least_value: float = 0.0,
    known_before: datetime | None = None,
) -> NDArray[np.bool_]:
    """Which of the `n` users had an event of these kinds (empty: of any but reserved ones) in the interval.

    With a `least_value` only events count whose value is as large, with `known_before` only those that had been
    received by then.
    """
    chosen = Chosen(kinds, least=least_value or None)
    newest = newest_of(events, chosen, before=interval.end, since=interval.start, known_before=known_before)
    return np.asarray(newest != NEVER, dtype=np.bool_)


def newest_of(
    events: UserEvents,
    chosen: Chosen,
    *,
    before: datetime,
    since: datetime | None = None,
    known_before: datetime | None = None,
) -> IntArray:
    """When each of the `n` users had the newest of the chosen events in `[since, before)`; `NEVER` without one.

    Microseconds since 1970 UTC.
    """
    counts = np.array([chosen.covers(name) for name in events.kind_names], dtype=np.bool_)
    by_receipt = known_before is not None and events.received is not None
    found = np.full(len(events), NEVER, dtype=np.int64)
    _find_newest(
        found,
        events.offsets,
        events.times,
        events.kinds,
        counts,
        events.values,
        -np.inf if chosen.least is None else chosen.least,
        events.received if by_receipt and events.received is not None else events.times,
        NEVER if since is None else to_microseconds(since),
        to_microseconds(before),
        to_microseconds(known_before) if by_receipt and known_before is not None else _ALWAYS_KNOWN,
    )
    return found


def _read_only(dtype: Any) -> Any:  # Any here and below: Numba ships no types
    return numba.types.Array(dtype, 1, "C", readonly=True)


_compiled: "Callable[[Callable[..., None]], Callable[..., None]]" = numba.njit(
    numba.void(
        numba.int64[::1],
        _read_only(numba.int64),
        _read_only(numba.int64),
        _read_only(numba.int32),
        numba.boolean[::1],
        _read_only(numba.float64),
        numba.float64,
        _read_only(numba.int64),
        *[numba.int64] * 3,
    ),
    cache=True,
    nogil=True,
)


@_compiled
def _find_newest(  # noqa: PLR0913, PLR0917 - Numba takes no objects
    found: IntArray,
    offsets: IntArray,
    times: IntArray,
    kinds: KindArray,
    counts: NDArray[np.bool_],
    values: FloatArray,
    least: float,
    received: IntArray,
    start: int,
    end: int,
    known: int,
) -> None:
    """Look from each user's last event before the end back to the first that counts."""
    any_value = least == -np.inf  # then an event without a value counts too
    for user in range(len(found)):
        event = offsets[user] + np.searchsorted(times[offsets[user] : offsets[user + 1]], end) - 1
        while event >= offsets[user] and times[event] >= start:
            if counts[kinds[event]] and received[event] < known and (any_value or values[event] >= least):
                found[user] = times[event]
                break
            event -= 1
