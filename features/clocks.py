"""Clocks: at what hour of the week events happened, by the clock of the company or of the user's own time zone.

A user's zone is what his profile said at the time of the event, so a move to another country changes the hours from
then on, and nothing is known too early.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.expressions import Clock
from features.kinds import PROFILE
from features.plan import HOURS_PER_WEEK
from features.user_events import UserEvents
from features.windows import MICROSECONDS_PER_DAY, zone_changes, zone_named

_HOUR = MICROSECONDS_PER_DAY // 24
_THURSDAY = 3 * 24  # 1970-01-01 was one, and Monday midnight is hour 0

_Integers = NDArray[np.int64]


def hours_of_week(events: UserEvents, clocks: Sequence[Clock], *, as_known: bool = False) -> NDArray[np.uint8]:
    """The hour of the week of each event by each clock, 0 from Monday midnight on: `[clocks, events]`.

    With `as_known` a profile counts from when it was received.
    """
    hours = np.empty((len(clocks), len(events.times)), dtype=np.uint8)
    is_profile = np.array([kind == PROFILE for kind in events.kind_names], dtype=np.bool_)
    nothing = np.full(len(events.times), -1, dtype=np.int32)
    received = events.received if as_known and events.received is not None else events.times
    for place, clock in enumerate(clocks):
        told = events.properties[clock.told_by] if clock.told_by else None
        zones = (clock.timezone, *(() if told is None else map(_or(clock.timezone), told.texts)))
        _tell(
            hours[place],
            *(events.offsets, events.times, received),
            nothing if told is None else np.where(is_profile[events.kinds], told.codes, np.int32(-1)),
            *_changes(zones),
        )
    return hours


def _or(usual: str) -> Callable[[str], str]:
    def zone(text: str) -> str:
        try:
            return zone_named(text).key
        except BadInput:
            return usual

    return zone


@lru_cache(maxsize=256)  # users of one country name one zone
def _changes(zones: tuple[str, ...]) -> tuple[_Integers, _Integers, _Integers]:
    """Where each zone's changes begin in the two tables (and the last ends), from when on, the offset from UTC."""
    changes = [zone_changes(name) for name in zones]
    begins = np.cumsum([0, *(len(starts) for starts, _ in changes)], dtype=np.int64)
    return begins, np.concatenate([starts for starts, _ in changes]), np.concatenate([each for _, each in changes])


def _read_only(dtype: Any) -> Any:  # Any: Numba ships no types
    return numba.types.Array(dtype, 1, "C", readonly=True)


_compiled: Callable[[Callable[..., None]], Callable[..., None]] = numba.njit(  # Numba ships no types
    numba.void(
        numba.uint8[::1],
        *[_read_only(numba.int64)] * 3,
        _read_only(numba.int32),
        *[_read_only(numba.int64)] * 3,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)


@_compiled
def _tell(
    hours: NDArray[np.uint8],
    offsets: _Integers,
    times: _Integers,
    received: _Integers,
    told: NDArray[np.int32],
    begins: _Integers,
    starts: _Integers,
    from_utc: _Integers,
) -> None:
    """Read the clock at each event; `told` is the zone that an event names, or -1. The first zone is the usual one."""
    names = np.empty(np.count_nonzero(told >= 0), dtype=np.int64)  # a user's events that name a zone
    change = 0
    for user in range(len(offsets) - 1):
        ahead, named = offsets[user], 0
        for event in range(offsets[user], offsets[user + 1]):
            time, zone = times[event], 0
            while ahead < offsets[user + 1] and times[ahead] <= time:
                if told[ahead] >= 0:
                    names[named] = ahead
                    named += 1
                ahead += 1
            for place in range(named - 1, -1, -1):
                if received[names[place]] <= time:
                    zone = told[names[place]] + 1
                    break
            if not begins[zone] <= change < begins[zone + 1]:
                change = begins[zone]
            while change + 1 < begins[zone + 1] and starts[change + 1] <= time:
                change += 1
            while change > begins[zone] and starts[change] > time:
                change -= 1
            hours[event] = ((time + from_utc[change]) // _HOUR + _THURSDAY) % HOURS_PER_WEEK
