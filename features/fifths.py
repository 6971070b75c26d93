"""Fifths of a population: where they end, and as of when, so that who is computed alone stands where he would in it."""

import math
from bisect import bisect_left
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from features.windows import iso, utc

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Fifths:
    """Where the fifths of a population end: `edges[relative features, 4]` at one cutoff."""

    edges: Floats

    @classmethod
    def among(cls, values: Floats) -> Self:
        """The fifths of the columns `[n, relative features]`: observed values, the inverse of their distribution."""
        shares = np.arange(1, 5) / 5
        columns = [column[~np.isnan(column)] for column in values.T]
        edges = [
            np.quantile(column, shares, method="inverted_cdf") if len(column) else np.full(4, np.nan)
            for column in columns
        ]
        return cls(np.array(edges, dtype=np.float64).reshape(-1, 4))

    def of(self, values: Floats) -> Floats:
        """The fifth of each value `[n, relative features]`, 1 to 5, an edge belonging to the fifth below.

        Missing stays missing.

        >>> spend = np.array([[10.0], [20.0], [30.0], [40.0], [50.0]])
        >>> Fifths.among(spend).of(np.array([[5.0], [10.0], [10.5], [50.0], [99.0], [np.nan]])).ravel()
        array([ 1.,  1.,  2.,  5.,  5., nan])
        """
        if len(values) == 1:  # a row alone has no time for arrays
            return np.array([list(map(_fifth, values[0].tolist(), self.edges.tolist()))])
        found: Floats = 1.0 + (values[:, :, None] > self.edges).sum(axis=2)
        found[np.isnan(values)] = np.nan
        return found

    def put(self, matrix: Floats, columns: NDArray[np.int64], *, rows: NDArray[np.bool_]) -> None:
        """Put the fifths into the relative columns of the chosen rows, in the place of the values."""
        places = np.ix_(rows, columns)
        matrix[places] = self.of(matrix[places])


def _fifth(value: float, edges: list[float]) -> float:
    return math.nan if math.isnan(value) else 1.0 + bisect_left(edges, value)


@dataclass(frozen=True)
class DatedFifths:
    """The fifths of the population at a cutoff, kept for users who are computed alone at that cutoff or after it.

    >>> DatedFifths.of(Fifths(np.array([[1.0, 2.0, 2.0, 9.5]])), as_of=utc("2026-06-01"), fingerprint="fs-0").to_json()
    {'as_of': '2026-06-01T00:00:00Z', 'fingerprint': 'fs-0', 'edges': [['1.0', '2.0', '2.0', '9.5']]}
    """

    as_of: datetime  # the cutoff
    fingerprint: str  # of the features; of others the edges mean nothing
    edges: tuple[tuple[float, ...], ...]  # a row a relative feature, in the order of the columns

    @classmethod
    def of(cls, fifths: Fifths, *, as_of: datetime, fingerprint: str) -> Self:
        """The fifths with their date."""
        return cls(as_of, fingerprint, tuple(map(tuple, fifths.edges.tolist())))

    @cached_property
    def fifths(self) -> Fifths:
        """The same for computing."""
        return Fifths(np.array(self.edges, dtype=np.float64).reshape(-1, 4))

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that reads back to the same bits."""
        # Edges are texts: JSON has no number for a column without values, nor for infinity.
        edges = [[repr(edge) for edge in row] for row in self.edges]
        return {"as_of": iso(self.as_of), "fingerprint": self.fingerprint, "edges": edges}

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:  # Any: JSON
        """What `to_json` wrote; raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        edges = tuple(tuple(map(float, row)) for row in document["edges"])
        if any(len(row) != 4 for row in edges):  # noqa: PLR2004 - five fifths have four edges between them
            raise ValueError(f"fifths with {[len(row) for row in edges]} edges; expected 4 of each feature")
        return cls(utc(document["as_of"]), str(document["fingerprint"]), edges)
