"""Whether margins lie too close together or too far apart, whatever the level of the windows that they come from.

The level of churn moves from window to window, so that a correction learnt on one is often wrong on the next; how far
apart a model puts those who leave and those who stay moves much less. So the slope is learnt with a level of its own
for each window, and the levels are thrown away.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
WIDEST = 3.0  # times wider or narrower; farther off the model is another one, not a timid one


@dataclass(frozen=True, slots=True)
class Stretch:
    """The slope that margins want, how uncertain it is, and the margin that stays where it is: their mean."""

    slope: float
    error: float  # standard error of the slope; infinite where the rows tell nothing
    pivot: float

    @property
    def shrunk(self) -> float:
        """The slope drawn towards 1 as far as it may be chance; 1 where it is within a standard error of it.

        What is left of a distance *d* with standard error *e* is 1 - e²/d², as in the garrote of Breiman (1995).

        >>> [round(Stretch(1.1, error, 0.0).shrunk, 3) for error in (0.02, 0.05, 0.2)]
        [1.096, 1.075, 1.0]
        """
        away = self.slope - 1.0
        return 1.0 + away * (1.0 - (self.error / away) ** 2) if abs(away) > self.error else 1.0


def fit_stretch(margins: Floats, labels: Floats, *, windows: ArrayLike | None = None) -> Stretch:
    """The slope by which labels 0 and 1 are likeliest when each window has a level of its own.

    `windows` says of which window each row is; without, all are of one. Windows of one outcome tell nothing.
    """
    moments = np.zeros(len(margins)) if windows is None else np.asarray(windows)
    parts = [(margins[moments == moment], labels[moments == moment]) for moment in np.unique(moments)]
    telling = [(scores - scores.mean(), outcome) for scores, outcome in parts if outcome.min() < outcome.max()]
    pivot = float(margins.mean())
    if not telling:
        return Stretch(1.0, np.inf, pivot)
    slope, levels = _likeliest(telling)
    known = sum(_information(scores, slope, level) for (scores, _), level in zip(telling, levels, strict=True))
    return Stretch(slope, known**-0.5, pivot) if known > 0 else Stretch(1.0, np.inf, pivot)


def _likeliest(windows: list[tuple[Floats, Floats]]) -> tuple[float, list[float]]:
    from scipy.optimize import minimize  # noqa: PLC0415 - fitting only: loading a bundle stays quick

    rows = sum(len(outcome) for _, outcome in windows)

    def objective(weights: Floats) -> tuple[float, Floats]:
        loss, slopes = 0.0, np.zeros(len(weights))
        for place, (scores, outcome) in enumerate(windows, start=1):
            margins = weights[0] * scores + weights[place]
            loss += float((np.logaddexp(0.0, margins) - outcome * margins).sum())
            off = expit(margins) - outcome
            slopes[0] += scores @ off
            slopes[place] = off.sum()
        return loss / rows, slopes / rows

    start = [1.0, *(float(_log_odds(outcome)) for _, outcome in windows)]
    bounds = [(1 / WIDEST, WIDEST)] + [(-50.0, 50.0)] * len(windows)
    found = minimize(objective, start, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-12})
    return float(found.x[0]), found.x[1:].tolist()


def _information(scores: Floats, slope: float, level: float) -> float:
    """What a window's rows know of the slope, their level not being known."""
    probabilities = expit(slope * scores + level)
    weights = probabilities * (1.0 - probabilities)
    total = weights.sum()
    return float(weights @ scores**2 - (weights @ scores) ** 2 / total) if total > 0 else 0.0


def _log_odds(outcome: Floats) -> float:
    return float(np.log(outcome.sum() / (len(outcome) - outcome.sum())))
