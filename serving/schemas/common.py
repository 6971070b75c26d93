"""What all schemas share: strict on the way in, documented with unit and range on the way out."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

LONGEST_USER_ID = 1024
_MOST_KEYS = 20  # of a body; no address knows so many


def unit(name: str, *, anything: bool = False) -> dict[str, JsonValue]:
    """What a number counts, for the document; `anything`: it has no least value."""
    return {"x-unit": name, "x-range": "any finite number"} if anything else {"x-unit": name}


UserId = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_USER_ID)]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=8_000, pattern=r"^[A-Za-z0-9_-]+$")]
Tier = Literal["high", "medium", "low"]
Instant = Annotated[
    str,
    Field(description="ISO 8601 in UTC.", json_schema_extra={"format": "date-time"}, examples=["2026-06-01T00:00:00Z"]),
]
InstantIn = Annotated[
    str,
    Field(
        pattern=r"^(199\d|20\d\d|21\d\d)-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
        r"T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$",
        description="ISO 8601 with seconds and an offset, from 1990 to 2199.",
        json_schema_extra={"format": "date-time"},
        examples=["2026-06-01T00:00:00Z"],
    ),
]
Probability = Annotated[
    float,
    Field(
        ge=0,
        le=1,
        description="Calibrated probability of churn, 0 to 1: of 100 users at 0.8 about 80 leave.",
        examples=[0.83],
        json_schema_extra=unit("probability"),
    ),
]
RunId = Annotated[
    int,
    Field(
        ge=1, description="The score run; it only ever grows.", examples=[17], json_schema_extra=unit("number of a run")
    ),
]


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


class ProblemOut(Out):
    """An error (RFC 9457). Branch on `code`; `message` is for people."""

    type: str = Field(examples=["urn:holdfast:problem:user_unknown"])
    title: str
    status: int = Field(
        ge=400, le=599, description="The status of the response, 400 to 599.", json_schema_extra=unit("HTTP status")
    )
    detail: str
    code: str = Field(examples=["user_unknown"])
    message: str = Field(description="The same text as `detail`.")
    errors: list[dict[str, str]] | None = Field(
        None, description="Which parts of the request are wrong: `where` and `message`."
    )
