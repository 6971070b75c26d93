"""The definition assistant: from the log alone, what silence means here, and which look-back and horizon follow.

No features and no model: two readings of the log, bucket by bucket. Every figure is about the log as it is; what the
log cannot tell is said to be unknown rather than guessed.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import reduce
from operator import add
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput, NotReady
from features.snapshots import Bucketed, map_buckets
from features.user_events import UserEvents
from features.windows import (
    are_dates,
    ceil_second,
    cutoffs_back_from,
    days,
    from_microseconds,
    iso,
    parse_span,
    shift,
    span_microseconds,
    times_of_day,
    to_microseconds,
)
from models.definition import ChurnDefinition
from training import define_tables
from training.advice import Evidence, Recommendation, Warned, recommend, warnings
from training.candidates import Candidate, Labels, Rows, candidates, count_labels, usual
from training.silence import LONGEST_FOLLOWED, ErrorCurves, Gaps, Json, ReturnCurve, draws
from training.silence_counts import Acts, Counted, count, counting

GONE_SHARE = 0.4  # of the history: so much for seeing who is gone, as much for thresholds, the rest for moments between
THRESHOLD_SHARE = 2 / 3  # of what `gone_after` leaves of the history, for thresholds
LONGEST_JUDGED = 365  # days: a year holds every season once
MOST_MOMENTS = 26  # at which silence is looked at: more are hardly news of the same users
SHORTEST_HISTORY = 10  # days: below, there are no curves to speak of
_FOR_EVER = np.iinfo(np.int64).max
_HOURS = 3  # times of the day that are enough to see that events come at more than two

OnStage = Callable[[str, int, int], None]  # stage, done, total
_LEAST_ROOM = 3  # days beside `gone_after`: a threshold and a moment


@dataclass(frozen=True, slots=True)
class Observed:
    """What was looked at: from when to when, what counts as being alive, and how it was judged."""

    start: datetime  # of the log's first event
    end: datetime  # when the observation ended
    first_act: datetime
    kinds: Mapping[str, int]  # acts of each kind, most frequent first
    has_hours: bool  # acts come at different times of the day; without, they are only dated
    activity: tuple[str, ...]
    least_value: float

    @property
    def history(self) -> timedelta:
        """From the first act to the end."""
        return self.end - self.first_act

    def says(self) -> str:
        """One sentence."""
        shown = ", ".join(f"{kind} {acts:,}" for kind, acts in self.kinds.items())
        least = f" of at least {self.least_value:g}" if self.least_value else ""
        return (
            f"{sum(self.kinds.values()):,} acts{least} ({shown}) "
            f"from {iso(self.first_act)[:10]} to {iso(self.end)[:10]}, {self.history.days} days"
        )

    def to_json(self) -> Json:
        """Plain JSON."""
        return {
            "start": iso(self.start),
            "end": iso(self.end),
            "first_act": iso(self.first_act),
            "days": self.history.days,
            "acts": dict(self.kinds),
            "has_hours": self.has_hours,
            "activity": list(self.activity),
            "least_value": self.least_value,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Assistance:
    """Everything that the log says about what churn should mean."""

    observed: Observed
    users: int
    evidence: Evidence
    recommendation: Recommendation
    warnings: tuple[Warned, ...]
    in_force: ChurnDefinition | None = None  # the definition that was there before, one of the candidates

    @property
    def gaps(self) -> Gaps:
        """How long users pause."""
        return self.evidence.gaps

    @property
    def returns(self) -> ReturnCurve:
        """Who comes back, by days of silence."""
        return self.evidence.returns

    @property
    def errors(self) -> ErrorCurves:
        """What a threshold gets wrong, by days of silence."""
        return self.evidence.errors

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The definitions that were compared."""
        return self.evidence.candidates

    @property
    def recommended(self) -> Candidate | None:
        """The recommended candidate; none where the log carries none."""
        return next((each for each in self.candidates if each.definition == self.recommendation.definition), None)

    def to_json(self) -> Json:
        """Everything as plain JSON."""
        return {
            "observed": {**self.observed.to_json(), "users": self.users},
            "recommendation": self.recommendation.to_json(),
            "warnings": [{"code": each.code, "sentence": each.sentence} for each in self.warnings],
            "in_force": self.in_force.to_json() if self.in_force else None,
            "gaps": self.gaps.to_json(),
            "return_curve": self.returns.to_json(),
            "error_curves": self.errors.to_json(),
            "candidates": [each.to_json() for each in self.candidates],
        }

    def says(self) -> str:
        """The report: plain text, lines of at most 110 characters, no trailing newline."""
        meant = self.recommendation.definition
        sections = {
            "What was looked at": [f"{self.observed.says()}, {self.users:,} users."],
            "Recommended": self.recommendation.says(),
            "Beware": [f"- {warned.sentence}" for warned in self.warnings],
            "How long users pause, in whole days": define_tables.gaps(self.gaps),
            f"Who comes back within {self.returns.within} days more": define_tables.returns(self.returns),
            "Two ways to be wrong, for every 100 users who were still there": define_tables.errors(self.errors),
            "Definitions side by side": define_tables.candidates(
                self.candidates, recommended=meant, in_force=self.in_force
            ),
        }
        return "\n\n".join(define_tables.section(title, lines) for title, lines in sections.items() if lines)


