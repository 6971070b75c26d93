"""Does the list stay the same from one cutoff to the next? Shifts of scores and features, and of the order of users.

The *population stability index* of a quantity is the sum over bins of (b - a) ln(b / a), with the shares a before and
b after (Kullback's J-divergence). Without any shift it is not 0 but about (1/n + 1/m) times a chi-square variable with
one degree of freedom less than there are bins (Yurdakul 2018; Yurdakul and Naranjo 2020), for n and m independent
rows. So each index is told with the 95 % point of that noise: below it nothing has been seen, and the usual 0.1 and
0.25 mean nothing where users are few. Many users are in both cutoffs, which makes the real noise smaller still.

Ranks are compared among the users of both cutoffs: Spearman's correlation of their scores with the interval of Bonett
and Wright (2000), and which share of the first tenth before is in the first tenth after.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray
from features.windows import iso
from models.model import ChurnModel
from training.snapshots import TrainingSet

BINS = 10
TOP = 0.10  # of the list
MOST_FEATURES = 5  # those that move the score most
MOST_PAIRS = 4  # newest pairs of consecutive cutoffs
SAMPLE = 1000  # rows whose contributions say which features move the score
FEWEST_IN_BOTH = 30  # users; an order of fewer says nothing
_SURE = 1.96


@dataclass(frozen=True, slots=True)
class Shift:
    """How far a quantity has moved between two cutoffs; `noise` is what 95 % of the unmoved stay below."""

    name: str
    index: float
    noise: float
    bins: int
    before: int  # rows
    after: int

    @property
    def seen(self) -> bool:
        """Whether the index says anything but noise."""
        return self.index > self.noise

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The shift as plain JSON."""
        return {name: getattr(self, name) for name in ("index", "noise", "bins", "before", "after")}


