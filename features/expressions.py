"""Expressions: numbers for one user at one cutoff, as frozen values that can be compared, stored and computed."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from features.errors import BadInput
from features.kinds import PROFILE, is_reserved
from features.operators import known

ANOTHER = "(another)"  # stands for every text that a category does not name


class Additive(StrEnum):
    """What the events of a window add up to."""

    COUNT = "count"
    TOTAL = "total"
    VALUED = "valued"  # events that came with a value
    MAXIMUM = "maximum"
    ACTIVE_DAYS = "active_days"
    DURING = "during"  # events in some hours of the week
    DECAYED_COUNT = "decayed_count"  # every event's weight halved each half-life of age
    DECAYED_TOTAL = "decayed_total"  # the same of the values


class End(StrEnum):
    """One end of a user's history."""

    LAST = "last"
    FIRST = "first"


class Variety(StrEnum):
    """How varied the kinds, or the texts of a property, are."""

    DISTINCT = "distinct"  # different ones in the window
    NEW = "new"  # seen in the window for the first time
    LOST = "lost"  # seen before the window only
    ENTROPY = "entropy"  # of their shares among the events of the window, in bits


class Season(StrEnum):
    """Where in time the cutoff lies: in the year as two numbers, so that December is next to January, or which day."""

    SINE = "sine"
    COSINE = "cosine"
    DAY = "day"  # days since 1970-01-01 UTC


