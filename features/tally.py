"""The kernel: walks one user's events from the cutoff back into the past, once, and tallies what a plan asks for.

It is the only loop over events in the product. Whole-day ages make active days additive, so a window is the
sum of its spans; sums run from the newest event to the oldest in a fixed order, so that a user's tallies are the
same to the bit in a training set, in tonight's batch and in a request.
"""

from typing import TYPE_CHECKING

import numba
import numpy as np
from numpy.typing import NDArray

from features.expressions import Statistic
from features.plan import STATISTICS, Plan
from features.user_events import UserEvents
from features.windows import MICROSECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Callable

_COUNT = STATISTICS.index(Statistic.COUNT)
_TOTAL = STATISTICS.index(Statistic.TOTAL)
_VALUED = STATISTICS.index(Statistic.VALUED)
_MAXIMUM = STATISTICS.index(Statistic.MAXIMUM)
_ACTIVE_DAYS = STATISTICS.index(Statistic.ACTIVE_DAYS)
_WEEKEND = STATISTICS.index(Statistic.WEEKEND)
_NIGHT = STATISTICS.index(Statistic.NIGHT)
_LAST = STATISTICS.index(Statistic.LAST)
_FIRST = STATISTICS.index(Statistic.FIRST)
_GAPS = STATISTICS.index(Statistic.GAPS)
_GAP_TOTAL = STATISTICS.index(Statistic.GAP_TOTAL)
_GAP_SQUARES = STATISTICS.index(Statistic.GAP_SQUARES)
_GAP_LONGEST = STATISTICS.index(Statistic.GAP_LONGEST)
_GAP_NEWEST = STATISTICS.index(Statistic.GAP_NEWEST)
_GAPS_LONGER = STATISTICS.index(Statistic.GAPS_LONGER)
_DECAYED = STATISTICS.index(Statistic.DECAYED)  # the last one: a row for each half-life follows
_DAY = MICROSECONDS_PER_DAY
_THURSDAY, _SATURDAY = 3, 5  # Monday is 0; 1970-01-01 was a Thursday
_NIGHT_ENDS = MICROSECONDS_PER_DAY // 4  # six in the morning


