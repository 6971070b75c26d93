"""What came in day by day: is the log fresh, did anything stop, is there as much as usual, are values what they were?

Days are counted back from the log's end, 24 hours each, so that the newest is complete. What is usual of a day is the
median of the same weekday in the weeks before; how much days differ without any reason is the median absolute deviation
of the log ratios of earlier days to their own weekday's median (times 1.4826, as of normal noise), and never less than
what counting alone brings. A day is told of only if it is both beyond that noise and off by a factor that matters.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.kinds import is_reserved
from features.pool import OnProgress
from features.snapshots import Bucketed, map_buckets
from features.user_events import FloatArray, IntArray, UserEvents
from features.windows import MICROSECONDS_PER_DAY, days, iso, shift, to_microseconds
from training.watch import Finding, Gravity, beyond

WEEK = 7
WEEKS = 9  # the newest, and eight before it
DAYS = WEEK * WEEKS
FEWEST_WEEKS = 4  # before a day, of which its usual volume is the median
USUAL_EVENTS = 20  # a day that usually has so many does not have none by chance (e^-20)
NEARLY_NONE = 0.05  # of the usual volume
HALF, TWICE = 0.5, 2.0  # of the usual volume; less of a change is a campaign or a holiday
LEAST_Z = 4.0  # beyond the noise of days: their tails are heavier than normal ones
FRESH_DAYS, STALE_DAYS = 2, 4  # a nightly delivery of whole days is up to two days old
PAUSES = 2  # a kind is silent if it is so many times longer than its longest pause before
VALUED = 50  # events with a value in a week, below which a mean says little
CHANGED_VALUES = 1.25  # the factor of a kind's typical value that matters
RARE = 0.001  # chance that one of all kinds is told of by noise
SHOWN = 3  # kinds and days that a sentence names
_SPREAD = 1.4826  # of the median absolute deviation to a standard deviation, normal noise
_LEAST_SPREAD = 0.01  # of weekly log values: prices that never change are no proof that they never will
_LOG_OF_NOTHING = 0.5  # events, added to both sides of a ratio


@dataclass(frozen=True, slots=True, eq=False)
class Pulse:
    """Counts of ordinary events of the newest days, oldest day first."""

    start: datetime  # of the log
    end: datetime  # of what is looked at: the log's, or the moment of the look if that is earlier
    last: datetime  # the end of the log itself
    daily: dict[str, IntArray]  # of each kind [days]
    valued: dict[str, IntArray]  # those with a value above 0 [days]
    log_values: dict[str, FloatArray]  # sum of the logarithms of these values [days]

    @property
    def total(self) -> IntArray:
        """Events of all kinds [days]."""
        return np.asarray(sum(self.daily.values(), np.zeros(self.days, dtype=np.int64)))

    @property
    def days(self) -> int:
        """How many whole days are known, nine weeks at most."""
        return max(1, min(DAYS, (self.end - self.start) // days(1)))


def pulse(
    log: Bucketed,
    *,
    start: datetime,
    last: datetime,
    at: datetime,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Pulse:
    """What came in before `at`, of a log from `start` to `last`; each bucket of users is read once."""
    end = min(last, at)
    moment = to_microseconds(end)
    pieces = map_buckets(log, lambda events: _piece(events, moment), workers=workers, on_progress=on_progress)
    known = Pulse(start, end, last, {}, {}, {}).days
    kinds = sorted({kind for piece in pieces for kind in piece})
    sums = {kind: sum((piece[kind] for piece in pieces if kind in piece), np.zeros((3, DAYS))) for kind in kinds}
    found = {kind: np.asarray(counts)[:, DAYS - known :] for kind, counts in sums.items()}
    return Pulse(
        start,
        end,
        last,
        {kind: counts[0].astype(np.int64) for kind, counts in found.items()},
        {kind: counts[1].astype(np.int64) for kind, counts in found.items()},
        {kind: counts[2] for kind, counts in found.items()},
    )


def look(seen: Pulse, *, at: datetime, used: Collection[str]) -> list[Finding]:
    """All that the counts say; `used` are the kinds that the model or the definition of churn names (none: all)."""
    parts = (freshness(seen, at=at), gaps(seen), volume(seen), kinds(seen, used=used), values(seen))
    return [finding for part in parts for finding in part]


def freshness(seen: Pulse, *, at: datetime) -> Iterator[Finding]:
    """How old the newest event is, against the longest pause that the log has had."""
    if seen.last > shift(at, days(1)):
        yield Finding(
            "future",
            Gravity.WARNING,
            f"the newest event is dated {iso(seen.last)}, which is to come",
            "look for a wrong clock or time zone; events from now on were left out of this look",
        )
    age = (at - seen.end) / days(1)
    allowed = _longest_pause(seen.total)
    stale, old = age > STALE_DAYS + allowed, age > FRESH_DAYS + allowed
    yield Finding(
        "stale" if stale or old else "fresh",
        Gravity.ALARM if stale else Gravity.WARNING if old else Gravity.OK,
        f"the newest event is {age:.1f} days old ({iso(seen.end)})",
        "see whether the delivery of events still runs; to the model it is everybody's silence" if old else "",
        {"age_days": round(age, 3), "allowed_days": FRESH_DAYS + allowed},
    )


def gaps(seen: Pulse) -> Iterator[Finding]:
    """Days of the newest week with (nearly) nothing, where events are usual."""
    counts, usual = seen.total, _usual(seen.total)
    empty = [
        place
        for place in _newest(counts)
        if usual[place] >= USUAL_EVENTS and counts[place] <= NEARLY_NONE * usual[place]
    ]
    if not empty:
        return
    named = ", ".join(_day(seen, place) for place in empty[:SHOWN]) + _more(len(empty))
    yield Finding(
        "gap",
        Gravity.ALARM,
        f"there is (nearly) nothing in 24 hours where about {usual[empty[0]]:,.0f} events are usual: up to {named}",
        "import what is missing and score again; where you were closed nothing is wrong",
        {"days": len(empty)},
    )


def volume(seen: Pulse) -> Iterator[Finding]:
    """Whether the newest day has as many events as usual, all kinds together; less than half or twice is told."""
    counts = seen.total
    usual, spread = _usual(counts), _day_noise(counts)
    if not len(counts) or np.isnan(usual[-1]) or usual[-1] < USUAL_EVENTS:
        yield Finding(
            "volume_unknown",
            Gravity.OK,
            f"what is usual of a day is not known yet: it takes {FEWEST_WEEKS} weeks and {USUAL_EVENTS} events a day",
        )
        return
    ratio = float(counts[-1] / usual[-1])
    off = _is_off(int(counts[-1]), float(usual[-1]), spread)
    yield Finding(
        "volume",
        Gravity.WARNING if off else Gravity.OK,
        f"the newest 24 hours have {counts[-1]:,} events, {ratio:.0%} of what is usual on such a day",
        "see whether a source is missing or came twice; a campaign or a holiday would explain it too" if off else "",
        {"events": int(counts[-1]), "usual": float(usual[-1]), "ratio": ratio, "noise": spread},
    )


def kinds(seen: Pulse, *, used: Collection[str]) -> Iterator[Finding]:
    """Kinds that stopped, that came far more or less than usual, and that are new."""
    silent = {kind: lost for kind, counts in seen.daily.items() if (lost := _silence(counts))}
    for kind, lost in list(silent.items())[: SHOWN * 4]:  # a whole source that stops is told in a page, not in ten
        needed = not used or kind in used
        yield Finding(
            "kind_stopped",
            Gravity.ALARM if needed else Gravity.WARNING,
            f"“{kind}” has not come for {lost[0]} days, in which about {lost[1]:,.0f} were to be expected",
            "see whether it is still recorded; "
            + ("the model or the definition reads it" if needed else "the model does not read it"),
            {"kind": kind, "silent_days": lost[0], "expected": round(lost[1], 1)},
        )
    off = [kind for kind, counts in seen.daily.items() if kind not in silent and _day_is_off(counts)]
    if off and len(seen.daily) > 1:
        named = ", ".join(f"“{kind}”" for kind in off[:SHOWN]) + _more(len(off))
        yield Finding(
            "kind_volume",
            Gravity.WARNING,
            f"in the newest 24 hours there is less than half or more than twice the usual of {named}",
            "see whether a source is missing or came twice",
            {"kinds": off},
        )
    new = [kind for kind, counts in seen.daily.items() if len(counts) > 4 * WEEK and not counts[:-WEEK].any()]
    if new:
        yield Finding(
            "kind_new",
            Gravity.ADVICE,
            f"new this week: {', '.join(f'“{kind}”' for kind in new[:SHOWN])}{_more(len(new))}",
            "a renamed kind is a kind that stopped and one that is new; the model knows only the old name",
            {"kinds": new},
        )


def values(seen: Pulse) -> Iterator[Finding]:
    """Kinds whose typical value (geometric mean) of the newest week is not that of the weeks before.

    The weeks before, four to eight, are the sample: a prediction interval of Student's t for one week more.
    """
    from scipy.stats import t  # noqa: PLC0415 - costs half a second

    judged = {kind: weekly for kind in seen.daily if (weekly := _weekly_values(seen, kind)) is not None}
    for kind, weekly in judged.items():
        before, now = weekly[:-1], float(weekly[-1])
        spread = max(float(before.std(ddof=1)), _LEAST_SPREAD) * (1 + 1 / len(before)) ** 0.5
        moved = now - float(before.mean())
        sure = abs(moved) / spread > float(t.ppf(1 - RARE / 2 / len(judged), len(before) - 1))
        if sure and abs(moved) > np.log(CHANGED_VALUES):
            factor = float(np.exp(moved))
            yield Finding(
                "values",
                Gravity.ALARM if max(factor, 1 / factor) >= TWICE else Gravity.WARNING,
                f"values of “{kind}” are {factor:.2f} times what they were in {len(before)} weeks before",
                "look for another currency or unit, or a new price list; the model's amounts mean something else now",
                {"kind": kind, "factor": factor},
                retrain=True,
            )


def _piece(events: UserEvents, end: int) -> dict[str, FloatArray]:
    """Of each ordinary kind `[events, with a value above 0, sum of their logarithms][days]`, oldest day first."""
    age = (end - 1 - events.times) // MICROSECONDS_PER_DAY
    ordinary = np.array([not is_reserved(kind) for kind in events.kind_names], dtype=np.bool_)[events.kinds]
    near: NDArray[np.bool_] = ordinary & (age >= 0) & (age < DAYS)
    place = events.kinds[near].astype(np.int64) * DAYS + (DAYS - 1 - age[near])
    amount = events.values[near]
    has = amount > 0
    length = len(events.kind_names) * DAYS
    logs = np.log(amount, where=has, out=np.zeros(len(amount)))
    columns = [np.bincount(place, minlength=length), np.bincount(place[has], minlength=length)]
    columns.append(np.bincount(place, weights=logs, minlength=length))
    shaped = np.stack([column.astype(np.float64).reshape(-1, DAYS) for column in columns], axis=1)
    return {kind: shaped[code] for code, kind in enumerate(events.kind_names) if shaped[code, 0].any()}


def _newest(counts: IntArray) -> range:
    return range(max(0, len(counts) - WEEK), len(counts))


def _usual(counts: IntArray) -> FloatArray:
    """The median of the same weekday in the weeks before each day; NaN where fewer than four are known."""
    usual = np.full(len(counts), np.nan)
    for place in range(FEWEST_WEEKS * WEEK, len(counts)):
        usual[place] = np.median(counts[place % WEEK : place : WEEK][-(WEEKS - 1) :])
    return usual


def _day_noise(counts: IntArray) -> float:
    """How much a day's log ratio to its weekday's median differs by itself, of the days before the newest."""
    usual = np.array([np.median(counts[:-1][place % WEEK :: WEEK]) for place in range(len(counts) - 1)])
    ratios = np.log((counts[:-1] + _LOG_OF_NOTHING) / (usual + _LOG_OF_NOTHING))
    return float(_SPREAD * np.median(np.abs(ratios - np.median(ratios)))) if len(ratios) else np.inf


def _is_off(count: int, usual: float, spread: float) -> bool:
    if HALF < count / usual < TWICE:
        return False
    noise = max(spread, usual**-0.5) * (1 + 1 / FEWEST_WEEKS) ** 0.5  # the median of the weeks before is noisy too
    moved = abs(np.log((count + _LOG_OF_NOTHING) / (usual + _LOG_OF_NOTHING)))
    return bool(moved > max(LEAST_Z, beyond(1, error=RARE)) * noise)


def _day_is_off(counts: IntArray) -> bool:
    usual = _usual(counts)[-1]
    return bool(usual >= USUAL_EVENTS) and _is_off(int(counts[-1]), float(usual), _day_noise(counts))


def _silence(counts: IntArray) -> tuple[int, float] | None:
    """For how many days a kind has been silent and how many events that cost; none: it is no surprise."""
    some = np.flatnonzero(counts)
    silent = len(counts) - 1 - int(some[-1])
    before = counts[: some[-1] + 1]
    pace = float(before[-4 * WEEK :].mean())
    pause = int(np.diff(some).max(initial=1))
    if silent < 1 or len(before) < WEEK or pace * silent < USUAL_EVENTS or silent < PAUSES * pause:
        return None
    return silent, pace * silent


def _longest_pause(counts: IntArray) -> int:
    """The most days in a row without any event, of those known."""
    some = np.flatnonzero(counts)
    return int(np.diff(some).max(initial=1)) - 1


def _weekly_values(seen: Pulse, kind: str) -> FloatArray | None:
    """The mean logarithm of the values of each whole week, oldest first; none where there are too few."""
    length = len(seen.daily[kind]) // WEEK * WEEK
    rows, logs = (each[kind][-length:].reshape(-1, WEEK).sum(axis=1) for each in (seen.valued, seen.log_values))
    if len(rows) <= FEWEST_WEEKS or rows.min(initial=VALUED) < VALUED:
        return None
    return np.asarray(logs / rows)


def _day(seen: Pulse, place: int) -> str:
    return iso(shift(seen.end, days(place - seen.days + 1)))[:16] + "Z"


def _more(count: int) -> str:
    return f" and {count - SHOWN} more" if count > SHOWN else ""
