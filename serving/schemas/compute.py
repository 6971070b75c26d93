"""Computing scores from what is sent, on the wire."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from serving.requested import LONGEST_TEXT, MOST_EVENTS, MOST_USERS
from serving.schemas.common import In, Instant, InstantIn, Out, Probability, UserId, unit
from serving.schemas.scores import AbsenceCode, HorizonOut, Language, ReasonOut, Stage

Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT)]
Kind = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT, pattern=r"^[^$]")]
Told = dict[Text, str | float | bool | None]


class EventIn(In):
    """One event."""

    time: InstantIn = Field(description="When it happened, with an offset; from the cutoff on events are not seen.")
    event: Kind = Field(description="Its kind, as in the event log; those with $ are reserved.", examples=["purchase"])
    value: float | None = Field(
        None,
        description="A number, such as an amount.",
        examples=[19.9],
        json_schema_extra=unit("as in the event log", anything=True),
    )
    received_at: InstantIn | None = Field(None, description="When it became known; without it, when it happened.")
    properties: Told = Field(
        {},
        description="What else the features read, as in the event log.",
        json_schema_extra=unit("as in the event log", anything=True),
    )


class ProfileIn(In):
    """What is known of the user from a moment on."""

    valid_from: InstantIn
    properties: Told = Field(examples=[{"plan": "pro"}], json_schema_extra=unit("as in the event log", anything=True))


class EventsOfUserIn(In):
    """A user by events."""

    user_id: UserId = Field(examples=["ada"])
    events: list[EventIn] = Field(description=f"All events of the user; at most {MOST_EVENTS:,} in a request.")
    profiles: list[ProfileIn] = Field([], description="What is known of the user besides.")


class FeaturesOfUserIn(In):
    """A user by ready features."""

    user_id: UserId = Field(examples=["ada"])
    features: dict[Text, float | None] = Field(
        description="Ready features by name (GET /v1/features); one left out, or null, is missing.",
        examples=[{"days_since_last_event": 24.0}],
        json_schema_extra=unit("the feature's own", anything=True),
    )


class ComputeIn(In):
    """Users to be scored. Nothing of it is kept."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "users": [
                        {
                            "user_id": "ada",
                            "events": [
                                {"time": "2026-05-02T10:00:00Z", "event": "purchase", "value": 19.9},
                                {"time": "2026-05-20T09:30:00Z", "event": "visit"},
                            ],
                        }
                    ],
                    "cutoff": "2026-06-01T00:00:00Z",
                    "reasons": "en",
                }
            ]
        }
    )

    users: list[EventsOfUserIn | FeaturesOfUserIn] = Field(
        min_length=1, max_length=MOST_USERS, description=f"1 to {MOST_USERS:,} users, each by events or by features."
    )
    cutoff: InstantIn | None = Field(None, description="As of when; without it now.")
    reasons: Language | None = Field(None, description="Language of the reasons; `none` leaves them out.")


class FreshScoreOut(Out):
    """A score that was computed just now; it has no place among others, so no percentile, tier or segment."""

    user_id: str = Field(examples=["ada"])
    churn_probability: Probability
    reasons: list[ReasonOut] = Field(
        description="The strongest reasons, strongest first; empty where none are asked for."
    )
    value_at_risk: float | None = Field(
        ge=0,
        description="The probability times what the user would bring in the horizon, in the currency of the events; "
        "null where no event carries a value.",
        json_schema_extra=unit("currency of the events"),
    )
    lifecycle_stage: Stage | None = Field(description="null where ready features were sent.")
    contactable: bool | None = Field(description="Whether the user may be contacted; null where nobody said.")
    population_as_of: Instant | None = Field(
        description="The cutoff of the population in whose fifths the user was placed; null where no feature asks."
    )
    cutoff: Instant = Field(description="The score knows events before this moment only.")
    horizon: HorizonOut
    definition_id: str = Field(examples=["churn-3f1c0a9be2d4"])
    model_version: str = Field(examples=["3"])
    valid_until: Instant = Field(description="Do not act on the score after this moment; ask again.")


class ComputedMissingOut(Out):
    """A user who gets no score, and why."""

    user_id: str
    code: AbsenceCode


class ComputeOut(Out):
    """The scores in the order sent, and who has none; all by one model."""

    scores: list[FreshScoreOut]
    missing: list[ComputedMissingOut]
