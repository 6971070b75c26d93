"""How long users fall silent, who comes back, and how wrong a threshold in days would be: counted from the log.

A silence begins with an act (an event that counts as being alive) and ends with the user's next one. It counts from one
whole day on; what is shorter is one visit. Three things are counted, bucket by bucket, in one pass each over the acts:

- gaps: silences that ended, each once, or each user once (his gaps weigh one together);
- the return curve, by the product-limit estimator (Kaplan and Meier 1958) over whole days: a silence is followed for as
  many whole days as the log goes on after it began, and counts at no day on which it could not be seen to its end;
- two errors at moments spread over the middle of the log. Who is silent for `d` days or more at a moment is declared
  churned. Who has no act within the next `gone_after` days is gone. *Buried* are declared churned and came back, *kept*
  are declared alive and gone. Both are divided by the users who were still there, so that neither depends on how many
  left long ago. Buried never rises with `d` and kept never falls, so they cross once: where the declared are as many
  as the gone.

Intervals are bootstrap percentiles (Efron 1979) over users in random groups (Wolter 2007, ch. 2): a user's silences
stay together, and what all users share, such as a bad season, is not in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray, IntArray
from features.windows import iso
from training.silence_counts import GROUPS, Counted

REPLICATES = 400
CONFIDENCE = (2.5, 97.5)  # percentiles of the replicates
LONGEST_FOLLOWED = 1095  # days: a silence of three years is over for every purpose, and counts stay small
FEWEST_USERS = 30  # behind a point of a curve: below, the share is the luck of a few
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with its 95 % interval; NaN where the log does not tell, infinite where it lies beyond what was seen."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, value: float, replicates: FloatArray) -> Self:
        """The value with the percentiles of its replicates; those that are NaN carry no news and are left out."""
        known = replicates[~np.isnan(replicates)]
        if not len(known) or np.isnan(value):
            return cls(value, float("nan"), float("nan"))
        low = float(np.percentile(known, CONFIDENCE[0], method="lower"))  # no mean with infinity
        return cls(float(value), low, float(np.percentile(known, CONFIDENCE[1], method="higher")))

    def to_json(self) -> Json:
        """Plain JSON; what is not finite is missing."""
        return {"value": number(self.value), "low": number(self.low), "high": number(self.high)}


def draws(*, seed: int) -> FloatArray:
    """How often each group of users is drawn `[1 + replicates, groups]`; the first row is everybody once."""
    drawn = np.random.default_rng(seed).multinomial(GROUPS, np.full(GROUPS, 1 / GROUPS), size=REPLICATES)
    return np.vstack([np.ones(GROUPS), drawn])


@dataclass(frozen=True, slots=True)
class Gaps:
    """How long users pause, in whole days, by the gaps that ended."""

    gaps: int
    short: int  # below one day, not among them
    users: int  # with a gap
    without: int  # users without any: they acted on one day, or day after day
    each_gap: tuple[float, ...]  # the QUANTILES, every gap once
    each_user: tuple[float, ...]  # every user once

    @classmethod
    def of(cls, counted: Counted) -> Self:
        """The gaps of everybody."""
        users = round(float(counted.each_user.sum()))
        quantiles = [_quantiles(weights) for weights in (counted.pooled.astype(np.float64), counted.each_user)]
        return cls(int(counted.pooled.sum()), counted.short, users, counted.users - users, *quantiles)

    def to_json(self) -> Json:
        """Plain JSON."""
        named = {
            name: {f"{share:g}": number(day) for share, day in zip(QUANTILES, quantiles, strict=True)}
            for name, quantiles in (("each_gap_once", self.each_gap), ("each_user_once", self.each_user))
        }
        return {
            "gaps": self.gaps,
            "shorter_than_a_day": self.short,
            "users_with_gaps": self.users,
            "users_without": self.without,
            "quantiles_days": named,
        }


@dataclass(frozen=True, slots=True, eq=False)
class ReturnCurve:
    """Of the silences that reached so many days, the share that ended within `within` days more."""

    within: int
    days: IntArray  # 1 … n, as far as enough users were followed
    back: FloatArray
    low: FloatArray
    high: FloatArray
    still_silent: FloatArray  # share of all silences that reach the day: never rises
    silences: IntArray  # that reached the day
    users: IntArray  # who were ever silent so long

    @classmethod
    def of(cls, counted: Counted, *, within: int, drawn: FloatArray) -> Self:
        """The curve, as far as `FEWEST_USERS` users were silent, and followed, to the end of `within`."""
        users = _reaching(counted.longest.sum(axis=0))
        last = int(np.flatnonzero(users >= FEWEST_USERS).max(initial=0)) - within
        days = np.arange(1, max(1, last + 1))
        survival = _survival(drawn @ counted.ended, drawn @ counted.still)
        with np.errstate(divide="ignore", invalid="ignore"):
            back = 1 - survival[:, days + within] / survival[:, days]
        low, high = band(back[1:])
        silences = _reaching((counted.ended + counted.still).sum(axis=0))[days]
        return cls(within, days, back[0], low, high, survival[0, days], silences, users[days])

    def at(self, day: int) -> Range:
        """The share that comes back of those silent for so many days; NaN beyond the curve."""
        if not 1 <= day <= len(self.days):
            return Range(*[float("nan")] * 3)
        return Range(float(self.back[day - 1]), float(self.low[day - 1]), float(self.high[day - 1]))

    def to_json(self) -> Json:
        """Plain JSON, a list a column."""
        names = ("days", "back", "low", "high", "still_silent", "silences", "users")
        return {"within_days": self.within, **{name: numbers(getattr(self, name)) for name in names}}


@dataclass(frozen=True, slots=True, eq=False)
class ErrorCurves:
    """What a threshold in days gets wrong, for every user who was still there."""

    gone_after: int  # days without an act that make somebody gone
    moments: tuple[datetime, ...]
    there: int  # users at moments who came back: what both errors are divided by
    gone: int
    days: IntArray  # thresholds, 0 … n
    buried: FloatArray  # declared churned but came back: never rises
    buried_low: FloatArray
    buried_high: FloatArray
    kept: FloatArray  # declared alive but gone: never falls
    kept_low: FloatArray
    kept_high: FloatArray
    crossing: Range  # days; infinite when the curves do not cross up to the longest threshold
    fewest_errors: (
        Range  # where both together are least: there who has just been silent so long is as likely gone as not
    )
    threshold: Range  # the later of the two

    @classmethod
    def of(cls, counted: Counted, *, gone_after: int, moments: Sequence[datetime], drawn: FloatArray) -> Self:
        """Both curves and where they cross."""
        back, gone = drawn @ counted.back, drawn @ counted.gone
        there = back.sum(axis=1, keepdims=True)
        there = np.where(there > 0, there, np.nan)  # a draw in which nobody came back tells nothing
        buried = _reaching(back) / there
        kept = (np.cumsum(gone, axis=1) - gone) / there
        crossings, fewest = _crossings(buried, kept), np.argmin(buried + kept, axis=1).astype(np.float64)
        fewest[fewest == buried.shape[1] - 1] = np.inf  # still falling at the longest threshold
        fewest[np.isnan(crossings)] = np.nan
        later = np.maximum(crossings, fewest)
        return cls(
            gone_after,
            tuple(moments),
            int(counted.back.sum()),
            int(counted.gone.sum()),
            np.arange(buried.shape[1]),
            buried[0],
            *band(buried[1:]),
            kept[0],
            *band(kept[1:]),
            crossing=Range.of(crossings[0], crossings[1:]),
            fewest_errors=Range.of(fewest[0], fewest[1:]),
            threshold=Range.of(later[0], later[1:]),
        )

    def covered(self, days: int) -> float:
        """Of the users who were still there, the share that had acted within so many days; NaN where not seen."""
        return float(1 - self.buried[days]) if 0 <= days < len(self.buried) else float("nan")

    def to_json(self) -> Json:
        """Plain JSON, a list a column."""
        names = ("days", "buried", "buried_low", "buried_high", "kept", "kept_low", "kept_high")
        return {
            "gone_after_days": self.gone_after,
            "moments": [iso(moment) for moment in self.moments],
            "users_still_there": self.there,
            "users_gone": self.gone,
            **{name: numbers(getattr(self, name)) for name in names},
            "crossing_days": self.crossing.to_json(),
            "fewest_errors_days": self.fewest_errors.to_json(),
            "threshold_days": self.threshold.to_json(),
        }


def _survival(ended: FloatArray, still: FloatArray) -> FloatArray:
    """Share of silences that reach each day `[…, days + 1]`; NaN from where nobody was followed on.

    Of those followed through a whole day, the share that ended on it is the day's hazard; who is still silent where
    the follow-up ends leaves the day's risk set, as the product-limit estimator has it.
    """
    exposed = _reaching(ended + still) - still
    with np.errstate(divide="ignore", invalid="ignore"):
        hazard = ended / exposed
    hazard[..., 0] = 0.0  # a silence begins to count at one day
    return np.concatenate([np.ones((*hazard.shape[:-1], 1)), np.cumprod(1 - hazard, axis=-1)], axis=-1)


def _reaching(by_day: NDArray[Any]) -> NDArray[Any]:  # Any: counts or weighted counts
    """How many lie at each day or beyond."""
    return np.cumsum(by_day[..., ::-1], axis=-1)[..., ::-1]


def _crossings(falling: FloatArray, rising: FloatArray) -> FloatArray:
    """Where each row's curves meet, between days on a straight line; infinite where they do not, NaN of nobody."""
    apart = falling - rising
    met = apart <= 0
    place = np.argmax(met, axis=1)
    rows = np.arange(len(apart))
    before, after = apart[rows, np.maximum(place - 1, 0)], apart[rows, place]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = place - 1 + before / (before - after)
    found = np.where(met.any(axis=1), between, np.inf)
    return np.where(np.isnan(apart).any(axis=1), np.nan, found)


def band(replicates: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The percentiles of each column, replicates that are NaN left out; NaN where none is left."""
    known = ~np.isnan(replicates).all(axis=0)
    low, high = np.full(replicates.shape[1], np.nan), np.full(replicates.shape[1], np.nan)
    if known.any():
        low[known], high[known] = np.nanpercentile(replicates[:, known], CONFIDENCE, axis=0)
    return low, high


def _quantiles(weights: FloatArray) -> tuple[float, ...]:
    """The first day at which each share of the weight is reached; NaN of nothing."""
    total = np.cumsum(weights)
    if not len(total) or not total[-1]:
        return (float("nan"),) * len(QUANTILES)
    shares = total / total[-1]
    return tuple(float(np.searchsorted(shares, share * (1 - 1e-12))) for share in QUANTILES)


def number(value: float) -> float | None:
    """The figure for JSON; missing where it is not finite."""
    return float(value) if np.isfinite(value) else None


def numbers(values: NDArray[Any]) -> list[float | int | None]:  # Any: whole or other numbers
    """The same of a column, to six digits."""
    if values.dtype.kind == "i":
        return [int(value) for value in values]
    return [None if np.isnan(value) else round(float(value), 6) for value in values]
