"""Scores on the wire."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas.common import LONGEST_USER_ID, Cursor, In, Instant, Out, Probability, RunId, Tier, UserId, unit

MOST_IDS = 10_000
Stage = Literal["new", "returned", "active", "cooling", "silent"]
SegmentName = Literal["best", "loyal", "recent", "occasional", "slipping", "must_keep", "dormant"]
Language = Literal["en", "zh", "none"]
AbsenceCode = Literal["user_unknown", "user_outside_population", "too_little_history", "user_opted_out"]


class ReasonOut(Out):
    """Why the model says so. A reason is not a cause: changing it need not change what the user does."""

    code: str = Field(
        description="Stable name of what stands behind the reason: its family and feature.",
        examples=["cadence.silence_to_mean_gap"],
    )
    sentence: str = Field(description="The reason in words.", examples=["last seen 24 days ago"])
    contribution: float = Field(
        description="What it adds to the score, in log-odds: above 0 speaks for churn, below 0 against.",
        examples=[0.81],
        json_schema_extra=unit("log-odds", anything=True),
    )


class ChangeOut(Out):
    """What moved the score since the run before: both times by today's model."""

    code: str = Field(description="Its family and the feature that moved most.", examples=["recency.days_since_last"])
    sentence: str = Field(description="As it is now.", examples=["last seen 24 days ago"])
    before: str = Field(description="As it was at the run before.", examples=["last seen 17 days ago"])
    contribution: float = Field(
        description="By how much it moved the score, in log-odds: above 0 towards churn.",
        examples=[0.31],
        json_schema_extra=unit("log-odds", anything=True),
    )


class PreviousOut(Out):
    """What was told of the user in the run before."""

    churn_probability: Probability
    difference: float = Field(
        ge=-1,
        le=1,
        description="Today's probability minus that one, -1 to 1; a new model moves it too.",
        examples=[0.12],
        json_schema_extra=unit("probability"),
    )
    cutoff: Instant
    model_version: str = Field(examples=["3"])
    run_id: RunId


class HorizonOut(Out):
    """The span in which churn is predicted, `[start, end)`."""

    start: Instant
    end: Instant


class ScoreOut(Out):
    """One user's churn score."""

    user_id: str = Field(examples=["ada"])
    churn_probability: Probability
    percentile: float = Field(
        ge=0,
        le=100,
        description="Rank in the scored population, 0 to 100; 100 is most at risk.",
        examples=[97.2],
        json_schema_extra=unit("percent"),
    )
    risk_tier: Tier = Field(description="A business cut by rank; tiers move when capacity does, probabilities do not.")
    reasons: list[ReasonOut] = Field(
        description="The strongest reasons, strongest first; empty where none are asked for."
    )
    previous: PreviousOut | None = Field(description="null where the run before had no score of the user.")
    changes: list[ChangeOut] = Field(description="What moved the score since the run before, the largest first.")
    value_at_risk: float | None = Field(
        ge=0,
        description="The probability times what the user would bring in the horizon, in the currency of the events; "
        "null where no event carries a value.",
        examples=[41.5],
        json_schema_extra=unit("currency of the events"),
    )
    lifecycle_stage: Stage | None = Field(
        description="`new`: first seen within 30 days. `active`: silent no longer than usual for the user. `cooling`: "
        "longer than nine in ten of their own gaps. `silent`: as long as the horizon. `returned`: back from such a "
        "silence. null where the run did not tell."
    )
    segment: SegmentName | None = Field(description="Recency, frequency and money among all; null as above.")
    contactable: bool | None = Field(description="Whether the user may be contacted; null where nobody said.")
    cutoff: Instant = Field(description="The score knows events before this moment only.")
    horizon: HorizonOut
    definition_id: str = Field(description="What churn means; see GET /v1/model.", examples=["churn-3f1c0a9be2d4"])
    model_version: str = Field(examples=["3"])
    run_id: RunId
    valid_until: Instant = Field(description="Do not act on the score after this moment; ask again.")


class LookupIn(In):
    """Users to look up."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"user_ids": ["ada", "bert", "nobody"]}]})

    user_ids: list[UserId] = Field(
        min_length=1,
        max_length=MOST_IDS,
        fail_fast=True,
        description=f"1 to {MOST_IDS:,} user ids, each 1 to {LONGEST_USER_ID:,} characters.",
    )
    reasons: Language | None = Field(None, description="Language of reasons and changes; `none` leaves them out.")


class MissingOut(Out):
    """A user without a score, and why."""

    user_id: str = Field(examples=["nobody"])
    code: AbsenceCode = Field(
        description="`user_unknown`: no event of the user before the cutoff. `user_outside_population`: known, but not "
        "active in the look-back, or no subscriber: there is nobody to lose. `too_little_history`: first seen too "
        "lately. `user_opted_out`: asked not to be scored."
    )


class LookupOut(Out):
    """The scores in the order asked, and who has none; together one entry for every id sent."""

    run_id: RunId
    scores: list[ScoreOut] = Field(description="In the order asked.")
    missing: list[MissingOut] = Field(description="In the order asked.")


class ScoreQuery(BaseModel):
    """How to tell a score."""

    model_config = ConfigDict(extra="forbid")

    reasons: Language | None = Field(None, description="Language of reasons and changes; `none` leaves them out.")
    fresh: bool = Field(
        False, description="Compute the score now, from all events of the log, instead of last night's."
    )


class HistoryQuery(BaseModel):
    """Which part of a history."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000, description="Scores a page, 1 to 1,000.", json_schema_extra=unit("scores"))
    cursor: Cursor | None = Field(None, description="`next_cursor` of the page before.")
    reasons: Language | None = Field(None, description="Language of reasons and changes; `none` leaves them out.")


class HistoryOut(Out):
    """What was told of a user, newest first; a score that was told is never changed."""

    user_id: str = Field(examples=["ada"])
    scores: list[ScoreOut]
    next_cursor: str | None = Field(description="Ask again with it for older scores; null on the last page.")


class RiskPoint(Out):
    """The risk up to a day."""

    days: int = Field(
        ge=1, description="Days from the start of the horizon.", examples=[7], json_schema_extra=unit("days")
    )
    churn_probability: Probability


class RiskCurveOut(Out):
    """The risk up to each day that the model learnt.

    With a cancel or a lapse it is the risk of being gone by then, which rises; with a definition by inactivity that of
    silence until then, which falls.
    """

    user_id: str = Field(examples=["ada"])
    cutoff: Instant = Field(description="The curve knows events before this moment only.")
    points: list[RiskPoint]
    median_days: float | None = Field(
        ge=0,
        description="After how many days the probability reaches one half; null where it does not.",
        examples=[41.0],
        json_schema_extra=unit("days"),
    )
    model_version: str = Field(examples=["3"])
