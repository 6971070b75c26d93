"""The kernel: walks one user's events once, day by day into the past of many cutoffs, and fills the cells of a plan.

It is the only loop over events in the product. The days of a user count back from the cutoff, so all cutoffs at one
time of day share them: what the events up to each day add up to is kept, and a window is the difference of two such
sums. Sums run from a user's first event on and depend on nothing after the cutoff, so a user's cells are the same to
the bit in a training set, in tonight's batch, in a request and on Spark. Totals carry what rounding lost (Knuth's
TwoSum, The Art of Computer Programming vol. 2, 4.2.2), so that the difference of two large sums is as exact as a sum
of its own.
"""

from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from features.compiled import call_operator
from features.expressions import Additive, Variety
from features.operators import ActiveDays
from features.plan import ACTIVE_DAYS, ADDITIVES, BOUNDS, DAYS, EVER, HOURS_PER_WEEK, MAXIMUM, VALUES, VARIETIES
from features.windows import MICROSECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec, TypeVar

    Given = ParamSpec("Given")
    Answer = TypeVar("Answer")

_COUNT = ADDITIVES.index(Additive.COUNT)
_TOTAL = ADDITIVES.index(Additive.TOTAL)
_DURING = ADDITIVES.index(Additive.DURING)
_DISTINCT = VARIETIES.index(Variety.DISTINCT)
_NEW = VARIETIES.index(Variety.NEW)
_LOST = VARIETIES.index(Variety.LOST)
_DAY = MICROSECONDS_PER_DAY
_HOUR = MICROSECONDS_PER_DAY // 24
_THURSDAY = 3 * 24  # 1970-01-01 was one, and Monday midnight is hour 0
_ALWAYS, _NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max

Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Happened(NamedTuple):
    """The events of a bucket; see `UserEvents`."""

    offsets: Integers
    times: Integers
    kinds: NDArray[np.int32]
    received: Integers  # the times themselves where it does not matter
    measures: Numbers  # what a selection may take for an event's value: [measures, events]
    dimensions: NDArray[np.int32]  # what breadth is counted of, coded: [dimensions, events]; -1 where there is none
    members: Flags  # [kinds, selections]
    chosen: Integers  # the same as lists: the selections of each kind, one after the other
    chosen_ends: Integers  # where each kind's begin, and where the last ends
    codes: int  # no code of a dimension is as large


class Asked(NamedTuple):
    """The tables of a plan; see `Plan`."""

    selections: Integers
    bounds: Numbers
    looks: Integers  # BOUNDS, DAYS and VALUES of each selection
    additives: Integers
    edges: Integers
    masks: Flags
    clock_ends: Integers  # where each mask's changes of the clock end in the next two
    clock_starts: Integers
    clock_offsets: Integers
    windows: Integers
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
    largest: Numbers  # of the day
    peaks: Numbers  # the largest up to the day
    current: Numbers  # the newest value at the end of the day
    sums: Numbers  # [room + 1, additives] of each selection after the other: up to and with each day
    lost: Numbers  # what rounding took from the sums
    reached: Integers  # how many active days lie behind each edge
    clocks: Integers  # the change of each mask's clock that was passed last


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
    count: Numbers
    inside: Numbers  # scratch: the count in a window


def _array(dtype: numba.types.Type, dimensions: int = 1) -> numba.types.Array:
    return numba.types.Array(dtype, dimensions, "C", readonly=True)  # Arrow hands out read-only memory


_INTEGERS, _NUMBERS, _FLAGS, _KINDS = numba.int64, numba.float64, numba.boolean, numba.int32
_HAPPENED = numba.types.NamedTuple(
    (
        *(_array(_INTEGERS), _array(_INTEGERS), _array(_KINDS), _array(_INTEGERS)),
        *(_array(_NUMBERS, 2), _array(_KINDS, 2), _array(_FLAGS, 2), _array(_INTEGERS), _array(_INTEGERS), _INTEGERS),
    ),
    Happened,
)
_ASKED = numba.types.NamedTuple(
    (
        *(_array(_INTEGERS, 2), _array(_NUMBERS, 2), _array(_INTEGERS)),
        *(_array(_INTEGERS, 2), _array(_INTEGERS), _array(_FLAGS, 2)),
        *(_array(_INTEGERS), _array(_INTEGERS), _array(_INTEGERS)),
        *(_array(_INTEGERS, 2), _array(_INTEGERS, 2), _array(_INTEGERS, 2), _array(_NUMBERS)),
        *(_array(_INTEGERS), _array(_NUMBERS), _array(_INTEGERS, 2), _array(_INTEGERS, 2), _array(_INTEGERS, 2)),
    ),
    Asked,
)


