"""Health on the wire."""

from typing import Literal

from pydantic import Field

from serving.schemas.common import Out


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
