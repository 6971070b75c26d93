"""What goes into the store and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

from features.fifths import DatedFifths
from features.sentences import Wording
from features.windows import Interval
from serving.store.phrases import NO_PHRASES, Phrasebook

Language = Literal["en", "zh"]


class Reason(Protocol):
    """What the store needs of a reason; `models.reasons.Reason` is one, and is not imported for its dependencies."""

    @property
    def code(self) -> str:
        """The family of features behind it."""

    @property
    def wording(self) -> Wording:
        """The reason in words."""

    @property
    def contribution(self) -> float:
        """What it adds to the margin, in log-odds."""


class Change(Reason, Protocol):
    """What moved a score: a reason whose contribution is the difference to the run before."""

    @property
    def wording_before(self) -> Wording:
        """The same as it was at the run before."""


class Absence(StrEnum):
    """Why a user has no score in the current run; the values are codes of the API."""

    UNKNOWN = "user_unknown"
    OUTSIDE = "user_outside_population"
    TOO_LITTLE_HISTORY = "too_little_history"
    OPTED_OUT = "user_opted_out"


@dataclass(frozen=True, slots=True)
class Score:
    """One user's score on the way into the store."""

    user_id: str
    churn_probability: float  # 0 to 1
    percentile: float  # 0 to 100 within the run
    risk_tier: str  # high, medium, low
    reasons: Sequence[Reason]  # strongest first
    changes: Sequence[Change] = ()  # since the run before, strongest first
    value_at_risk: float | None = None  # probability times what the user would bring, in the log's currency
    lifecycle_stage: str | None = None
    segment: str | None = None
    contactable: bool | None = None  # None: nobody said


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What all scores of a run share; `model` is plain JSON and is what `GET /v1/model` tells."""

    cutoff: datetime
    horizon: Interval
    valid_until: datetime
    model_version: str
    definition_id: str
    model: dict[str, Any]  # Any: JSON
    fifths: DatedFifths | None = None  # of the population that was scored; none when no feature is relative to it
    language: Language = "en"  # of reasons, where nobody asks for another


@dataclass(frozen=True, slots=True)
class Group:
    """Some users of a run, counted when it was written: those of a tier, a lifecycle stage or a segment."""

    by: Literal["risk_tier", "lifecycle_stage", "segment"]
    name: str
    users: int
    mean_churn_probability: float
    value_at_risk: float | None  # the sum; None where no value is known


class Before(NamedTuple):
    """The run that was current when a run began: what is told of it when it is long gone too."""

    run_id: int
    cutoff: datetime
    model_version: str


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A complete run in the store."""

    run_id: int
    facts: RunFacts
    scored_at: datetime
    users: int  # scored
    outside: int  # known, but without a score
    before: Before | None = None  # None: it is the first
    groups: tuple[Group, ...] = ()
    phrases: Phrasebook = NO_PHRASES  # of reasons and changes


class StoredScore(NamedTuple):
    """One user's score as it is kept; `reasons_in` and `changes_in` tell what it rests on and what has moved it.

    A tuple, because one is made on the hot path: a frozen dataclass takes as long as the query.
    """

    run: Run
    user_id: str
    churn_probability: float
    percentile: float
    risk_tier: str
    kept_reasons: str  # see `phrases`
    kept_changes: str
    value_at_risk: float | None
    lifecycle_stage: str | None
    segment: str | None
    contactable: bool | None
    previous_churn_probability: float | None  # in the run before; None: there was none, or the user was not in it

    def reasons_in(self, language: Language | None = None) -> str:
        """The reasons in a language, by default the run's own: a JSON array, ready to be sent."""
        return self.run.phrases.reasons(self.kept_reasons, language or self.run.facts.language)

    def changes_in(self, language: Language | None = None) -> str:
        """What moved the score in a language, by default the run's own: a JSON array too."""
        return self.run.phrases.changes(self.kept_changes, language or self.run.facts.language)


@dataclass(frozen=True, slots=True)
class Lookup:
    """The answers for many users, in the order asked, all of one run."""

    run: Run
    answers: list[StoredScore | Absence]


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list of users of a run, most at risk first: behind this probability and user."""

    run_id: int
    churn_probability: float
    user_id: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which users a list is to hold."""

    tier: str | None = None
    minimum: float = 0.0  # of the probability
    lifecycle_stage: str | None = None
    segment: str | None = None
    contactable_only: bool = False  # leaves out only those of whom it is known that they must not be contacted


EVERYBODY = Wanted()


@dataclass(frozen=True, slots=True)
class AtRiskPage:
    """A page of the list of users at risk; `next` is None on the last page."""

    run: Run
    scores: list[StoredScore]
    next: Place | None
