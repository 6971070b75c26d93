"""A thin client of the service, for programs that only ask: `Client`, and `AsyncClient` for asyncio.

Importing it brings httpx and msgspec, nothing of what computes scores.
"""

from serving.client.answers import (
    AtRiskPage,
    Change,
    Computed,
    Definition,
    Feature,
    FreshScore,
    Group,
    Horizon,
    Lookup,
    Missing,
    Model,
    Previous,
    Quality,
    Reason,
    RiskCurve,
    RiskPoint,
    Run,
    Score,
    Segments,
    Verdict,
)
from serving.client.asynchronous import AsyncClient
from serving.client.errors import HoldfastError, NoAnswer, NotScored, Refused
from serving.client.questions import Event, Profile, User
from serving.client.retrying import Patience
from serving.client.synchronous import Client

__all__ = [
    "AsyncClient",
    "AtRiskPage",
    "Change",
    "Client",
    "Computed",
    "Definition",
    "Event",
    "Feature",
    "FreshScore",
    "Group",
    "HoldfastError",
    "Horizon",
    "Lookup",
    "Missing",
    "Model",
    "NoAnswer",
    "NotScored",
    "Patience",
    "Previous",
    "Profile",
    "Quality",
    "Reason",
    "Refused",
    "RiskCurve",
    "RiskPoint",
    "Run",
    "Score",
    "Segments",
    "User",
    "Verdict",
]
