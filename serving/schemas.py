"""What goes over the wire: strict on the way in, documented with unit and range on the way out."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

LONGEST_USER_ID = 1024
MOST_IDS = 10_000
MOST_LISTED = 10_000
_MOST_KEYS = 20  # of a body; no address knows so many

UserId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_USER_ID)]
Tier = Literal["high", "medium", "low"]
Instant = Annotated[
    str,
    Field(description="ISO 8601 in UTC.", json_schema_extra={"format": "date-time"}, examples=["2026-06-01T00:00:00Z"]),
]
Probability = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Calibrated probability of churn, 0 to 1: of 100 users at 0.8 about 80 leave.",
        examples=[0.83],
    ),
]
RunId = Annotated[int, Field(ge=1, description="The score run; it only ever grows.", examples=[17])]


class In(BaseModel):
    """What clients send: nothing unknown, nothing converted, no NaN."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _few_keys(cls, body: object) -> object:
        """Tens of thousands of unknown keys are one mistake: naming each would hold up everybody for half a second."""
        if isinstance(body, dict) and len(body) > _MOST_KEYS:
            raise ValueError(f"{len(body):,} keys; expected only {', '.join(cls.model_fields)}")
        return body


class Out(BaseModel):
    """What clients receive: exactly what is documented."""

    model_config = ConfigDict(extra="forbid")


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
    )


class HorizonOut(Out):
    """The span in which churn is predicted, `[start, end)`."""

    start: Instant
    end: Instant


class ScoreOut(Out):
    """One user's churn score."""

    user_id: str = Field(examples=["ada"])
    churn_probability: Probability
    percentile: float = Field(
        ge=0, le=100, description="Rank in the scored population, 0 to 100; 100 is most at risk.", examples=[97.2]
    )
    risk_tier: Tier = Field(description="A business cut by rank; tiers move when capacity does, probabilities do not.")
    reasons: list[ReasonOut] = Field(description="The strongest reasons, strongest first.")
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


class MissingOut(Out):
    """A user without a score, and why."""

    user_id: str = Field(examples=["nobody"])
    code: Literal["user_unknown", "user_outside_population"] = Field(
        description="`user_unknown`: no event of the user before the cutoff. "
        "`user_outside_population`: known, but not active in the look-back, or no subscriber: there is nobody to lose."
    )


class LookupOut(Out):
    """The scores in the order asked, and who has none; together one entry for every id sent."""

    run_id: RunId
    scores: list[ScoreOut] = Field(description="In the order asked.")
    missing: list[MissingOut] = Field(description="In the order asked.")


class AtRiskQuery(BaseModel):
    """Which users to list. Not strict: a query is text and has to be converted."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    tier: Tier | None = Field(None, description="Only this tier; without it all.")
    minimum_probability: float = Field(0.0, ge=0, le=1, description="Only users at or above this probability, 0 to 1.")
    limit: int = Field(100, ge=1, le=MOST_LISTED, description=f"Users a page, 1 to {MOST_LISTED:,}.")
    cursor: str | None = Field(None, max_length=8_000, description="`next_cursor` of the page before.")
    format: Literal["json", "csv"] | None = Field(None, description="Overrides the header Accept.")


class AtRiskOut(Out):
    """A page of users, most at risk first; all pages behind one cursor are of one run."""

    run_id: RunId
    scores: list[ScoreOut]
    next_cursor: str | None = Field(description="Ask again with it for the next page; null on the last.")


class QualityOut(Out):
    """One figure of quality, measured on users and times that the model had not seen."""

    metric: str = Field(examples=["auc"])
    value: float = Field(examples=[0.87])
    low: float | None = Field(description="Lower end of the 95 % interval.", examples=[0.85])
    high: float | None = Field(description="Upper end of the 95 % interval.", examples=[0.89])


class FeatureOut(Out):
    """One thing the model looks at."""

    name: str = Field(examples=["days_since_last_event"])
    family: str = Field(examples=["recency"])
    sentence: str = Field(examples=["last seen {:.0f} days ago"])


class FindingOut(Out):
    """One ground of the verdict."""

    code: str = Field(examples=["beats_baselines"])
    sentence: str


class VerdictOut(Out):
    """Whether the model is worth using."""

    decision: str = Field(examples=["deploy"])
    reasons: list[FindingOut]


class DefinitionOut(Out):
    """What churn means here."""

    id: str = Field(examples=["churn-3f1c0a9be2d4"])
    sentence: str = Field(examples=["Churned: active in the last 60 days, then no event for 30 days."])
    kind: str = Field("inactivity", description="inactivity, cancel or lapse.", examples=["inactivity"])
    activity: list[str] = Field(description="Kinds of event that count as being alive; empty means all.")
    look_back: str = Field(description="How far back activity is looked for; whole days.", examples=["60d"])
    lead_time: str = Field(description="From the cutoff to the start of the horizon; whole days.", examples=["0d"])
    horizon: str = Field(description="The span in which churn is looked for; whole days.", examples=["30d"])


class ModelOut(Out):
    """The model behind the scores that are served now."""

    version: str = Field(examples=["3"])
    trained_at: Instant | None
    definition: DefinitionOut
    quality: list[QualityOut]
    verdict: VerdictOut | None
    features: list[FeatureOut]
    feature_fingerprint: str = Field(examples=["fs-0a1b2c3d4e5f"])
    run_id: RunId
    cutoff: Instant
    scored_at: Instant
    users: int = Field(ge=0, description="Users scored in the run.")
    users_outside: int = Field(ge=0, description="Known users who were not in the population.")


class LiveOut(Out):
    """The process answers."""

    status: Literal["alive"] = "alive"


class CheckOut(Out):
    """One thing that has to be right."""

    name: str = Field(examples=["store"])
    ok: bool
    detail: str = Field(examples=["the score store answers"])


class ReadyOut(Out):
    """Whether the service can answer, and if not, why."""

    ready: bool
    checks: list[CheckOut]


class ProblemOut(Out):
    """An error (RFC 9457). Branch on `code`; `message` is for people."""

    type: str = Field(examples=["urn:holdfast:problem:user_unknown"])
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str = Field(examples=["user_unknown"])
    message: str = Field(description="The same text as `detail`.")
    errors: list[dict[str, str]] | None = Field(
        None, description="Which parts of the request are wrong: `where` and `message`."
    )
