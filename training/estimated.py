"""How good the scores of today will turn out to be, before anybody knows: from the probabilities alone.

*Confidence-based performance estimation* (NannyML's documentation, "How CBPE works"): where a probability is true,
a user scored 0.3 churns with chance 0.3, so that the expected log loss, Brier score and AUC follow from the scores.
The assumption is just that: **calibration holds**. What makes churn more or less likely without showing in the features
moves outcomes and leaves the estimate where it is. What the estimate does see is a population in which users are
harder to tell apart than they were.

The intervals say where the figure of this one run will lie if the assumption holds: outcomes are drawn many times from
the probabilities, and each draw is measured. They do not know of any doubt in the probabilities themselves.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.user_events import FloatArray
from training.metrics import CLIP, Estimate, estimate_of
from training.watch import Figures, Finding, Gravity

DRAWS = 200
MOST_USERS = 50_000  # of whom outcomes are drawn; more narrow the interval beyond what the assumption is worth
FEWEST_CHURNERS = 20  # expected, and as many who stay
LOWER_AUC = 0.05  # than was shown at training: a list that is clearly worse
ASSUMPTION = "if the probabilities are right"


@dataclass(frozen=True, slots=True)
class Estimated:
    """The expected figures of a run, each with the middle 95 % of what chance makes of it."""

    users: int
    auc: Estimate
    log_loss: Estimate
    brier: Estimate
    churned_share: Estimate

    def to_json(self) -> Figures:
        """The figures as plain JSON; what is missing is null."""
        names = ("auc", "log_loss", "brier", "churned_share")
        return {"users": self.users, **{name: _ends(getattr(self, name)) for name in names}}


def estimate(probabilities: FloatArray, *, seed: int, draws: int = DRAWS) -> Estimated:
    """What these calibrated probabilities of one run promise of themselves.

    >>> round(estimate(np.array([0.1] * 500 + [0.9] * 500), seed=0).brier.value, 3)
    0.09
    """
    dice = np.random.default_rng(seed)
    chosen = probabilities
    if len(chosen) > MOST_USERS:
        chosen = dice.choice(chosen, MOST_USERS, replace=False)
    chosen = np.clip(np.sort(chosen), CLIP, 1 - CLIP)
    drawn = np.array([_measured(dice.random(len(chosen)) < chosen, chosen) for _ in range(draws)])
    entropy = -(chosen * np.log(chosen) + (1 - chosen) * np.log(1 - chosen))
    values = (expected_auc(chosen), float(entropy.mean()), float((chosen * (1 - chosen)).mean()), float(chosen.mean()))
    auc, loss, brier, share = (estimate_of(value, drawn[:, place]) for place, value in enumerate(values))
    return Estimated(len(probabilities), auc, loss, brier, share)


def expected_auc(probabilities: FloatArray) -> float:
    """The chance that a churner stands above one who stays, outcomes drawn from the probabilities, each pair once.

    >>> expected_auc(np.array([0.5, 0.5, 0.5]))
    0.5
    """
    ranked, places = np.unique(probabilities, return_inverse=True)
    gone = np.bincount(places, weights=probabilities, minlength=len(ranked))
    stay = np.bincount(places, weights=1 - probabilities, minlength=len(ranked))
    below = np.concatenate([[0.0], np.cumsum(stay)[:-1]])
    themselves = float((probabilities * (1 - probabilities)).sum())  # nobody is compared with himself
    pairs = float(gone.sum() * stay.sum()) - themselves
    won = float((gone * (below + stay / 2)).sum()) - themselves / 2
    return won / pairs if pairs > 0 else float("nan")


def findings(found: Estimated, promised: Mapping[str, float]) -> Iterator[Finding]:
    """The estimate against the AUC shown at training."""
    expected = found.churned_share.value * found.users
    if min(expected, found.users - expected) < FEWEST_CHURNERS or np.isnan(found.auc.value):
        yield Finding(
            "estimate_unknown",
            Gravity.OK,
            f"too few users ({found.users:,}) to estimate how good their scores are",
            figures=found.to_json(),
        )
        return
    shown = promised.get("auc")
    worse = shown is not None and found.auc.high < shown and found.auc.value < shown - LOWER_AUC
    against = "" if shown is None else f"; AUC {shown:.3f} was shown at training"
    yield Finding(
        "estimate",
        Gravity.WARNING if worse else Gravity.OK,
        f"{ASSUMPTION}, AUC will be {found.auc.says()}, log loss {found.log_loss.says()} and "
        f"{found.churned_share.value:.1%} of {found.users:,} users churn{against}",
        "the users are harder to tell apart than those at training; see which features moved" if worse else "",
        found.to_json() | {"promised_auc": shown, "assumption": "calibration holds"},
    )


def _measured(gone: "np.ndarray[tuple[int], np.dtype[np.bool_]]", ranked: FloatArray) -> tuple[float, ...]:
    """AUC, log loss, Brier score and share of churners of one draw; `ranked` ascends. Ties count by their place."""
    churners, count = int(gone.sum()), len(gone)
    places = _mean_places(ranked)[gone].sum()
    pairs = churners * (count - churners)
    auc = (places - churners * (churners + 1) / 2) / pairs if pairs else np.nan
    loss = -np.log(np.where(gone, ranked, 1 - ranked)).mean()
    return auc, float(loss), float(((gone - ranked) ** 2).mean()), churners / count


def _mean_places(ranked: FloatArray) -> FloatArray:
    """The rank of each of ascending values from 1 on, equal ones sharing their mean."""
    _, first, counts = np.unique(ranked, return_index=True, return_counts=True)
    return np.repeat(first + (counts + 1) / 2, counts)


def _ends(found: Estimate) -> dict[str, Any] | None:  # Any: JSON
    if np.isnan(found.value):
        return None
    return {"value": found.value, "low": found.low, "high": found.high}
