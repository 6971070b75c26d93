"""From tallies to named columns, with vectorised arithmetic in a fixed order."""

import numpy as np
from numpy.typing import NDArray

from features.expressions import Constant, OfCutoff, Season
from features.plan import Combine, Plan, Read
from features.windows import MICROSECONDS_PER_DAY

_DAYS_PER_YEAR = 365.2425  # the mean Gregorian year

Column = NDArray[np.float64]


def columns(plan: Plan, tallies: NDArray[np.float64], *, cutoffs: NDArray[np.int64]) -> NDArray[np.float64]:
    """The matrix `[n, features]` that follows from tallies `[n, slots]` of rows at `cutoffs`; missing is NaN."""
    results: list[Column] = []
    with np.errstate(divide="ignore", invalid="ignore"):  # a ratio over nothing becomes missing below
        for step in plan.steps:
            match step:
                case Read(start, stop, largest):
                    results.append(_window(tallies, start, stop, largest=largest))
                case Combine(operator, left, right):
                    results.append(_combine(operator, results[left], results[right]))
                case Constant(number):
                    results.append(np.full(len(tallies), number))
                case OfCutoff(season):
                    results.append(_season(season, cutoffs))
    matrix = np.empty((len(tallies), len(plan.columns)), dtype=np.float64)
    for place, result in enumerate(plan.columns):
        matrix[:, place] = results[result]
    return matrix


def _window(tallies: NDArray[np.float64], start: int, stop: int, *, largest: bool) -> Column:
    # One span after the other: numpy's own sum changes its order with the shape, and with it the last bits.
    combined: Column = tallies[:, start].copy()
    for slot in range(start + 1, stop):
        if largest:
            np.fmax(combined, tallies[:, slot], out=combined)
        else:
            combined += tallies[:, slot]
    return combined


def _combine(operator: str, left: Column, right: Column) -> Column:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return np.where(right == 0.0, np.nan, left / right)
        case "root":
            return np.sqrt(np.maximum(left, 0.0))
    raise TypeError(f"{operator!r} is not an operator of the language")


def _season(season: Season, cutoffs: NDArray[np.int64]) -> Column:
    angle = 2 * np.pi * (cutoffs / MICROSECONDS_PER_DAY) / _DAYS_PER_YEAR
    return np.sin(angle) if season is Season.SINE else np.cos(angle)
