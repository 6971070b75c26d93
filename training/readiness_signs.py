"""Signs in the log itself that something is missing, doubled or wrongly dated, whatever is to be predicted."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from features.bots import PLAUSIBLE_PER_DAY
from features.lateness import Knowledge
from features.user_events import FloatArray, IntArray
from features.windows import MICROSECONDS_PER_DAY, are_dates, from_microseconds, iso
from models.definition import ChurnDefinition
from training.readiness_facts import MINUTES, LogFacts
from training.remarks import Level, Remark

SEASON_DAYS = 548  # a year and a half: less has no season twice, and half of them once
USUAL_EVENTS = 20  # a day that usually has so many does not have none by chance (e^-20)
NEARLY_NONE = 0.05  # of the usual volume
WEEKS_AROUND = 8  # on either side, whose same weekday says what is usual
LONG_GAP = 7  # days without anything, for which the weeks around may be empty too
NEAR_DAYS = 28  # next to the silence of a kind: how often it came there
SILENT_DAYS = 14  # of a kind, at the least
TWINS, FEWEST_TWINS = (0.01, 0.1), 20  # share of the events: advice, warning
CROWD, FEWEST_CROWD = 0.01, 50  # of all events at one instant
ONE_MINUTE, FEWEST_DATED = 0.5, 100  # of a kind's events in one minute of the day
BUSY_SHARE = 0.05  # of the events by users beyond a plausible rate: then they make the statistics
SHOWN = 3  # gaps and kinds that a remark names


def gaps(facts: LogFacts) -> Iterator[Remark]:
    """Days without events where the same weekday in the weeks around has many."""
    runs = _missing_days(facts)
    if not runs:
        return
    length = sum(last - first + 1 for first, last in runs)
    named = ", ".join(_days(*run) for run in sorted(runs, key=lambda run: run[0] - run[1])[:SHOWN])
    more = f" and {len(runs) - SHOWN} more" if len(runs) > SHOWN else ""
    yield Remark(
        "gaps",
        Level.WARNING if length > 1 else Level.ADVICE,
        f"on {length} {'day' if length == 1 else 'days'} there is (nearly) nothing where events are usual: "
        f"{named}{more}",
        "import what is missing; where you were closed nothing is wrong. To the model it is everybody's silence",
    )


def _missing_days(facts: LogFacts) -> list[tuple[int, int]]:
    """The runs of days within the bulk that have next to none of the events of the same weekday around them."""
    first, last = facts.bulk
    daily = facts.daily[first - facts.first_day : last - facts.first_day + 1]
    usual = _usual(daily)
    missing = (usual >= USUAL_EVENTS) & (daily <= NEARLY_NONE * usual)
    if np.median(daily) >= USUAL_EVENTS:
        for start, end in _runs(daily == 0):
            missing[start : end + 1] |= end - start + 1 >= LONG_GAP
    missing[[0, -1]] = False  # the log begins and ends within a day
    return [(first + start, first + end) for start, end in _runs(missing)]


def _usual(daily: IntArray) -> FloatArray:
    """The median of the same weekday in the weeks around, of each day."""
    around = [week * 7 for week in range(-WEEKS_AROUND, WEEKS_AROUND + 1) if week]
    padded = np.full(len(daily) + 14 * WEEKS_AROUND, np.nan)
    begin = 7 * WEEKS_AROUND
    padded[begin : begin + len(daily)] = daily
    stacked = np.stack([padded[begin + shifted : begin + shifted + len(daily)] for shifted in around])
    alone = np.isnan(stacked).all(axis=0)  # in a log of a week nothing is usual
    stacked[:, alone] = 0.0
    found: FloatArray = np.nanmedian(stacked, axis=0)
    return found


def _runs(marked: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The first and last place of each run of marks."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    return [(start, end - 1) for start, end in edges.reshape(-1, 2).tolist()]


def kinds(facts: LogFacts) -> Iterator[Remark]:
    """Kinds that begin long after the log, or stop long before its end, where their own pace left no doubt."""
    first, last = (day - facts.first_day for day in facts.bulk)
    begun = [(kind, start) for kind, counts in facts.kinds.items() if (start := _begins(counts[first : last + 1]))]
    ended = [(kind, stop) for kind, counts in facts.kinds.items() if (stop := _begins(counts[first : last + 1][::-1]))]
    if begun:
        named = ", ".join(f"“{kind}” on {day(facts.first_day + first + start)}" for kind, start in begun[:SHOWN])
        yield Remark(
            "kinds_begin",
            Level.ADVICE,
            f"kinds begin after the log does: {named}{_more(begun)}",
            "before it their features say that nobody did it; if it was only not recorded, learn from later on",
        )
    if ended:
        named = ", ".join(f"“{kind}” on {day(facts.first_day + last - stop)}" for kind, stop in ended[:SHOWN])
        yield Remark(
            "kinds_stop",
            Level.WARNING,
            f"kinds stop before the log does: {named}{_more(ended)}",
            "see whether they are still recorded; a model that has learnt from them is blind without them",
        )


def _begins(counts: IntArray) -> int:
    """After how many days a kind begins that, at its first pace, would have been seen before; 0: it is no surprise."""
    some = np.flatnonzero(counts)
    if not len(some):
        return 0
    start = int(some[0])
    pace = counts[start : start + NEAR_DAYS].sum() / NEAR_DAYS
    return start if start >= SILENT_DAYS and pace * start >= USUAL_EVENTS else 0


def _more(named: Sequence[object]) -> str:
    return f" and {len(named) - SHOWN} more" if len(named) > SHOWN else ""


def clocks(facts: LogFacts) -> Iterator[Remark]:
    """Events in the future, at one instant, or at one minute of the day."""
    if facts.ahead:
        yield Remark(
            "future",
            Level.WARNING,
            f"{events(facts.ahead)} lie in the future",
            "look for a wrong time zone or clock; they move the log's end",
        )
    told = [kind for kind, minutes in facts.minutes.items() if minutes.sum() >= FEWEST_DATED]
    dated = [kind for kind in told if _is_dated(facts.minutes[kind])]
    if told and len(dated) == len(told):
        yield Remark(
            "day_resolution",
            Level.ADVICE,
            "events have a date and no hour",
            "put cutoffs at midnight; features of hours are left out",
        )
        return
    if dated:
        named = ", ".join(f"“{kind}” at {_minute(facts.minutes[kind])}" for kind in dated[:SHOWN])
        yield Remark(
            "dated_kinds",
            Level.ADVICE,
            f"kinds have a date and no hour: {named}{_more(dated)}",
            "make sure that the hour they are given is not before they were known",
        )
    if facts.crowded >= max(FEWEST_CROWD, CROWD * facts.events) and not dated:
        yield Remark(
            "crowd",
            Level.WARNING,
            f"{events(facts.crowded)} have the very same time, {iso(from_microseconds(facts.crowded_at))}",
            "look for an import that stamped its own time on them",
        )


def _is_dated(minutes: IntArray) -> bool:
    """Whether a kind comes at one minute of the day, or at two an hour apart, as midnight with clock changes."""
    full = np.argsort(-minutes)[:2]
    if minutes[full[0]] >= ONE_MINUTE * minutes.sum():
        return True
    apart = (full * (MICROSECONDS_PER_DAY // MINUTES)).tolist()
    return bool(minutes[full].sum() == minutes.sum()) and are_dates(apart)


def doubles(facts: LogFacts) -> Iterator[Remark]:
    """Events that repeat others under another id; what has the same id was counted once when it came in."""
    least, much = TWINS
    share = facts.twins / max(1, facts.events)
    if facts.twins >= FEWEST_TWINS and share >= least:
        yield Remark(
            "twins",
            Level.WARNING if share >= much else Level.ADVICE,
            f"{facts.twins:,} events ({share:.1%}) repeat another of the same user, kind, time and "
            "value under another id",
            "see whether a file came in twice with new ids; what has the same id counts once already",
        )


def season(facts: LogFacts) -> Iterator[Remark]:
    """A history in which no season comes twice."""
    first, last = facts.bulk
    length = last - first + 1
    if length < SEASON_DAYS:
        yield Remark(
            "season",
            Level.ADVICE,
            f"the history is {length} days, less than a year and a half",
            "no season has been seen twice: read the level of the probabilities with care around holidays",
        )


def machines(facts: LogFacts, definition: ChurnDefinition) -> Iterator[Remark]:
    """Users busier than a person can be, unless the definition leaves them out."""
    if facts.busy_users and not definition.most_events_a_day:
        share = facts.busy_events / facts.events
        yield Remark(
            "machines",
            Level.WARNING if share >= BUSY_SHARE else Level.ADVICE,
            f"{facts.busy_users:,} users had more than {PLAUSIBLE_PER_DAY:,} events on a day; {share:.1%} of all "
            "events are theirs",
            "see holdfast features bots, and leave them out with --most-events-a-day",
        )


def late(knowledge: Knowledge) -> Iterator[Remark]:
    """Features that read events which may not have been received yet."""
    if not knowledge.as_known:
        yield Remark(
            "late_data",
            Level.ADVICE,
            f"features read events from their own time on, {knowledge.because.rstrip('.')}",
            "if events come in late, tonight knows less than the model learnt with; see holdfast features late",
        )


def events(count: int) -> str:
    """So many events, in words."""
    return f"{count:,} event" if count == 1 else f"{count:,} events"


def day(number: int) -> str:
    """The date of a day since 1970."""
    return iso(from_microseconds(number * MICROSECONDS_PER_DAY))[:10]


def _days(first: int, last: int) -> str:
    return day(first) if first == last else f"{day(first)} to {day(last)} ({last - first + 1} days)"


def _minute(minutes: IntArray) -> str:
    fullest = int(minutes.argmax())
    return f"{fullest // 60:02}:{fullest % 60:02} UTC"
