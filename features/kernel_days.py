"""The days of a user: what his events up to each active day add up to, and the cells that follow from it."""

import numpy as np
from numpy.typing import NDArray

from features.compiled import call_operator, lent
from features.expressions import Additive
from features.kernel_tables import DAY, Asked, Days, Flags, Happened, Integers, Numbers, Seen, part, within
from features.operators import MEMORY, WEEKS, ActiveDays
from features.plan import ACTIVE_DAYS, ADDITIVES, BOUNDS, DAYS, EVER, HOURS, VALUES

_COUNT = ADDITIVES.index(Additive.COUNT)
_TOTAL = ADDITIVES.index(Additive.TOTAL)
_VALUED = ADDITIVES.index(Additive.VALUED)
_DURING = ADDITIVES.index(Additive.DURING)
_DECAYED_COUNT = ADDITIVES.index(Additive.DECAYED_COUNT)


@part
def _pick(picked: Integers, visible: Integers, kinds: NDArray[np.int32], chosen: Flags) -> int:
    """List which of the visible events are of a chosen kind, without a branch; returns how many there are."""
    count = 0
    for place in range(len(visible)):
        picked[count] = place
        count += chosen[kinds[visible[place]]]
    return count


@part
def _keep_within(picked: Integers, visible: Integers, values: Numbers, least: float, below: float) -> int:
    """Keep those picked events whose value lies between the bounds; returns how many there are."""
    count = 0
    for place in picked:
        picked[count] = place
        count += within(values[visible[place]], least, below)
    return count


@part
def _count_hours(
    event: int,
    first: int,
    end: int,
    additives: Integers,
    during: Numbers,
    masks: Flags,
    clocks: Integers,
    hours: NDArray[np.uint8],
) -> None:
    """Count an event in the hours that the additives of a selection ask for."""
    for additive in range(first, end):
        mask = additives[additive, 1]
        if mask >= 0:
            during[additive] += masks[mask, hours[clocks[mask], event]]


@part
def _fade(days: int, half_life: int) -> float:
    """What is left of a weight after some days."""
    return float(np.exp2(-days / half_life))


@part
def collect(happened: Happened, asked: Asked, days: Days, seen: Seen) -> None:  # noqa: C901, PLR0912, PLR0915
    """Sum up a user's events day by day, for one selection after the other: the hot loop.

    It takes what it needs out of the tuples first, and keeps the running sums at hand: that is what makes it fast.
    """
    times, kinds, received, members = happened.times, happened.kinds, happened.received, happened.members
    selections, bounds, looks, additives = asked.selections, asked.bounds, asked.looks, asked.additives
    masks, clocks, hours = asked.masks, asked.mask_clocks, happened.hours
    visible, day_of, picked, during = days.visible, days.day_of, days.picked, days.during
    active, all_sums, all_lost, rows = days.active, days.sums, days.lost, days.day.shape[1] + 1
    number_of_visible = 0
    for event in range(seen.start, seen.stop):
        if times[event] >= seen.until:
            break
        if received[event] < seen.known:
            visible[number_of_visible] = event
            day_of[number_of_visible] = (times[event] - seen.phase) // DAY
            number_of_visible += 1
    for s in range(len(selections)):
        values = happened.measures[selections[s, 0]]
        chosen = _pick(picked, visible[:number_of_visible], kinds, members[s])
        if looks[s] & BOUNDS:
            chosen = _keep_within(picked[:chosen], visible, values, bounds[s, 0], bounds[s, 1])
        first, width = selections[s, 1], selections[s, 2] - selections[s, 1]
        what = additives[first : first + width]
        sums, lost = all_sums[first * rows : (first + width) * rows], all_lost[first * rows : (first + width) * rows]
        for a in range(width):
            sums[a], lost[a], during[first + a] = 0.0, 0.0, 0.0
        active[s] = 0
        if chosen == 0:
            continue
        numbers, newest, counts, totals = days.day[s], days.newest[s], days.counts[s], days.totals[s]
        largest, peaks, current = days.largest[s], days.peaks[s], days.current[s]
        days.oldest[s] = times[visible[picked[0]]]
        place, count, valued, total, rest, peak, latest = 0, 0.0, 0.0, 0.0, 0.0, np.nan, np.nan
        on_day, total_of_day, most_of_day = 0.0, 0.0, np.nan
        for number in range(chosen):
            event, day = visible[picked[number]], day_of[picked[number]]
            value = values[event]
            count += 1.0
            on_day += 1.0
            if not np.isnan(value):
                valued += 1.0
                latest = value
                total_of_day += value
                if not most_of_day >= value:  # also where nothing is there yet
                    most_of_day = value
                after = total + value
                added = after - total
                rest += (total - (after - added)) + (value - added)
                total = after
            if looks[s] & HOURS:
                _count_hours(event, first, first + width, additives, during, masks, clocks, hours)
            if number + 1 < chosen and day_of[picked[number + 1]] == day:
                continue
            numbers[place], newest[place] = day, times[event]
            if looks[s] & DAYS:
                counts[place], totals[place] = on_day, total_of_day
            if looks[s] & VALUES:
                if not np.isnan(most_of_day) and not peak >= most_of_day:
                    peak = most_of_day
                largest[place], peaks[place], current[place] = most_of_day, peak, latest
            place += 1
            for a in range(width):
                at, add = place * width + a, what[a, 0]
                if add == _COUNT:
                    sums[at] = count
                elif add == _TOTAL:
                    sums[at] = total
                    lost[at] = rest
                elif add == _VALUED:
                    sums[at] = valued
                elif add == _DURING:
                    sums[at] = during[first + a]
                else:
                    gap = day - numbers[place - 2] if place > 1 else 0
                    of_day = on_day if add == _DECAYED_COUNT else total_of_day
                    sums[at] = sums[at - width] * _fade(gap, what[a, 2]) + of_day
            on_day, total_of_day, most_of_day = 0.0, 0.0, np.nan
        active[s] = place