def _part(function: "Callable[Given, Answer]") -> "Callable[Given, Answer]":
    """A part of the kernel: compiled into it."""
    part: Callable[Given, Answer] = numba.njit(nogil=True, error_model="numpy")(function)  # Numba ships no types
    return part


@_part
def _room_for_days(users: Integers, happened: Happened, asked: Asked) -> Days:
    """Room for the active days of the user who can have most of them."""
    room = 1
    for row in range(len(users)):
        start, stop = happened.offsets[users[row]], happened.offsets[users[row] + 1]
        if stop > start:
            room = max(room, min(stop - start, (happened.times[stop - 1] - happened.times[start]) // _DAY + 2))
    selections = len(asked.selections)
    return Days(
        np.zeros(selections, dtype=np.int64),
        np.empty((selections, room), dtype=np.int64),
        np.empty((selections, room), dtype=np.int64),
        np.empty(selections, dtype=np.int64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((selections, room), dtype=np.float64),
        np.empty((room + 1) * len(asked.additives), dtype=np.float64),
        np.empty((room + 1) * len(asked.additives), dtype=np.float64),
        np.empty(len(asked.edges), dtype=np.int64),
        np.empty(len(asked.masks), dtype=np.int64),
    )


@_part
def _room_for_slots(happened: Happened, asked: Asked) -> Slots:
    shape = (len(asked.trackers), happened.codes)
    return Slots(
        np.full(shape, -1, dtype=np.int64),
        np.zeros(len(asked.trackers), dtype=np.int64),
        np.empty(shape, dtype=np.int64),
        np.empty(shape, dtype=np.int64),
        np.empty(shape, dtype=np.int64),
        np.empty(shape, dtype=np.float64),
        np.empty(happened.codes, dtype=np.float64),
    )


@_part
def _within(value: float, least: float, below: float) -> bool:
    """Whether a value lies between two bounds, each of which may be missing."""
    return (np.isnan(least) or value >= least) and (np.isnan(below) or value < below)


@_part
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


@_part
def _clock_at(time: int, clock: int, end: int, starts: Integers) -> int:
    """The last change of a clock up to a time, found from an earlier one on."""
    while clock + 1 < end and starts[clock + 1] <= time:
        clock += 1
    return clock


@_part
def _is_during(asked: Asked, days: Days, mask: int, time: int) -> bool:
    """Whether a time lies in the hours of a mask, by the clock of its zone; times must ascend."""
    clock = _clock_at(time, days.clocks[mask], asked.clock_ends[mask + 1], asked.clock_starts)
    days.clocks[mask] = clock
    hour = ((time + asked.clock_offsets[clock]) // _HOUR + _THURSDAY) % HOURS_PER_WEEK
    return bool(asked.masks[mask, hour])


@_part
def _begin_user(asked: Asked, days: Days) -> None:
    selections, rows = asked.selections, days.day.shape[1] + 1
    days.active[:] = 0
    days.reached[:] = 0
    days.clocks[:] = asked.clock_ends[:-1]
    for s in range(len(selections)):
        here = selections[s, 1] * rows
        for at in range(here, here + selections[s, 2] - selections[s, 1]):
            days.sums[at] = 0.0
            days.lost[at] = 0.0


@_part
def _collect(happened: Happened, asked: Asked, days: Days, seen: Seen) -> None:  # noqa: C901, PLR0912, PLR0915
    """Sum up a user's events day by day: the hot loop, which takes what it needs out of the tuples first."""
    times, kinds, received, measures = happened.times, happened.kinds, happened.received, happened.measures
    chosen, chosen_ends = happened.chosen, happened.chosen_ends
    selections, bounds, additives, looks = asked.selections, asked.bounds, asked.additives, asked.looks
    active, numbers, newest = days.active, days.day, days.newest
    counts, totals, largest, peaks, current = days.counts, days.totals, days.largest, days.peaks, days.current
    sums, lost, rows = days.sums, days.lost, days.day.shape[1] + 1
    _begin_user(asked, days)
    for event in range(seen.start, seen.stop):
        time, kind = times[event], kinds[event]
        if time >= seen.until:
            break
        if received[event] >= seen.known:
            continue
        day = (time - seen.phase) // _DAY
        for number in range(chosen_ends[kind], chosen_ends[kind + 1]):
            s = chosen[number]
            value = measures[selections[s, 0], event]
            if looks[s] & BOUNDS and not _within(value, bounds[s, 0], bounds[s, 1]):
                continue
            first, width = selections[s, 1], selections[s, 2] - selections[s, 1]
            place = active[s] - 1
            here = first * rows + (place + 1) * width
            if place < 0 or numbers[s, place] != day:
                place += 1
                active[s] = place + 1
                numbers[s, place] = day
                for at in range(here, here + width):  # the day begins with what was summed up before it
                    sums[at + width] = sums[at]
                    lost[at + width] = lost[at]
                here += width
                if place == 0:
                    days.oldest[s] = time
                if looks[s] & DAYS:
                    counts[s, place] = 0.0
                    totals[s, place] = 0.0
                if looks[s] & VALUES:
                    largest[s, place] = np.nan
                    peaks[s, place] = peaks[s, place - 1] if place else np.nan
                    current[s, place] = current[s, place - 1] if place else np.nan
            newest[s, place] = time
            valued = not np.isnan(value)
            if looks[s] & DAYS:
                counts[s, place] += 1.0
                totals[s, place] += value if valued else 0.0
            if valued and looks[s] & VALUES:
                current[s, place] = value
                if not largest[s, place] >= value:  # also where nothing is there yet
                    largest[s, place] = value
                if not peaks[s, place] >= value:
                    peaks[s, place] = value
            for a in range(width):
                what = additives[first + a, 0]
                if what == _COUNT:
                    sums[here + a] += 1.0
                elif what == _DURING:
                    sums[here + a] += _is_during(asked, days, additives[first + a, 1], time)
                elif valued:
                    if what == _TOTAL:
                        before = sums[here + a]
                        after = before + value
                        added = after - before
                        lost[here + a] += (before - (after - added)) + (value - added)
                        sums[here + a] = after
                    else:
                        sums[here + a] += 1.0


@_part
def _reach(asked: Asked, days: Days, today: int) -> None:
    """Move every edge forward to where it lies when `today` begins; edges never move back."""
    selections, edges, active, numbers, reached = asked.selections, asked.edges, days.active, days.day, days.reached
    for s in range(len(selections)):
        behind = 0
        for edge in range(selections[s, 3], selections[s, 4]):  # from the oldest to the cutoff itself
            behind = max(behind, reached[edge])
            while behind < active[s] and numbers[s, behind] <= today - 1 - edges[edge]:
                behind += 1
            reached[edge] = behind


@_part
def _most(numbers: Numbers) -> float:
    """The largest number; missing when all are."""
    most = np.nan
    for number in numbers:
        if number > most or np.isnan(most):
            most = number
    return most


@_part
def _fill_windows(asked: Asked, days: Days, out: Numbers) -> None:
    """A window's sum is what was summed up behind its newer edge less what was behind its older one."""
    windows, selections, reached, largest = asked.windows, asked.selections, days.reached, days.largest
    sums, lost, rows, additives = days.sums, days.lost, days.day.shape[1] + 1, asked.additives
    for entry in range(len(windows)):
        s, additive, cell = windows[entry, 0], windows[entry, 1], windows[entry, 4]
        newer = reached[windows[entry, 2]]
        older = 0 if windows[entry, 3] == EVER else reached[windows[entry, 3]]
        if additive == ACTIVE_DAYS:
            out[cell] = newer - older
        elif additive == MAXIMUM:
            out[cell] = _most(largest[s, older:newer]) if older or not newer else days.peaks[s, newer - 1]
        else:
            width = selections[s, 2] - selections[s, 1]
            here = selections[s, 1] * rows + additive
            upper, lower = here + newer * width, here + older * width
            out[cell] = sums[upper] - sums[lower]
            if additives[asked.selections[s, 1] + additive, 0] == _TOTAL:
                out[cell] += lost[upper] - lost[lower]


@_part
def _fill_days(asked: Asked, days: Days, seen: Seen, out: Numbers) -> None:
    """Fill the cells that look at all active days: ages, newest values and operators."""
    selections, reached, newest = asked.selections, days.reached, days.newest
    ages, latest, calls = asked.ages, asked.latest, asked.calls
    for entry in range(len(ages)):
        s, cell = ages[entry, 0], ages[entry, 2]
        count = reached[selections[s, 4] - 1]
        moment = days.oldest[s] if ages[entry, 1] else newest[s, max(count - 1, 0)]
        out[cell] = (seen.until - moment) / _DAY if count > 0 else np.nan
    for entry in range(len(latest)):
        s, cell = latest[entry, 0], latest[entry, 1]
        count = reached[selections[s, 4] - 1]
        out[cell] = days.current[s, count - 1] if count > 0 else np.nan
    for entry in range(len(calls)):
        s, operator, cell = calls[entry, 0], calls[entry, 1], calls[entry, 2]
        count = reached[selections[s, 4] - 1]
        if count == 0:
            out[cell] = asked.nothing[operator]
            continue
        active = ActiveDays(
            days.day[s, :count],
            days.counts[s, :count],
            days.totals[s, :count],
            (seen.until - seen.phase) // _DAY,
            (seen.until - newest[s, count - 1]) / _DAY,
            asked.numbers[entry],
        )
        out[cell] = call_operator(asked.addresses[operator], active)


@_part
def _forget(slots: Slots) -> None:
    for tracker in range(len(slots.met)):
        for slot in range(slots.met[tracker]):
            slots.of_code[tracker, slots.code[tracker, slot]] = -1
    slots.met[:] = 0


@_part
def _track(happened: Happened, asked: Asked, slots: Slots, seen: Seen) -> int:
    """Note the codes of further events; returns the first event that is not seen yet."""
    times, received, kinds, dimensions = happened.times, happened.received, happened.kinds, happened.dimensions
    measures, members, selections, bounds = happened.measures, happened.members, asked.selections, asked.bounds
    trackers, of_code, met, codes = asked.trackers, slots.of_code, slots.met, slots.code
    firsts, lasts, counts = slots.first, slots.last, slots.count
    for event in range(seen.start, seen.stop):
        if times[event] >= seen.until:
            return event
        if received[event] >= seen.known:
            continue
        day = (times[event] - seen.phase) // _DAY
        for tracker in range(len(trackers)):
            s, code = trackers[tracker, 0], dimensions[trackers[tracker, 1], event]
            if code < 0 or not members[kinds[event], s]:
                continue
            if not _within(measures[selections[s, 0], event], bounds[s, 0], bounds[s, 1]):
                continue
            slot = of_code[tracker, code]
            if slot < 0:
                slot = met[tracker]
                met[tracker] = slot + 1
                of_code[tracker, code] = slot
                codes[tracker, slot], firsts[tracker, slot], counts[tracker, slot] = code, day, 0.0
            lasts[tracker, slot] = day
            counts[tracker, slot] += 1.0
    return seen.stop


@_part
def _entropy(counts: Numbers) -> float:
    """Shannon's entropy in bits of the shares of some counts."""
    total, bits = 0.0, 0.0
    for count in counts:
        total += count
    for count in counts:
        if count > 0.0:
            bits -= count / total * np.log2(count / total)
    return bits if total > 0.0 else np.nan


@_part
def _count_inside(happened: Happened, asked: Asked, slots: Slots, tracker: int, seen: Seen, since: int) -> None:
    """Count the tracker's codes among the events that are seen and not before `since`."""
    times, received, kinds, members = happened.times, happened.received, happened.kinds, happened.members
    s, of_code, inside = asked.trackers[tracker, 0], slots.of_code, slots.inside
    codes, values = happened.dimensions[asked.trackers[tracker, 1]], happened.measures[asked.selections[s, 0]]
    least, below = asked.bounds[s, 0], asked.bounds[s, 1]
    inside[: slots.met[tracker]] = 0.0
    for event in range(seen.stop - 1, seen.start - 1, -1):
        if times[event] < since:
            break
        if codes[event] < 0 or received[event] >= seen.known or not members[kinds[event], s]:
            continue
        if _within(values[event], least, below):
            inside[of_code[tracker, codes[event]]] += 1.0


@_part
def _variety(slots: Slots, tracker: int, what: int, since: int) -> float:
    """How many codes were met since a day, for the first time since then, or not since."""
    found = 0.0
    for slot in range(slots.met[tracker]):
        first, last = slots.first[tracker, slot], slots.last[tracker, slot]
        if (
            (what == _DISTINCT and last >= since)
            or (what == _NEW and first >= since)
            or (what == _LOST and last < since)
        ):
            found += 1.0
    return found


@_part
def _fill_varieties(happened: Happened, asked: Asked, slots: Slots, seen: Seen, out: Numbers) -> None:
    for entry in range(len(asked.varieties)):
        tracker, what, span, cell = asked.varieties[entry]
        if what in {_DISTINCT, _NEW, _LOST}:
            since = (seen.until - seen.phase) // _DAY - span if span else _ALWAYS
            out[cell] = _variety(slots, tracker, what, since)
        elif span == 0:
            out[cell] = _entropy(slots.count[tracker, : slots.met[tracker]])
        else:
            _count_inside(happened, asked, slots, tracker, seen, seen.until - span * _DAY)
            out[cell] = _entropy(slots.inside[: slots.met[tracker]])


@_part
def _fill_row(happened: Happened, asked: Asked, days: Days, slots: Slots, seen: Seen, out: Numbers) -> None:
    """Fill a row of cells from the days that were collected and the codes that were tracked."""
    _reach(asked, days, (seen.until - seen.phase) // _DAY)
    _fill_windows(asked, days, out)
    _fill_days(asked, days, seen, out)
    if len(asked.trackers):
        _fill_varieties(happened, asked, slots, seen, out)


_compiled: "Callable[[Callable[..., None]], Callable[..., None]]" = numba.njit(  # Numba ships no types
    numba.void(numba.float64[:, ::1], *[_array(numba.int64)] * 2, _HAPPENED, _ASKED),
    cache=True,  # compiled once, at set-up, never during a request
    nogil=True,
    error_model="numpy",
)


@_compiled
def walk(cells: Numbers, users: Integers, cutoffs: Integers, happened: Happened, asked: Asked) -> None:
    """Fill `cells[i]` for user `users[i]` at `cutoffs[i]`, which are sorted by user, time of day and cutoff."""
    days = _room_for_days(users, happened, asked)
    slots = _room_for_slots(happened, asked)
    first = 0
    while first < len(users):
        user, phase = users[first], cutoffs[first] % _DAY
        end = first + 1
        while end < len(users) and users[end] == user and cutoffs[end] % _DAY == phase:
            end += 1
        start, stop = happened.offsets[user], happened.offsets[user + 1]
        late = _came_late(happened.times, happened.received, start, stop, cutoffs[first:end])
        if late:  # each of these cutoffs knew another past, so it gets days of its own
            end = first + 1
        known = cutoffs[first] if late else _NEVER
        _collect(happened, asked, days, Seen(start, stop, phase, cutoffs[end - 1], known))
        _forget(slots)
        tracked = start
        for row in range(first, end):
            if len(asked.trackers):
                tracked = _track(happened, asked, slots, Seen(tracked, stop, phase, cutoffs[row], known))
            _fill_row(happened, asked, days, slots, Seen(start, tracked, phase, cutoffs[row], known), cells[row])
        first = end
