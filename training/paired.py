"""The difference between two models on the same rows: a bootstrap that draws users, the same ones for both.

Intervals are percentiles, as everywhere (Efron and Tibshirani 1993). For segments, of which there are many, they are
the difference plus and minus so many bootstrap standard errors that all of them together hold in 95 % of cases
(Bonferroni): a few hundred draws have no percentiles that far out.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from features.user_events import FloatArray
from training.contest import Band, Contest, Showing
from training.metrics import Estimate, Evaluation, difference, evaluate, log_losses, user_weights
from training.ranking import recall_at

REPLICATES = 1000  # an interval's ends should not swing; large sets get fewer, as `user_weights` says
_LEVEL = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A figure of both and what the challenger's is above the champion's, paired."""

    champion: Estimate
    challenger: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class OfSegment:
    """Log loss in a segment; `low` and `high` are the ends of an interval that holds for all segments at once."""

    band: Band
    users: int
    champion: float
    challenger: float
    low: float  # of the difference
    high: float

    @property
    def difference(self) -> float:
        """What the challenger's log loss is above the champion's."""
        return self.challenger - self.champion


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """Everything in which the two are compared."""

    log_loss: Compared
    recall: Compared  # at capacity
    level: Compared  # predicted ÷ observed churners
    calibration_error: Compared
    auc: Compared
    segments: tuple[OfSegment, ...]
    deployed_log_loss: Estimate  # of the deployed challenger above what was shown for it
    deployed_level: Estimate


def compare(contest: Contest, *, capacity: float, fewest_users: int, seed: int, replicates: int = REPLICATES) -> Pair:
    """The two on the rows of the contest; `capacity` is the share of users that can be looked after.

    Segments of fewer than `fewest_users` users are left out.
    """

    def judged(showing: Showing, probabilities: FloatArray) -> Evaluation:
        ranks = showing.margins if probabilities is showing.probabilities else probabilities
        return evaluate(
            contest.labels, probabilities, users=contest.users, seed=seed, ranks=ranks, replicates=replicates
        )

    champion, challenger = (judged(side, side.probabilities) for side in (contest.champion, contest.challenger))
    deployed = judged(contest.challenger, contest.challenger.deployed)
    recall, segments = _own(contest, capacity=capacity, fewest_users=fewest_users, seed=seed, replicates=replicates)

    def compared(metric: str) -> Compared:
        return Compared(champion[metric], challenger[metric], difference(challenger, champion, metric=metric))

    return Pair(
        log_loss=compared("log_loss"),
        recall=recall,
        level=compared("predicted_over_observed"),
        calibration_error=compared("calibration_error"),
        auc=compared("auc"),
        segments=segments,
        deployed_log_loss=difference(deployed, challenger, metric="log_loss"),
        deployed_level=deployed["predicted_over_observed"],
    )


def _own(
    contest: Contest, *, capacity: float, fewest_users: int, seed: int, replicates: int
) -> tuple[Compared, tuple[OfSegment, ...]]:
    """What `evaluate` does not know: recall at any capacity, and segments."""
    sides = (contest.champion, contest.challenger)
    recalls = [recall_at(contest.labels, side.margins, share=capacity) for side in sides]
    gap = log_losses(contest.labels, sides[1].probabilities) - log_losses(contest.labels, sides[0].probabilities)
    kept = {band: there for band, there in contest.segments.items() if _users(contest, there) >= fewest_users}
    inside = np.array(list(kept.values()), dtype=np.float64).reshape(len(kept), len(gap)).T
    drawn_recalls, drawn_gaps = [], []
    for weights in user_weights(contest.users, seed=seed, replicates=replicates):
        drawn_recalls.append([recall(weights) for recall in recalls])
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn_gaps.append((weights @ (gap[:, None] * inside)) / (weights @ inside))
    ones = np.ones((1, len(gap)))
    first, second = np.concatenate(drawn_recalls, axis=1)
    points = [float(recall(ones)[0]) for recall in recalls]
    compared = Compared(
        _estimate(points[0], first), _estimate(points[1], second), _estimate(points[1] - points[0], second - first)
    )
    errors = np.nanstd(np.concatenate(drawn_gaps), axis=0)
    return compared, _segments(contest, list(kept), errors=errors)


def _segments(contest: Contest, kept: list[Band], *, errors: FloatArray) -> tuple[OfSegment, ...]:
    reach = NormalDist().inv_cdf(1 - (1 - _LEVEL) / 2 / max(1, len(kept)))
    found = []
    for band, error in zip(kept, errors, strict=True):
        there = contest.segments[band]
        ours, theirs = (
            float(log_losses(contest.labels[there], side.probabilities[there]).mean())
            for side in (contest.champion, contest.challenger)
        )
        ends = (float(theirs - ours - reach * error), float(theirs - ours + reach * error))
        found.append(OfSegment(band, _users(contest, there), ours, theirs, *ends))
    return tuple(found)


def _users(contest: Contest, there: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> int:
    return len(np.unique(contest.users[there].astype(str)))


def _estimate(value: float, drawn: FloatArray) -> Estimate:
    known = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(known):
        return Estimate(np.nan, np.nan, np.nan, "nobody churned in the windows")
    low, high = np.quantile(known, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return Estimate(value, float(low), float(high))
