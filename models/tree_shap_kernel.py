"""The kernel of TreeSHAP: decides a row's way at every split of every tree, and adds up what each feature did.

A tree is a sum over its leaves. For a row, a feature on the path to a leaf is either followed (all its splits there go
the path's way) or not, and takes part in the game of that leaf with the factor 1 or 0; left out, with the share z of
the rows of the training that go the path's way. The Shapley value of such a product is an integral over t from 0 to 1
of a polynomial, the product over the features of `t + (1 - t) z` for one that is followed and `(1 - t) z` for one that
is not, without the feature's own factor. Gauss and Legendre's points give it exactly, d / 2 of them for paths of d
features. No factor is negative, so nothing cancels. At each point the products grow down the tree and their sums up.

A small tree has few ways to be decided at all: they are tabulated once, by the same walk, and a row looks its own up.
Beside what its features do stands what the tree itself says, the value of the row's leaf.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Integers = NDArray[np.int64]
Numbers = NDArray[np.float64]

_NEARLY_ZERO = float(np.float32(1e-35))  # LightGBM reads no smaller number
LANES = 32  # rows walked side by side, so that the processor computes several at once
NAN_LEFT, ZERO_LEFT, OF_CATEGORIES = 1, 2, 4  # bits of a rule
# The coefficients of a split at a point, to the left and to the right: what the product is multiplied by, what comes to
# that where the row goes there, and what it is multiplied by instead where the row went astray at the same feature
# before; what the sum of the products behind is worth to the feature, and what comes to that where the row goes there.
LEFT, LEFT_RISE, LEFT_LOST, RIGHT, RIGHT_RISE, RIGHT_LOST = range(6)
LEFT_WORTH, LEFT_WORTH_RISE, RIGHT_WORTH, RIGHT_WORTH_RISE, WIDTH = range(6, 11)
# The columns of `Forest.trees`; tables and columns are of small trees only, `TABLE_AT` is -1 for the others.
FIRST, LAST, POINTS, NUMBERS_AT, TABLE_AT, COLUMNS_AT, COLUMNS = range(7)
# The columns of `Forest.splits`: the edge that leads to it (of the root: one past the last), the edge by which the path
# left the last split of the same feature (-1 without one), and where its feature is in the table.
FEATURE, RULE, INTO, EARLIER, PLACE, WORDS_AT, WORDS = range(7)


class Forest(NamedTuple):
    """The trees of a booster; splits are in an order in which parents come first.

    Edges 2s and 2s + 1 lead out of split s of a tree to the left and to the right.
    """

    trees: Integers  # [trees, 7]
    splits: Integers  # [splits, 7]
    thresholds: Numbers  # of each split
    categories: Integers  # 32 a word, the lowest bit first: those that go left
    numbers: Numbers  # the coefficients: [points, splits, WIDTH] of one tree after the other
    below: Integers  # the split that each edge leads to; -1: a leaf
    leaves: Numbers  # the value of the leaf behind each edge
    columns: Integers  # the features of the tables' columns
    table: Numbers  # [ways, columns + 1] of one tree after the other; the last is the leaf's value


_TYPES: Any = numba.types  # Any: Numba ships no types


_WHOLE, _REAL, _GRID = _TYPES.int64[::1], _TYPES.float64[::1], _TYPES.int64[:, ::1]
_FOREST = _TYPES.NamedTuple((_GRID, _GRID, _REAL, _WHOLE, _REAL, _WHOLE, _REAL, _WHOLE, _REAL), Forest)
_ROWS = _TYPES.Array(_TYPES.float64, 2, "C", readonly=True)  # Arrow hands out memory that cannot be written to
_CONTRIBUTE = _TYPES.void(_TYPES.float64[:, ::1], _ROWS, _FOREST)
_TABULATE = _TYPES.void(_TYPES.float64[::1], _FOREST)


def _part(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """A part of the kernel, put into its place: calls would hand over every array anew."""
    part: Callable[Given, Answer] = numba.njit(inline="always")(function)  # Numba ships no types
    return part


def _compiled(signature: Any) -> Callable[[Callable[Given, Answer]], Callable[Given, Answer]]:  # Any: as above
    """Compiled when this file is first imported, and kept on disk."""
    compiler: Callable[[Callable[Given, Answer]], Callable[Given, Answer]] = numba.njit(
        signature, cache=True, nogil=True, error_model="numpy"
    )
    return compiler


class _Room(NamedTuple):
    """Where the rows of a block are worked on; the last axis are their lanes."""

    went_left: Numbers  # [splits, LANES], 0 or 1: numbers, as arithmetic is quicker than choosing
    kept: Numbers  # [splits, LANES], 0 or 1: whether the row is on the path as far as the split's feature goes
    flow: Numbers  # [edges + 1, LANES]: the product up to each edge, then the sum behind it; the last leads to the root


@_part
def _room(forest: Forest) -> _Room:
    """Room for the largest tree."""
    splits = 0
    for tree in range(len(forest.trees)):
        splits = max(splits, forest.trees[tree, LAST] - forest.trees[tree, FIRST])
    return _Room(
        np.zeros((splits, LANES), dtype=np.float64),
        np.zeros((splits, LANES), dtype=np.float64),
        np.empty((2 * splits + 1, LANES), dtype=np.float64),
    )


@_part
def _number_left(value: float, threshold: float, rule: int) -> float:
    """1 where a number goes left, else 0, as LightGBM decides it."""
    left = 1.0 if value <= threshold else 0.0
    left = 1.0 * ((rule & ZERO_LEFT) >> 1) if abs(value) <= _NEARLY_ZERO else left
    return 1.0 * (rule & NAN_LEFT) if np.isnan(value) else left


@_part
def _category_left(categories: Integers, start: int, words: int, value: float) -> float:
    """1 where the code of a category goes left, else 0: codes that the split does not name and NaN go right."""
    left = 0.0
    if -1.0 < value < 32.0 * words:
        category = np.int64(value)
        left = 1.0 * ((categories[start + (category >> 5)] >> (category & 31)) & 1)
    return left


@_part
def _decide(forest: Forest, tree: int, given: Numbers, lanes: int, room: _Room) -> None:
    """Which way each row goes at each split of the tree."""
    went_left, categories, first = room.went_left, forest.categories, forest.trees[tree, FIRST]
    for split in range(forest.trees[tree, LAST] - first):
        feature, rule = forest.splits[first + split, FEATURE], forest.splits[first + split, RULE]
        if rule & OF_CATEGORIES:
            start, words = forest.splits[first + split, WORDS_AT], forest.splits[first + split, WORDS]
            for lane in range(lanes):
                went_left[split, lane] = _category_left(categories, start, words, given[feature, lane])
        else:
            threshold = forest.thresholds[first + split]
            for lane in range(lanes):
                went_left[split, lane] = _number_left(given[feature, lane], threshold, rule)


@_part
def _keep(forest: Forest, tree: int, lanes: int, room: _Room) -> None:
    """Whether each row went the path's way at all splits before each split that have its feature."""
    went_left, kept, first = room.went_left, room.kept, forest.trees[tree, FIRST]
    for split in range(forest.trees[tree, LAST] - first):
        edge = forest.splits[first + split, EARLIER]
        if edge < 0:
            for lane in range(lanes):
                kept[split, lane] = 1.0
        else:
            before, to_right = edge >> 1, np.float64(edge & 1)
            for lane in range(lanes):
                kept[split, lane] = kept[before, lane] * abs(to_right - went_left[before, lane])


