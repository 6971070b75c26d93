"""The kernel: walks one user's events once, day by day into the past of many cutoffs, and fills the cells of a plan.

It is the only loop over events in the product. The days of a user count back from the cutoff, so all cutoffs at one
time of day share them: what the events up to each day add up to is kept, and a window is the difference of two such
sums. Sums run from a user's first event on and depend on nothing after the cutoff, so a user's cells are the same to
the bit in a training set, in tonight's batch, in a request and on Spark. Totals carry what rounding lost (Knuth's
TwoSum, The Art of Computer Programming vol. 2, 4.2.2), so that the difference of two large sums is as exact as a sum
of its own.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from features import compiled, expressions, kernel_breadth, kernel_days, kernel_tables, operators, plan
from features.kernel_breadth import fill_breadth
from features.kernel_days import collect, fill_rows
from features.kernel_tables import (
    ASKED,
    DAY,
    HAPPENED,
    NEVER,
    Asked,
    Happened,
    Integers,
    Numbers,
    Seen,
    part,
    read_only,
    room_for_days,
    room_for_slots,
)

_TYPES: Any = numba.types  # Any: Numba ships no types
_WALK = _TYPES.void(_TYPES.float64[:, ::1], *[read_only(_TYPES.int64)] * 2, HAPPENED, ASKED)
_MADE_OF = (compiled, expressions, kernel_breadth, kernel_days, kernel_tables, operators, plan)


@part
def _came_late(times: Integers, received: Integers, start: int, stop: int, cutoffs: Integers) -> bool:
    """Whether an event was received so late that one of the cutoffs (ascending) must not see it."""
    for event in range(start, stop):
        if received[event] > times[event]:
            for cutoff in cutoffs:
                if cutoff > times[event]:
                    if cutoff <= received[event]:
                        return True
                    break
    return False


def _linked(sources: int) -> Callable[[Numbers, Integers, Integers, Happened, Asked], None]:
    """The walk, compiled and kept on disk as long as the `sources` that it is made of stay the same.

    Numba looks at this file alone to see whether its copy is still good; a constant of the function counts as well.
    """

    def walk(cells: Numbers, users: Integers, cutoffs: Integers, happened: Happened, asked: Asked) -> None:
        if sources == 0:
            return
        days = room_for_days(users, happened, asked)
        slots = room_for_slots(users, happened, asked)
        first = 0
        while first < len(users):
            user, phase = users[first], cutoffs[first] % DAY
            end = first + 1
            while end < len(users) and users[end] == user and cutoffs[end] % DAY == phase:
                end += 1
            start, stop = happened.offsets[user], happened.offsets[user + 1]
            late = _came_late(happened.times, happened.received, start, stop, cutoffs[first:end])
            if late:  # each of these cutoffs knew another past, so it gets days of its own
                end = first + 1
            known = cutoffs[first] if late else NEVER
            seen = Seen(start, stop, phase, cutoffs[end - 1], known)
            collect(happened, asked, days, seen)
            fill_rows(asked, days, phase, cutoffs[first:end], cells[first:end])
            if len(asked.trackers):
                fill_breadth(happened, asked, slots, seen, cutoffs[first:end], cells[first:end])
            first = end

    compiled: Callable[[Numbers, Integers, Integers, Happened, Asked], None] = numba.njit(
        _WALK, cache=True, nogil=True, error_model="numpy"
    )(walk)
    return compiled


def _digest() -> int:
    """A number that changes with the text of the files that the kernel is made of."""
    texts = [Path(str(module.__file__)).read_bytes() for module in _MADE_OF]
    return int.from_bytes(hashlib.sha256(b"".join(texts)).digest()[:4], "big") + 1


_walk = _linked(_digest())


def walk(cells: Numbers, users: Integers, cutoffs: Integers, happened: Happened, asked: Asked) -> None:
    """Fill `cells[i]` for user `users[i]` at `cutoffs[i]`, which are sorted by user, time of day and cutoff."""
    _walk(cells, users, cutoffs, happened, asked)
