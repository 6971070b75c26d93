"""The arithmetic of a feature set as a program: registers and steps, run row by row, always in the same order.

One row of a request and a million rows of a batch go through the same machine code, so they agree to the bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba
import numpy as np
from numpy.typing import NDArray

from features.expressions import Arithmetic, Constant, Expression, OfCutoff, Relative, Season, Tally
from features.windows import MICROSECONDS_PER_DAY

if TYPE_CHECKING:
    from collections.abc import Callable

_DAYS_PER_YEAR = 365.2425  # the mean Gregorian year
_ROWS_AT_A_TIME = 64  # their registers stay in the processor's cache
_APART = 8  # numbers between registers, lest they all fall into the same lines of it
_STEPS = ("+", "-", "*", "/", "root", "magnitude", "smaller", "larger", *Season)
_PLUS, _MINUS, _TIMES, _OVER, _ROOT, _MAGNITUDE, _SMALLER, _LARGER, _SINE, _COSINE, _DAY = range(len(_STEPS))


@dataclass(frozen=True, slots=True)
class Program:
    """What becomes of a row's cells; registers are the cells, then the constants, then one for each step."""

    cells: int
    constants: NDArray[np.float64]
    steps: NDArray[np.int64]  # operation, left register, right register: [steps, 3]
    columns: NDArray[np.int64]  # the register of each feature
    relative: NDArray[np.int64]  # the features that become fifths of the population afterwards


def make_program(expressions: Sequence[Expression], cells: Mapping[Tally, int]) -> Program:
    """The program that computes the expressions from the cells; equal parts are computed once."""
    constants = list(
        dict.fromkeys(part.number for each in expressions for part in each.parts() if isinstance(part, Constant))
    )
    register: dict[Expression | tuple[int, int, int], int] = dict(cells.items())
    steps: list[tuple[int, int, int]] = []

    def step(*operation: int) -> int:
        if operation not in register:
            register[operation] = len(cells) + len(constants) + len(steps)  # type: ignore[index] # three of them
            steps.append(operation)  # type: ignore[arg-type] # as above
        return register[operation]  # type: ignore[index] # as above

    def of(expression: Expression) -> int:
        match expression:
            case Constant(number):
                return len(cells) + constants.index(number)
            case Arithmetic(operator, left, right):
                return step(_STEPS.index(operator), of(left), of(right))
            case OfCutoff(season):
                return step(_STEPS.index(season), 0, 0)
            case Relative(inner):
                return of(inner)
        return register[expression]

    columns = [of(expression) for expression in expressions]
    return Program(
        cells=len(cells),
        constants=np.array(constants, dtype=np.float64),
        steps=np.array(steps, dtype=np.int64).reshape(-1, 3),
        columns=np.array(columns, dtype=np.int64),
        relative=np.flatnonzero([isinstance(expression, Relative) for expression in expressions]),
    )


def run(
    program: Program,
    cells: NDArray[np.float64],
    *,
    cutoffs: NDArray[np.int64],
    out: NDArray[np.float64],
    places: NDArray[np.int64],
) -> None:
    """Write the features of `cells[i]`, a row at `cutoffs[i]`, to `out[places[i]]`; missing is NaN."""
    _run(out, places, cells, cutoffs, program.constants, program.steps, program.columns)


_compiled: "Callable[[Callable[..., None]], Callable[..., None]]" = numba.njit(  # Numba ships no types
    numba.void(
        numba.float64[:, ::1],
        numba.int64[::1],
        numba.float64[:, ::1],
        numba.types.Array(numba.int64, 1, "C", readonly=True),
        numba.float64[::1],
        numba.int64[:, ::1],
        numba.int64[::1],
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)


@_compiled
def _run(  # noqa: C901, PLR0912 - one branch an operation; Numba takes no objects
    out: NDArray[np.float64],
    places: NDArray[np.int64],
    cells: NDArray[np.float64],
    cutoffs: NDArray[np.int64],
    constants: NDArray[np.float64],
    steps: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> None:
    """Some rows at a time, so that what a step is has to be looked up once for all of them."""
    given, known = cells.shape[1], cells.shape[1] + len(constants)
    registers = np.empty((known + len(steps), _ROWS_AT_A_TIME + _APART), dtype=np.float64)
    for constant in range(len(constants)):
        registers[given + constant] = constants[constant]
    for first in range(0, len(cells), _ROWS_AT_A_TIME):
        rows = min(_ROWS_AT_A_TIME, len(cells) - first)
        for row in range(rows):
            for cell in range(given):
                registers[cell, row] = cells[first + row, cell]
        for step in range(len(steps)):
            operation, result = steps[step, 0], registers[known + step]
            left, right = registers[steps[step, 1]], registers[steps[step, 2]]
            if operation == _PLUS:
                for row in range(rows):
                    result[row] = left[row] + right[row]
            elif operation == _MINUS:
                for row in range(rows):
                    result[row] = left[row] - right[row]
            elif operation == _TIMES:
                for row in range(rows):
                    result[row] = left[row] * right[row]
            elif operation == _OVER:
                for row in range(rows):
                    result[row] = np.nan if right[row] == 0.0 else left[row] / right[row]
            elif operation == _ROOT:
                for row in range(rows):
                    result[row] = np.nan if np.isnan(left[row]) else np.sqrt(max(left[row], 0.0))
            elif operation == _MAGNITUDE:
                for row in range(rows):
                    result[row] = abs(left[row])
            elif operation in {_SMALLER, _LARGER}:
                for row in range(rows):
                    one, other = left[row], right[row]
                    chosen = min(one, other) if operation == _SMALLER else max(one, other)
                    result[row] = np.nan if np.isnan(one) or np.isnan(other) else chosen
            elif operation == _DAY:
                for row in range(rows):
                    result[row] = cutoffs[first + row] / MICROSECONDS_PER_DAY
            else:
                for row in range(rows):
                    angle = 2 * np.pi * (cutoffs[first + row] / MICROSECONDS_PER_DAY) / _DAYS_PER_YEAR
                    result[row] = np.sin(angle) if operation == _SINE else np.cos(angle)
        for row in range(rows):
            for column in range(len(columns)):
                out[places[first + row], column] = registers[columns[column], row]