@_part
def _descend(forest: Forest, tree: int, at: int, lanes: int, room: _Room) -> None:
    """The product of the factors from the root to every edge; at a leaf times its value."""
    went_left, kept, flow = room.went_left, room.kept, room.flow
    first, numbers = forest.trees[tree, FIRST], forest.numbers
    splits = forest.trees[tree, LAST] - first
    for lane in range(lanes):
        flow[2 * splits, lane] = 1.0
    for split in range(splits):
        left, right, into = 2 * split, 2 * split + 1, forest.splits[first + split, INTO]
        to_left, left_rise, left_lost = numbers[at + LEFT], numbers[at + LEFT_RISE], numbers[at + LEFT_LOST]
        to_right, right_rise, right_lost = numbers[at + RIGHT], numbers[at + RIGHT_RISE], numbers[at + RIGHT_LOST]
        if forest.splits[first + split, EARLIER] < 0:
            for lane in range(lanes):
                above, goes_left = flow[into, lane], went_left[split, lane]
                flow[left, lane] = above * (to_left + goes_left * left_rise)
                flow[right, lane] = above * (to_right + (1.0 - goes_left) * right_rise)
        else:
            for lane in range(lanes):
                above, goes_left, on_path = flow[into, lane], went_left[split, lane], kept[split, lane]
                by_left = on_path * (to_left + goes_left * left_rise) + (1.0 - on_path) * left_lost
                by_right = on_path * (to_right + (1.0 - goes_left) * right_rise) + (1.0 - on_path) * right_lost
                flow[left, lane] = above * by_left
                flow[right, lane] = above * by_right
        at += WIDTH


