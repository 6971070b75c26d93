"""Is this log fit to learn from? Each remark is an error, a warning or advice: what was found, and what to do.

An error stops a training before it costs time; warnings and advice go into its report and stay with its run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np

from features.errors import BadInput
from features.lateness import Knowledge
from features.snapshots import Bucketed
from features.windows import MICROSECONDS_PER_DAY, from_microseconds, iso, shift
from models.definition import ChurnDefinition
from training import readiness_signs as signs
from training.readiness_facts import CutoffFacts, LogFacts, Outcomes, log_facts, outcomes
from training.readiness_signs import day, events
from training.remarks import Level, Remark
from training.small import FEW_CHURNERS, FEW_USERS
from training.snapshots import History
from training.splits import Split

MOST_CUTOFFS = 12  # looked at, evenly spread: enough to see a trend
FEW_CUTOFFS = 4  # to fit on: fewer and one odd month is a quarter of all that is known
DRIFT, DRIFT_ERRORS = 0.05, 3.0  # of the share of churners, and in standard errors of the newest one
SEEN_ONCE = (0.3, 0.6)  # share of the population: advice, warning


@dataclass(frozen=True, slots=True)
class Readiness:
    """All remarks, the weightiest first, and the figures behind them."""

    remarks: tuple[Remark, ...]
    events: int
    users: int
    cutoffs: tuple[CutoffFacts, ...]  # some of those that are learnt from, and the newest

    @property
    def errors(self) -> tuple[Remark, ...]:
        """What has to be mended first."""
        return tuple(remark for remark in self.remarks if remark.level is Level.ERROR)

    def check(self) -> None:
        """Raise `BadInput` with every error."""
        if self.errors:
            raise BadInput(" ".join(f"{remark.found}; {remark.advice}." for remark in self.errors))

    def says(self) -> list[str]:
        """A line a remark."""
        return [remark.says() for remark in self.remarks] or ["nothing to remark."]

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON."""
        return {
            "remarks": [{**asdict(remark), "level": str(remark.level)} for remark in self.remarks],
            "events": self.events,
            "users": self.users,
            "cutoffs": [{**asdict(each), "cutoff": iso(each.cutoff)} for each in self.cutoffs],
        }


@dataclass(frozen=True, slots=True)
class Planned:
    """How time would be split, or why it cannot be."""

    history: History
    split: Split | None
    because: str = ""
    cutoff: datetime | None = None  # that was asked for


def examine(
    log: Bucketed,
    definition: ChurnDefinition,
    planned: Planned,
    *,
    now: datetime,
    knowledge: Knowledge,
    workers: int = 1,
) -> Readiness:
    """The remarks on a log for this definition and split; the log is read once, and again for outcomes."""
    facts = log_facts(log, now=now, workers=workers)
    seen = _outcomes(log, definition, planned, complete=_complete(facts), workers=workers)
    remarks = [
        *_history(planned),
        *_stray(facts, definition, planned),
        *(_volume(seen) if seen else ()),
        *(_base_rate(seen.cutoffs) if seen else ()),
        *(_seen_once(seen.cutoffs) if seen else ()),
        *signs.gaps(facts),
        *signs.kinds(facts),
        *signs.clocks(facts),
        *signs.doubles(facts),
        *signs.season(facts),
        *signs.machines(facts, definition),
        *signs.late(knowledge),
    ]
    order = list(Level)
    remarks.sort(key=lambda remark: order.index(remark.level))
    return Readiness(tuple(remarks), facts.events, facts.users, seen.cutoffs if seen else ())


def _complete(facts: LogFacts) -> datetime:
    """Until when the log can be believed to hold everything: the end of the last day of its bulk."""
    return from_microseconds((facts.bulk[1] + 1) * MICROSECONDS_PER_DAY)


def _outcomes(
    log: Bucketed, definition: ChurnDefinition, planned: Planned, *, complete: datetime, workers: int
) -> Outcomes | None:
    """Of the oldest to the newest cutoff that is learnt from or tested on, some between; none with an open horizon."""
    split = planned.split
    steps = () if split is None else (*split.fit, *split.test)
    known = [cutoff for cutoff in steps if definition.horizon_of(cutoff).end <= complete]
    if not known:
        return None
    places = np.unique(np.linspace(0, len(known) - 1, MOST_CUTOFFS).astype(np.int64))
    cutoffs = [known[place] for place in places]
    return outcomes(log, definition, cutoffs, log_end=complete, workers=workers)


def _history(planned: Planned) -> Iterator[Remark]:
    if planned.split is None:
        found, _, advice = planned.because.rstrip(".").rpartition(". ")
        mend = advice[:1].lower() + advice[1:] if found else "choose another --cutoff or spans"
        yield Remark("history", Level.ERROR, found or advice, mend)
        return
    if len(planned.split.fit) < FEW_CUTOFFS:
        yield Remark(
            "few_cutoffs",
            Level.ADVICE,
            f"there are only {len(planned.split.fit)} cutoffs to fit on",
            "collect more history, or take a shorter look-back or horizon",
        )


