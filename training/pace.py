"""How long two models take to score, measured in turns, so that a busy machine is as unkind to one as to the other."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from features.plan import make_plan
from features.snapshots import of_user, wanted_by
from models.bundle import Bundle
from training.contest import Contender, Contest, ContestLog, Showing

BATCHES = 5  # turns a model; the quickest counts: what others do on the machine can only make it slower
ALONE = 5  # users who are scored alone
ALONE_TIMES = 20  # each

Clock = Callable[[], float]  # seconds that only go forward


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, the least of several turns."""

    a_row: float  # of a batch, features not counted: both read the same log
    a_user: float  # one user alone, features included, reading not


def paces(log: ContestLog, contest: Contest, *, contenders: Sequence[Contender], clock: Clock) -> tuple[Pace, ...]:
    """The pace of champion and challenger, in the order in which they are given."""
    sides = (contest.champion, contest.challenger)
    batches = _in_turns([_batch(one, side) for one, side in zip(contenders, sides, strict=True)], BATCHES, clock)
    users = sorted(set(contest.users.tolist()))[:ALONE]
    cutoff = contest.windows[-1]
    alone = _in_turns([_alone(log, one.bundle, users, cutoff) for one in contenders], ALONE_TIMES, clock)
    rows = [max(1, len(side.sample)) for side in sides]
    return tuple(
        Pace(batch / count, one / max(1, len(users))) for batch, count, one in zip(batches, rows, alone, strict=True)
    )


def _in_turns(works: Sequence[Callable[[], None]], times: int, clock: Clock) -> list[float]:
    for work in works:
        work()  # what is compiled or cached is so from now on
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(times):
        for work, taken in zip(works, seconds, strict=True):
            begin = clock()
            work()
            taken.append(clock() - begin)
    return [min(taken) for taken in seconds]


def _batch(contender: Contender, showing: Showing) -> Callable[[], None]:
    def work() -> None:
        contender.bundle.model.predict_proba(showing.sample)

    return work


def _alone(log: ContestLog, bundle: Bundle, users: Sequence[str], cutoff: datetime) -> Callable[[], None]:
    """Scores each of the users alone, as for a request."""
    plan = make_plan(bundle.features)
    events = [log.read_user(user, wanted_by(plan, as_known=bundle.as_known)) for user in users]
    fifths = None if bundle.fifths is None else bundle.fifths.fifths

    def work() -> None:
        for one in events:
            row = of_user(one, plan, cutoff=cutoff, as_known=bundle.as_known, fifths=fifths)
            bundle.judge(row)

    return work
