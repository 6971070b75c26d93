"""The linear member: a ridge logistic regression on hinge splines, one curve a feature, kept as plain numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from models.levels import Indicators, Levels
from models.ramps import Ramp, pieces, ramp
from models.ridge import Signs, even_margins, solve

Floats = NDArray[np.float64]
Matrix = NDArray[np.float64]
QUINTILES = (0.2, 0.4, 0.6, 0.8)
CLIP = (0.005, 0.995)  # beyond these shares a curve is flat: the largest spender must not steer everybody's slope
ROUNDING = 1e-6  # a basis column that deviates less never really varies
MOST_ROWS = 30_000  # some 1000 weights learn little from more rows, and the basis would outgrow memory
_PIECES = 6  # basis columns of a feature: the place, its four hinges, the missing indicator
_FLAT = (0.0, 0.0, np.ones(len(QUINTILES)))


@dataclass(frozen=True, slots=True)
class Splines:
    """An additive model on the log-odds scale: `bias` plus one piecewise linear curve for each of `k` features.

    A curve is flat outside `[low, high]`; inside, it has slope `slopes[:, 0]` in units of the span
    `high - low`, which changes by `slopes[:, j + 1]` at `knots[:, j]`. A missing value has a height of its own.
    A feature whose numbers are codes of categories has `levels` instead of a curve, one whose direction is prescribed
    a `ramp`.
    Curves are centred: their mean over the training rows is 0.
    """

    bias: float
    low: Floats  # k
    high: Floats  # k
    knots: Floats  # k x 4, in units of the span; unused ones are 1 (never passed)
    slopes: Floats  # k x 5
    missing: Floats  # k, height of a missing value
    centre: Floats  # k, what is subtracted so that the training mean is 0
    levels: Mapping[int, Levels] = field(default_factory=dict)  # by column
    ramps: Mapping[int, Ramp] = field(default_factory=dict)  # by column

    def terms(self, matrix: Matrix) -> Matrix:
        """The height of every feature's curve, `[n, k]`, in log-odds.

        Element by element, never a matrix product: a row alone gives the same bits as in a batch.
        """
        found = self._lone_curves(matrix) if len(matrix) == 1 else self._curves(matrix)
        for column, levels in self.levels.items():
            found[:, column] = levels.of(matrix[:, column])
        for column, directed in self.ramps.items():
            found[:, column] = directed.of(matrix[:, column])
        return found

    def _curves(self, matrix: Matrix) -> Matrix:
        span = self.high - self.low
        place = (np.clip(matrix, self.low, self.high) - self.low) / np.where(span > 0, span, 1.0)
        heights = place * self.slopes[:, 0]
        for step in range(self.knots.shape[1]):
            heights += np.maximum(place - self.knots[:, step], 0.0) * self.slopes[:, step + 1]
        return np.ascontiguousarray(np.where(np.isnan(place), self.missing, heights) - self.centre)

    def _lone_curves(self, matrix: Matrix) -> Matrix:
        from models.spline_kernel import draw  # noqa: PLC0415 - Numba, which the trial of a bundle need not load

        found = np.empty(matrix.shape)
        draw(found[0], matrix[0], self.low, self.high, self.knots, self.slopes, self.missing, self.centre)
        return found

    def margin(self, matrix: Matrix) -> Floats:
        """Log-odds, one a row."""
        return self.margin_of(self.terms(matrix))

    def margin_of(self, terms: Matrix) -> Floats:
        """The same from the heights of the curves."""
        total: Floats = self.bias + terms.sum(axis=1)
        return total

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back to the bit."""
        levels = {str(column): levels.to_json() for column, levels in self.levels.items()}
        ramps = {str(column): directed.to_json() for column, directed in self.ramps.items()}
        arrays = {name: getattr(self, name).tolist() for name in _ARRAYS}
        return {"bias": self.bias, **arrays, "levels": levels, "ramps": ramps}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The curves that `to_json` wrote."""
        levels = {int(column): Levels.from_json(found) for column, found in data["levels"].items()}
        ramps = {int(column): Ramp.from_json(found) for column, found in data.get("ramps", {}).items()}
        arrays = {name: np.array(data[name], float) for name in _ARRAYS}
        return cls(bias=float(data["bias"]), levels=levels, ramps=ramps, **arrays)


_ARRAYS = ("low", "high", "knots", "slopes", "missing", "centre")


@dataclass(frozen=True, slots=True)
class SplineFit:
    """The curves, or None and why they were rejected."""

    splines: Splines | None
    fact: str


def fit_splines(
    matrix: Matrix,
    labels: NDArray[np.int64],
    *,
    l2: float,
    flat: NDArray[np.bool_] | None = None,
    coded: tuple[int, ...] = (),
    directions: Signs | None = None,
) -> SplineFit:
    """Curves fitted to labels 0 and 1 with ridge penalty `l2` on the standardised basis.

    Features marked in `flat` keep a curve of 0; the columns `coded` hold codes of categories and get levels. Those with
    a direction get curves that go no other way.
    Rejected when the solver ended somewhere worse than the constant: diverged fits are silent otherwise.
    """
    rows = np.unique(np.linspace(0, len(matrix) - 1, min(len(matrix), MOST_ROWS)).astype(np.int64))
    sample, outcome = matrix[rows], labels[rows]
    if outcome.min() == outcome.max():
        return SplineFit(None, "rejected: the sampled rows hold one outcome only")
    straight = np.zeros(matrix.shape[1], dtype=bool) if flat is None else flat.copy()
    indicators = Indicators.of(sample, [column for column in coded if not straight[column]])
    straight[list(coded)] = True
    along = np.zeros(matrix.shape[1], dtype=np.int8) if directions is None else np.where(straight, 0, directions)
    splines = _fitted(sample, outcome, l2=l2, flat=straight, indicators=indicators, directions=along)
    loss, constant = _log_loss(splines.margin(sample), outcome), _log_loss(even_margins(outcome), outcome)
    if not loss <= constant:  # also when the loss is NaN
        return SplineFit(None, f"rejected: training log loss {loss:.4g}, a constant has {constant:.4g}")
    return SplineFit(splines, f"kept: training log loss {loss:.4g}, a constant has {constant:.4g}")


def _fitted(
    sample: Matrix,
    outcome: NDArray[np.int64],
    *,
    l2: float,
    flat: NDArray[np.bool_],
    indicators: Indicators,
    directions: Signs,
) -> Splines:
    """The curves and levels, their weights found together."""
    columns = np.empty((_PIECES * sample.shape[1] + indicators.width, len(sample)))  # by column: written in runs
    basis = _Basis.written(sample, columns, flat=flat, directions=directions)
    width = basis.width + indicators.width
    indicators.write(sample, columns[basis.width : width])
    signs = np.concatenate([basis.signs, np.zeros(indicators.width, dtype=np.int8)])
    intercept, weights = solve(columns[:width].T, outcome, l2=l2, signs=signs)
    curves = basis.splines(intercept, weights[: basis.width], sample)
    return replace(curves, levels=indicators.levels(weights[basis.width :]))


@dataclass(frozen=True, slots=True)
class _Basis:
    """Where the knots are, and the mean and scale of every basis column of the training rows."""

    low: Floats
    high: Floats
    knots: Floats
    means: Floats  # k x 6
    scales: Floats  # k x 6; infinite for columns that never vary
    directions: Signs  # k

    @classmethod
    def written(cls, sample: Matrix, target: Matrix, *, flat: NDArray[np.bool_], directions: Signs) -> "_Basis":
        """The basis; its columns that vary are the first `width` rows of the target, each with deviation 1.

        A missing value sits at the mean, which is 0.
        """
        edges = [_FLAT if flat[column] else _edges(sample[:, column]) for column in range(sample.shape[1])]
        low, high = np.array([edge[0] for edge in edges]), np.array([edge[1] for edge in edges])
        means, scales = np.zeros((len(edges), _PIECES)), np.full((len(edges), _PIECES), np.inf)
        basis, start = cls(low, high, np.array([edge[2] for edge in edges]), means, scales, directions), 0
        for column in np.flatnonzero(~flat).tolist():
            block = basis.block(sample[:, column], column)
            missing = block[-1] > 0
            means[column, -1] = missing.mean()
            if not missing.all():
                means[column, :-1] = block[:-1, ~missing].mean(axis=1)
            block -= means[column][:, None]
            block[:-1, missing] = 0.0
            scale = np.sqrt((block**2).mean(axis=1))
            keep = scale > ROUNDING
            scales[column, keep] = scale[keep]
            stop = start + int(keep.sum())
            target[start:stop] = block[keep] / scale[keep][:, None]
            start = stop
        return basis

    def block(self, values: Floats, column: int) -> Matrix:
        """One feature's basis columns, `[6, n]`; missing values stay NaN but in the indicator.

        They are the place and its hinges, or for a feature with a direction how much of each stretch lies below.
        """
        low, span = self.low[column], self.high[column] - self.low[column]
        place = (np.clip(values, low, self.high[column]) - low) / (span if span > 0 else 1.0)
        if self.directions[column]:
            return np.vstack([pieces(place, self.knots[column]), np.isnan(values)])
        return np.vstack([place, np.maximum(place - self.knots[column][:, None], 0.0), np.isnan(values)])

    @property
    def signs(self) -> Signs:
        """Of the weight of every basis column that varies: 1 not negative, -1 not positive, 0 either."""
        signs = np.zeros(self.scales.shape, dtype=np.int8)
        signs[:, :-1] = self.directions[:, None]
        return np.asarray(signs[np.isfinite(self.scales)])

    @property
    def width(self) -> int:
        """How many basis columns vary."""
        return int(np.isfinite(self.scales).sum())

    def splines(self, intercept: float, weights: Floats, sample: Matrix) -> Splines:
        """The curves that weights of the standardised basis mean, centred on the sample."""
        raw = np.zeros_like(self.scales)
        raw[np.isfinite(self.scales)] = weights
        raw = raw / self.scales
        missing = (raw[:, :-1] * self.means[:, :-1]).sum(axis=1) + raw[:, -1]
        ramps = {
            column: ramp(
                self.low[column],
                self.high[column],
                self.knots[column],
                slopes=raw[column, :-1],
                missing=missing[column],
                sample=sample[:, column],
            )
            for column in np.flatnonzero(self.directions).tolist()
        }
        raw[self.directions != 0], missing[self.directions != 0] = 0.0, 0.0
        nothing = np.zeros(len(self.low))
        bare = Splines(0.0, self.low, self.high, self.knots, raw[:, :-1], missing, nothing)
        centre = bare.terms(sample).mean(axis=0)
        return Splines(intercept, self.low, self.high, self.knots, raw[:, :-1], missing, centre, ramps=ramps)


def _edges(values: Floats) -> tuple[float, float, Floats]:
    """Where a curve begins and ends, and its knots in units of the span between (1 where unused)."""
    present = values[~np.isnan(values)]
    knots = np.ones(len(QUINTILES))
    if present.size == 0:
        return 0.0, 0.0, knots
    low, high = (float(edge) for edge in np.quantile(present, CLIP))
    if low == high:
        low, high = float(present.min()), float(present.max())
    if low == high:
        return low, high, knots
    inside = _inside(np.quantile(present, QUINTILES), low, high)
    if inside.size <= 1:  # most users share one value: place the knots among the others
        others = np.unique(present[(present > low) & (present <= high)])
        if not others.size:  # the quantile lay between two values, as it does with few users
            high, others = float(present.max()), np.unique(present[present > low])
        inside = _inside(np.quantile(others, QUINTILES), low, high)
    knots[: inside.size] = (inside - low) / (high - low)
    return low, high, knots


def _inside(places: Floats, low: float, high: float) -> Floats:
    distinct = np.unique(places)
    return distinct[(distinct > low) & (distinct < high)]


def _log_loss(margins: Floats, outcome: NDArray[np.int64]) -> float:
    return float(np.mean(np.logaddexp(0.0, np.where(outcome == 1, -margins, margins))))
