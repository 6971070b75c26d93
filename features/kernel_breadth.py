"""The breadth of a user: which kinds, or texts of a property, he met when."""

import numpy as np

from features.expressions import Variety
from features.kernel_tables import DAY, Asked, Codes, Happened, Integers, Numbers, Seen, Slots, part, within
from features.plan import VARIETIES

_DISTINCT = VARIETIES.index(Variety.DISTINCT)
_NEW = VARIETIES.index(Variety.NEW)
_LOST = VARIETIES.index(Variety.LOST)
_LOGS = np.arange(512) * np.log2(np.maximum(np.arange(512), 1))  # n log n: logarithms are dear
_ALWAYS = np.iinfo(np.int64).min


@part
def fill_breadth(  # noqa: C901, PLR0912 - one unpacking of the tuples for all rows of a user
    happened: Happened, asked: Asked, slots: Slots, seen: Seen, cutoffs: Integers, cells: Numbers
) -> None:
    """Fill the cells of breadth of one user's ascending cutoffs; `seen.until` is the last of them."""
    times, trackers, varieties = happened.times, asked.trackers, asked.varieties
    of_code, met, codes, firsts, lasts = slots.of_code, slots.met, slots.code, slots.first, slots.last
    counts, inside, entered, left, looked = slots.counts, slots.inside, slots.entered, slots.left, slots.looked
    for tracker in range(len(met)):  # nothing is met yet by this user
        for slot in range(met[tracker]):
            of_code[tracker, codes[tracker, slot]] = -1
            inside[:, slot] = 0.0
        met[tracker] = 0
        _look(happened, asked, seen, tracker, looked)
    entered[:], left[:] = seen.start, seen.start
    event = seen.start
    for row in range(len(cutoffs)):
        while event < seen.stop and times[event] < cutoffs[row]:
            day = (times[event] - seen.phase) // DAY
            for tracker in range(len(trackers)):
                code = looked[tracker, event - seen.start]
                if code < 0:
                    continue
                if of_code[tracker, code] < 0:
                    of_code[tracker, code], codes[tracker, met[tracker]] = met[tracker], code
                    firsts[tracker, met[tracker]], counts[tracker, met[tracker]] = day, 0.0
                    met[tracker] += 1
                lasts[tracker, of_code[tracker, code]] = day
                counts[tracker, of_code[tracker, code]] += 1.0
            event += 1
        today = (cutoffs[row] - seen.phase) // DAY
        for entry in range(len(varieties)):
            tracker, what, span = varieties[entry, 0], varieties[entry, 1], varieties[entry, 2]
            since = today - span if span else _ALWAYS
            if what == _DISTINCT:
                answer = float(_number_since(lasts, tracker, met[tracker], since))
            elif what == _NEW:
                answer = float(_number_since(firsts, tracker, met[tracker], since))
            elif what == _LOST:
                answer = float(met[tracker] - _number_since(lasts, tracker, met[tracker], since))
            elif span == 0:
                answer = _entropy(counts, tracker, met[tracker])
            else:
                gone = left[entry]  # the window moves on from where it was at the cutoff before
                while gone < event and times[gone] < cutoffs[row] - span * DAY:
                    if gone < entered[entry] and looked[tracker, gone - seen.start] >= 0:
                        inside[entry, of_code[tracker, looked[tracker, gone - seen.start]]] -= 1.0
                    gone += 1
                for place in range(max(entered[entry], gone), event):
                    if looked[tracker, place - seen.start] >= 0:
                        inside[entry, of_code[tracker, looked[tracker, place - seen.start]]] += 1.0
                entered[entry], left[entry] = event, gone
                answer = _entropy(inside, entry, met[tracker])
            cells[row, varieties[entry, 3]] = answer


@part
def _look(happened: Happened, asked: Asked, seen: Seen, tracker: int, looked: Codes) -> None:
    """Note the codes of a user's events that a tracker looks at (known, of a chosen kind, within bounds); else -1."""
    times, received, kinds = happened.times, happened.received, happened.kinds
    s, bounds = asked.trackers[tracker, 0], asked.bounds
    members, dimension, values = happened.members, asked.trackers[tracker, 1], happened.measures
    measure, dimensions = asked.selections[s, 0], happened.dimensions
    for event in range(seen.start, seen.stop):
        if times[event] >= seen.until:
            break
        looks = received[event] < seen.known and members[s, kinds[event]]
        looks = looks and within(values[measure, event], bounds[s, 0], bounds[s, 1])
        looked[tracker, event - seen.start] = dimensions[dimension, event] if looks else -1


@part
def _number_since(days: Integers, tracker: int, known: int, since: int) -> int:
    """How many days of a tracker are not before another."""
    number = 0
    for place in range(known):
        number += days[tracker, place] >= since
    return number


@part
def _entropy(counts: Numbers, row: int, known: int) -> float:
    """Shannon's entropy in bits of the shares of some counts: the logarithm of their sum less the mean of theirs."""
    total, logs = 0.0, 0.0
    for place in range(known):
        count = counts[row, place]
        total += count
        if count > 1.0:  # the logarithm of 1 is 0
            logs += _LOGS[int(count)] if count < len(_LOGS) else count * np.log2(count)
    return max(0.0, np.log2(total) - logs / total) if total > 0.0 else np.nan
