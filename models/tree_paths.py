"""What explaining a row by a tree needs of the tree alone: its paths, and the factors along them."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Self

import numpy as np

from models.booster_trees import CATEGORICAL, Floats, Integers, Tree
from models.tree_shap_kernel import (
    LEFT,
    LEFT_LOST,
    LEFT_RISE,
    LEFT_WORTH,
    LEFT_WORTH_RISE,
    NAN_LEFT,
    OF_CATEGORIES,
    RIGHT,
    RIGHT_LOST,
    RIGHT_RISE,
    RIGHT_WORTH,
    RIGHT_WORTH_RISE,
    WIDTH,
    ZERO_LEFT,
)


@dataclass(frozen=True, eq=False)
class Paths:
    """The `m` splits of a tree with parents first; edges 2s and 2s + 1 lead out of split s to the left and right."""

    tree: Tree
    order: Integers  # m, the tree's own number of each split
    into: Integers  # m, the edge that leads to it; at the root one past the last
    earlier: Integers  # m, the edge by which the path came from a split of the same feature; -1 without one
    shares: Floats  # 2m, rows of the training that go the path's way at all splits of the edge's feature
    values: Floats  # 2m, of the leaf behind the edge; 1 where there is none
    longest: int  # different features on a path, at most

    @classmethod
    def of(cls, tree: Tree) -> Self:
        """Those of a sound tree of one split at least."""
        order, into, earlier = list[int](), list[int](), list[int]()
        shares, values, longest = list[float](), list[float](), 0
        features, counts, leaf_counts = (each.tolist() for each in (tree.features, tree.counts, tree.leaf_counts))
        children = list(zip(tree.left.tolist(), tree.right.tolist(), strict=True))
        waiting: list[tuple[int, int, dict[int, int]]] = [(0, 2 * len(features), {})]
        while waiting:
            split, edge, path = waiting.pop()
            before = path.get(features[split], -1)
            share = shares[before] if before >= 0 else 1.0
            for child in children[split]:
                below = {**path, features[split]: len(shares)}
                rows = counts[child] if child >= 0 else leaf_counts[~child]
                if child >= 0:
                    waiting.append((child, len(shares), below))
                shares.append(share * (rows / counts[split]))
                values.append(1.0 if child >= 0 else float(tree.leaf_values[~child]))
                longest = max(longest, len(below))
            order.append(split)
            into.append(edge)
            earlier.append(before)
        return cls(tree, _whole(order), _whole(into), _whole(earlier), np.array(shares), np.array(values), longest)

    @property
    def features(self) -> Integers:
        """Of every split."""
        return self.tree.features[self.order]

    @property
    def thresholds(self) -> Floats:
        """Of every split."""
        return self.tree.thresholds[self.order]

    @property
    def categories(self) -> list[Integers]:
        """Of every split the words of the categories that go left."""
        of_tree = self.tree.categories
        return [of_tree[split] for split in self.order]

    @property
    def rules(self) -> Integers:
        """Where NaN and zero go at every split; LightGBM reads a NaN as zero where none was missing in training."""
        decisions = self.tree.decisions[self.order]
        default_left, zero_missing, nan_missing = (decisions & bit != 0 for bit in (2, 4, 8))  # LightGBM's bits
        zero_left = np.where(zero_missing, default_left, self.thresholds >= 0)
        nan_left = np.where(nan_missing, default_left, zero_left)
        return np.where(decisions & CATEGORICAL, OF_CATEGORIES, NAN_LEFT * nan_left + ZERO_LEFT * zero_left)

    @property
    def below(self) -> Integers:
        """The split behind every edge; -1 where there is a leaf."""
        found = np.full(2 * len(self.order), -1, dtype=np.int64)
        found[self.into[1:]] = np.arange(1, len(self.order))  # the first is the root, which no edge leads to
        return found

    @property
    def columns(self) -> Integers:
        """The features of the tree, each once."""
        return np.unique(self.tree.features)

    @property
    def points(self) -> int:
        """How many are needed: n of them integrate polynomials of degree 2n - 1."""
        return (self.longest + 1) // 2

    @property
    def size(self) -> int:
        """How many coefficients there are."""
        return self.points * len(self.order) * WIDTH

    @cached_property
    def coefficients(self) -> Floats:
        """What each edge multiplies the product by, and what the sum behind it is worth to its feature.

        A feature met again on a path has another factor from there on: the edge divides by the factor of the earlier
        one, and takes back what the earlier one is given for the leaves behind this edge.
        """
        points, weights = (each[:, None] for each in _quadrature(self.points))
        met_again = np.repeat(self.earlier, 2)
        before = np.where(met_again >= 0, self.shares[met_again], 1.0)  # a share of 1 has the factor 1
        factor, earlier_factor = points + (1 - points) * self.shares, points + (1 - points) * before
        given = (1 - before) / earlier_factor
        found = np.empty((len(points), len(self.order), WIDTH))
        for side, (base, rise, lost, worth, worth_rise) in enumerate(_SIDES):
            edges = slice(side, None, 2)
            found[:, :, base] = (self.values * (1 - points) * self.shares / earlier_factor)[:, edges]
            found[:, :, rise] = (self.values * points / earlier_factor)[:, edges]
            found[:, :, lost] = (self.values * self.shares / before)[edges]
            found[:, :, worth] = (weights * (-1 / (1 - points) - given))[:, edges]
            found[:, :, worth_rise] = (weights * ((1 - self.shares) / factor + 1 / (1 - points)))[:, edges]
        return found.reshape(-1)


_SIDES = (
    (LEFT, LEFT_RISE, LEFT_LOST, LEFT_WORTH, LEFT_WORTH_RISE),
    (RIGHT, RIGHT_RISE, RIGHT_LOST, RIGHT_WORTH, RIGHT_WORTH_RISE),
)


def _whole(numbers: list[int]) -> Integers:
    return np.array(numbers, dtype=np.int64)


@lru_cache
def _quadrature(count: int) -> tuple[Floats, Floats]:
    """Gauss and Legendre's points between 0 and 1, and their weights."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return (points + 1) / 2, weights / 2