def assist(  # noqa: PLR0913 - what counts, what is compared, how far is looked
    log: Bucketed,
    *,
    activity: Sequence[str] = (),
    least_value: float = 0.0,
    lead_time: timedelta = timedelta(0),
    most_events_a_day: int = 0,
    spans: Sequence[tuple[timedelta, timedelta]] = (),
    in_force: ChurnDefinition | None = None,
    gone_after: timedelta | None = None,
    until: datetime | None = None,
    seed: int = 0,
    workers: int = 1,
    on_progress: OnStage | None = None,
) -> Assistance:
    """What silence means in a log, and the definition that follows from it.

    `activity` names the kinds that count as being alive (none: all), `least_value` the value that they need (0: any
    or none). Candidates are the `spans` (look-back, horizon) given, else usual ones, and `in_force` beside them; where
    spans are given, one of them is recommended. Who does not act for `gone_after` is gone (default: 0.4 of the
    history, a year at most). Nothing from `until` on is read (default: the end of the log). Raises `NotReady` when
    nothing counts, `BadInput` when the history is too short for any curve.
    """
    meant = Meant(tuple(activity), least_value, most_events_a_day)
    tell = on_progress or _tell_nobody
    observed = _look(log, meant, until=until, workers=workers, tell=tell)
    frame = Frame.of(observed, gone_after)
    like = ChurnDefinition(
        activity=meant.activity,
        lead_time=lead_time,
        most_events_a_day=most_events_a_day,
        least_value=least_value,
    )
    compared = [replace(like, look_back=look_back, horizon=horizon) for look_back, horizon in spans]
    compared = compared or usual(like, history=observed.history)
    if in_force is not None and in_force not in compared:
        compared.append(in_force)
    rows = Rows.up_to(compared, start=observed.first_act, end=observed.end, gone_after=frame.gone_after)
    counted, labels = _count(log, meant, rows, observed=observed, frame=frame, workers=workers, tell=tell)
    evidence = _evidence(counted, labels, rows, observed=observed, frame=frame, seed=seed)
    advice = recommend(evidence, evidence.candidates[: len(spans) or None])
    return Assistance(observed, counted.users, evidence, advice, warnings(evidence, advice), in_force)


def as_spans(text: str) -> tuple[timedelta, timedelta]:
    """Look-back and horizon of a text such as `60d/30d`; raises `BadInput` for anything else.

    >>> [span.days for span in as_spans("8w/30d")]
    [56, 30]
    """
    look_back, slash, horizon = text.partition("/")
    if not slash:
        raise BadInput(f"{text!r} is no candidate; expected look-back and horizon, for example 60d/30d.")
    return parse_span(look_back), parse_span(horizon)


