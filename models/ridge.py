"""Ridge logistic regression on a standardised basis; weights may be told never to be negative, or never positive."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Matrix = NDArray[np.float64]
Signs = NDArray[np.int8]  # 1 not negative (rising), -1 not positive (falling), 0 either
Bound = tuple[float | None, float | None]


def solve(basis: Matrix, outcome: NDArray[np.int64], *, l2: float, signs: Signs) -> tuple[float, Floats]:
    """The intercept and weights of the ridge logistic regression; weights with a sign have it, or are 0.

    L-BFGS in coordinates in which the curvature at the constant is the same in all directions: a dozen steps instead
    of a hundred, and a line search, so that no step goes uphill.
    """
    from scipy.optimize import minimize  # noqa: PLC0415 - fitting only

    rows = len(basis)
    rate, start = outcome.mean(), float(even_margins(outcome)[0])
    curvature = rate * (1 - rate)
    coordinates = _Coordinates.of(curvature * (basis.T @ basis) + l2 * np.eye(basis.shape[1]), signs)
    step = 1 / np.sqrt(curvature * rows)

    def unfold(place: Floats) -> tuple[float, Floats]:
        return start + step * float(place[-1]), coordinates.weights(place[:-1])

    def objective(place: Floats) -> tuple[float, Floats]:
        intercept, weights = unfold(place)
        margins = basis @ weights + intercept
        residual = expit(margins) - outcome
        loss = np.logaddexp(0.0, margins).sum() - margins[outcome == 1].sum() + l2 / 2 * (weights @ weights)
        slope = coordinates.slope(basis.T @ residual + l2 * weights)
        return float(loss) / rows, np.append(slope, step * residual.sum()) / rows

    found = minimize(
        objective,
        np.zeros(basis.shape[1] + 1),
        jac=True,
        method="L-BFGS-B",
        bounds=[*coordinates.bounds, (None, None)],
        options={"ftol": 1e-9, "maxiter": 100},
    )
    return unfold(found.x)


def even_margins(outcome: NDArray[np.int64]) -> Floats:
    """The log-odds of everybody's share of 1, for each row."""
    rate = outcome.mean()
    return np.full(len(outcome), np.log(rate / (1 - rate)))


@dataclass(frozen=True, slots=True)
class _Coordinates:
    """Where weights are looked for: free ones so that the curvature is 1 in all directions, bound ones as they are.

    Free weights follow the bound ones as the curvature has them go together; what is left of it for each bound weight
    is its scale. Scales are positive, so a bound on the sign is a bound on the coordinate.
    """

    free: NDArray[np.bool_]
    root: Matrix  # of the free weights' curvature, lower triangular
    follow: Matrix  # free x bound
    scales: Floats  # of the bound
    bounds: list[Bound]

    @classmethod
    def of(cls, curvature: Matrix, signs: Signs) -> "_Coordinates":
        from scipy.linalg import cho_solve  # noqa: PLC0415 - fitting only: loading a bundle stays quick

        free = signs == 0
        root = np.asarray(np.linalg.cholesky(curvature[np.ix_(free, free)]), dtype=np.float64)
        across = curvature[np.ix_(free, ~free)]
        follow = cho_solve((root, True), across)
        scales = np.sqrt(np.diag(curvature)[~free] - (across * follow).sum(axis=0))
        bounds: list[Bound] = [(0.0, None) if sign > 0 else (None, 0.0) if sign < 0 else (None, None) for sign in signs]
        return cls(free, root, follow, scales, bounds)

    def weights(self, place: Floats) -> Floats:
        """The weights at a place."""
        from scipy.linalg import solve_triangular  # noqa: PLC0415 - fitting only

        found = np.empty(len(place))
        found[~self.free] = place[~self.free] / self.scales
        found[self.free] = solve_triangular(self.root, place[self.free], lower=True, trans="T")
        found[self.free] -= self.follow @ found[~self.free]
        return found

    def slope(self, gradient: Floats) -> Floats:
        """The gradient by the coordinates, given that by the weights."""
        from scipy.linalg import solve_triangular  # noqa: PLC0415 - fitting only

        found = np.empty(len(gradient))
        found[~self.free] = (gradient[~self.free] - self.follow.T @ gradient[self.free]) / self.scales
        found[self.free] = solve_triangular(self.root, gradient[self.free], lower=True)
        return found
