"""What the service answers, as values. A field that a newer service adds is passed over."""

from datetime import datetime

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What all answers share: they never change."""


class Reason(Answer, frozen=True):
    """Why the model says so; a reason is not a cause."""

    code: str
    sentence: str
    contribution: float  # log-odds; above 0 speaks for churn


class Change(Reason, frozen=True):
    """What moved a score since the run before."""

    before: str


class Previous(Answer, frozen=True):
    """What was told of the user in the run before."""

    churn_probability: float
    difference: float
    cutoff: datetime
    model_version: str
    run_id: int


class Horizon(Answer, frozen=True):
    """The span in which churn is predicted, `[start, end)`."""

    start: datetime
    end: datetime


class Told(Answer, frozen=True):
    """What every score has. Do not act on it after `valid_until`."""

    user_id: str
    churn_probability: float  # 0 to 1, calibrated
    reasons: tuple[Reason, ...]  # strongest first
    value_at_risk: float | None
    lifecycle_stage: str | None
    contactable: bool | None  # none: nobody said
    cutoff: datetime
    horizon: Horizon
    definition_id: str
    model_version: str
    valid_until: datetime


class Score(Told, frozen=True):
    """A user's score in a run."""

    percentile: float  # 0 to 100; 100 is most at risk
    risk_tier: str  # high, medium, low
    previous: Previous | None
    changes: tuple[Change, ...]
    segment: str | None
    run_id: int


class FreshScore(Told, frozen=True):
    """A score that was computed just now; it has no place among others."""

    population_as_of: datetime | None


class Missing(Answer, frozen=True):
    """A user without a score, and why."""

    user_id: str
    code: str


class Lookup(Answer, frozen=True):
    """Scores in the order asked and who has none, all of one run."""

    run_id: int
    scores: tuple[Score, ...]
    missing: tuple[Missing, ...]


class Computed(Answer, frozen=True):
    """Scores in the order sent and who has none, all by one model."""

    scores: tuple[FreshScore, ...]
    missing: tuple[Missing, ...]


class AtRiskPage(Answer, frozen=True):
    """A page of the list; `next_cursor` is none on the last."""

    run_id: int
    scores: tuple[Score, ...]
    next_cursor: str | None


class HistoryPage(Answer, frozen=True):
    """A page of a user's history, newest first."""

    user_id: str
    scores: tuple[Score, ...]
    next_cursor: str | None


class RiskPoint(Answer, frozen=True):
    """The risk up to a day."""

    days: int
    churn_probability: float


class RiskCurve(Answer, frozen=True):
    """A user's risk by day, as of `cutoff`."""

    user_id: str
    cutoff: datetime
    points: tuple[RiskPoint, ...]
    median_days: float | None
    model_version: str


class Group(Answer, frozen=True):
    """Users of a tier, a stage or a segment."""

    by: str
    name: str
    users: int
    mean_churn_probability: float
    value_at_risk: float | None


class Segments(Answer, frozen=True):
    """The current run by tier, lifecycle stage and segment."""

    run_id: int
    cutoff: datetime
    groups: tuple[Group, ...]


class Run(Answer, frozen=True):
    """A score run that is kept."""

    run_id: int
    current: bool
    cutoff: datetime
    scored_at: datetime
    valid_until: datetime
    model_version: str
    definition_id: str
    users: int
    users_outside: int


class RunPage(Answer, frozen=True):
    """A page of runs, newest first."""

    runs: tuple[Run, ...]
    next_cursor: str | None


class Quality(Answer, frozen=True):
    """A figure of quality with its 95 % interval."""

    metric: str
    value: float
    low: float | None
    high: float | None


class Feature(Answer, frozen=True):
    """One thing the model looks at."""

    name: str
    family: str
    sentence: str


class Finding(Answer, frozen=True):
    """One ground of a verdict."""

    code: str
    sentence: str


class Verdict(Answer, frozen=True):
    """Whether the model is worth using."""

    decision: str
    reasons: tuple[Finding, ...]


class Definition(Answer, frozen=True):
    """What churn means."""

    id: str
    sentence: str
    activity: tuple[str, ...]
    look_back: str
    lead_time: str
    horizon: str
    kind: str = "inactivity"


class Model(Answer, frozen=True):
    """The model behind the scores that are served."""

    version: str
    trained_at: datetime | None
    definition: Definition
    quality: tuple[Quality, ...]
    verdict: Verdict | None
    features: tuple[Feature, ...]
    feature_fingerprint: str
    run_id: int
    cutoff: datetime
    scored_at: datetime
    users: int
    users_outside: int
