"""Bulk jobs on the wire."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from serving.schemas.common import Instant, InstantIn, Out, unit
from serving.schemas.scores import Language

Kind = Literal["ndjson", "csv", "parquet"]
StateName = Literal["queued", "running", "done", "failed", "cancelled"]
_EXAMPLE = "job_6f1d0c9b2a7e4c58a1f03b6d"


class JobQuery(BaseModel):
    """How to do a job."""

    model_config = ConfigDict(extra="forbid")

    result: Kind | None = Field(None, description="Kind of file to hand out; without it as it was sent.")
    cutoff: InstantIn | None = Field(None, description="As of when, with an offset; without it now.")
    reasons: Language = Field("en", description="Language of the reasons; `none` leaves them out, and is quicker.")


class JobOut(Out):
    """A file of users to be scored, and how far it has come."""

    job_id: str = Field(examples=[_EXAMPLE])
    state: StateName
    created_at: Instant
    finished_at: Instant | None
    cutoff: Instant = Field(description="The scores know events before this moment only.")
    users: int = Field(
        ge=0,
        description="Users read so far: scored, missing and refused.",
        examples=[1200],
        json_schema_extra=unit("users"),
    )
    scored: int = Field(ge=0, description="Users with a score.", examples=[1100], json_schema_extra=unit("users"))
    missing: int = Field(
        ge=0,
        description="Users without a score; their records say why.",
        examples=[80],
        json_schema_extra=unit("users"),
    )
    refused: int = Field(
        ge=0,
        description="Users who break the contract; their records say where.",
        examples=[20],
        json_schema_extra=unit("users"),
    )
    model_version: str | None = Field(description="The one model of all scores; null before the job began.")
    trouble: str | None = Field(description="Why the job failed.")
    result: str | None = Field(
        description="Where to fetch the scores, for a day; null until the job is done, and once they are removed.",
        examples=[f"/v1/scores/jobs/{_EXAMPLE}/result"],
    )


class JobsOut(Out):
    """The newest jobs, newest first."""

    jobs: list[JobOut]