@_part
def _ascend(forest: Forest, tree: int, at: int, lanes: int, room: _Room, moved: Numbers, target: int) -> None:
    """Sum the products over the leaves behind every edge, and add what they are worth to the split's feature."""
    went_left, kept, flow = room.went_left, room.kept, room.flow
    first, numbers = forest.trees[tree, FIRST], forest.numbers
    splits = forest.trees[tree, LAST] - first
    at += splits * WIDTH
    for split in range(splits - 1, -1, -1):
        at -= WIDTH
        left, right, into = 2 * split, 2 * split + 1, forest.splits[first + split, INTO]
        feature = forest.splits[first + split, target]
        left_worth, left_rise = numbers[at + LEFT_WORTH], numbers[at + LEFT_WORTH_RISE]
        right_worth, right_rise = numbers[at + RIGHT_WORTH], numbers[at + RIGHT_WORTH_RISE]
        for lane in range(lanes):
            goes_left = went_left[split, lane]
            worth = flow[left, lane] * (left_worth + goes_left * left_rise)
            worth += flow[right, lane] * (right_worth + (1.0 - goes_left) * right_rise)
            moved[feature, lane] += kept[split, lane] * worth
        for lane in range(lanes):
            flow[into, lane] = flow[left, lane] + flow[right, lane]


@_part
def _walk(forest: Forest, tree: int, lanes: int, room: _Room, moved: Numbers, target: int) -> None:
    """Add the tree's Shapley values of rows that are decided to `moved`, each at its split's target."""
    _keep(forest, tree, lanes, room)
    size = (forest.trees[tree, LAST] - forest.trees[tree, FIRST]) * WIDTH
    for point in range(forest.trees[tree, POINTS]):
        at = forest.trees[tree, NUMBERS_AT] + point * size
        _descend(forest, tree, at, lanes, room)
        _ascend(forest, tree, at, lanes, room, moved, target)


@_part
def _arrive(forest: Forest, tree: int, lanes: int, room: _Room, moved: Numbers, target: int) -> None:
    """Add the values of the leaves of rows that are decided to `moved`, at one target."""
    first = forest.trees[tree, FIRST]
    for lane in range(lanes):
        split, edge = 0, 0
        while split >= 0:
            edge = 2 * split + 1 - int(room.went_left[split, lane])
            split = forest.below[2 * first + edge]
        moved[target, lane] += forest.leaves[2 * first + edge]


@_part
def _look_up(forest: Forest, tree: int, lanes: int, room: _Room, ways: Numbers, moved: Numbers, margin: int) -> None:
    """Add the tree's Shapley values and leaves of rows that are decided to `moved`, from its table."""
    for lane in range(lanes):
        ways[lane] = 0.0
    for split in range(forest.trees[tree, LAST] - forest.trees[tree, FIRST]):
        bit = np.float64(1 << split)
        for lane in range(lanes):
            ways[lane] += bit * room.went_left[split, lane]
    start, columns = forest.trees[tree, COLUMNS_AT], forest.trees[tree, COLUMNS]
    for column in range(columns + 1):
        target = forest.columns[start + column] if column < columns else margin
        at = forest.trees[tree, TABLE_AT] + column
        for lane in range(lanes):
            moved[target, lane] += forest.table[at + np.int64(ways[lane]) * (columns + 1)]


