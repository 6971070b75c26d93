"""Expressions: numbers for one user at one cutoff, as frozen values that can be compared, stored and computed."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from features.errors import BadInput


class Statistic(StrEnum):
    """What the kernel tallies for a selection of events; days are whole days of age before the cutoff."""

    COUNT = "count"
    TOTAL = "total"
    VALUED = "valued"  # events that came with a value
    MAXIMUM = "maximum"
    ACTIVE_DAYS = "active_days"
    WEEKEND = "weekend"  # events on a Saturday or Sunday, UTC
    NIGHT = "night"  # events from midnight to six, UTC
    LAST = "last"  # days from the newest event to the cutoff
    FIRST = "first"  # days from the oldest event to the cutoff
    GAPS = "gaps"  # number of gaps between active days
    GAP_TOTAL = "gap_total"
    GAP_SQUARES = "gap_squares"
    GAP_LONGEST = "gap_longest"
    GAP_NEWEST = "gap_newest"
    GAPS_LONGER = "gaps_longer"  # gaps at least as long as the present silence
    DECAYED = "decayed"  # sum of 2^(-age / half-life)


WINDOWED = frozenset(
    {
        Statistic.COUNT,
        Statistic.TOTAL,
        Statistic.VALUED,
        Statistic.MAXIMUM,
        Statistic.ACTIVE_DAYS,
        Statistic.WEEKEND,
        Statistic.NIGHT,
    }
)

_FAMILY_OF = {
    Statistic.COUNT: "frequency",
    Statistic.ACTIVE_DAYS: "frequency",
    Statistic.DECAYED: "frequency",
    Statistic.TOTAL: "money",
    Statistic.VALUED: "money",
    Statistic.MAXIMUM: "money",
    Statistic.WEEKEND: "rhythm",
    Statistic.NIGHT: "rhythm",
    Statistic.LAST: "recency",
    Statistic.FIRST: "lifecycle",
}


class Expression:
    """A number for one user at one cutoff; combine with `+ - * /` and describe with `says`."""

    def __add__(self, other: "Expression | float") -> "Arithmetic":
        return Arithmetic("+", self, _expression(other))

    def __sub__(self, other: "Expression | float") -> "Arithmetic":
        return Arithmetic("-", self, _expression(other))

    def __mul__(self, other: "Expression | float") -> "Arithmetic":
        return Arithmetic("*", self, _expression(other))

    def __truediv__(self, other: "Expression | float") -> "Arithmetic":
        return Arithmetic("/", self, _expression(other))

    def root(self) -> "Arithmetic":
        """The square root; of a negative number (rounding) it is 0."""
        return Arithmetic("root", self, Constant(0.0))

    def says(self, sentence: str, *, missing: str = "", family: str = "") -> "Described":
        """This expression with the sentence that an agent reads; `{}` in it stands for the value.

        `missing` is the sentence for a missing value; `family` groups features in explanations and
        defaults to what the expression measures. Raises `BadInput` when the sentence does not format a number.
        """
        try:
            sentence.format(1.0)
        except (ValueError, IndexError, KeyError) as error:
            raise BadInput(
                f"the sentence {sentence!r} does not take one number ({error}); write {{:.0f}} for it."
            ) from None
        return Described(self, sentence, missing, family or _family(self))

    def parts(self) -> Iterator["Expression"]:
        """This expression and all below it."""
        yield self


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """A number that is the same for everybody."""

    number: float


@dataclass(frozen=True, slots=True)
class Tally(Expression):
    """One statistic of the events of some kinds in `[cutoff - ago - last, cutoff - ago)`, in whole days.

    `kinds` empty means all kinds; `last` 0 means back to the first event.
    """

    statistic: Statistic
    kinds: tuple[str, ...] = ()
    last: int = 0
    ago: int = 0
    half_life: int = 0


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """Two expressions and what to do with them; `root` takes the first only."""

    operator: str
    left: Expression
    right: Expression

    def parts(self) -> Iterator[Expression]:
        """This expression and all below it."""
        yield self
        yield from self.left.parts()
        yield from self.right.parts()


class Season(StrEnum):
    """Where in the year the cutoff lies, as two numbers, so that December is next to January."""

    SINE = "sine"
    COSINE = "cosine"


@dataclass(frozen=True, slots=True)
class OfCutoff(Expression):
    """A property of the cutoff itself: the sine or cosine of the day of the year."""

    season: Season


@dataclass(frozen=True, slots=True)
class Described:
    """An expression with its sentence and family, ready to be named in a feature set."""

    expression: Expression
    sentence: str
    missing: str
    family: str


def to_json(expression: Expression) -> list[Any]:  # Any: JSON
    """An expression as nested JSON lists, the first entry naming what it is."""
    match expression:
        case Constant(number):
            return ["constant", number]
        case Tally(statistic, kinds, last, ago, half_life):
            return ["tally", statistic.value, list(kinds), last, ago, half_life]
        case Arithmetic(operator, left, right):
            return [operator, to_json(left), to_json(right)]
        case OfCutoff(part):
            return ["season", part.value]
    raise TypeError(f"{expression!r} is not an expression of the language")


def from_json(document: list[Any]) -> Expression:  # Any: JSON
    """The expression that `to_json` wrote."""
    match document:
        case ["constant", number]:
            return Constant(float(number))
        case ["tally", statistic, kinds, last, ago, half_life]:
            return Tally(Statistic(statistic), tuple(kinds), int(last), int(ago), int(half_life))
        case ["season", part]:
            return OfCutoff(Season(part))
        case ["+" | "-" | "*" | "/" | "root" as operator, left, right]:
            return Arithmetic(operator, from_json(left), from_json(right))
    raise BadInput(f"{document!r} is not an expression that this version knows; train again with this version.")


def _expression(other: Expression | float) -> Expression:
    return other if isinstance(other, Expression) else Constant(float(other))


def _family(expression: Expression) -> str:
    tallies = [part for part in expression.parts() if isinstance(part, Tally)]
    if not tallies:
        return "calendar"
    if any(tally.ago for tally in tallies):
        return "trend"
    return _FAMILY_OF.get(tallies[0].statistic, "cadence")