def _stray(facts: LogFacts, definition: ChurnDefinition, planned: Planned) -> Iterator[Remark]:
    """Events far beyond the bulk: those behind it move the log's end, and with it every default cutoff."""
    first, last = facts.bulk
    log_last = facts.first_day + len(facts.daily) - 1
    if last < log_last:
        yield _stray_late(facts, definition, planned, last=last, log_last=log_last)
    if first > facts.first_day:
        yield Remark(
            "stray_early",
            Level.ADVICE,
            f"{events(facts.between(facts.first_day, first - 1))} from {day(facts.first_day)} on, and nothing else "
            f"before {day(first)}",
            "look for wrong dates; they make the history look longer than it is",
        )


def _stray_late(facts: LogFacts, definition: ChurnDefinition, planned: Planned, *, last: int, log_last: int) -> Remark:
    complete = _complete(facts)
    newest = planned.cutoff or (planned.split.test[-1] if planned.split else None)
    believed = shift(complete, -(definition.lead_time + definition.horizon))
    open_end = newest is None or definition.horizon_of(newest).end > complete
    return Remark(
        "stray_late",
        Level.ERROR if open_end else Level.ADVICE,
        f"the log's bulk ends on {day(last)}, but what lies behind it ({events(facts.between(last + 1, log_last))} up "
        f"to {day(log_last)}) moves its end, and with it every default cutoff: silence in between is no churn",
        f"look for wrong dates, or train with --cutoff {iso(believed)[:10]} and score with --cutoff "
        f"{iso(complete)[:10]}",
    )


def _volume(seen: Outcomes) -> Iterator[Remark]:
    newest = seen.cutoffs[-1]
    asked = f"{len(seen.cutoffs)} cutoffs"
    if not seen.users:
        yield Remark(
            "nobody", Level.ERROR, f"nobody is in the population at any of {asked}", "take a longer --look-back"
        )
    elif not newest.users:
        yield Remark(
            "nobody_newest",
            Level.ERROR,
            f"nobody is in the population at the newest cutoff, {iso(newest.cutoff)}",
            "take a longer --look-back or an earlier --cutoff",
        )
    elif not seen.churners or all(each.churners == each.users for each in seen.cutoffs):
        what, mend = ("stayed", "shorter") if not seen.churners else ("churned", "longer")
        yield Remark(
            "one_outcome",
            Level.ERROR,
            f"{_everybody(seen.users)} {what} at each of {asked}",
            f"take a {mend} --horizon or other --activity kinds",
        )
    elif seen.users < FEW_USERS or seen.churners < FEW_CHURNERS:
        yield Remark(
            "few_users",
            Level.WARNING,
            f"there are only {seen.users:,} users at {asked}, {seen.churners:,} of whom ever churn (expected "
            f"{FEW_USERS} and {FEW_CHURNERS})",
            "a simple model is fitted instead of the usual one, and its intervals are wide",
        )


def _base_rate(cutoffs: Sequence[CutoffFacts]) -> Iterator[Remark]:
    some = [each for each in cutoffs if each.users]
    if len(some) < 2:  # noqa: PLR2004 - a drift is between two
        return
    newest, before = some[-1], some[:-1]
    usual = sum(each.churners for each in before) / sum(each.users for each in before)
    error = float(np.sqrt(usual * (1 - usual) / newest.users))
    moved = newest.churned_share - usual
    if abs(moved) >= DRIFT and abs(moved) > DRIFT_ERRORS * error:
        yield Remark(
            "base_rate",
            Level.WARNING,
            f"{newest.churned_share:.1%} of {newest.users:,} users churn after {iso(newest.cutoff)[:10]}, before it "
            f"were {usual:.1%} (from {before[0].churned_share:.1%} at {iso(before[0].cutoff)[:10]} on)",
            "find out what changed; probabilities learnt before will be off by as much, their order less so",
        )


def _seen_once(cutoffs: Sequence[CutoffFacts]) -> Iterator[Remark]:
    newest = cutoffs[-1]
    share = newest.seen_once / newest.users if newest.users else 0.0
    least, much = SEEN_ONCE
    if share >= least:
        yield Remark(
            "seen_once",
            Level.WARNING if share >= much else Level.ADVICE,
            f"{share:.0%} of the {newest.users:,} users at {iso(newest.cutoff)[:10]} have been seen but once",
            "little can be told of them: expect similar scores for all, and see how the model does on the others",
        )


def _everybody(users: int) -> str:
    return "the only user" if users == 1 else f"all {users:,} users"