_FAMILY_OF = {
    Additive.COUNT: "frequency",
    Additive.ACTIVE_DAYS: "frequency",
    Additive.TOTAL: "money",
    Additive.VALUED: "money",
    Additive.MAXIMUM: "money",
    Additive.DURING: "rhythm",
    Additive.DECAYED_COUNT: "frequency",
    Additive.DECAYED_TOTAL: "money",
}
_UNIT_OF = {
    Additive.COUNT: "events",
    Additive.VALUED: "events",
    Additive.DURING: "events",
    Additive.ACTIVE_DAYS: "days",
    Additive.TOTAL: "value",
    Additive.MAXIMUM: "value",
    Additive.DECAYED_COUNT: "events",
    Additive.DECAYED_TOTAL: "value",
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

    def magnitude(self) -> "Arithmetic":
        """The number without its sign."""
        return Arithmetic("magnitude", self, Constant(0.0))

    def at_most(self, other: "Expression | float") -> "Arithmetic":
        """The smaller of the two; missing when one is."""
        return Arithmetic("smaller", self, _expression(other))

    def no_less_than(self, other: "Expression | float") -> "Arithmetic":
        """The larger of the two; missing when one is."""
        return Arithmetic("larger", self, _expression(other))

    def fifth_of_population(self) -> "Relative":
        """In which fifth of the population at the cutoff the number lies: 1 the lowest, 5 the highest."""
        return Relative(self)

    def says(
        self,
        sentence: str,
        *,
        zh: str = "",
        missing: str = "",
        missing_zh: str = "",
        family: str = "",
        unit: str = "",
    ) -> "Described":
        """This expression with the sentence that an agent reads; `{}` in it stands for the value.

        `zh` is the same in Simplified Chinese; `missing` is the sentence for a missing value; `family` groups features
        in explanations and `unit` names what is counted: both default to what the expression measures.
        Raises `BadInput` when a sentence does not format a number (a text, where the expression has categories).
        """
        for text in (sentence, zh):
            _check_sentence(text, "a text" if categories(self) else 1.0)
        return Described(
            self,
            sentence,
            missing,
            family or self.family,
            unit or self.unit,
            sentence_zh=zh,
            missing_zh=missing_zh,
        )

    def parts(self) -> Iterator["Expression"]:
        """This expression and all below it."""
        yield self

    @property
    def family(self) -> str:
        """The family that it belongs to unless its author says otherwise: that of the first tally in it."""
        found = tallies(self)
        if any(isinstance(tally, Window) and tally.ago for tally in found):
            return "trend"
        return found[0].family if found else "calendar"

    @property
    def unit(self) -> str:
        """The unit of its number unless its author says otherwise; empty for none."""
        return ""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which events a tally reads, and what it takes for their value.

    `kinds` empty means all but the reserved ones; `measure` is a property that is read as a number, empty for the
    event's own value; `dated` reads it as a date, in days after the event. Only events with `least <= value < below`
    count where one of the two is given.
    """

    kinds: tuple[str, ...] = ()
    measure: str = ""
    least: float | None = None
    below: float | None = None
    dated: bool = False

    @property
    def bounded(self) -> bool:
        """Whether the value decides which events count."""
        return self.least is not None or self.below is not None

    def covers(self, kind: str) -> bool:
        """Whether events of this kind are among the chosen."""
        return kind in self.kinds if self.kinds else not is_reserved(kind)


@dataclass(frozen=True, slots=True)
class Clock:
    """Whose hours are meant: those of a time zone, or of the one that the user's profile names where it names one."""

    timezone: str = "UTC"
    told_by: str = ""  # property of the profile


UTC = Clock()


@dataclass(frozen=True, slots=True)
class Hours:
    """Some hours of the week by a clock; both ranges are half-open, Monday is 0."""

    hours: tuple[int, int] = (0, 24)
    weekdays: tuple[int, int] = (0, 7)
    clock: Clock = UTC


@dataclass(frozen=True, slots=True)
class Constant(Expression):
    """A number that is the same for everybody."""

    number: float


@dataclass(frozen=True, slots=True)
class Window(Expression):
    """What the chosen events in `[cutoff - ago - last, cutoff - ago)` add up to, in whole days; `last` 0 means ever."""

    what: Additive
    chosen: Chosen
    last: int = 0
    ago: int = 0
    during: Hours | None = None
    half_life: int = 0  # days; of what decays

    @property
    def family(self) -> str:
        """What changes against an earlier window is a trend; else what is added up decides."""
        return "trend" if self.ago else _FAMILY_OF[self.what]

    @property
    def unit(self) -> str:
        """Events, days or the unit of the values."""
        return _UNIT_OF[self.what]


@dataclass(frozen=True, slots=True)
class Age(Expression):
    """Days from the newest or the oldest chosen event to the cutoff."""

    end: End
    chosen: Chosen

    @property
    def family(self) -> str:
        """The newest event is recency, the oldest one the life cycle."""
        return "recency" if self.end is End.LAST else "lifecycle"

    @property
    def unit(self) -> str:
        """Days."""
        return "days"


@dataclass(frozen=True, slots=True)
class OfDays(Expression):
    """What an operator (`features.operators`) says of the days with chosen events; `number` is its parameter."""

    operator: str
    chosen: Chosen
    number: float = 0.0

    @property
    def family(self) -> str:
        """What the operator says."""
        return known(self.operator).family

    @property
    def unit(self) -> str:
        """What the operator says."""
        return known(self.operator).unit


@dataclass(frozen=True, slots=True)
class Breadth(Expression):
    """How varied the chosen events of the last days are by a property, or by their kind (`by` empty)."""

    what: Variety
    by: str
    chosen: Chosen
    last: int = 0

    @property
    def family(self) -> str:
        """Breadth."""
        return "breadth"

    @property
    def unit(self) -> str:
        """Kinds of event, texts of the property, or bits."""
        return "bits" if self.what is Variety.ENTROPY else "values" if self.by else "kinds"


@dataclass(frozen=True, slots=True)
class Latest(Expression):
    """The newest value of the chosen events; with `among`, the place of the measured property's text in that list.

    A text that is not in the list has the place after its end.
    """

    chosen: Chosen
    among: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """Profile, or money for the newest value of an event."""
        return "profile" if self.chosen.kinds == (PROFILE,) else "money"

    @property
    def unit(self) -> str:
        """The unit of the values, or a category."""
        return "category" if self.among else "value"


Tally = Window | Age | OfDays | Breadth | Latest


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """Two expressions and what to do with them; `root` and `magnitude` take the first only."""

    operator: str
    left: Expression
    right: Expression

    def parts(self) -> Iterator[Expression]:
        """This expression and all below it."""
        yield self
        yield from self.left.parts()
        yield from self.right.parts()

    @property
    def unit(self) -> str:
        """What is left when equal units cancel; a ratio of different ones names the upper."""
        if self.operator == "/":
            return "ratio" if self.left.unit == self.right.unit else self.left.unit
        return self.left.unit or self.right.unit


@dataclass(frozen=True, slots=True)
class OfCutoff(Expression):
    """A property of the cutoff itself: the sine or cosine of the day of the year, or the day itself."""

    season: Season


@dataclass(frozen=True, slots=True)
class Relative(Expression):
    """The fifth of the population at the cutoff that a number lies in: the only thing that looks at other users.

    It can be described but not calculated with.
    """

    of: Expression

    def parts(self) -> Iterator[Expression]:
        """This expression and all below it."""
        yield self
        yield from self.of.parts()

    @property
    def unit(self) -> str:
        """A fifth."""
        return "fifth"


@dataclass(frozen=True, slots=True)
class Described:
    """An expression with its sentences, family and unit, ready to be named in a feature set."""

    expression: Expression
    sentence: str
    missing: str
    family: str
    unit: str
    sentence_zh: str = ""
    missing_zh: str = ""


def tallies(expression: Expression) -> list[Tally]:
    """The tallies of events that an expression is made of."""
    return [part for part in expression.parts() if isinstance(part, Tally)]


def categories(expression: Expression) -> tuple[str, ...]:
    """The texts that the numbers of an expression stand for; none for an ordinary number."""
    return (*expression.among, ANOTHER) if isinstance(expression, Latest) and expression.among else ()


def _expression(other: Expression | float) -> Expression:
    if isinstance(other, Relative):
        raise BadInput("a fifth of the population cannot be calculated with; give it a column of its own.")
    return other if isinstance(other, Expression) else Constant(float(other))


def _check_sentence(sentence: str, example: float | str) -> None:
    try:
        sentence.format(example)
    except (ValueError, IndexError, KeyError) as error:
        what, place = ("text", "{}") if isinstance(example, str) else ("number", "{:.0f}")
        raise BadInput(f"the sentence {sentence!r} does not take one {what} ({error}); write {place} for it.") from None
