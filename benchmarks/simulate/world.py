"""Worlds whose law is known: users who come at a pace of their own until they are gone for good, and are not told.

Every user has two latent numbers, drawn once: a pace (visits a day, gamma) and a hazard (of being gone, gamma). What
the world does to all of them is known: a season and a fading of the visits, a hazard that grows, and campaigns. On the
morning of each day who is due is gone for good; those who are left visit a Poisson number of times. This is the
Pareto/NBD model of Schmittlein, Morrison and Colombo (1987) in days, with known factors of day and user, and in it the
chance of silence given a history has a closed form (`truth.py`).

A campaign goes to most of those who have been silent for a fortnight and to few others, as campaigns do: who is
contacted is likelier to leave, though the contact helps.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.summary import LogSummary, summarise
from features.user_events import NOTHING_MORE, FloatArray, IntArray, UserEvents, Wanted
from features.windows import MICROSECONDS_PER_DAY, days, to_microseconds, utc
from models.definition import ChurnDefinition

START = utc("2024-01-01")
KINDS = ("mail", "purchase", "visit")
DEFINITION = ChurnDefinition(activity=("purchase", "visit"), look_back=days(56), horizon=days(28))
HORIZON = 28  # days, of the definition
PACE = (1.5, 6.0)  # shape and rate of the gamma: a visit in four days, unevenly
HAZARD = (2.0, 300.0)  # the same: gone after 150 days, unevenly
YEAR = 364
PEAK = 330  # the day of the year with the most visits
MAIL_HELPS = 28  # days
MAIL_VISITS, MAIL_HAZARD = 2.0, 0.5  # what a mail does while it helps
LONG_SILENT, FORGOTTEN = 14, 60  # days: who is worth a mail, and who is worth none any more
MAILED_LONG_SILENT, MAILED_OTHERS = 0.8, 0.1  # the chances of getting one
_PURCHASES = 0.4  # of the visits


@dataclass(frozen=True, slots=True)
class World:
    """What happens to everybody; a day's factors are those of its morning."""

    name: str
    length: int = YEAR  # days that are known
    users: int = 4000
    season: float = 0.0  # the most that visits are above their usual level, in logs
    fading: float = 0.0  # what visits lose from the first to the last day, in logs
    souring: float = 0.0  # what the hazard gains, in logs
    mails_every: int = 0  # days between campaigns; 0: none

    def visits(self, upto: int) -> FloatArray:
        """The factor of the pace on each of so many days."""
        day = np.arange(upto)
        waves = self.season * np.cos(2 * np.pi * (day - PEAK) / YEAR)
        return np.asarray(np.exp(waves - self.fading * day / self.length))

    def hazards(self, upto: int) -> FloatArray:
        """The same of the hazard."""
        return np.asarray(np.exp(self.souring * np.arange(upto) / self.length))

    def mail_days(self, first: int, end: int) -> tuple[int, ...]:
        """The days of campaigns from the first to before the last."""
        return tuple(day for day in range(first, end) if self.mails_every and day and day % self.mails_every == 0)


LONG = 640  # days: more than a year and a half, so that a season has been seen before
WORLDS = (
    World("stable"),
    World("drift", users=5000, fading=0.5, souring=1.0),
    World("season", LONG, 6000, season=0.5),
    World("campaigns", mails_every=56),
    World("all together", LONG, 7000, season=0.5, fading=0.5, souring=0.7, mails_every=56),
)


@dataclass(frozen=True, slots=True, eq=False)
class Lives:
    """What came of it: the latent numbers, and what is recorded of each user and day."""

    world: World
    paces: FloatArray  # visits a day
    hazards: FloatArray  # a day
    born: IntArray  # the day of the first visit
    gone: IntArray  # the day on whose morning the user was gone
    counts: NDArray[np.int32]  # [users, days] visits
    mailed: NDArray[np.bool_]  # [users, campaigns]
    seed: int


def contact_chance(silent_days: IntArray) -> FloatArray:
    """The chance of a mail after so many days of silence."""
    chance = np.where(silent_days >= LONG_SILENT, MAILED_LONG_SILENT, MAILED_OTHERS)
    return np.asarray(np.where(silent_days > FORGOTTEN, 0.0, chance))


