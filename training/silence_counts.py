"""Silences in counts: of every user's acts, bucket by bucket, what the curves of `training.silence` are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from features.busiest import too_busy
from features.expressions import Chosen
from features.user_events import FloatArray, IntArray, UserEvents
from features.windows import MICROSECONDS_PER_DAY, to_microseconds

GROUPS = 100  # of users, which the bootstrap draws: enough for percentiles, and each one's counts fit in memory


@dataclass(frozen=True, slots=True, eq=False)
class Acts:
    """What counts as being alive before the observation ended, by user and time; everybody here has acted."""

    offsets: IntArray  # n + 1
    times: IntArray  # microseconds since 1970 UTC
    groups: IntArray  # of each user, for the bootstrap

    def __len__(self) -> int:
        return len(self.groups)

    @classmethod
    def of(
        cls,
        events: UserEvents,
        *,
        before: datetime,
        kinds: Sequence[str] = (),
        least_value: float = 0.0,
        most_a_day: int = 0,
    ) -> Self:
        """The acts before a moment: of these kinds (none: all but reserved ones), of this value at least.

        Who ever had more than `most_a_day` events on a day before it is left out (0: nobody is).
        """
        kept = counting(events, kinds=kinds, least_value=least_value) & (events.times < to_microseconds(before))
        if most_a_day:
            kept &= ~np.repeat(too_busy(events, limit=most_a_day, before=before), np.diff(events.offsets))
        counted = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(kept, dtype=np.int64)])
        offsets = np.unique(counted[events.offsets])  # users without an act fall out
        times = events.times[kept]
        return cls(offsets, times, _dealt(times[offsets[:-1]]))


def counting(events: UserEvents, *, kinds: Sequence[str] = (), least_value: float = 0.0) -> NDArray[np.bool_]:
    """Which events count as being alive: of these kinds (none: all but reserved ones), of this value at least."""
    covers = Chosen(tuple(kinds)).covers
    kept: NDArray[np.bool_] = np.array([covers(name) for name in events.kind_names], dtype=np.bool_)[events.kinds]
    return kept & (events.values >= least_value) if least_value else kept


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """Silences and moments in counts that add up over buckets; the second axis is whole days."""

    users: int
    acts: int
    short: int  # gaps below one day
    pooled: IntArray  # [days] gaps that ended
    each_user: FloatArray  # [days] the same, each user's gaps together 1
    ended: IntArray  # [groups, days] silences by the day on which they ended
    still: IntArray  # [groups, days] silences by the day up to which they were followed, still silent
    longest: IntArray  # [groups, days] users by their longest silence
    back: IntArray  # [groups, days] users at moments who came back, by how long they had been silent
    gone: IntArray  # [groups, days] the same of those who did not

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))


def count(acts: Acts, *, end: int, followed: int, moments: IntArray, gone_after: int, thresholds: int) -> Counted:
    """Silences up to `end` (microseconds), followed for `followed` days at most, and who is silent at the moments.

    `gone_after` is in microseconds; silences at a moment of `thresholds` days or more are one.
    """
    pooled, each_user = np.zeros(followed + 1, dtype=np.int64), np.zeros(followed + 1)
    ended, still, longest = (np.zeros((GROUPS, followed + 1), dtype=np.int64) for _ in range(3))
    short = _count_silences(acts.offsets, acts.times, acts.groups, end, pooled, each_user, ended, still, longest)
    back, gone = (np.zeros((GROUPS, thresholds + 1), dtype=np.int64) for _ in range(2))
    _count_moments(acts.offsets, acts.times, acts.groups, moments, gone_after, back, gone)
    return Counted(len(acts), len(acts.times), int(short), pooled, each_user, ended, still, longest, back, gone)


def _dealt(first: IntArray) -> IntArray:
    """A group for each user, by a hash of his place and first act (splitmix64, Steele, Lea and Flood 2014)."""
    places = np.arange(1, len(first) + 1, dtype=np.uint64)
    mixed = first.astype(np.uint64) + places * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    groups: IntArray = (mixed % np.uint64(GROUPS)).astype(np.int64)
    return groups


@nb.njit(nogil=True, cache=True)
def _count_silences(  # noqa: PLR0913, PLR0917 - Numba takes no objects
    offsets: IntArray,
    times: IntArray,
    groups: IntArray,
    end: int,
    pooled: IntArray,
    each_user: FloatArray,
    ended: IntArray,
    still: IntArray,
    longest: IntArray,
) -> int:
    """Add each silence to its day; how many gaps were shorter than one."""
    last_day = len(pooled) - 1
    short = 0
    for user in range(len(groups)):
        group, first, stop = groups[user], offsets[user], offsets[user + 1]
        gaps = 0
        for row in range(first, stop - 1):
            gaps += times[row + 1] - times[row] >= MICROSECONDS_PER_DAY
        most = 0
        for row in range(first, stop):
            reached = min((end - times[row]) // MICROSECONDS_PER_DAY, last_day)
            over = False
            if row + 1 < stop:
                gap = (times[row + 1] - times[row]) // MICROSECONDS_PER_DAY
                if gap == 0:
                    short += 1
                    continue
                pooled[min(gap, last_day)] += 1
                each_user[min(gap, last_day)] += 1.0 / gaps
                over = gap < reached  # the whole day on which it ended was seen
                reached = min(gap, reached)
            if over:
                ended[group, reached] += 1
            elif reached > 0:
                still[group, reached] += 1
            most = max(most, reached)
        if most > 0:
            longest[group, most] += 1
    return short


@nb.njit(nogil=True, cache=True)
def _count_moments(
    offsets: IntArray,
    times: IntArray,
    groups: IntArray,
    moments: IntArray,
    gone_after: int,
    back: IntArray,
    gone: IntArray,
) -> None:
    """Add each user at each moment (ascending) after his first act to the day of his silence."""
    last_day = back.shape[1] - 1
    for user in range(len(groups)):
        group, row, stop = groups[user], offsets[user], offsets[user + 1]
        for moment in moments:
            while row < stop and times[row] < moment:
                row += 1
            if row == offsets[user]:
                continue
            silent = min((moment - times[row - 1]) // MICROSECONDS_PER_DAY, last_day)
            if row < stop and times[row] - moment < gone_after:
                back[group, silent] += 1
            else:
                gone[group, silent] += 1
