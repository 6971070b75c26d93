"""How long until it happens: a discrete-time hazard model, whose curves cannot cross because they are products.

Time from the start of the horizon is cut into intervals. The hazard of an interval is the probability that the event
comes in it, given that it had not come before; the probability that it has not come by the end of interval k is the
product of one minus the hazards up to k, so it falls with time whatever the hazards are (Singer and Willett 1993;
Tutz and Schmid 2016). The log-odds of a hazard are those of everybody in that interval plus what trees add for the
user's features and the interval. Within an interval the continuous hazard is taken as constant.

Needs NumPy, SciPy's special functions and LightGBM only, so that a bundle is tried out in a child that starts quickly;
LightGBM is loaded when the first curve is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import exp2, expm1, log_expit, xlogy

from features.errors import BadInput
from models.booster_trees import feature_count

if TYPE_CHECKING:
    import lightgbm

Floats = NDArray[np.float64]
RETURN, LOSS = "return", "loss"  # the event of an inactivity definition, and that of a cancel or a lapse
_LOG2_E = 1.4426950408889634
_CELLS_AT_ONCE = 1_000_000  # users x intervals x features: 8 MB beside the result, however many users are asked for
_SURELY = 1e-12  # a probability nearer to 0 or 1 has no logarithm to scale by


@dataclass(frozen=True)
class HazardModel:
    """The hazards of one event in intervals that end on `days`, counted from the cutoff plus the lead time.

    `event` is `return` (somebody silent acts again) or `loss` (somebody cancels or lapses). `baseline` holds the
    log-odds of each interval for everybody. Without trees everybody has the baseline's curve.
    """

    days: tuple[int, ...]
    baseline: tuple[float, ...]
    event: str
    names: tuple[str, ...]  # of the features, in the order of the matrix
    booster_text: str = ""  # LightGBM's own text format; the last column is the number of the interval

    def __post_init__(self) -> None:
        if not self.days or self.days[0] < 1 or list(self.days) != sorted(set(self.days)):
            raise BadInput(f"intervals that end on days {list(self.days)}; expected whole days from 1 on that grow.")
        if len(self.baseline) != len(self.days) or not np.isfinite(self.baseline).all():
            raise BadInput(f"{len(self.baseline)} baseline log-odds; expected one, finite, for each interval.")
        if self.event not in {RETURN, LOSS}:
            raise BadInput(f"the event {self.event!r}; expected {RETURN!r} or {LOSS!r}.")
        columns = feature_count(self.booster_text) if self.booster_text else len(self.names) + 1
        if columns != len(self.names) + 1:
            raise BadInput(f"trees on {columns} columns; expected {len(self.names)} and the interval.")

    @cached_property
    def booster(self) -> "lightgbm.Booster | None":
        """The trees, which LightGBM walks; raises its error for a damaged text."""
        import lightgbm  # noqa: PLC0415 - with it comes scikit-learn, a second that a service need not wait

        return lightgbm.Booster(model_str=self.booster_text) if self.booster_text else None

    def margin(self, matrix: Floats, intervals: NDArray[np.int64], *, threads: int = 1) -> Floats:
        """The log-odds of the hazard, a row of features and the number of an interval at a time."""
        offsets = np.array(self.baseline)[intervals]
        if self.booster is None or not len(matrix):
            return offsets
        raw = self.booster.predict(np.column_stack([matrix, intervals]), raw_score=True, num_threads=threads)
        return offsets + np.asarray(raw, dtype=np.float64)

    def log_survival(self, matrix: Floats, *, threads: int = 1) -> Floats:
        """Log of the probability that the event has not come by the end of each interval, `[n, intervals]`.

        A row alone gives the same bits as in a batch.
        """
        count = len(self.days)
        at_once = max(1, _CELLS_AT_ONCE // (count * (matrix.shape[1] + 1)))
        found = np.empty((len(matrix), count))
        for begin in range(0, len(matrix), at_once):
            block = matrix[begin : begin + at_once]
            intervals = np.tile(np.arange(count), len(block))
            margins = self.margin(np.repeat(block, count, axis=0), intervals, threads=threads)
            found[begin : begin + at_once] = np.cumsum(log_expit(-margins).reshape(len(block), count), axis=1)
        return found

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Everything but the trees' text."""
        return {
            "days": list(self.days),
            "baseline": list(self.baseline),
            "event": self.event,
            "names": list(self.names),
            "has_trees": bool(self.booster_text),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], booster_text: str) -> Self:  # Any: JSON
        """The model that `to_json` and the trees' text describe."""
        return cls(
            days=tuple(int(day) for day in data["days"]),
            baseline=tuple(float(each) for each in data["baseline"]),
            event=str(data["event"]),
            names=tuple(str(name) for name in data["names"]),
            booster_text=booster_text if data["has_trees"] else "",
        )


def at_days(log_survival: Floats, ends: Sequence[int], days: Sequence[float]) -> Floats:
    """Log survival at any days up to the last end, `[n, days]`: 0 on day 0, and straight within an interval.

    Raises `BadInput` for days that do not grow, or lie outside.

    >>> at_days(np.array([[-1.0, -3.0]]), (1, 5), (0, 0.5, 1, 3)).tolist()
    [[0.0, -0.5, -1.0, -2.0]]
    """
    asked = [float(day) for day in days]
    if not asked or asked != sorted(set(asked)) or not 0 <= asked[0] <= asked[-1] <= ends[-1]:
        raise BadInput(f"a curve at days {list(days)}; expected days from 0 to {ends[-1]} that grow.")
    borders = np.array([0.0, *ends])
    known = np.column_stack([np.zeros(len(log_survival)), log_survival])
    after = np.clip(np.searchsorted(borders, asked), 1, None)
    part = (np.array(asked) - borders[after - 1]) / (borders[after] - borders[after - 1])
    between = known[:, after - 1] * (1 - part) + known[:, after] * part
    found: Floats = np.minimum.accumulate(between, axis=1)  # the last bit of a product may rise
    return found


def anchored(log_survival: Floats, at_horizon: Floats, *, not_come: Floats) -> Floats:
    """The curves raised to the power that makes them `not_come` at the horizon, one probability a row.

    A power of a survival curve multiplies its continuous hazard by a number (the proportional hazards of Cox 1972),
    so the shape stays, and the curve still falls. `at_horizon` is its log survival there.
    """
    wanted = xlogy(1.0, np.clip(not_come, _SURELY, 1 - _SURELY))  # a logarithm without SIMD, as in `survival`
    found: Floats = log_survival * (wanted / at_horizon)[:, None]
    return found


def survival(log_survival: Floats) -> Floats:
    """The probability that the event has not come; elementwise to the bit, which SIMD exponentials need not be."""
    return np.asarray(exp2(log_survival * _LOG2_E), dtype=np.float64)


def risk(log_survival: Floats, *, event: str) -> Floats:
    """The risk of churn: not to have returned by then, or to have been lost by then.

    >>> risk(np.array([[0.0]]), event=RETURN).tolist(), risk(np.array([[0.0]]), event=LOSS).tolist()
    ([[1.0]], [[0.0]])
    """
    if event == RETURN:
        return survival(log_survival)
    return np.abs(np.asarray(expm1(log_survival), dtype=np.float64))
