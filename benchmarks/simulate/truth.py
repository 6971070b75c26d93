"""The true chance that a user is silent for a horizon: as fate knows it, and as the history allows to know it.

*Fate* knows a user's pace and hazard and whether he is gone already. The *best* that anybody can say who knows the law
of the world and the user's history is the mean of that over all latent numbers that the history leaves open. With
gamma priors both integrals are closed, day by day: with `x` the visits' factors added up from the first day on, `y`
those of the hazard, and `n` visits after the first,

    to be gone on the morning of day t:  [S(y before t) - S(y at t)] · Q(x before t),   S(y) = (b / (b + y))^s
    to be there after it:                 S(y) · Q(x),                                  Q(x) ∝ 1 / (a + x)^(r + n)

Who was seen on a day had not been gone before. A campaign inside the horizon is a draw of which the chance is known,
because on the way to silence the days of silence are known too: both cases are weighed.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from benchmarks.simulate.world import HAZARD, HORIZON, MAIL_HAZARD, MAIL_HELPS, MAIL_VISITS, PACE, Lives, contact_chance
from features.user_events import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Of every user: the chance to be silent for the horizon after a cutoff; NaN of who was not yet there."""

    fate: FloatArray
    best: FloatArray


def truth(lives: Lives, *, cutoff: int) -> Truth:
    """The chances at the morning of a day, counted from the start of the world."""
    known = lives.counts[:, :cutoff]
    there = lives.born < cutoff
    last = np.where(known > 0, np.arange(cutoff), -1).max(axis=1)
    coming = lives.world.mail_days(cutoff, cutoff + HORIZON)
    if len(coming) > 1:
        raise ValueError(f"{len(coming)} campaigns lie in one horizon; expected one at most.")
    chance = contact_chance(coming[0] - last) if coming else np.zeros(len(last))
    fate, best = np.zeros(len(last)), np.zeros(len(last))
    for mailed_on, weight in ((None, 1 - chance), (coming[0] if coming else None, chance)):
        visits, hazards = _factors(lives, cutoff=cutoff, mailed_on=mailed_on)
        fate += weight * _fate(lives, visits, hazards, cutoff=cutoff)
        best += weight * _best(visits, hazards, last=last, seen=known.sum(axis=1) - 1, cutoff=cutoff)
    return Truth(np.where(there, fate, np.nan), np.where(there, best, np.nan))


def _factors(lives: Lives, *, cutoff: int, mailed_on: int | None) -> tuple[FloatArray, FloatArray]:
    """The factors of visits and hazard, each `[users, days]` up to the horizon's end; 0 before a user's second day.

    Campaigns before the cutoff have gone to whom they went; `mailed_on` is a day on which everybody gets a mail.
    """
    upto, world = cutoff + HORIZON, lives.world
    day = np.arange(upto)
    helped = np.zeros((world.users, upto), dtype=np.bool_)
    for place, mail_day in enumerate(world.mail_days(0, cutoff)):
        helped[:, mail_day : mail_day + MAIL_HELPS] |= lives.mailed[:, [place]]
    if mailed_on is not None:
        helped[:, mailed_on : mailed_on + MAIL_HELPS] = True
    lived = day > lives.born[:, None]
    visits = lived * world.visits(upto) * np.where(helped, MAIL_VISITS, 1.0)
    hazards = lived * world.hazards(upto) * np.where(helped, MAIL_HAZARD, 1.0)
    return visits, hazards


def _fate(lives: Lives, visits: FloatArray, hazards: FloatArray, *, cutoff: int) -> FloatArray:
    """1 of who is gone; of the others the chance given their own pace and hazard."""
    paces, risks = lives.paces[:, None], lives.hazards[:, None]
    exposed = _before(visits[:, cutoff:])
    risked = np.cumsum(hazards[:, cutoff:], axis=1)
    left = np.exp(-risks * np.column_stack([np.zeros(len(risked)), risked]))
    leaving = ((left[:, :-1] - left[:, 1:]) * np.exp(-paces * exposed)).sum(axis=1)
    stays = left[:, -1] * np.exp(-paces[:, 0] * visits[:, cutoff:].sum(axis=1))
    return np.where(lives.gone < cutoff, 1.0, leaving + stays)


def _best(visits: FloatArray, hazards: FloatArray, *, last: IntArray, seen: IntArray, cutoff: int) -> FloatArray:
    """The posterior chance of silence, given `seen` visits after the first, the last of them on day `last`."""
    exposed, risked = _before(visits), np.cumsum(hazards, axis=1)
    shape, scale = HAZARD
    left = (scale / (scale + risked)) ** shape
    gone = np.maximum(np.column_stack([np.ones(len(left)), left[:, :-1]]) - left, 0.0)
    possible = np.arange(visits.shape[1]) > last[:, None]

    def silent(exposure: FloatArray) -> FloatArray:
        return np.asarray(-(PACE[0] + seen) * np.log(PACE[1] + exposure.T)).T

    with np.errstate(divide="ignore"):
        leaving = np.where(possible, np.log(gone) + silent(exposed), -np.inf)
    now = np.log(left[:, cutoff - 1]) + silent(exposed[:, cutoff])
    later = np.log(left[:, -1]) + silent(exposed[:, -1] + visits[:, -1])
    history = logsumexp(np.column_stack([leaving[:, :cutoff], now]), axis=1)
    return np.asarray(np.exp(logsumexp(np.column_stack([leaving, later]), axis=1) - history))


def _before(factors: FloatArray) -> FloatArray:
    """What was added up before each day."""
    return np.asarray(np.cumsum(factors, axis=1) - factors)