def live(world: World, *, seed: int) -> Lives:
    """The lives of a world's users; a day more than its length, so that the newest horizon is over."""
    dice = np.random.default_rng(seed)
    users, upto = world.users, world.length + 1
    paces, hazards = (dice.gamma(shape, 1 / rate, users) for shape, rate in (PACE, HAZARD))
    born = dice.integers(0, world.length, users)
    campaigns = world.mail_days(0, upto)
    counts, mailed = np.zeros((users, upto), dtype=np.int32), np.zeros((users, len(campaigns)), dtype=np.bool_)
    gone, last, helped_until = np.full(users, upto), np.full(users, -1), np.full(users, -1)
    for day in range(upto):
        if day in campaigns:
            place = campaigns.index(day)
            mailed[:, place] = dice.random(users) < contact_chance(day - last) * (born < day)
            helped_until[mailed[:, place]] = day + MAIL_HELPS
        helped = helped_until > day
        risk = hazards * world.hazards(upto)[day] * np.where(helped, MAIL_HAZARD, 1.0)
        gone[(born < day) & (gone > day) & (dice.random(users) >= np.exp(-risk))] = day
        pace = paces * world.visits(upto)[day] * np.where(helped, MAIL_VISITS, 1.0)
        counts[:, day] = np.where((born < day) & (gone > day), dice.poisson(pace), born == day)
        last[counts[:, day] > 0] = day
    return Lives(world, paces, hazards, born, gone, counts, mailed, seed)


@dataclass(frozen=True, slots=True, eq=False)
class Log:
    """A log of one bucket that holds what is recorded of these lives."""

    events: UserEvents
    buckets: int = 1
    version: int = 1

    @classmethod
    def of(cls, lives: Lives) -> "Log":
        """Visits and purchases at times of their own, mails in the first second of their day."""
        dice = np.random.default_rng([lives.seed, 1])
        users, day = np.nonzero(lives.counts)
        repeated = lives.counts[users, day]
        users, day = np.repeat(users, repeated), np.repeat(day, repeated)
        kinds = np.where(dice.random(len(day)) < _PURCHASES, KINDS.index("purchase"), KINDS.index("visit"))
        of_mails, campaigns = np.nonzero(lives.mailed)
        mail_days = np.array(lives.world.mail_days(0, lives.counts.shape[1]), dtype=np.int64)
        moments = np.concatenate([day + dice.uniform(1e-4, 1, len(day)), mail_days[campaigns] + 1e-5])
        users, kinds = np.concatenate([users, of_mails]), np.concatenate([kinds, np.zeros(len(of_mails), np.int64)])
        times = to_microseconds(START) + (moments * MICROSECONDS_PER_DAY).astype(np.int64)
        order = np.lexsort((times, users))
        values = np.where(kinds == KINDS.index("purchase"), dice.lognormal(3, 0.7, len(kinds)), np.nan)
        offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=lives.world.users))])
        names = tuple(f"user-{user:05d}" for user in range(lives.world.users))
        return cls(
            UserEvents(
                user_ids=names,
                offsets=offsets.astype(np.int64),
                times=times[order],
                kinds=kinds[order].astype(np.int32),
                kind_names=KINDS,
                values=values[order],
            )
        )

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:  # noqa: ARG002 - as a log has it
        """All events, received when they happened."""
        return replace(self.events, received=self.events.times) if wanted.received else self.events

    def read_user(self, user_id: str, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        """The events of one user."""
        return self.read_bucket(0, wanted).only(user_id)

    def summary(self) -> LogSummary:
        """What is in it."""
        found = summarise([self.events])
        if found is None:
            raise ValueError("nobody lived in this world; expected at least one user.")
        return found


def place_of(user_ids: NDArray[np.object_]) -> IntArray:
    """Which of the lives these users of the log are.

    >>> place_of(np.array(["user-00012"], dtype=object)).tolist()
    [12]
    """
    return np.array([int(user.removeprefix("user-")) for user in user_ids], dtype=np.int64)
