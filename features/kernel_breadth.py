"""The breadth of a user: which kinds, or texts of a property, he met when."""

import numpy as np

from features.expressions import Variety
from features.kernel_tables import DAY, Asked, Happened, Numbers, Seen, Slots, part, within
from features.plan import VARIETIES

_DISTINCT = VARIETIES.index(Variety.DISTINCT)
_NEW = VARIETIES.index(Variety.NEW)
_LOST = VARIETIES.index(Variety.LOST)
_ALWAYS = np.iinfo(np.int64).min


@part
def forget(slots: Slots) -> None:
    """Begin with a user of whom nothing was met yet."""
    for tracker in range(len(slots.met)):
        for slot in range(slots.met[tracker]):
            slots.of_code[tracker, slots.code[tracker, slot]] = -1
    slots.met[:] = 0


@part
def track(happened: Happened, asked: Asked, slots: Slots, seen: Seen) -> int:
    """Note the codes of further events; returns the first event that is not seen yet."""
    times, received, kinds, dimensions = happened.times, happened.received, happened.kinds, happened.dimensions
    measures, members, selections, bounds = happened.measures, happened.members, asked.selections, asked.bounds
    trackers, of_code, met, codes = asked.trackers, slots.of_code, slots.met, slots.code
    firsts, lasts, counts = slots.first, slots.last, slots.counts
    for event in range(seen.start, seen.stop):
        if times[event] >= seen.until:
            return event
        if received[event] >= seen.known:
            continue
        day = (times[event] - seen.phase) // DAY
        for tracker in range(len(trackers)):
            s, code = trackers[tracker, 0], dimensions[trackers[tracker, 1], event]
            if code < 0 or not members[s, kinds[event]]:
                continue
            if not within(measures[selections[s, 0], event], bounds[s, 0], bounds[s, 1]):
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


@part
def _entropy(counts: Numbers) -> float:
    """Shannon's entropy in bits of the shares of some counts."""
    total, bits = 0.0, 0.0
    for count in counts:
        total += count
    for count in counts:
        if count > 0.0:
            bits -= count / total * np.log2(count / total)
    return bits if total > 0.0 else np.nan


@part
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
        if codes[event] < 0 or received[event] >= seen.known or not members[s, kinds[event]]:
            continue
        if within(values[event], least, below):
            inside[of_code[tracker, codes[event]]] += 1.0


@part
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


@part
def fill_varieties(happened: Happened, asked: Asked, slots: Slots, seen: Seen, out: Numbers) -> None:
    """Fill the cells of breadth from the codes that were tracked before the cutoff."""
    for entry in range(len(asked.varieties)):
        tracker, what, span, cell = asked.varieties[entry]
        if what in {_DISTINCT, _NEW, _LOST}:
            since = (seen.until - seen.phase) // DAY - span if span else _ALWAYS
            out[cell] = _variety(slots, tracker, what, since)
        elif span == 0:
            out[cell] = _entropy(slots.counts[tracker, : slots.met[tracker]])
        else:
            _count_inside(happened, asked, slots, tracker, seen, seen.until - span * DAY)
            out[cell] = _entropy(slots.inside[: slots.met[tracker]])