@part
def _reach(reached: Integers, edges: Integers, selection: Integers, numbers: Integers, active: int, today: int) -> None:
    """Move a selection's edges forward to where they lie when `today` begins; they never move back."""
    behind = 0
    for edge in range(selection[3], selection[4]):  # from the oldest to the cutoff itself
        behind = max(behind, reached[edge])
        while behind < active and numbers[behind] <= today - 1 - edges[edge]:
            behind += 1
        reached[edge] = behind


@part
def _count_weeks(weeks: Numbers, s: int, numbers: Integers, counts: Numbers, count: int, today: int) -> None:
    """Add up the newest days of a selection by week, counted back from where `today` begins."""
    for week in range(WEEKS):
        weeks[s, week] = 0.0
    week, start = 0, today - 7
    for place in range(count - 1, -1, -1):
        while numbers[s, place] < start:
            week, start = week + 1, start - 7
        if week >= WEEKS:
            break
        weeks[s, week] += counts[s, place]


@part
def fill_rows(asked: Asked, days: Days, phase: int, cutoffs: Integers, cells: Numbers) -> None:  # noqa: C901, PLR0912
    """Fill the cells of one user's ascending cutoffs with windows, ages, newest values and operators.

    A window's sum is what was summed up behind its newer edge less what was behind its older one.
    """
    selections, additives, edges = asked.selections, asked.additives, asked.edges
    windows, window_ends = asked.windows, asked.window_ends
    ages, latest, calls, numbers_given, addresses = (
        asked.ages,
        asked.latest,
        asked.calls,
        asked.numbers,
        asked.addresses,
    )
    active, numbers, newest, oldest, current = days.active, days.day, days.newest, days.oldest, days.current
    counts, totals, largest, peaks = days.counts, days.totals, days.largest, days.peaks
    sums, lost, reached, rows = days.sums, days.lost, days.reached, days.day.shape[1] + 1
    before, memory, weeks, looks = days.before, days.memory, days.weeks, asked.looks
    reached[:], before[:] = 0, 0
    for row in range(len(cutoffs)):
        out, today = cells[row], (cutoffs[row] - phase) // DAY  # the number of the day that begins at the cutoff
        for s in range(len(selections)):
            _reach(reached, edges, lent(selections, s, 5), lent(numbers, s, active[s]), active[s], today)
            if looks[s] & DAYS:
                _count_weeks(weeks, s, numbers, counts, reached[selections[s, 4] - 1], today)
            first, width = selections[s, 1], selections[s, 2] - selections[s, 1]
            best, best_newer, best_older = np.nan, -1, -1  # the largest value of the window before
            for entry in range(window_ends[s], window_ends[s + 1]):
                additive, cell = windows[entry, 0], windows[entry, 3]
                newer = reached[windows[entry, 1]]
                older = 0 if windows[entry, 2] == EVER else reached[windows[entry, 2]]
                if additive >= 0:
                    upper, lower = first * rows + newer * width + additive, first * rows + older * width + additive
                    out[cell] = sums[upper] - sums[lower]
                    if additives[first + additive, 0] == _TOTAL:
                        out[cell] += lost[upper] - lost[lower]
                    elif additives[first + additive, 2] and newer:
                        out[cell] *= _fade(today - 1 - numbers[s, newer - 1], additives[first + additive, 2])
                elif additive == ACTIVE_DAYS:
                    out[cell] = newer - older
                elif older > 0 or newer == 0:
                    if newer != best_newer or older > best_older:
                        best, best_newer, best_older = np.nan, newer, newer
                    for place in range(older, best_older):
                        if largest[s, place] > best or np.isnan(best):
                            best = largest[s, place]
                    best_older = older
                    out[cell] = best
                else:
                    out[cell] = peaks[s, newer - 1]
        for entry in range(len(ages)):
            s, count = ages[entry, 0], reached[selections[ages[entry, 0], 4] - 1]
            moment = oldest[s] if ages[entry, 1] else newest[s, max(count - 1, 0)]
            out[ages[entry, 2]] = (cutoffs[row] - moment) / DAY if count > 0 else np.nan
        for entry in range(len(latest)):
            s, count = latest[entry, 0], reached[selections[latest[entry, 0], 4] - 1]
            out[latest[entry, 1]] = current[s, count - 1] if count > 0 else np.nan
        for entry in range(len(calls)):
            s, operator, count = calls[entry, 0], calls[entry, 1], reached[selections[calls[entry, 0], 4] - 1]
            if count == 0:
                out[calls[entry, 2]] = asked.nothing[operator]
                continue
            silence = (cutoffs[row] - newest[s, count - 1]) / DAY
            out[calls[entry, 2]] = call_operator(
                addresses[operator],
                ActiveDays(
                    lent(numbers, s, count),
                    lent(counts, s, count),
                    lent(totals, s, count),
                    lent(weeks, s, WEEKS),
                    today,
                    silence,
                    numbers_given[entry],
                    before[entry],
                    lent(memory, entry, MEMORY),
                ),
            )
            before[entry] = count