@dataclass(frozen=True, slots=True)
class Step:
    """From one cutoff to the next: shifts, and whether the users of both kept their places."""

    earlier: datetime
    later: datetime
    scores: Shift
    features: tuple[Shift, ...]
    in_both: int
    correlation: float  # Spearman's; NaN where too few are in both or all scores are one
    low: float
    high: float
    listed: int  # users of both who were among the first tenth of them before
    kept: float  # the share of those who still are

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The step as plain JSON; what is missing is null."""
        ranks = {name: getattr(self, name) for name in ("correlation", "low", "high", "kept")}
        return {
            "earlier": iso(self.earlier),
            "later": iso(self.later),
            "scores": self.scores.to_json(),
            "features": {shift.name: shift.to_json() for shift in self.features},
            "users_in_both": self.in_both,
            "listed": self.listed,
            **{name: None if np.isnan(value) else value for name, value in ranks.items()},
        }


@dataclass(frozen=True, slots=True)
class Stability:
    """The newest steps, oldest first; none where the history has but one cutoff the model had not learnt from."""

    steps: tuple[Step, ...] = ()

    def quality(self) -> dict[str, float]:
        """The newest step's figures, for a run's metrics."""
        if not self.steps:
            return {}
        newest = self.steps[-1]
        found = {
            "psi_of_scores": newest.scores.index,
            "psi_noise": newest.scores.noise,
            "rank_correlation": newest.correlation,
            "top_decile_kept": newest.kept,
        }
        return {name: value for name, value in found.items() if not np.isnan(value)}

    def to_json(self) -> list[dict[str, Any]]:  # Any: JSON
        """The steps as plain JSON."""
        return [step.to_json() for step in self.steps]


def stability(
    model: ChurnModel, rows: TrainingSet, cutoffs: Sequence[datetime], *, dates: tuple[str, ...] = ()
) -> Stability:
    """How steady the model's list is between these consecutive cutoffs, the newest few pairs of them.

    Choose cutoffs that the model has not learnt from: it knows those too well. `dates` names features of the cutoff
    itself, which move by what they are.
    """
    newest = sorted(cutoffs)[-(MOST_PAIRS + 1) :]
    at = [rows.at([cutoff]) for cutoff in newest]
    seen = [(cutoff, here) for cutoff, here in zip(newest, at, strict=True) if len(here)]
    if len(seen) <= 1:
        return Stability()
    watched = _moving(model, seen[-1][1], dates=dates)
    scores = [model.margin(here.frame) for _, here in seen]
    return Stability(
        tuple(
            _step(seen[place], seen[place + 1], scores[place], scores[place + 1], watched=watched)
            for place in range(len(seen) - 1)
        )
    )


def population_shift(name: str, before: FloatArray, after: FloatArray, *, bins: int = BINS) -> Shift:
    """The stability index over bins of equal mass before; equal values share a bin, missing values have their own.

    Half a row is added to each bin, so that an empty one does not make the index infinite.

    >>> population_shift("same", np.arange(1000.0), np.arange(1000.0)).index
    0.0
    """
    from scipy.special import chdtri  # noqa: PLC0415 - costs a quarter of a second

    known = before[~np.isnan(before)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.empty(0)
    shares = [_counts(each, edges) for each in (before, after)]
    filled = shares[0] + shares[1] > 0
    a, b = ((each[filled] + 0.5) / (each[filled] + 0.5).sum() for each in shares)
    index = float(((b - a) * np.log(b / a)).sum())
    freedom = max(1, int(filled.sum()) - 1)
    noise = float(chdtri(freedom, 0.05)) * (1 / len(before) + 1 / len(after))
    return Shift(name, index, noise, int(filled.sum()), len(before), len(after))


def rank_correlation(first: FloatArray, second: FloatArray) -> tuple[float, float, float]:
    """Spearman's correlation and the ends of its 95 % interval; NaN where an order says nothing.

    >>> rank_correlation(np.arange(40.0), np.arange(40.0) ** 3)[0]
    1.0
    """
    from scipy.stats import rankdata  # noqa: PLC0415 - costs half a second

    count = len(first)
    if count < FEWEST_IN_BOTH or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan"), float("nan"), float("nan")
    found = float(np.clip(np.corrcoef(rankdata(first), rankdata(second))[0, 1], -1, 1))
    if abs(found) == 1:
        return found, found, found
    middle, reach = np.arctanh(found), _SURE * ((1 + found**2 / 2) / (count - 3)) ** 0.5
    return found, float(np.tanh(middle - reach)), float(np.tanh(middle + reach))


def kept_at_top(first: FloatArray, second: FloatArray, *, top: float = TOP) -> tuple[int, float]:
    """How many are among the first `top` by the first scores, and which share of them by the second too.

    >>> kept_at_top(np.arange(40.0), -np.arange(40.0))
    (4, 0.0)
    """
    listed = round(top * len(first))
    if not listed:
        return 0, float("nan")
    before, after = (set(np.argsort(-each, kind="stable")[:listed].tolist()) for each in (first, second))
    return listed, len(before & after) / listed


def _step(
    earlier: tuple[datetime, TrainingSet],
    later: tuple[datetime, TrainingSet],
    before: FloatArray,
    after: FloatArray,
    *,
    watched: NDArray[np.int64],
) -> Step:
    (first, old), (second, new) = earlier, later
    names = old.snapshots.names
    _, here, there = np.intersect1d(old.users.astype(str), new.users.astype(str), return_indices=True)
    correlation, low, high = rank_correlation(before[here], after[there])
    listed, kept = kept_at_top(before[here], after[there])
    return Step(
        earlier=first,
        later=second,
        scores=population_shift("scores", before, after),
        features=tuple(
            population_shift(names[column], old.snapshots.matrix[:, column], new.snapshots.matrix[:, column])
            for column in watched
        ),
        in_both=len(here),
        correlation=correlation,
        low=low,
        high=high,
        listed=listed,
        kept=kept,
    )


def _moving(model: ChurnModel, rows: TrainingSet, *, dates: tuple[str, ...]) -> NDArray[np.int64]:
    """The columns of the features that move the score most, those of the cutoff itself left out."""
    sample = rows.frame.iloc[:: max(1, len(rows) // SAMPLE)]
    sizes = np.abs(model.contributions(sample)[:, :-1]).mean(axis=0)
    sizes[[rows.snapshots.names.index(name) for name in dates]] = -1.0
    order = np.argsort(-sizes, kind="stable")[:MOST_FEATURES]
    return np.asarray(order[sizes[order] > 0], dtype=np.int64)


def _counts(values: FloatArray, edges: FloatArray) -> FloatArray:
    """Rows of each bin, the missing ones last."""
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)).astype(np.float64)
