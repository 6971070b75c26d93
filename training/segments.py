"""For whom the model is good: the test rows by tenure, activity and value, as they were known at the cutoff.

The edges are quantiles of all test rows, so that a segment means the same at every origin; outcomes play no part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray
from training.metrics import Estimate, evaluate
from training.over_origins import figures
from training.trial import Trial
from training.verdict import FEWEST_OF_EACH, FEWEST_USERS, LEVEL

Mask = NDArray[np.bool_]
LEVEL_OF_ALL = 0.95  # of the intervals of all segments together


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known at the cutoff by which rows are told apart; `parts` names the bands, the lowest first."""

    name: str
    unit: str
    parts: tuple[str, ...]


TENURE = Fact("tenure", "days", ("newest quarter", "second quarter", "third quarter", "oldest quarter"))
ACTIVITY = Fact("activity", "events", ("least active third", "middle third", "most active third"))
VALUE = Fact("value", "", ("lowest third", "middle third", "highest third"))
FACTS = (TENURE, ACTIVITY, VALUE)


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """The test rows whose fact lies from `low` to `high`, both included; no trial where there are too few."""

    fact: Fact
    part: str
    low: float
    high: float
    rows: int
    users: int
    churned: int  # users who churned at any origin
    stayed: int  # users who stayed at any origin
    trial: Trial | None

    @property
    def name(self) -> str:
        """The segment with its edges.

        >>> Segment(TENURE, "newest quarter", 0.2, 63.0, 9, 9, 1, 8, None).name
        'tenure 0.2 to 63 days'
        """
        edges = f"{_number(self.low)} to {_number(self.high)}" if self.low < self.high else _number(self.low)
        return f"{self.fact.name} {edges} {self.fact.unit}".rstrip()

    @property
    def too_few(self) -> str:
        """Why nothing is said of the segment; empty where something is."""
        if self.trial is not None:
            return ""
        return (
            f"too few: {self.users} users, {self.churned} churned and {self.stayed} stayed "
            f"(expected {FEWEST_USERS}, and {FEWEST_OF_EACH} of each)"
        )

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Name, edges and figures, or why there are none."""
        edges = {"fact": self.fact.name, "part": self.part, "low": self.low, "high": self.high, "unit": self.fact.unit}
        counts = {"rows": self.rows, "users": self.users, "users_churned": self.churned, "users_stayed": self.stayed}
        found = {"too_few": self.too_few} if self.trial is None else figures(self.trial)
        return {"name": self.name, **edges, **counts, **found}


def by_segment(trial: Trial, facts: dict[Fact, FloatArray], *, seed: int, replicates: int) -> tuple[Segment, ...]:
    """The trial's rows by each fact; a fact that is the same for everybody, or not known, makes no segments."""
    return tuple(
        _segment(trial, fact, place, values[mask], mask, seed=seed, replicates=replicates)
        for fact, values in facts.items()
        for place, mask in bands(values, parts=len(fact.parts))
    )


def bands(values: FloatArray, *, parts: int) -> list[tuple[int, Mask]]:
    """Equal parts of the rows by a number, with their place; equal numbers stay together, so some may be missing.

    >>> [(place, mask.tolist()) for place, mask in bands(np.array([1.0, 1.0, 1.0, 2.0]), parts=2)]
    [(0, [True, True, True, False]), (1, [False, False, False, True])]
    """
    known = ~np.isnan(values)
    if not known.any() or values[known].min() == values[known].max():
        return []
    edges = np.quantile(values[known], np.arange(1, parts) / parts, method="lower")
    places = np.where(known, np.searchsorted(edges, values, side="left"), -1)
    return [(place, places == place) for place in range(parts) if (places == place).any()]


def levels_off(segments: Sequence[Segment]) -> list[tuple[Segment, Estimate]]:
    """Segments whose predicted ÷ observed lies outside the verdict's bounds, surely different from 1.

    The intervals hold for all segments at once (Bonferroni), so that one of ten is not off by chance.
    """
    judged = [(segment, segment.trial) for segment in segments if segment.trial is not None]
    reach = NormalDist().inv_cdf(1 - (1 - LEVEL_OF_ALL) / 2 / max(1, len(judged)))
    found = []
    for segment, trial in judged:
        ratio = _wide(trial, reach=reach)
        if not LEVEL[0] <= ratio.value <= LEVEL[1] and not ratio.low <= 1 <= ratio.high:
            found.append((segment, ratio))
    return found


def _wide(trial: Trial, *, reach: float) -> Estimate:
    """Predicted ÷ observed, plus and minus so many bootstrap standard errors of its logarithm."""
    value = trial.ours["predicted_over_observed"].value
    drawn = trial.ours.replicates["predicted_over_observed"]
    error = float(np.log(drawn[~np.isnan(drawn)]).std())
    return Estimate(value, float(np.exp(log(value) - reach * error)), float(np.exp(log(value) + reach * error)))


def _segment(
    trial: Trial, fact: Fact, place: int, values: FloatArray, mask: Mask, *, seed: int, replicates: int
) -> Segment:
    users, labels = trial.users[mask], trial.labels[mask]
    churned, stayed = _count(users[labels == 1]), _count(users[labels == 0])
    enough = _count(users) >= FEWEST_USERS and min(churned, stayed) >= FEWEST_OF_EACH
    return Segment(
        fact,
        fact.parts[place],
        float(values.min()),
        float(values.max()),
        rows=len(labels),
        users=_count(users),
        churned=churned,
        stayed=stayed,
        trial=_part(trial, mask, seed=seed, replicates=replicates) if enough else None,
    )


def _part(trial: Trial, mask: Mask, *, seed: int, replicates: int) -> Trial:
    """The same contestants on some of the rows, all origins' rows as one set."""
    users, labels = trial.users[mask], trial.labels[mask]
    probabilities = {name: values[mask] for name, values in trial.probabilities.items()}
    scores = {name: values[mask] for name, values in trial.scores.items()}
    evaluations = {
        name: evaluate(labels, values, users=users, seed=seed, ranks=scores[name], replicates=replicates)
        for name, values in probabilities.items()
    }
    return Trial(users, labels, probabilities, scores, evaluations, foretold=trial.foretold)


def _count(users: NDArray[np.object_]) -> int:
    return len(np.unique(users.astype(str)))


def _number(value: float) -> str:
    """A whole number, or one place where that says more."""
    return f"{value:,.0f}" if abs(value) >= 10 else f"{round(value, 1):g}"  # noqa: PLR2004 - two digits tell it apart