@_part
def _look_up_alone(forest: Forest, out: Numbers, rows: Numbers, row: int) -> None:
    """The same of all trees for a row alone that is not decided yet: lanes would take three times the time."""
    margin = rows.shape[1]
    for target in range(margin + 1):
        out[row, target] = 0.0
    for tree in range(len(forest.trees)):
        way, bit = 0, 1
        for split in range(forest.trees[tree, FIRST], forest.trees[tree, LAST]):
            value, rule = rows[row, forest.splits[split, FEATURE]], forest.splits[split, RULE]
            if rule & OF_CATEGORIES:
                start, words = forest.splits[split, WORDS_AT], forest.splits[split, WORDS]
                way += bit * int(_category_left(forest.categories, start, words, value))
            elif np.isnan(value):
                way += bit * (rule & NAN_LEFT)
            elif abs(value) <= _NEARLY_ZERO:
                way += bit * ((rule & ZERO_LEFT) >> 1)
            else:
                way += bit * int(value <= forest.thresholds[split])
            bit *= 2
        start, columns = forest.trees[tree, COLUMNS_AT], forest.trees[tree, COLUMNS]
        at = forest.trees[tree, TABLE_AT] + way * (columns + 1)
        for column in range(columns):
            out[row, forest.columns[start + column]] += forest.table[at + column]
        out[row, margin] += forest.table[at + columns]


@_compiled(_TABULATE)
def tabulate(table: Numbers, forest: Forest) -> None:
    """Fill the tables of the trees that have one: bit s of a way says whether a row goes left at split s."""
    room, moved = _room(forest), np.empty((LANES, LANES), dtype=np.float64)
    for tree in range(len(forest.trees)):
        if forest.trees[tree, TABLE_AT] < 0:
            continue
        splits = forest.trees[tree, LAST] - forest.trees[tree, FIRST]
        columns = forest.trees[tree, COLUMNS]
        for start in range(0, 1 << splits, LANES):
            lanes = min(LANES, (1 << splits) - start)
            for split in range(splits):
                for lane in range(lanes):
                    room.went_left[split, lane] = np.float64(((start + lane) >> split) & 1)
            moved[:] = 0.0
            _walk(forest, tree, lanes, room, moved, PLACE)
            _arrive(forest, tree, lanes, room, moved, columns)
            at = forest.trees[tree, TABLE_AT] + start * (columns + 1)
            for lane in range(lanes):
                for column in range(columns + 1):
                    table[at + lane * (columns + 1) + column] = moved[column, lane]


@_compiled(_CONTRIBUTE)
def contribute(out: Numbers, rows: Numbers, forest: Forest) -> None:
    """Write to `out` [rows, features + 1] what each feature does to each of `rows` [rows, features], and the margin.

    A row's sums are made in the order of the trees, whatever rows are beside it: the margin's bits are LightGBM's.
    """
    features = rows.shape[1]
    room, ways = _room(forest), np.empty(LANES, dtype=np.float64)
    given, moved = np.empty((features, LANES), dtype=np.float64), np.empty((features + 1, LANES), dtype=np.float64)
    tabulated = len(forest.trees) == 0 or forest.trees[:, TABLE_AT].min() >= 0
    for start in range(0, len(rows), LANES):
        lanes = min(LANES, len(rows) - start)
        if lanes == 1 and tabulated:
            _look_up_alone(forest, out, rows, start)
            continue
        for feature in range(features):
            for lane in range(lanes):
                given[feature, lane] = rows[start + lane, feature]
        moved[:] = 0.0
        for tree in range(len(forest.trees)):
            _decide(forest, tree, given, lanes, room)
            if forest.trees[tree, TABLE_AT] >= 0:
                _look_up(forest, tree, lanes, room, ways, moved, features)
            else:
                _walk(forest, tree, lanes, room, moved, FEATURE)
                _arrive(forest, tree, lanes, room, moved, features)
        for lane in range(lanes):
            for target in range(features + 1):
                out[start + lane, target] = moved[target, lane]
