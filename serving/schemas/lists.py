"""Lists, segments and runs on the wire."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas.common import Cursor, Instant, Out, Probability, RunId, Tier, unit
from serving.schemas.scores import Language, ScoreOut, SegmentName, Stage

MOST_LISTED = 10_000


class AtRiskQuery(BaseModel):
    """Which users to list. Not strict: a query is text and has to be converted."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tier: Tier | None = Field(None, description="Only this tier; without it all.")
    minimum_probability: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Only users at or above this probability, 0 to 1.",
        json_schema_extra=unit("probability"),
    )
    lifecycle_stage: Stage | None = Field(None, description="Only this stage.")
    segment: SegmentName | None = Field(None, description="Only this segment.")
    contactable_only: bool = Field(
        False, description="Leaves out the users of whom it is known that they must not be contacted."
    )
    reasons: Language | None = Field(None, description="Language of reasons and changes; `none` leaves them out.")
    limit: int = Field(
        100, ge=1, le=MOST_LISTED, description=f"Users a page, 1 to {MOST_LISTED:,}.", json_schema_extra=unit("users")
    )
    cursor: Cursor | None = Field(None, description="`next_cursor` of the page before.")
    format: Literal["json", "csv"] | None = Field(None, description="Overrides the header Accept.")


class AtRiskOut(Out):
    """A page of users, most at risk first; all pages behind one cursor are of one run."""

    run_id: RunId
    scores: list[ScoreOut]
    next_cursor: str | None = Field(description="Ask again with it for the next page; null on the last.")


class GroupOut(Out):
    """The users of a tier, a stage or a segment."""

    by: Literal["risk_tier", "lifecycle_stage", "segment"]
    name: str = Field(examples=["must_keep"])
    users: int = Field(
        ge=1, description="How many there are in the run.", examples=[212], json_schema_extra=unit("users")
    )
    mean_churn_probability: Probability
    value_at_risk: float | None = Field(
        ge=0,
        description="The sum; null where no value is known.",
        examples=[8120.5],
        json_schema_extra=unit("currency of the events"),
    )


class SegmentsOut(Out):
    """The current run by tier, lifecycle stage and segment."""

    run_id: RunId
    cutoff: Instant
    groups: list[GroupOut]


class RunOut(Out):
    """A score run that is kept."""

    run_id: RunId
    current: bool = Field(description="Whether it is the one that is served.")
    cutoff: Instant
    scored_at: Instant
    valid_until: Instant
    model_version: str = Field(examples=["3"])
    definition_id: str = Field(examples=["churn-3f1c0a9be2d4"])
    users: int = Field(ge=0, description="Users scored.", json_schema_extra=unit("users"))
    users_outside: int = Field(ge=0, description="Known users without a score.", json_schema_extra=unit("users"))


class RunsQuery(BaseModel):
    """Which runs."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000, description="Runs a page, 1 to 1,000.", json_schema_extra=unit("runs"))
    cursor: Cursor | None = Field(None, description="`next_cursor` of the page before.")


class RunsOut(Out):
    """The runs that are kept, newest first."""

    runs: list[RunOut]
    next_cursor: str | None = Field(description="Ask again with it for older runs; null on the last page.")
