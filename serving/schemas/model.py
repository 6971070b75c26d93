"""The model behind the scores, on the wire."""

from pydantic import Field

from serving.schemas.common import Instant, Out, RunId, unit


class QualityOut(Out):
    """One figure of quality, measured on users and times that the model had not seen."""

    metric: str = Field(examples=["auc"])
    value: float = Field(
        description="The figure, in the metric's own unit.",
        examples=[0.87],
        json_schema_extra=unit("the metric's own", anything=True),
    )
    low: float | None = Field(
        description="Lower end of the 95 % interval.",
        examples=[0.85],
        json_schema_extra=unit("the metric's own", anything=True),
    )
    high: float | None = Field(
        description="Upper end of the 95 % interval.",
        examples=[0.89],
        json_schema_extra=unit("the metric's own", anything=True),
    )


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
    users: int = Field(ge=0, description="Users scored in the run.", json_schema_extra=unit("users"))
    users_outside: int = Field(
        ge=0, description="Known users who were not in the population.", json_schema_extra=unit("users")
    )


class FeaturesOut(Out):
    """All that the model of the current run looks at."""

    model_version: str = Field(examples=["3"])
    feature_fingerprint: str = Field(examples=["fs-0a1b2c3d4e5f"])
    features: list[FeatureOut]
