"""What the families of the catalogue are written for: the windows, kinds and properties of one log."""

from dataclasses import dataclass, replace
from datetime import timedelta

from features.expressions import Clock, Described
from features.language import Selection
from features.paid import Renewals
from features.windows import days

WEEK, MONTH, QUARTER, YEAR = 7, 28, 91, 364  # whole weeks, so that every window has each weekday equally often
LEAST_HISTORY_FOR_SEASONS = 547  # days; with less than a year and a half no season is seen twice

Named = tuple[str, Described]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of event with columns of its own."""

    slug: str  # its part of a column's name
    label: str  # how sentences call it
    chosen: Selection
    is_valued: bool


@dataclass(frozen=True, slots=True)
class Varied:
    """A property whose texts are counted."""

    slug: str
    label: str
    name: str


@dataclass(frozen=True, slots=True)
class Profiled:
    """A property of profiles: a number, or a category with these texts."""

    slug: str
    label: str
    name: str
    texts: tuple[str, ...]  # none: a number


@dataclass(frozen=True, slots=True)
class Money:
    """The selections of events whose values are amounts."""

    spend: Selection
    bought: Selection  # without what was given back; `spend` itself where nothing was
    returned: tuple[Selection, ...]
    large: Selection | None
    least_large: float
    discounts: Selection | None


@dataclass(frozen=True, slots=True)
class Shape:
    """A log as the catalogue sees it."""

    windows: tuple[int, ...]  # days, ascending, none longer than the history
    history_days: float
    clock: Clock  # by which hours are told
    activity: Selection  # what counts as being alive
    deeds: Selection  # whatever the user did; not what the company sent
    has_several_kinds: bool
    kinds: tuple[Kind, ...]
    told: Selection | None  # the kinds that have columns of their own somewhere, where others have none
    money: Money | None
    service: Selection | None
    treatments: Selection | None
    redemptions: Selection | None
    varied: tuple[Varied, ...]
    profiles: tuple[Profiled, ...]
    truncated: int | None = None  # day since 1970 on which the log begins in the midst of things; none: it does not
    renewals: Renewals | None = None  # what pays, where the definition of churn says so

    @property
    def longest(self) -> int:
        """The longest window."""
        return self.windows[-1]

    @property
    def knows_seasons(self) -> bool:
        """Whether some season was seen twice."""
        return self.history_days >= LEAST_HISTORY_FOR_SEASONS

    def some(self, *wanted: int) -> tuple[int, ...]:
        """Those of the windows that are wanted; the longest where the history is too short for any."""
        return tuple(window for window in self.windows if window in wanted) or (self.longest,)

    def pairs(self, *wanted: int) -> tuple[int, ...]:
        """Those that fit into the history with the window before."""
        return tuple(window for window in self.windows if window in wanted and 2 * window <= self.history_days)


def of_family(family: str, named: list[Named]) -> list[Named]:
    """The columns as members of a family; what is told in per cent is a share, and a window of one day is a day."""
    return [(name, _spoken(replace(one, family=family, unit=_unit(one)))) for name, one in named]


def span(window: int) -> timedelta:
    """A window as the language takes it."""
    return days(window)


def _spoken(one: Described) -> Described:
    return replace(one, sentence=_one_day(one.sentence), missing=_one_day(one.missing))


def _one_day(sentence: str) -> str:
    return sentence.replace("last 1 days", "last day").replace("with the 1 before", "with the day before")


def _unit(one: Described) -> str:
    return "share" if "%}" in one.sentence else one.unit
