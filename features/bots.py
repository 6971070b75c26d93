"""Users beyond a plausible rate: how busy everybody's busiest day was, and whose was busier than a person's can be.

A day is a day of UTC. Profiles do not count as events.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.busiest import busiest
from features.pool import OnProgress, each
from features.snapshots import Bucketed
from features.windows import MICROSECONDS_PER_DAY, from_microseconds

PLAUSIBLE_PER_DAY = 1000  # more than one every half minute for eight hours
FAR_ABOVE = 10  # times the busiest day of all but one in a thousand
USUAL = 0.999
_SHARES = (0.5, 0.9, 0.99, USUAL, 1.0)


@dataclass(frozen=True, slots=True)
class Beyond:
    """How many users had a day with more than `limit` events, and how many of all events are theirs."""

    limit: int
    users: int
    events: int


@dataclass(frozen=True, slots=True)
class Busy:
    """A user with a day beyond the limit."""

    user_id: str
    busiest_day: int  # events
    day: datetime  # its midnight UTC
    events: int  # in all


@dataclass(frozen=True, slots=True)
class Rates:
    """How busy the users of a log are on their busiest days."""

    users: int
    events: int
    quantiles: tuple[tuple[float, int], ...]  # share of the users, events on the busiest day at most
    beyond: tuple[Beyond, ...]  # the plausible limit, the one far above what is usual here, and one asked for
    asked: int | None
    busy: tuple[Busy, ...]  # busiest first; only where ids were asked for


def rates(
    log: Bucketed,
    *,
    limit: int | None = None,
    ids: bool = False,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Rates:
    """The rates of all users, a bucket at a time; `ids` reads the log again to name who is beyond the limit.

    Without a `limit` of yours, the lower of the two judged here decides who is named.
    """
    passes = 2 if ids else 1
    tell = on_progress or _silent

    def of_bucket(bucket: int) -> Counter[tuple[int, int]]:
        found = busiest(log.read_bucket(bucket))
        return Counter(zip(found.counts.tolist(), found.events.tolist(), strict=True))

    told = each(
        of_bucket,
        range(log.buckets),
        workers=workers,
        on_progress=lambda done, of: tell(done, passes * of),
    )
    found: Counter[tuple[int, int]] = Counter()
    for one in told:
        found.update(one)
    quantiles = _quantiles(found)
    limits = {PLAUSIBLE_PER_DAY, max(1, FAR_ABOVE * dict(quantiles).get(USUAL, 0)), *([limit] if limit else [])}
    decisive = limit or min(limits)
    named = (
        _busy(log, decisive, workers=workers, on_progress=lambda done, of: tell(of + done, passes * of)) if ids else ()
    )
    return Rates(
        users=sum(users for (_, events), users in found.items() if events),
        events=sum(users * events for (_, events), users in found.items()),
        quantiles=quantiles,
        beyond=tuple(_beyond(found, each_limit) for each_limit in sorted(limits)),
        asked=limit,
        busy=named,
    )


def _busy(log: Bucketed, limit: int, *, workers: int, on_progress: OnProgress) -> tuple[Busy, ...]:
    def of_bucket(bucket: int) -> list[Busy]:
        events = log.read_bucket(bucket)
        found = busiest(events)
        return [
            Busy(
                events.user_ids[place],
                int(found.counts[place]),
                from_microseconds(int(found.days[place]) * MICROSECONDS_PER_DAY),
                int(found.events[place]),
            )
            for place in np.flatnonzero(found.counts > limit).tolist()
        ]

    pieces = each(of_bucket, range(log.buckets), workers=workers, on_progress=on_progress)
    return tuple(sorted((one for piece in pieces for one in piece), key=lambda one: (-one.busiest_day, one.user_id)))


def _beyond(found: Counter[tuple[int, int]], limit: int) -> Beyond:
    those = [(events, users) for (day, events), users in found.items() if day > limit]
    return Beyond(limit, sum(users for _, users in those), sum(events * users for events, users in those))


def _quantiles(found: Counter[tuple[int, int]]) -> tuple[tuple[float, int], ...]:
    """The busiest day that a share of the users does not exceed, by nearest rank; none without users."""
    days: Counter[int] = Counter()
    for (day, events), users in found.items():
        days[day] += users if events else 0
    if not days.total():
        return ()
    values = np.array(sorted(day for day in days if days[day]), dtype=np.int64)
    ranks = np.cumsum([days[day] for day in values.tolist()])
    return tuple((share, int(values[np.searchsorted(ranks, share * ranks[-1])])) for share in _SHARES)


def _silent(_done: int, _of: int) -> None:
    """Nobody asked for progress."""
