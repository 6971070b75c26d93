"""How fast a model fades: the model of an earlier origin beside a fresh one, on the same later rows.

An age is the time from the cutoff for which a model was made to the cutoff at which it is asked. The difference of old
minus fresh is a mean over the pairs of origins of that age, each pair counting alike. The old model has also learnt
from less history, so the difference is what training anew would have brought; with `max_cutoffs` at what the oldest
origin has, all models learn from the same length of history and only age is left.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Any

import numpy as np

from features.user_events import FloatArray
from training.metrics import Estimate, log_losses, user_weights
from training.over_origins import of_estimate, slices
from training.ranking import ranking_metrics
from training.trial import OURS, Trial

FEWEST_PAIRS = 2  # of origins: one pair is one window, whose oddities are not age
WORTH_IT = 0.01  # of the fresh model's log loss; every new model is a change to be checked, which less does not repay
LEVEL = 0.95
OLD_ENOUGH = 0.5  # of the fresh model's cutoffs: an old model with fewer has faded by want of history, too

OnPair = Callable[[int, int], None]
Asked = dict[tuple[int, int], tuple[FloatArray, FloatArray]]  # (old, fresh): the old one's probabilities and scores


@dataclass(frozen=True, slots=True)
class Age:
    """What models of an age are above fresh ones, on the same rows."""

    days: int
    pairs: int
    rows: int
    log_loss: Estimate  # old minus fresh
    auc: Estimate  # old minus fresh
    level: Estimate  # predicted ÷ observed of the old ones, all rows together
    fresh_log_loss: float
    sure_log_loss: float  # the loss above a fresh model's that holds for all ages at once
    same_history: bool  # whether every old model had learnt from at least half as many cutoffs as the fresh one

    @property
    def shown(self) -> bool:
        """Whether models of this age are surely worse, by enough to train for."""
        return self.pairs >= FEWEST_PAIRS and self.sure_log_loss > 0 and self.share >= WORTH_IT

    @property
    def suspected(self) -> bool:
        """Whether they would be surely worse, were this the only age looked at and its windows all there are."""
        return self.pairs >= FEWEST_PAIRS and self.log_loss.low > 0 and self.share >= WORTH_IT

    @property
    def share(self) -> float:
        """The loss as a share of the fresh model's log loss."""
        return self.log_loss.value / self.fresh_log_loss

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The figures."""
        return {
            "age_days": self.days,
            "pairs": self.pairs,
            "rows": self.rows,
            "log_loss_above_fresh": of_estimate(self.log_loss),
            "auc_above_fresh": of_estimate(self.auc),
            "predicted_over_observed": of_estimate(self.level),
            "share_of_log_loss": self.share,
            "sure_log_loss": self.sure_log_loss,
            "enough_history": self.same_history,
            "decay_shown": self.shown,
            "decay_suspected": self.suspected,
        }


@dataclass(frozen=True, slots=True)
class Ageing:
    """All ages, the youngest first, and what follows for how often to train."""

    ages: tuple[Age, ...]

    @property
    def decay(self) -> Age | None:
        """The youngest age at which decay was shown."""
        return next((age for age in self.ages if age.shown), None)

    @property
    def retrain_days(self) -> int | None:
        """How old a model may become: the oldest age before the first sign of a decay that was shown, if any."""
        signs = [age.days for age in self.ages if age.suspected or age.shown]
        younger = [age.days for age in self.ages if self.decay is not None and age.days < min(signs)]
        return max(younger, default=None)

    @property
    def suspicion(self) -> Age | None:
        """The youngest age of which decay is suspected; none where some was shown."""
        return None if self.decay else next((age for age in self.ages if age.suspected), None)

    def says(self) -> str:
        """The recommendation in a sentence."""
        tested = [age for age in self.ages if age.pairs >= FEWEST_PAIRS]
        if not tested:
            return "how fast the model fades cannot be said: it takes two pairs of origins of the same age."
        if self.decay is not None:
            when = (
                f"before the model is {self.ages[0].days} days old, the youngest age that was tested"
                if self.retrain_days is None
                else f"at least every {self.retrain_days} days"
            )
            return f"train anew {when}: {_beside(self.decay)}."
        if self.suspicion is not None:
            words = f"no decay could be shown for sure over {tested[-1].days} days, but {_beside(self.suspicion)}"
            return f"{words}: to be careful, train anew before that age."
        return f"no decay could be shown over {tested[-1].days} days: {_beside(tested[-1])}."

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The ages and the recommendation."""
        return {
            "ages": [age.to_json() for age in self.ages],
            "retrain_days": self.retrain_days,
            "tested_days": max((age.days for age in self.ages), default=0),
            "recommendation": self.says(),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """What is known of the origins: place in time, trial, and how many cutoffs were learnt from."""

    days: Sequence[float]  # since the first origin
    trials: Sequence[Trial]
    learnt_from: Sequence[int]


def ageing(line: Timeline, asked: Asked, *, seed: int, replicates: int) -> Ageing:
    """The ages, from what the models of earlier origins said of later origins' rows."""
    drawn = {pair: _Drawn([], [], []) for pair in asked}
    point = {pair: _Drawn([], [], []) for pair in asked}
    users = np.concatenate([trial.users for trial in line.trials])
    _compare(line.trials, asked, np.ones((1, len(users))), point)
    for weights in user_weights(users, seed=seed, replicates=replicates):
        _compare(line.trials, asked, weights, drawn)
    groups: dict[int, list[tuple[int, int]]] = {}
    for old, fresh in asked:
        groups.setdefault(round(line.days[fresh] - line.days[old]), []).append((old, fresh))
    return Ageing(tuple(_age(days, groups[days], line, point, drawn, of_ages=len(groups)) for days in sorted(groups)))


def pairs(origins: int) -> Iterator[tuple[int, int]]:
    """Every earlier origin with every later one.

    >>> list(pairs(3))
    [(0, 1), (0, 2), (1, 2)]
    """
    return ((old, fresh) for old in range(origins) for fresh in range(old + 1, origins))


@dataclass(frozen=True, slots=True, eq=False)
class _Drawn:
    """Old minus fresh in log loss and AUC, and what the old model predicted and what happened, a block each."""

    losses: list[FloatArray]
    aucs: list[FloatArray]
    sums: list[FloatArray]  # [2, replicates]: predicted, observed


def _compare(trials: Sequence[Trial], asked: Asked, weights: FloatArray, into: dict[tuple[int, int], _Drawn]) -> None:
    """Add a block of replicates; a later origin's own figures are computed once for all older models."""
    for fresh, (trial, place) in enumerate(zip(trials, slices(trials), strict=True)):
        elders = [pair for pair in asked if pair[1] == fresh]
        if not elders:
            continue
        there = weights[:, place]
        mass = there.sum(axis=1)
        ours = log_losses(trial.labels, trial.probabilities[OURS])
        auc = ranking_metrics(trial.labels, trial.scores[OURS])(there)["auc"]
        for pair in elders:
            probabilities, scores = asked[pair]
            into[pair].losses.append(there @ (log_losses(trial.labels, probabilities) - ours) / mass)
            into[pair].aucs.append(ranking_metrics(trial.labels, scores)(there)["auc"] - auc)
            into[pair].sums.append(np.stack([there @ probabilities, there @ trial.labels]))


def _age(
    days: int,
    group: Sequence[tuple[int, int]],
    line: Timeline,
    point: dict[tuple[int, int], _Drawn],
    drawn: dict[tuple[int, int], _Drawn],
    *,
    of_ages: int,
) -> Age:
    of_pairs = np.array([point[pair].losses[0][0] for pair in group])
    losses = _mean([np.concatenate(drawn[pair].losses) for pair in group])
    by_pairs = float(of_pairs.std(ddof=1)) / sqrt(len(group)) if len(group) > 1 else 0.0
    error = max(float(losses.std()), by_pairs)  # windows differ by more than the users who are drawn
    reach = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / of_ages)
    fresh = [line.trials[pair[1]].ours["log_loss"].value for pair in group]
    return Age(
        days,
        len(group),
        sum(len(line.trials[pair[1]].labels) for pair in group),
        log_loss=_estimate(float(of_pairs.mean()), losses),
        auc=_estimate(
            float(np.mean([point[pair].aucs[0][0] for pair in group])),
            _mean([np.concatenate(drawn[pair].aucs) for pair in group]),
        ),
        level=_level([point[pair] for pair in group], [drawn[pair] for pair in group]),
        fresh_log_loss=float(np.mean(fresh)),
        sure_log_loss=float(of_pairs.mean()) - reach * error,
        same_history=all(line.learnt_from[old] >= OLD_ENOUGH * line.learnt_from[fresh] for old, fresh in group),
    )


def _level(point: Sequence[_Drawn], drawn: Sequence[_Drawn]) -> Estimate:
    predicted, observed = np.sum([each.sums[0] for each in point], axis=0)
    all_sums = np.sum([np.concatenate(each.sums, axis=1) for each in drawn], axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, ratios = float((predicted / observed)[0]), all_sums[0] / all_sums[1]
    return _estimate(value if np.isfinite(value) else np.nan, np.where(np.isfinite(ratios), ratios, np.nan))


def _mean(blocks: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(np.mean(blocks, axis=0), dtype=np.float64)


def _estimate(value: float, drawn: FloatArray) -> Estimate:
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(known):
        return Estimate(np.nan, np.nan, np.nan, "one outcome only")
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value, float(low), float(high))


def _beside(age: Age) -> str:
    """What an age cost, in words."""
    loss = f"{age.log_loss.value:+.4f} [{age.log_loss.low:+.4f}, {age.log_loss.high:+.4f}]"
    words = (
        f"models {age.days} days old had a log loss of {loss} beside fresh ones ({age.share:+.1%}, {age.pairs} pairs)"
    )
    return words if age.same_history or not age.suspected else f"{words}, in part because they knew less history"
