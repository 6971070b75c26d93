"""What a booster says of a row and why: LightGBM's margins to the bit and its TreeSHAP, in a small part of its time.

What does not depend on the row is computed once for a model; `models.tree_shap_kernel` has the idea. That the ways of a
tree can be tabulated is from WOODELF (Nadel and Wettenstein, 2025), that sums over leaves can be shared along the tree
from Linear TreeSHAP (Yu et al., 2022).
"""

from collections.abc import Iterable, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import accumulate
from typing import Self

import numpy as np

from features.errors import BadInput
from models.booster_trees import Floats, Integers, read_trees
from models.judgement import Judgement
from models.tree_paths import Paths
from models.tree_shap_kernel import (
    COLUMNS,
    COLUMNS_AT,
    EARLIER,
    FEATURE,
    FIRST,
    INTO,
    LAST,
    NUMBERS_AT,
    PLACE,
    POINTS,
    RULE,
    TABLE_AT,
    WORDS,
    WORDS_AT,
    Forest,
    contribute,
    tabulate,
)

_MOST_TABULATED = 8  # splits: 256 ways, which are tabulated in the time of explaining 256 rows
_TABLES = 4_000_000  # numbers in the tables of a booster, 32 MB; trees beyond it are walked
_COEFFICIENTS = 32_000_000  # numbers, 256 MB; a booster beyond it is left to LightGBM
_ALONE = 64  # rows up to which a second thread costs more than it gives


@dataclass(frozen=True, slots=True, eq=False)
class TreeShap:
    """What the features of a row do to the margin of a booster."""

    features: int  # columns of a row
    bias: float  # the mean margin over the rows of the training
    forest: Forest

    @classmethod
    def of(cls, text: str, *, features: int) -> Self | None:
        """That of a booster in LightGBM's text format; None where its trees are of another kind or too large."""
        trees = read_trees(text)
        if trees is None or any((tree.features >= features).any() for tree in trees):
            return None
        paths = [Paths.of(tree) for tree in trees if len(tree.features)]
        if paths and len(paths) < len(trees):  # a tree without a split among others: its turn in the sum would be lost
            return None
        if sum(each.size for each in paths) > _COEFFICIENTS:
            return None
        bias = float(sum(tree.expected_value for tree in trees))
        return cls(features, bias, _forest(paths))

    def contributions(self, matrix: Floats, *, threads: int = 1) -> Floats:
        """What each of the k features adds to the margin, `[n, k + 1]` log-odds; the last column is the bias."""
        return self.judge(matrix, threads=threads).contributions

    def judge(self, matrix: Floats, *, threads: int = 1) -> Judgement:
        """The margins too, which cost nothing beside them.

        A row has the same bits alone and among others, with one thread and with several.
        """
        if matrix.shape[1] != self.features:  # machine code checks no borders
            raise BadInput(f"a row has {matrix.shape[1]} features, the model was fitted on {self.features}.")
        rows, found = _read_only(matrix), np.empty((matrix.shape[0], matrix.shape[1] + 1))
        if threads == 1 or len(rows) <= _ALONE:
            contribute(found, rows, self.forest)
        else:
            borders = np.linspace(0, len(rows), threads + 1).astype(np.int64).tolist()
            parts = map(slice, borders[:-1], borders[1:])
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(lambda part: contribute(found[part], rows[part], self.forest), parts))
        margins = found[:, -1].copy() if len(self.forest.trees) else np.full(len(rows), self.bias)
        found[:, -1] = self.bias
        return Judgement(margins, found)


def _forest(trees: Sequence[Paths]) -> Forest:
    """The trees as the kernel reads them, tables filled."""
    sizes = np.array([_table_size(tree) for tree in trees], dtype=np.int64)
    has_table = (sizes > 0) & (np.cumsum(sizes) <= _TABLES)
    forest = Forest(
        trees=_of_trees(trees, table_at=np.where(has_table, np.cumsum(sizes) - sizes, -1)),
        splits=_of_splits(trees),
        thresholds=np.concatenate([_NO_NUMBERS, *(tree.thresholds for tree in trees)]),
        categories=_joined(words for tree in trees for words in tree.categories),
        numbers=np.concatenate([_NO_NUMBERS, *(tree.coefficients for tree in trees)]),
        below=_joined(tree.below for tree in trees),
        leaves=np.concatenate([_NO_NUMBERS, *(tree.values for tree in trees)]),
        columns=_joined(tree.columns for tree in trees),
        table=_NO_NUMBERS,
    )
    table = np.empty(int(sizes[has_table].sum()))
    tabulate(table, forest)
    return forest._replace(table=table)


def _table_size(tree: Paths) -> int:
    splits = len(tree.order)
    return (1 << splits) * (len(tree.columns) + 1) if splits <= _MOST_TABULATED else 0


def _of_trees(trees: Sequence[Paths], *, table_at: Integers) -> Integers:
    starts = _starts(tree.order for tree in trees)
    return _grid(
        {
            FIRST: starts[:-1],
            LAST: starts[1:],
            POINTS: [tree.points for tree in trees],
            NUMBERS_AT: _starts(tree.coefficients for tree in trees)[:-1],
            TABLE_AT: table_at,
            COLUMNS_AT: _starts(tree.columns for tree in trees)[:-1],
            COLUMNS: [len(tree.columns) for tree in trees],
        }
    )


def _of_splits(trees: Sequence[Paths]) -> Integers:
    categories = [words for tree in trees for words in tree.categories]
    return _grid(
        {
            FEATURE: _joined(tree.features for tree in trees),
            RULE: _joined(tree.rules for tree in trees),
            INTO: _joined(tree.into for tree in trees),
            EARLIER: _joined(tree.earlier for tree in trees),
            PLACE: _joined(np.searchsorted(tree.columns, tree.features) for tree in trees),
            WORDS_AT: _starts(categories)[:-1],
            WORDS: [len(words) for words in categories],
        }
    )


def _grid(columns: dict[int, Integers | list[int]]) -> Integers:
    return np.stack([np.asarray(columns[place], dtype=np.int64) for place in range(len(columns))], axis=1)


_NOTHING, _NO_NUMBERS = np.zeros(0, dtype=np.int64), np.zeros(0)


def _joined(pieces: Iterable[Integers]) -> Integers:
    return np.concatenate([_NOTHING, *pieces])


def _starts(pieces: Iterable[Sized]) -> Integers:
    """Where each piece begins when they are joined, and where the last ends."""
    return np.array([0, *accumulate(map(len, pieces))], dtype=np.int64)


def _read_only(matrix: Floats) -> Floats:
    """The rows one behind the other, not to be written to: the kernel takes one type."""
    view = np.ascontiguousarray(matrix).view()
    view.flags.writeable = False
    return view
