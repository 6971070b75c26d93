"""Why a score is what it is: contributions by family of features, and the strongest of them in words.

A reason says what moved the number. It is not a cause.
"""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.feature_set import FeatureSet
from models.columns import matrix_of
from models.model import ChurnModel

Floats = NDArray[np.float64]
Language: TypeAlias = Literal["en", "zh"]


@dataclass(frozen=True, slots=True)
class Reason:
    """What one family of features did to a score."""

    code: str  # "family.feature", for machines: stable as long as the feature set is
    sentence: str  # the family's strongest feature, with the user's own value
    sentence_zh: str  # the same in Simplified Chinese; in English where nobody wrote it
    contribution: float  # of the whole family, in log-odds: above 0 towards churn, below 0 towards staying

    def said(self, language: Language) -> str:
        """The sentence in a language."""
        return self.sentence_zh if language == "zh" else self.sentence


@dataclass(frozen=True, slots=True)
class Change:
    """What one family of features did to a score between two cutoffs."""

    code: str  # "family.feature": the feature of the family that moved it most
    sentence: str  # as it is now
    sentence_zh: str
    before: str  # as it was
    before_zh: str
    contribution: float  # of the whole family: now minus then, in log-odds; above 0 towards churn


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Margins taken apart: `bias` plus a row of `contributions` is the user's margin."""

    families: tuple[str, ...]  # in order of first appearance in the feature set
    contributions: Floats  # n x families, log-odds
    bias: Floats  # n

    @property
    def margins(self) -> Floats:
        """The margins put together again."""
        total: Floats = self.bias + self.contributions.sum(axis=1)
        return total


# Any: X is a DataFrame, an Arrow table or an array, as `ChurnModel` takes them.
def explain(
    model: ChurnModel,
    features: FeatureSet,
    X: Any,  # noqa: N803 - scikit-learn's name
    *,
    top: int = 3,
    middle: float | None = None,
) -> list[tuple[Reason, ...]]:
    """Up to `top` reasons a user, the strongest first.

    A user whose margin is at or above `middle` hears what speaks for leaving, one below what speaks for staying:
    all reasons of a user point the same way, so there may be fewer than `top`. `middle` is by default the model's
    bias, the mean of its training. Features of the cutoff alone (the season) are nobody's own reason and are left out.
    """
    matrix = matrix_of(X, features.names)
    contributions = model.contributions(matrix)
    margins = contributions.sum(axis=1)
    leaving = margins >= (contributions[:, -1] if middle is None else middle)
    columns = features.own_families
    return [
        _reasons(
            features,
            columns,
            matrix[row],
            towards=contributions[row] * (1 if leaving[row] else -1),
            top=top,
            sign=1 if leaving[row] else -1,
        )
        for row in range(len(matrix))
    ]


def changes(
    model: ChurnModel,
    features: FeatureSet,
    now: Any,  # Any: as for `explain`
    before: Any,  # Any: as above
    *,
    top: int = 3,
    least: float = 0.02,
) -> list[tuple[Change, ...]]:
    """Up to `top` changes a user between two rows of features by the same model, the largest first, either way.

    Rows of `now` and `before` are the same users. Families that moved the margin by less than `least` (log-odds) are
    left out. The season is not: who is asked why a score moved in December must be told that it is December.
    """
    rows = [matrix_of(X, features.names) for X in (now, before)]
    moved = model.contributions(rows[0])[:, :-1] - model.contributions(rows[1])[:, :-1]
    columns = features.families
    return [
        _changes(features, columns, moved[row], values=(rows[0][row], rows[1][row]), top=top, least=least)
        for row in range(len(moved))
    ]


def _changes(
    features: FeatureSet,
    columns: dict[str, tuple[int, ...]],
    moved: Floats,
    *,
    values: tuple[Floats, Floats],
    top: int,
    least: float,
) -> tuple[Change, ...]:
    sums = {family: float(moved[list(places)].sum()) for family, places in columns.items()}
    largest = sorted((family for family in sums if abs(sums[family]) >= least), key=lambda family: -abs(sums[family]))
    found = []
    for family in largest[:top]:
        sign = 1.0 if sums[family] > 0 else -1.0
        place = max(columns[family], key=lambda column: sign * moved[column])
        feature, (now, then) = features.features[place], (float(each[place]) for each in values)
        words = (feature.says(now), feature.says(now, "zh"), feature.says(then), feature.says(then, "zh"))
        found.append(Change(f"{family}.{feature.name}", *words, sums[family]))
    return tuple(found)


def decompose(model: ChurnModel, features: FeatureSet, X: Any) -> Decomposition:  # noqa: N803
    """All families' contributions and the bias; they add up to the margin."""
    contributions = model.contributions(matrix_of(X, features.names))
    sums = [contributions[:, list(places)].sum(axis=1) for places in features.families.values()]
    return Decomposition(tuple(features.families), np.column_stack(sums), contributions[:, -1])


def _reasons(
    features: FeatureSet,
    columns: dict[str, tuple[int, ...]],
    values: Floats,
    *,
    towards: Floats,
    top: int,
    sign: int,
) -> tuple[Reason, ...]:
    """Reasons from contributions that are turned so that positive ones count."""
    sums = {family: float(towards[list(places)].sum()) for family, places in columns.items()}
    strongest = sorted((family for family in sums if sums[family] > 0), key=lambda family: -sums[family])[:top]
    reasons = []
    for family in strongest:
        place = max(columns[family], key=lambda column: towards[column])
        feature = features.features[place]
        value = float(values[place])
        code, words = f"{family}.{feature.name}", (feature.says(value), feature.says(value, "zh"))
        reasons.append(Reason(code, *words, sign * sums[family]))
    return tuple(reasons)
