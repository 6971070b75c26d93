"""A feature set described by its values in a log: how often they are missing, how they lie, what they go with."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import snapshots
from features.feature_set import Feature, FeatureSet
from features.language import Selection, feature_set
from features.pool import OnProgress
from features.population import Population
from features.snapshots import Bucketed
from features.windows import iso

SHARES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
BINS = 24
MOST_RANKED = 50_000  # users whose ranks are compared: the error of a correlation is below 0.005 then
_RECENCY = "days since the last activity"  # no keyword, so no column of anybody's
_FEWEST = 3  # two users always correlate
_TAILS = 0.01  # beyond these quantiles values are counted in the outer bins, or one giant would leave one bar


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many values lie in equal steps from `low` to `high`; the outer ones count what lies beyond too."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A feature and its values in the population."""

    feature: Feature
    missing: float  # share of the users, 0 to 1
    quantiles: tuple[float, ...]  # at SHARES; empty without a value, and for categories
    histogram: Histogram | None  # as above
    categories: tuple[tuple[str, float], ...]  # share of the users who have a value, by text
    correlation: float  # Spearman's, with the days since the last activity; missing where one of them never varies

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON."""
        feature, histogram = self.feature, self.histogram
        return {
            "name": feature.name,
            "sentence": feature.pattern,
            "sentence_zh": feature.pattern_zh,
            "formula": feature.formula,
            "family": feature.family,
            "unit": feature.unit,
            "window_days": feature.window_days,
            "share_with_value": _finite(1 - self.missing),
            "share_missing": _finite(self.missing),
            "quantiles": {f"{share:g}": _finite(value) for share, value in zip(SHARES, self.quantiles, strict=False)},
            "histogram": histogram and {"low": histogram.low, "high": histogram.high, "counts": list(histogram.counts)},
            "categories": dict(self.categories),
            "correlation_with_recency": _finite(self.correlation),
        }


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The features of a population at a cutoff."""

    fingerprint: str
    cutoff: datetime
    population: Population
    as_known: bool
    users: int
    entries: tuple[Entry, ...]

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON."""
        return {
            "fingerprint": self.fingerprint,
            "cutoff": iso(self.cutoff),
            "activity": list(self.population.activity),
            "look_back_days": self.population.look_back.days,
            "as_known": self.as_known,
            "users": self.users,
            "features": [entry.to_json() for entry in self.entries],
        }


def describe(
    log: Bucketed,
    features: FeatureSet,
    *,
    cutoff: datetime,
    population: Population,
    as_known: bool = False,
    workers: int = 1,
    on_progress: OnProgress | None = None,
) -> Dictionary:
    """The dictionary of a feature set over the population of a log at a cutoff.

    Recency is the days since the last event of the population's activity.
    """
    recency = feature_set(**{_RECENCY: Selection(population.alive).days_since_last()})
    rows = snapshots.build(
        log,
        features + recency,
        cutoffs=[cutoff],
        population=population,
        as_known=as_known,
        workers=workers,
        on_progress=on_progress,
    )
    ranked = rows.matrix[:: max(1, -(-len(rows) // MOST_RANKED))]  # users lie in no order that means anything
    entries = tuple(
        _entry(feature, rows.matrix[:, place], ranked[:, place], ranked[:, -1])
        for place, feature in enumerate(features)
    )
    return Dictionary(features.fingerprint, cutoff, population, as_known, len(rows), entries)


def spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    """The correlation of the ranks, over the rows where both have a value; ties share their mean rank.

    >>> spearman(np.array([1.0, 2.0, 3.0, np.nan]), np.array([10.0, 40.0, 90.0, 0.0]))
    1.0
    """
    both = ~(np.isnan(left) | np.isnan(right))
    if both.sum() < _FEWEST:
        return np.nan
    x, y = _ranks(left[both]), _ranks(right[both])
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    return float(np.clip((x @ y) / spread, -1, 1)) if spread else np.nan


def histogram(values: NDArray[np.float64]) -> Histogram | None:
    """The counts of the values (none missing); steps of one for whole numbers that are close together.

    >>> histogram(np.array([0.0, 1.0, 1.0, 3.0]))
    Histogram(low=-0.5, high=3.5, counts=(1, 2, 0, 1))
    """
    finite = values[np.isfinite(values)]
    if not len(finite):
        return None
    low, high = (float(edge) for edge in np.quantile(finite, [_TAILS, 1 - _TAILS], method="inverted_cdf"))
    whole = high - low < BINS and not np.any(finite % 1)
    bins = int(high - low) + 1 if whole else BINS if high > low else 1
    low, high = (low - 0.5, high + 0.5) if whole or high == low else (low, high)
    counts, _ = np.histogram(np.clip(finite, low, high), bins=bins, range=(low, high))
    return Histogram(low, high, tuple(counts.tolist()))


def _entry(
    feature: Feature, values: NDArray[np.float64], ranked: NDArray[np.float64], recency: NDArray[np.float64]
) -> Entry:
    there = values[~np.isnan(values)]
    missing = 1 - len(there) / len(values) if len(values) else np.nan
    if feature.categories:
        counts = np.bincount(there.astype(np.int64), minlength=len(feature.categories))
        shares = tuple(zip(feature.categories, (counts / max(1, len(there))).tolist(), strict=True))
        return Entry(feature, missing, (), None, shares, np.nan)
    quantiles = np.quantile(there, SHARES, method="inverted_cdf").tolist() if len(there) else []
    return Entry(feature, missing, tuple(quantiles), histogram(there), (), spearman(ranked, recency))


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[places]
    return ranks


def _finite(number: float) -> float | None:
    """The number, or none where JSON has no word for it."""
    return number if np.isfinite(number) else None
