"""The breadth of a user: which kinds, or texts of a property, he met when."""

import numpy as np

from features.expressions import Variety
from features.kernel_tables import DAY, Asked, Happened, Integers, Numbers, Seen, Slots, part, within
from features.plan import VARIETIES

_DISTINCT = VARIETIES.index(Variety.DISTINCT)
_NEW = VARIETIES.index(Variety.NEW)
_LOST = VARIETIES.index(Variety.LOST)
_ALWAYS = np.iinfo(np.int64).min


@part
def fill_breadth(  # noqa: C901, PLR0912 - one unpacking of the tuples for all rows of a user
    happened: Happened, asked: Asked, slots: Slots, seen: Seen, cutoffs: Integers, cells: Numbers
) -> None:
    """Fill the cells of breadth of one user's ascending cutoffs; `seen.until` is the last of them."""
    times, received, kinds, dimensions = happened.times, happened.received, happened.kinds, happened.dimensions
    measures, members, selections, bounds = happened.measures, happened.members, asked.selections, asked.bounds
    trackers, varieties, of_code, met, codes = asked.trackers, asked.varieties, slots.of_code, slots.met, slots.code
    firsts, lasts, counts, inside = slots.first, slots.last, slots.counts, slots.inside
    for tracker in range(len(met)):  # nothing is met yet by this user
        for slot in range(met[tracker]):
            of_code[tracker, codes[tracker, slot]] = -1
        met[tracker] = 0
    event = seen.start
    for row in range(len(cutoffs)):
        while event < seen.stop and times[event] < cutoffs[row]:
            for tracker in range(len(trackers)):
                s, code = trackers[tracker, 0], dimensions[trackers[tracker, 1], event]
                if code < 0 or received[event] >= seen.known or not members[s, kinds[event]]:
                    continue
                if within(measures[selections[s, 0], event], bounds[s, 0], bounds[s, 1]):
                    if of_code[tracker, code] < 0:
                        _meet(of_code[tracker], met, codes[tracker], tracker, code)
                        firsts[tracker, met[tracker] - 1] = (times[event] - seen.phase) // DAY
                        counts[tracker, met[tracker] - 1] = 0.0
                    lasts[tracker, of_code[tracker, code]] = (times[event] - seen.phase) // DAY
                    counts[tracker, of_code[tracker, code]] += 1.0
            event += 1
        today = (cutoffs[row] - seen.phase) // DAY
        for entry in range(len(varieties)):
            tracker, what, span = varieties[entry, 0], varieties[entry, 1], varieties[entry, 2]
            known = met[tracker]
            since = today - span if span else _ALWAYS
            if what == _DISTINCT:
                answer = float(_number_since(lasts[tracker, :known], since))
            elif what == _NEW:
                answer = float(_number_since(firsts[tracker, :known], since))
            elif what == _LOST:
                answer = float(known - _number_since(lasts[tracker, :known], since))
            elif span == 0:
                answer = _entropy(counts[tracker, :known])
            else:
                s, values = trackers[tracker, 0], measures[selections[trackers[tracker, 0], 0]]
                inside[:known] = 0.0
                for place in range(event - 1, seen.start - 1, -1):
                    if times[place] < cutoffs[row] - span * DAY:
                        break
                    code = dimensions[trackers[tracker, 1], place]
                    if code < 0 or received[place] >= seen.known or not members[s, kinds[place]]:
                        continue
                    if within(values[place], bounds[s, 0], bounds[s, 1]):
                        inside[of_code[tracker, code]] += 1.0
                answer = _entropy(inside[:known])
            cells[row, varieties[entry, 3]] = answer


@part
def _meet(of_code: Integers, met: Integers, codes: Integers, tracker: int, code: int) -> None:
    """Give a code that is met for the first time the next slot."""
    of_code[code] = met[tracker]
    codes[met[tracker]] = code
    met[tracker] += 1


@part
def _number_since(days: Integers, since: int) -> int:
    """How many days are not before another."""
    number = 0
    for place in range(len(days)):
        number += days[place] >= since
    return number


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
