"""What goes into the store and what comes out of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from features.fifths import DatedFifths
from features.windows import Interval


class Reason(Protocol):
    """What the store needs of a reason; `models.reasons.Reason` is one, and is not imported for its dependencies."""

    @property
    def code(self) -> str:
        """The family of features behind it."""

    @property
    def sentence(self) -> str:
        """The reason in words."""

    @property
    def contribution(self) -> float:
        """What it adds to the margin, in log-odds."""


@dataclass(frozen=True, slots=True)
class Score:
    """One user's score on the way into the store."""

    user_id: str
    churn_probability: float  # 0 to 1
    percentile: float  # 0 to 100 within the run
    risk_tier: str  # high, medium, low
    reasons: Sequence[Reason]  # strongest first


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


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """A complete run in the store."""

    run_id: int
    facts: RunFacts
    scored_at: datetime
    users: int  # scored
    outside: int  # known, but not in the population at the cutoff


@dataclass(frozen=True, slots=True)
class StoredScore:
    """One user's score as it is kept; `reasons` is a JSON array, ready to be sent."""

    run: Run
    user_id: str
    churn_probability: float
    percentile: float
    risk_tier: str
    reasons: str


class Absence(StrEnum):
    """Why a user has no score in the current run."""

    UNKNOWN = "user_unknown"
    OUTSIDE = "user_outside_population"


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
class AtRiskPage:
    """A page of the list of users at risk; `next` is None on the last page."""

    run: Run
    scores: list[StoredScore]
    next: Place | None
