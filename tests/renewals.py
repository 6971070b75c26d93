"""Users whose pauses are known: exponential gaps, and after every act a chance of having been the last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import MICROSECONDS_PER_DAY, to_microseconds, utc

START = utc("2026-01-01")


@dataclass(frozen=True)
class InMemory:
    """A log of so many buckets that lives in memory."""

    pieces: Sequence[UserEvents]

    @property
    def buckets(self) -> int:
        return len(self.pieces)

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:  # noqa: ARG002 nothing more is here
        return self.pieces[bucket]


@dataclass(frozen=True)
class Renewals:
    """The process, and what it must come to; days throughout."""

    mean_gap: float = 5.0
    dies: float = 0.1  # chance that an act is the last

    def days_of(self, users: int, *, length: float, seed: int) -> dict[str, np.ndarray]:
        """Each user's days of acts in `[0, length)`; users arrive evenly from long before it on."""
        dice = np.random.default_rng(seed)
        arrivals = dice.uniform(-40 * self.mean_gap, length, users)
        acts = dice.geometric(self.dies, users)
        found = {}
        for user in range(users):
            gaps = dice.exponential(self.mean_gap, acts[user])
            gaps[0] = 0
            days = arrivals[user] + np.cumsum(gaps)
            seen = days[(days >= 0) & (days < length)]
            if len(seen):
                found[f"user-{user:05d}"] = seen
        return found

    def buried(self, days: float) -> float:
        return float(np.exp(-days / self.mean_gap))

    def kept(self, days: float) -> float:
        return self.dies * days / ((1 - self.dies) * self.mean_gap)

    def crossing(self) -> float:
        grid = np.linspace(0.01, 50 * self.mean_gap, 500_000)
        kept = self.dies * grid / ((1 - self.dies) * self.mean_gap)
        return float(grid[np.argmax(kept >= np.exp(-grid / self.mean_gap))])

    def as_likely_gone(self) -> float:
        """The silence after which the user is gone with an even chance."""
        return float(self.mean_gap * np.log((1 - self.dies) / self.dies))

    def back(self, days: float) -> float:
        alive = (1 - self.dies) * np.exp(-days / self.mean_gap)
        return float(alive / (alive + self.dies))

    def base_rate(self, *, look_back: float, horizon: float) -> float:
        alive = (1 - self.dies) * self.mean_gap * -np.expm1(-look_back / self.mean_gap)
        gone = self.dies * look_back
        return float((alive * np.exp(-horizon / self.mean_gap) + gone) / (alive + gone))


def log_of(days: Mapping[str, Sequence[float] | np.ndarray], *, buckets: int = 2, kind: str = "visit") -> InMemory:
    """A log of these days of acts after the start, users dealt over the buckets in turn."""
    users = sorted(days)
    return InMemory([_events({user: days[user] for user in users[place::buckets]}, kind) for place in range(buckets)])


def _events(days: Mapping[str, Sequence[float] | np.ndarray], kind: str) -> UserEvents:
    start = to_microseconds(START)
    times = [start + (np.sort(np.asarray(each)) * MICROSECONDS_PER_DAY).astype(np.int64) for each in days.values()]
    rows = sum(map(len, times))
    return UserEvents(
        user_ids=tuple(days),
        offsets=np.cumsum([0, *map(len, times)], dtype=np.int64),
        times=np.concatenate([np.zeros(0, dtype=np.int64), *times]),
        kinds=np.zeros(rows, dtype=np.int32),
        kind_names=(kind,),
        values=np.full(rows, 10.0),
    )
