"""The trees of a booster, read from LightGBM's text format into plain arrays and checked.

Only what it takes to find a row's way and to explain it is read: splits, children, the values of leaves, and how many
rows each node had in training.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
CATEGORICAL = 1  # bit of a decision


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """One tree of `m` splits and `m + 1` leaves; a child is a split, or a leaf as `~leaf`."""

    features: Integers  # m
    thresholds: Floats  # m; of a categorical split: its place in `category_bounds`
    decisions: Integers  # m, bits: 1 categorical, 2 what is missing goes left; 4: zero is missing, 8: NaN is
    left: Integers  # m
    right: Integers  # m
    counts: Integers  # m, rows of the training at each split
    leaf_counts: Integers  # m + 1
    leaf_values: Floats  # m + 1
    category_bounds: Integers  # where the words of each categorical split begin, and where the last end
    category_words: Integers  # 32 categories a word, the lowest bit first: those that go left

    @classmethod
    def of(cls, lines: dict[str, str]) -> Self:
        """The tree that the lines of its section describe."""
        return cls(
            features=_integers(lines, "split_feature"),
            thresholds=_floats(lines, "threshold"),
            decisions=_integers(lines, "decision_type"),
            left=_integers(lines, "left_child"),
            right=_integers(lines, "right_child"),
            counts=_integers(lines, "internal_count"),
            leaf_counts=_integers(lines, "leaf_count"),
            leaf_values=_floats(lines, "leaf_value"),
            category_bounds=_integers(lines, "cat_boundaries"),
            category_words=_integers(lines, "cat_threshold"),
        )

    @property
    def expected_value(self) -> float:
        """The mean of the leaves over the rows of the training, added up in LightGBM's order."""
        if not len(self.features):
            return float(self.leaf_values[0])
        return float(sum((self.leaf_counts / self.counts[0] * self.leaf_values).tolist()))

    @property
    def categories(self) -> list[Integers]:
        """Of every split the words of the categories that go left; empty where it is not categorical."""
        bounds = self.category_bounds
        return [
            self.category_words[bounds[int(place)] : bounds[int(place) + 1]] if decision & CATEGORICAL else _NOTHING
            for place, decision in zip(self.thresholds.tolist(), self.decisions.tolist(), strict=True)
        ]

    @property
    def is_sound(self) -> bool:
        """Whether its arrays fit together, every node has one parent, and training had rows at every split."""
        splits, leaves = len(self.features), len(self.leaf_values)
        if not splits:
            return leaves == 1
        of_splits = (self.thresholds, self.decisions, self.left, self.right, self.counts)
        if {len(each) for each in of_splits} != {splits} or {leaves, len(self.leaf_counts)} != {splits + 1}:
            return False
        children = np.sort(np.concatenate([self.left, self.right]))
        places = self.thresholds[self.decisions & CATEGORICAL == CATEGORICAL]
        return bool(
            np.array_equal(children, np.r_[-leaves:0, 1:splits])
            and (self.counts > 0).all()
            and (self.features >= 0).all()
            and ((places >= 0) & (places < len(self.category_bounds) - 1)).all()
        )


def read_trees(text: str) -> tuple[Tree, ...] | None:
    """The trees of a booster, or None where they do not simply add up to one margin by constant leaves."""
    header, *sections = (_lines(section) for section in text.partition("end of trees")[0].split("\nTree="))
    plain = header.get("num_class") == "1" and header.get("num_tree_per_iteration") == "1"
    if not plain or "average_output" in header or any(lines.get("is_linear", "0") != "0" for lines in sections):
        return None
    trees = tuple(map(Tree.of, sections))
    return trees if all(tree.is_sound for tree in trees) else None


def feature_count(text: str) -> int:
    """How many columns the rows of a booster have; raises `ValueError` for a text that does not say."""
    header = _lines(text.partition("\nTree=")[0])
    return int(header.get("max_feature_idx", "")) + 1


_NOTHING = np.zeros(0, dtype=np.int64)


def _lines(section: str) -> dict[str, str]:
    return dict(_pairs(section))


def _pairs(section: str) -> Iterator[tuple[str, str]]:
    for line in section.splitlines():
        key, _, value = line.partition("=")
        yield key, value


def _integers(lines: dict[str, str], key: str) -> Integers:
    return np.array(lines.get(key, "").split(), dtype=np.int64)


def _floats(lines: dict[str, str], key: str) -> Floats:
    return np.array(lines.get(key, "").split(), dtype=np.float64)
