"""A log of as many users as one likes, made up a bucket at a time, so that no more than a bucket is ever in memory."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np

from benchmarks.simulate.world import KINDS
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import MICROSECONDS_PER_DAY, to_microseconds

EVENTS = 40  # of a user, on average
NEWEST_WITHIN = 50.0  # days before the end: everybody was active lately
PURCHASES = 0.4


@dataclass(frozen=True, slots=True)
class Crowd:
    """Users of a shop up to the end of its log."""

    users: int
    end: datetime
    buckets: int = 64

    @staticmethod
    def name(number: int) -> str:
        """The id of a user."""
        return f"user-{number:07d}"

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        """The events of the users of a bucket; always the same."""
        first, last = (self.users * edge // self.buckets for edge in (bucket, bucket + 1))
        dice, count = np.random.default_rng([7, bucket]), last - first
        events = dice.geometric(1 / EVENTS, count)
        owners, offsets = np.repeat(np.arange(count), events), np.concatenate([[0], np.cumsum(events)])
        ages = dice.exponential(dice.gamma(2.0, 30.0, count)[owners])
        ages[offsets[:-1]] = 0.0
        ages += dice.uniform(0.0, NEWEST_WITHIN, count)[owners]
        times = to_microseconds(self.end) - (ages * MICROSECONDS_PER_DAY).astype(np.int64) - 1
        order = np.lexsort((times, owners))
        is_purchase = dice.random(len(times)) < PURCHASES
        kinds = np.where(is_purchase, KINDS.index("purchase"), KINDS.index("visit")).astype(np.int32)
        values = np.where(is_purchase, dice.lognormal(3, 0.7, len(times)), np.nan)
        return UserEvents(
            user_ids=tuple(map(self.name, range(first, last))),
            offsets=offsets.astype(np.int64),
            times=times[order],
            kinds=kinds,
            kind_names=KINDS,
            values=values,
            received=times[order] if wanted.received else None,
        )
