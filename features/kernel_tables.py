"""What the kernel reads and what it keeps while it walks, as tuples of arrays that Numba can compile for."""

from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

from features.operators import MEMORY, WEEKS
from features.windows import MICROSECONDS_PER_DAY

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]
Codes = NDArray[np.int32]
Flags = NDArray[np.bool_]

DAY = MICROSECONDS_PER_DAY
NEVER = np.iinfo(np.int64).max


class Happened(NamedTuple):
    """The events of a bucket; see `UserEvents`."""

    offsets: Integers
    times: Integers
    kinds: Codes
    received: Integers  # the times themselves where it does not matter
    measures: Numbers  # what a selection may take for an event's value: [measures, events]
    hours: NDArray[np.uint8]  # hours of the week since Monday midnight by each clock: [clocks, events]
    dimensions: Codes  # what breadth is counted of, coded: [dimensions, events]; -1 where there is none
    members: Flags  # whether events of a kind are chosen: [selections, kinds]
    codes: int  # no code of a dimension is as large


class Asked(NamedTuple):
    """The tables of a plan; see `Plan`."""

    selections: Integers
    bounds: Numbers
    looks: Integers  # BOUNDS, DAYS, VALUES and HOURS of each selection
    additives: Integers
    edges: Integers
    masks: Flags
    mask_clocks: Integers  # by which clock the hours of each mask are
    windows: Integers
    window_ends: Integers  # where each selection's begin, and where the last ends
    ages: Integers
    calls: Integers
    numbers: Numbers
    addresses: Integers  # of each operator
    nothing: Numbers  # what each operator answers without an active day
    trackers: Integers
    varieties: Integers
    latest: Integers


class Days(NamedTuple):
    """The active days of one user, selection by selection."""

    active: Integers  # how many there are
    day: Integers  # [selections, room]
    newest: Integers  # time of the day's last event
    oldest: Integers  # time of the first event of all, by selection
    counts: Numbers
    totals: Numbers
    weeks: Numbers  # events in each week counted back from a cutoff: [selections, WEEKS]
    largest: Numbers  # of the day
    peaks: Numbers  # the largest up to the day
    current: Numbers  # the newest value at the end of the day
    sums: Numbers  # [room + 1, additives] of each selection after the other: up to and with each day
    lost: Numbers  # what rounding took from the sums
    reached: Integers  # how many active days lie behind each edge
    before: Integers  # how many active days each call of an operator has seen
    memory: Numbers  # what each call keeps: [calls, MEMORY]
    during: Numbers  # events so far in the hours of each additive
    visible: Integers  # the events that are seen
    day_of: Integers  # the day of each of them
    picked: Integers  # the places in `visible` of those that are chosen


class Seen(NamedTuple):
    """Which of a user's events are looked at: those before `until` that were received before `known`."""

    start: int  # the first event
    stop: int  # after the last one
    phase: int  # the time of day at which days begin, in microseconds after midnight UTC
    until: int
    known: int


class Slots(NamedTuple):
    """The different codes that each tracker met, in the order of meeting them."""

    of_code: Integers  # [trackers, codes]; -1 where not met
    met: Integers
    code: Integers
    first: Integers  # day
    last: Integers  # day
    counts: Numbers
    inside: Numbers  # the counts in the window of each entry: [varieties, codes]
    entered: Integers  # the first event that each entry's window has not met yet
    left: Integers  # the first event that it has not left yet
    looked: Codes  # the code of each of a user's events, -1 where a tracker does not look at it: [trackers, events]


def read_only(dtype: Any, dimensions: int = 1) -> Any:  # Any: Numba ships no types
    """The type of an array that is only read: Arrow hands out memory that cannot be written to."""
    return numba.types.Array(dtype, dimensions, "C", readonly=True)


_TYPES: Any = numba.types
_ONE, _TWO = read_only(_TYPES.int64), read_only(_TYPES.int64, 2)
_HOURS = read_only(_TYPES.uint8, 2)
_NUMBERS, _FLAGS, _CODES = read_only(_TYPES.float64), read_only(_TYPES.boolean, 2), read_only(_TYPES.int32, 2)
HAPPENED = _TYPES.NamedTuple(
    (_ONE, _ONE, read_only(_TYPES.int32), _ONE, read_only(_TYPES.float64, 2), _HOURS, _CODES, _FLAGS, _TYPES.int64),
    Happened,
)
ASKED = _TYPES.NamedTuple(
    (
        *(_TWO, read_only(_TYPES.float64, 2), _ONE, _TWO, _ONE, _FLAGS, _ONE),
        *(_TWO, _ONE, _TWO, _TWO, _NUMBERS, _ONE, _NUMBERS, _TWO, _TWO, _TWO),
    ),
    Asked,
)


def part(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """A part of the kernel: compiled into it."""
    part: Callable[Given, Answer] = numba.njit(nogil=True, error_model="numpy")(function)  # Numba ships no types
    return part


@part
def room_for_days(users: Integers, happened: Happened, asked: Asked) -> Days:
    """Room for the active days of the user who can have most of them."""
    room, most = 1, 0
    for row in range(len(users)):
        start, stop = happened.offsets[users[row]], happened.offsets[users[row] + 1]
        most = max(most, stop - start)
        if stop > start:
            room = max(room, min(stop - start, (happened.times[stop - 1] - happened.times[start]) // DAY + 2))
    selections = len(asked.selections)
    return Days(
        np.zeros(selections, dtype=np.int64),
        np.empty((selections, room), dtype=np.int64),
        np.empty((selections, room), dtype=np.int64),
        np.empty(selections, dtype=np.int64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, WEEKS), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((room + 1) * len(asked.additives), dtype=np.float64),
        np.empty((room + 1) * len(asked.additives), dtype=np.float64),
        np.empty(len(asked.edges), dtype=np.int64),
        np.empty(len(asked.calls), dtype=np.int64),
        np.empty((len(asked.calls), MEMORY), dtype=np.float64),
        np.empty(len(asked.additives), dtype=np.float64),
        np.empty(most + 1, dtype=np.int64),
        np.empty(most + 1, dtype=np.int64),
        np.empty(most + 1, dtype=np.int64),
    )


@part
def room_for_slots(users: Integers, happened: Happened, asked: Asked) -> Slots:
    """Room for all codes that there are, for every tracker."""
    most = 0
    for user in users:
        most = max(most, happened.offsets[user + 1] - happened.offsets[user])
    shape = (len(asked.trackers), happened.codes)
    return Slots(
        np.full(shape, -1, dtype=np.int64),
        np.zeros(len(asked.trackers), dtype=np.int64),
        np.empty(shape, dtype=np.int64),
        np.empty(shape, dtype=np.int64),
        np.empty(shape, dtype=np.int64),
        np.empty(shape, dtype=np.float64),
        np.zeros((len(asked.varieties), happened.codes), dtype=np.float64),
        np.empty(len(asked.varieties), dtype=np.int64),
        np.empty(len(asked.varieties), dtype=np.int64),
        np.empty((len(asked.trackers), most), dtype=np.int32),
    )


@part
def within(value: float, least: float, below: float) -> bool:
    """Whether a value lies between two bounds, each of which may be missing."""
    return (np.isnan(least) or value >= least) and (np.isnan(below) or value < below)
