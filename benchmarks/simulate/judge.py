"""Predictions beside the truth, and what the definition assistant says beside what it cannot see."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy
from scipy.stats import spearmanr

from benchmarks.simulate.truth import truth
from benchmarks.simulate.world import START, Lives, Log, place_of
from features.user_events import FloatArray
from features.windows import MICROSECONDS_PER_DAY, days, shift, to_microseconds
from training.define import Assistance, assist

BINS = 10  # of equal mass, as in the report


@dataclass(frozen=True, slots=True)
class Recovered:
    """How near predictions come to the best that the history allows to know."""

    rows: int
    true_rate: float  # mean true probability
    ratio: float  # mean predicted through mean true
    calibration_error: float  # mean distance of predicted and true in bins of predicted
    rmse: float
    rank: float  # Spearman's correlation with the best
    rank_with_fate: float  # the same with what fate knows
    rank_reachable: float  # of the best with fate
    lost: float  # expected log loss above the best one, in nats
    least_loss: float  # expected log loss of the best


def recovered(predicted: FloatArray, users: NDArray[np.object_], lives: Lives, *, cutoff: int) -> Recovered:
    """The figures of predictions made for these users at the morning of a day."""
    known, place = truth(lives, cutoff=cutoff), place_of(users)
    best, fate = known.best[place], known.fate[place]
    parts = np.array_split(np.argsort(predicted, kind="stable"), BINS)
    apart = [abs(predicted[part].mean() - best[part].mean()) * len(part) for part in parts]
    return Recovered(
        rows=len(place),
        true_rate=float(best.mean()),
        ratio=float(predicted.mean() / best.mean()),
        calibration_error=float(sum(apart) / len(place)),
        rmse=float(np.sqrt(((predicted - best) ** 2).mean())),
        rank=float(spearmanr(predicted, best).statistic),
        rank_with_fate=float(spearmanr(predicted, fate).statistic),
        rank_reachable=float(spearmanr(best, fate).statistic),
        lost=float((_expected_loss(best, predicted) - _expected_loss(best, best)).mean()),
        least_loss=float(_expected_loss(best, best).mean()),
    )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Days of silence after which a user is called gone: the assistant's, and the one that the truth asks for.

    Errors are users called gone who are there, and called there who are gone, for each user who is there.
    """

    assistant: float
    assistant_low: float
    assistant_high: float
    true: float  # by the assistant's own rule: the later of where the errors cross and where they are fewest
    true_fewest: float
    errors: float  # at the assistant's threshold
    fewest_errors: float
    recommended: str  # look-back and horizon
    gone_after: int  # days of silence that the assistant takes for being gone


def thresholds(lives: Lives, log: Log) -> Thresholds:
    """What the assistant says of the log, and what is true at the moments that it looked at."""
    found = assist(log, activity=("purchase", "visit"), until=shift(START, days(lives.world.length)))
    buried, kept = _true_errors(lives, log, found)
    both = buried + kept
    crossing = int(np.argmax(buried <= kept))
    mine = found.errors.threshold
    at = round(mine.value) if np.isfinite(mine.value) else len(both) - 1
    best = found.recommended
    return Thresholds(
        assistant=mine.value,
        assistant_low=mine.low,
        assistant_high=mine.high,
        true=float(max(crossing, int(np.argmin(both)))),
        true_fewest=float(np.argmin(both)),
        errors=float(both[at]),
        fewest_errors=float(both.min()),
        recommended="none" if best is None else best.name,
        gone_after=found.errors.gone_after,
    )


def _true_errors(lives: Lives, log: Log, found: Assistance) -> tuple[FloatArray, FloatArray]:
    """Both errors by threshold, where being gone is what it is and not a long silence."""
    upto, there = len(found.errors.days), 0
    of_there, of_gone = np.zeros(upto + 1), np.zeros(upto + 1)
    acts = log.events.kinds > 0  # the first kind is the mail
    owners = np.repeat(np.arange(len(log.events)), np.diff(log.events.offsets))[acts]
    times = log.events.times[acts]
    for moment in map(to_microseconds, found.errors.moments):
        last = np.full(len(log.events), -1, dtype=np.int64)
        np.maximum.at(last, owners[times < moment], times[times < moment])
        seen = last >= 0
        silent = np.minimum((moment - last) // MICROSECONDS_PER_DAY, upto)[seen]
        today = (moment - to_microseconds(START)) / MICROSECONDS_PER_DAY
        gone = (lives.gone <= today)[seen]
        there += int((~gone).sum())
        of_there += np.bincount(silent[~gone], minlength=upto + 1)
        of_gone += np.bincount(silent[gone], minlength=upto + 1)
    buried = np.cumsum(of_there[::-1])[::-1] / there
    kept = (np.cumsum(of_gone) - of_gone) / there
    return buried[:upto], kept[:upto]


def _expected_loss(true: FloatArray, predicted: FloatArray) -> FloatArray:
    """The log loss that a prediction has on average where this is the true probability."""
    return np.asarray(-xlogy(true, predicted) - xlogy(1 - true, 1 - predicted))
