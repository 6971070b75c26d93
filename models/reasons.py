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


@dataclass(frozen=True, slots=True, eq=False)
class _Strongest:
    """The families that move each of n rows most, the strongest first."""

    families: tuple[str, ...]
    order: NDArray[np.int64]  # n x top, places in `families`
    places: NDArray[np.int64]  # n x top, the strongest feature of each
    sums: Floats  # n x top, of the whole family; above 0 where it counts


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
    signs = np.where(leaving, 1.0, -1.0)
    strongest = _strongest(features, contributions[:, :-1] * signs[:, None], top=top)
    return _told(features, matrix, signs=signs, strongest=strongest)


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


def _strongest(features: FeatureSet, towards: Floats, *, top: int) -> _Strongest:
    """The families that move each row most, from contributions that are turned so that positive ones count."""
    named = [(family, np.array(places)) for family, places in features.own_families.items() if places]
    if not named:
        nothing = np.zeros((len(towards), 0))
        return _Strongest((), nothing.astype(np.int64), nothing.astype(np.int64), nothing)
    parts = [np.take(towards, places, axis=1) for _, places in named]  # each family's numbers one beside the other
    sums = np.column_stack([part.sum(axis=1) for part in parts])
    largest = np.column_stack([places[part.argmax(axis=1)] for part, (_, places) in zip(parts, named, strict=True)])
    order = np.argsort(-sums, axis=1, kind="stable")[:, :top]
    found = (np.take_along_axis(each, order, axis=1) for each in (largest, sums))
    return _Strongest(tuple(family for family, _ in named), order, *found)


def _told(features: FeatureSet, matrix: Floats, *, signs: Floats, strongest: _Strongest) -> list[tuple[Reason, ...]]:
    """Reasons in words; equal values of a feature are put into words once."""
    values = np.take_along_axis(matrix, strongest.places, axis=1)
    told: dict[tuple[int, float], tuple[str, str, str]] = {}

    def reason(family: int, place: int, value: float, total: float, sign: float) -> Reason:
        words = told.get((place, value))
        if words is None:
            feature = features.features[place]
            code = f"{strongest.families[family]}.{feature.name}"
            words = told[place, value] = (code, feature.says(value), feature.says(value, "zh"))
        return Reason(*words, sign * total)

    rows = zip(
        *(each.tolist() for each in (strongest.order, strongest.places, values, strongest.sums, signs)), strict=True
    )
    return [
        tuple(
            reason(family, place, value, total, sign)
            for family, place, value, total in zip(*of_row, strict=True)
            if total > 0
        )
        for *of_row, sign in rows
    ]