def tally(
    events: UserEvents, plan: Plan, *, rows: NDArray[np.int64], cutoffs: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The tallies `[len(rows), len(plan.blank)]` of users `rows[i]` at `cutoffs[i]` (microseconds since 1970)."""
    selection_offsets, selections = plan.selections_of(events.kind_names)
    tallies = np.empty((len(rows), len(plan.blank)), dtype=np.float64)
    _walk(
        tallies,
        np.ascontiguousarray(rows, dtype=np.int64),
        np.ascontiguousarray(cutoffs, dtype=np.int64),
        events.offsets,
        events.times,
        events.kinds,
        events.values,
        selection_offsets,
        selections,
        plan.slots,
        plan.blank,
        plan.span_of_day,
        plan.decay,
    )
    return tallies


def _read_only(dtype: numba.types.Type, dimensions: int = 1) -> numba.types.Array:
    return numba.types.Array(dtype, dimensions, "C", readonly=True)  # Arrow hands out read-only memory


_compiled: "Callable[[Callable[..., None]], Callable[..., None]]" = numba.njit(  # numba ships no types
    numba.void(
        numba.float64[:, ::1],
        *[_read_only(numba.int64)] * 4,
        _read_only(numba.int32),
        _read_only(numba.float64),
        *[_read_only(numba.int64)] * 2,
        _read_only(numba.int64, 2),
        _read_only(numba.float64),
        _read_only(numba.int64),
        _read_only(numba.float64, 2),
    ),
    cache=True,  # compiled once, at set-up, never during a request
    nogil=True,
)


@_compiled
def _walk(  # noqa: C901, PLR0912, PLR0913, PLR0915, PLR0917 - the one page of the kernel; numba takes no objects
    tallies: NDArray[np.float64],
    rows: NDArray[np.int64],
    cutoffs: NDArray[np.int64],
    offsets: NDArray[np.int64],
    times: NDArray[np.int64],
    kinds: NDArray[np.int32],
    values: NDArray[np.float64],
    selection_offsets: NDArray[np.int64],
    selections: NDArray[np.int64],
    slots: NDArray[np.int64],
    blank: NDArray[np.float64],
    span_of_day: NDArray[np.int64],
    decay: NDArray[np.float64],
) -> None:
    oldest_day = len(span_of_day) - 1
    oldest_decay = decay.shape[1] - 1
    newer_day = np.empty(slots.shape[1], dtype=np.int64)  # the age of the active day just met, by selection
    silence = np.empty(slots.shape[1], dtype=np.float64)
    for row in range(len(rows)):
        out = tallies[row]
        out[:] = blank
        newer_day[:] = -1
        user, cutoff = rows[row], cutoffs[row]
        start = offsets[user]
        stop = start + np.searchsorted(times[start : offsets[user + 1]], cutoff)  # events at the cutoff are not seen
        for event in range(stop - 1, start - 1, -1):
            time, value = times[event], values[event]
            day = (cutoff - 1 - time) // _DAY
            span = span_of_day[min(day, oldest_day)]
            age = (cutoff - time) / _DAY
            weekend = (time // _DAY + _THURSDAY) % 7 >= _SATURDAY
            night = time % _DAY < _NIGHT_ENDS
            kind = kinds[event]
            for place in range(selection_offsets[kind], selection_offsets[kind + 1]):
                s = selections[place]
                if slots[_COUNT, s] >= 0:
                    out[slots[_COUNT, s] + span] += 1.0
                if weekend and slots[_WEEKEND, s] >= 0:
                    out[slots[_WEEKEND, s] + span] += 1.0
                if night and slots[_NIGHT, s] >= 0:
                    out[slots[_NIGHT, s] + span] += 1.0
                if not np.isnan(value):
                    if slots[_TOTAL, s] >= 0:
                        out[slots[_TOTAL, s] + span] += value
                    if slots[_VALUED, s] >= 0:
                        out[slots[_VALUED, s] + span] += 1.0
                    if slots[_MAXIMUM, s] >= 0:
                        slot = slots[_MAXIMUM, s] + span
                        if not out[slot] >= value:  # also where nothing is there yet
                            out[slot] = value
                for half_life in range(decay.shape[0]):
                    if slots[_DECAYED + half_life, s] >= 0:
                        out[slots[_DECAYED + half_life, s]] += decay[half_life, min(day, oldest_decay)]
                if slots[_FIRST, s] >= 0:
                    out[slots[_FIRST, s]] = age
                if newer_day[s] == day:
                    continue
                if slots[_ACTIVE_DAYS, s] >= 0:
                    out[slots[_ACTIVE_DAYS, s] + span] += 1.0
                if newer_day[s] < 0:
                    silence[s] = age
                    if slots[_LAST, s] >= 0:
                        out[slots[_LAST, s]] = age
                else:
                    gap = np.float64(day - newer_day[s])
                    if slots[_GAPS, s] >= 0:
                        out[slots[_GAPS, s]] += 1.0
                    if slots[_GAP_TOTAL, s] >= 0:
                        out[slots[_GAP_TOTAL, s]] += gap
                    if slots[_GAP_SQUARES, s] >= 0:
                        out[slots[_GAP_SQUARES, s]] += gap * gap
                    if slots[_GAP_LONGEST, s] >= 0 and not out[slots[_GAP_LONGEST, s]] >= gap:
                        out[slots[_GAP_LONGEST, s]] = gap
                    if slots[_GAP_NEWEST, s] >= 0 and np.isnan(out[slots[_GAP_NEWEST, s]]):
                        out[slots[_GAP_NEWEST, s]] = gap
                    if slots[_GAPS_LONGER, s] >= 0 and gap >= silence[s]:
                        out[slots[_GAPS_LONGER, s]] += 1.0
                newer_day[s] = day
