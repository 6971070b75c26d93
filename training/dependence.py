"""Partial dependence: the mean churn probability if everybody had one value of a feature, and how many do have it.

For each value the feature is set for a sample of real rows, all else left as it is, and the model's probabilities are
averaged (Friedman 2001, section 8.2): exact for the sample, no shortcut through the trees. Where few users have such
a value the mean is a guess about users that there are not, so the density always stands beside it. Nor does it say
what would happen if somebody's value were changed: it describes the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.feature_set import Feature, FeatureSet
from features.user_events import FloatArray
from models.model import ChurnModel
from training.snapshots import TrainingSet

MOST_FEATURES = 6  # the strongest: a page of pictures
MOST_ROWS = 400  # that are averaged over: the error of a mean probability is then about a hundredth
MOST_VALUES = 16  # of a feature; fewer distinct ones are all taken
OUTERMOST = (0.01, 0.99)  # quantiles: beyond there is nobody to average over
BINS = 24  # of the histogram


@dataclass(frozen=True, slots=True)
class Point:
    """A value of the feature; NaN stands for what is not known. `label` names it where it is a category."""

    value: float
    label: str
    churn_probability: float  # mean, were everybody's value this one
    share: float  # of the rows, those who have it, or whose value is nearest to it


@dataclass(frozen=True, slots=True, eq=False)
class Dependence:
    """The points of one feature, lowest value first, what is not known last."""

    feature: Feature
    points: tuple[Point, ...]
    low: float  # ends of the histogram; what lies beyond is in its outermost bins
    high: float
    counts: tuple[int, ...]  # rows in bins of equal width; empty where the points are all the values there are
    rows: int  # that the density is of
    averaged: int  # that the probabilities are averaged over

    @property
    def known(self) -> tuple[Point, ...]:
        """The points with a value."""
        return tuple(point for point in self.points if not np.isnan(point.value))

    @property
    def unknown(self) -> Point | None:
        """The point of those whose value is not known, where there are any."""
        return next((point for point in self.points if np.isnan(point.value)), None)

    @property
    def swing(self) -> float:
        """From the lowest to the highest mean probability."""
        means = [point.churn_probability for point in self.points]
        return max(means) - min(means)

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The points as plain JSON; a value that is not known is null."""
        return {
            "feature": self.feature.name,
            "rows": self.rows,
            "averaged_over": self.averaged,
            "points": [
                {
                    "value": None if np.isnan(point.value) else point.value,
                    "label": point.label,
                    "churn_probability": point.churn_probability,
                    "share": point.share,
                }
                for point in self.points
            ],
        }


def dependence(
    model: ChurnModel,
    features: FeatureSet,
    rows: TrainingSet,
    *,
    names: Sequence[str],
    most_rows: int = MOST_ROWS,
) -> tuple[Dependence, ...]:
    """The partial dependence on each of these features, over rows spread evenly; one with a single value has none."""
    return tuple(_dependences(model, features, rows, names=names, most_rows=most_rows))


def _dependences(
    model: ChurnModel, features: FeatureSet, rows: TrainingSet, *, names: Sequence[str], most_rows: int
) -> Iterator[Dependence]:
    chosen = np.unique(np.linspace(0, len(rows) - 1, most_rows).astype(np.int64))
    sample = rows.snapshots.matrix[chosen]
    for name in names:
        place = rows.snapshots.names.index(name)
        column = rows.snapshots.matrix[:, place]
        values = _values(column, coded=bool(features[name].categories))
        if len(values) + int(np.isnan(column).any()) > 1:
            yield _dependence(model, features[name], column, values, sample=sample, place=place)


def _dependence(
    model: ChurnModel, feature: Feature, column: FloatArray, values: FloatArray, *, sample: FloatArray, place: int
) -> Dependence:
    missing = np.isnan(column)
    known = column[~missing]
    asked = np.append(values, np.nan) if missing.any() else values
    means = _means(model, sample, place, asked)
    shares = np.append(_nearest(known, values), missing.sum())[: len(asked)] / len(column)
    low, high = (float(values[0]), float(values[-1])) if len(values) else (np.nan, np.nan)
    counts: tuple[int, ...] = ()
    if len(values) < len(np.unique(known)):
        counts = tuple(np.histogram(np.clip(known, low, high), bins=BINS, range=(low, high))[0].tolist())
    points = tuple(
        Point(float(value), _label(feature, float(value)), float(mean), float(share))
        for value, mean, share in zip(asked, means, shares, strict=True)
    )
    return Dependence(feature, points, low, high, counts, rows=len(column), averaged=len(sample))


def _values(column: FloatArray, *, coded: bool) -> FloatArray:
    """Where to ask: every value where there are few or they are categories, else quantiles."""
    known = column[~np.isnan(column)]
    distinct = np.unique(known)
    if coded or len(distinct) <= MOST_VALUES:
        return distinct
    return np.unique(np.quantile(known, np.linspace(*OUTERMOST, MOST_VALUES), method="nearest"))


def _means(model: ChurnModel, sample: FloatArray, place: int, values: FloatArray) -> FloatArray:
    """The mean probability for each value, all in one call."""
    asked = np.tile(sample, (len(values), 1))
    asked[:, place] = np.repeat(values, len(sample))
    said = model.predict_proba(asked)[:, 1].reshape(len(values), len(sample))
    return np.asarray(said.mean(axis=1), dtype=np.float64)


def _nearest(known: FloatArray, values: FloatArray) -> FloatArray:
    """How many of the known values are nearest to each of the asked ones."""
    borders = (values[1:] + values[:-1]) / 2
    return np.bincount(np.searchsorted(borders, known), minlength=len(values)).astype(np.float64)


def _label(feature: Feature, value: float) -> str:
    if np.isnan(value):
        return "not known"
    return feature.categories[int(value)] if feature.categories else ""