@dataclass(frozen=True, slots=True)
class Meant:
    """What counts as being alive."""

    activity: tuple[str, ...]
    least_value: float
    most_a_day: int

    def covers(self, events: UserEvents) -> NDArray[np.bool_]:
        """Which events count, machines' among them."""
        return counting(events, kinds=self.activity, least_value=self.least_value)

    def acts_of(self, events: UserEvents, *, before: datetime) -> Acts:
        """The acts of a bucket before a moment."""
        return Acts.of(
            events, before=before, kinds=self.activity, least_value=self.least_value, most_a_day=self.most_a_day
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """How the history is spent: thresholds are judged at moments that have so much before and so much after them."""

    gone_after: int  # days
    thresholds: int  # the longest, in days
    moments: tuple[datetime, ...]

    @classmethod
    def of(cls, observed: Observed, gone_after: timedelta | None) -> Self:
        """The frame; raises `BadInput` where the history has no room for one."""
        history = observed.history.days
        if history < SHORTEST_HISTORY:
            raise BadInput(
                f"the log holds {history} days of activity, from {iso(observed.first_act)} to {iso(observed.end)}; "
                f"expected at least {SHORTEST_HISTORY} to say anything about silence."
            )
        gone = min(int(GONE_SHARE * history), LONGEST_JUDGED) if gone_after is None else gone_after.days
        room = history - gone
        if gone < 1 or room < _LEAST_ROOM:
            raise BadInput(
                f"--gone-after {gone}d does not fit into {history} days of activity; "
                f"expected 1d to {history - _LEAST_ROOM}d."
            )
        thresholds = min(int(THRESHOLD_SHARE * room), LONGEST_JUDGED)
        newest = shift(observed.end, -days(gone))
        step = days(max(1, -(-(room - thresholds) // MOST_MOMENTS)))
        moments = cutoffs_back_from(newest, every=step, earliest=shift(observed.first_act, days(thresholds)))
        return cls(gone, thresholds, tuple(moments))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a bucket holds, in microseconds since 1970 UTC; only `last` looks beyond the end of the observation."""

    first: int
    last: int
    first_act: int
    kinds: Counter[str]
    times_of_day: tuple[int, ...]


def _look(log: Bucketed, meant: Meant, *, until: datetime | None, workers: int, tell: OnStage) -> Observed:
    """The span of the log and what counts in it."""

    def of_bucket(events: UserEvents) -> _Seen | None:
        return _seen(events, meant, until=until)

    found = map_buckets(
        log, of_bucket, workers=workers, on_progress=lambda done, total: tell("looking at the log", done, total)
    )
    seen = [each for each in found if each is not None]
    acting = [each for each in seen if each.kinds]
    if not acting:
        raise NotReady(f"the log holds no events that count{_of(meant)}; expected some. Is --activity right?")
    kinds = reduce(add, (each.kinds for each in acting))
    end = ceil_second(from_microseconds(max(each.last for each in seen)))
    if until is not None and until > end:
        raise BadInput(f"the observation cannot end {iso(until)}: the log ends {iso(end)}; expected that or earlier.")
    return Observed(
        start=from_microseconds(min(each.first for each in seen)),
        end=until or end,
        first_act=from_microseconds(min(each.first_act for each in acting)),
        kinds=dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0]))),
        has_hours=not are_dates({time for each in acting for time in each.times_of_day}),
        activity=meant.activity,
        least_value=meant.least_value,
    )


def _seen(events: UserEvents, meant: Meant, *, until: datetime | None) -> _Seen | None:
    ordinary = counting(events)
    if not ordinary.any():
        return None
    last = int(events.times[ordinary].max())
    if until is not None:
        ordinary &= events.times < to_microseconds(until)
    acts = ordinary & meant.covers(events)
    times, places = events.times[acts], np.bincount(events.kinds[acts], minlength=len(events.kind_names))
    return _Seen(
        int(events.times[ordinary].min(initial=_FOR_EVER)),
        last,
        int(times.min(initial=_FOR_EVER)),
        Counter({kind: int(number) for kind, number in zip(events.kind_names, places, strict=True) if number}),
        times_of_day(times, most=_HOURS) if len(times) else (),
    )


def _count(
    log: Bucketed, meant: Meant, rows: Rows, *, observed: Observed, frame: Frame, workers: int, tell: OnStage
) -> tuple[Counted, Labels]:
    moments = np.array([to_microseconds(moment) for moment in frame.moments], dtype=np.int64)
    gone_after = span_microseconds(days(frame.gone_after))

    def of_bucket(events: UserEvents) -> tuple[Counted, Labels]:
        acts = meant.acts_of(events, before=observed.end)
        counted = count(
            acts,
            end=to_microseconds(observed.end),
            followed=min(observed.history.days, LONGEST_FOLLOWED),
            moments=moments,
            gone_after=gone_after,
            thresholds=frame.thresholds,
        )
        return counted, count_labels(acts, rows, gone_after=gone_after)

    found = map_buckets(
        log, of_bucket, workers=workers, on_progress=lambda done, total: tell("counting silences", done, total)
    )
    return reduce(add, (counted for counted, _ in found)), reduce(add, (labels for _, labels in found))


def _evidence(counted: Counted, labels: Labels, rows: Rows, *, observed: Observed, frame: Frame, seed: int) -> Evidence:
    drawn = draws(seed=seed)
    return Evidence(
        gaps=Gaps.of(counted),
        returns=ReturnCurve.of(counted, within=frame.gone_after, drawn=drawn),
        errors=ErrorCurves.of(counted, gone_after=frame.gone_after, moments=frame.moments, drawn=drawn),
        candidates=tuple(candidates(labels, rows, start=observed.start, end=observed.end, drawn=drawn)),
        kinds=observed.kinds,
        kinds_named=bool(observed.activity),
        history=observed.history,
        has_hours=observed.has_hours,
    )


def _of(meant: Meant) -> str:
    kinds = f" (kinds {', '.join(meant.activity)})" if meant.activity else ""
    return f"{kinds} with a value of at least {meant.least_value:g}" if meant.least_value else kinds


def _tell_nobody(stage: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""
