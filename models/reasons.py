"""Why a score is what it is: contributions by family of features, and the strongest of them in words.

A reason says what moved the number. It is not a cause.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from features.feature_set import FeatureSet
from features.sentences import Wording
from models.movers import NOBODY, Movers

if TYPE_CHECKING:
    from models.model import ChurnModel
    from models.strongest import Strongest

Floats = NDArray[np.float64]
Language: TypeAlias = Literal["en", "zh"]


class Reason(NamedTuple):
    """What one family of features did to a score; a tuple, because a night makes millions."""

    code: str  # "family.feature", for machines: stable as long as the feature set is
    wording: Wording  # the family's strongest feature, with the user's own value
    contribution: float  # of the whole family, in log-odds: above 0 towards churn, below 0 towards staying

    @property
    def sentence(self) -> str:
        """In English."""
        return self.wording.sentence

    @property
    def sentence_zh(self) -> str:
        """In Simplified Chinese; in English where nobody wrote it."""
        return self.wording.sentence_zh


class Change(NamedTuple):
    """What one family of features did to a score between two cutoffs."""

    code: str  # "family.feature": the feature of the family that moved it most
    wording: Wording  # as it is now
    wording_before: Wording  # as it was
    contribution: float  # of the whole family: now minus then, in log-odds; above 0 towards churn

    @property
    def sentence(self) -> str:
        """As it is now, in English."""
        return self.wording.sentence

    @property
    def sentence_zh(self) -> str:
        """The same in Simplified Chinese."""
        return self.wording.sentence_zh

    @property
    def before(self) -> str:
        """As it was, in English."""
        return self.wording_before.sentence

    @property
    def before_zh(self) -> str:
        """The same in Simplified Chinese."""
        return self.wording_before.sentence_zh


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
    model: "ChurnModel",
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
    matrix = _rows(X, features)
    return reasons_of(features, matrix, model.contributions(matrix), top=top, middle=middle)


def reasons_of(
    features: FeatureSet, matrix: Floats, contributions: Floats, *, top: int = 3, middle: float | None = None
) -> list[tuple[Reason, ...]]:
    """The same from contributions that are there already, those of the rows of the matrix."""
    return reasons_in_words(features, movers(features, matrix, contributions, top=top, middle=middle))


def movers(
    features: FeatureSet, matrix: Floats, contributions: Floats, *, top: int = 3, middle: float | None = None
) -> Movers:
    """The same as numbers."""
    from models.strongest import strongest  # noqa: PLC0415 - Numba, which who only reads reasons need not load

    margins = contributions.sum(axis=1)
    leaving = margins >= (contributions[:, -1] if middle is None else middle)
    signs = np.where(leaving, 1.0, -1.0)
    found = strongest(features.own_grouped, contributions[:, :-1] * signs[:, None], top=top, either_way=False)
    places = np.where(found.sums > 0, found.places, NOBODY).astype(np.int32)
    return Movers(places, _values(matrix, found), found.sums * signs[:, None], np.empty((len(matrix), 0)))


def reasons_in_words(features: FeatureSet, found: Movers) -> list[tuple[Reason, ...]]:
    """Up to as many reasons a row as were looked for."""
    return list(each_reasons(features, found))


def each_reasons(features: FeatureSet, found: Movers) -> Iterator[tuple[Reason, ...]]:
    """The same a row at a time: of those of a night Python would search the many that are held at once for garbage."""
    words = features.words
    lists = (each.tolist() for each in (found.places, found.values, found.sums))
    for of_row in zip(*lists, strict=True):
        yield tuple(
            [
                Reason(*words.say(place, value), total)
                for place, value, total in zip(*of_row, strict=True)
                if place != NOBODY
            ]
        )


def changes(
    model: "ChurnModel",
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
    rows = [_rows(X, features) for X in (now, before)]
    moved = model.contributions(rows[0])[:, :-1] - model.contributions(rows[1])[:, :-1]
    return changes_in_words(features, movers_between(features, rows[0], rows[1], moved=moved, top=top, least=least))


def movers_between(
    features: FeatureSet, now: Floats, before: Floats, *, moved: Floats, top: int = 3, least: float = 0.02
) -> Movers:
    """The same as numbers, from what each feature did to the margin between the two."""
    from models.strongest import strongest  # noqa: PLC0415 - as above

    found = strongest(features.grouped, moved, top=top, either_way=True)
    places = np.where(np.abs(found.sums) >= least, found.places, NOBODY).astype(np.int32)
    return Movers(places, _values(now, found), found.sums, _values(before, found))


def changes_in_words(features: FeatureSet, found: Movers) -> list[tuple[Change, ...]]:
    """Up to as many changes a row as were looked for; none of rows that were not compared."""
    return list(each_changes(features, found))


def each_changes(features: FeatureSet, found: Movers) -> Iterator[tuple[Change, ...]]:
    """The same a row at a time."""
    if not found.before.shape[1]:
        yield from [()] * len(found)
        return
    words = features.words
    lists = (each.tolist() for each in (found.places, found.values, found.before, found.sums))
    for of_row in zip(*lists, strict=True):
        yield tuple(
            [
                Change(*words.say(place, value), words.say(place, was)[1], total)
                for place, value, was, total in zip(*of_row, strict=True)
                if place != NOBODY
            ]
        )


def decompose(model: "ChurnModel", features: FeatureSet, X: Any) -> Decomposition:  # noqa: N803
    """All families' contributions and the bias; they add up to the margin."""
    contributions = model.contributions(_rows(X, features))
    sums = [contributions[:, list(places)].sum(axis=1) for places in features.families.values()]
    return Decomposition(tuple(features.families), np.column_stack(sums), contributions[:, -1])


def _rows(table: Any, features: FeatureSet) -> Floats:  # Any: as for `explain`
    from models.columns import matrix_of  # noqa: PLC0415 - pandas and scikit-learn, only for who has tables

    return matrix_of(table, features.names)


def _values(matrix: Floats, found: "Strongest") -> Floats:
    """The users' own values of the strongest features."""
    return matrix[np.arange(len(matrix))[:, None], found.places]
