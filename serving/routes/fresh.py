"""Scores that are computed now: from events or features in the request, or from the log. Nothing is kept."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from fastapi import APIRouter, Request, Response
from starlette.types import Receive, Scope, Send

from features.errors import BadInput, NotReady, UserError
from serving import requested
from serving.bodies import computed_fields, curve_body, fresh_body, json_response
from serving.champions import Champions, Served, age_days
from serving.direct import DirectRoute
from serving.refusals import RefusedError
from serving.routes.documents import UserIdInPath, problems
from serving.routes.users import absent, checked
from serving.schemas.compute import ComputeOut
from serving.schemas.scores import RiskCurveOut
from serving.store import Absence

if TYPE_CHECKING:
    from serving.fresh import FreshScore, FreshScorer  # Numba: who only looks scores up does not wait for it
from serving.telling import tells
from serving.turns import Turns

LONGEST_START_SECONDS = 20.0  # a champion that takes longer to load is told as missing
MOST_BYTES_IN_THE_LOOP = 100_000  # a user of some hundred events; more would keep the other requests waiting
router = APIRouter(tags=["scores"])
_log = logging.getLogger("holdfast.service")
T = TypeVar("T")


class _RawRoute(DirectRoute):
    """Leaves the body to the endpoint: a validation model would take longer than the score."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        response = await self.endpoint(Request(scope, receive))
        await response(scope, receive, send)


compute_router = APIRouter(route_class=_RawRoute, tags=["scores"])


@compute_router.post(
    "/v1/scores/compute",
    summary="Scores from what you send",
    response_description="Scores and who gets none, in the order sent, all by one model.",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ComputeIn"}}},
        }
    },
    responses={
        200: {"model": ComputeOut},
        **problems("no_model", "invalid_json", "body_timeout", "body_too_large", "unsupported_media_type"),
    },
)
async def compute(request: Request) -> Response:
    """Up to 1,000 users by their events or by ready features; the bits are those of a score run at that cutoff.

    Nothing is kept. Needs the scope `scores:compute`.
    """
    body = await request.body()
    served = await _served(request)
    turns: Turns = request.app.state.turns
    async with turns:
        if len(body) <= MOST_BYTES_IN_THE_LOOP:
            return _computed(request, served, body)
        return await asyncio.to_thread(_computed, request, served, body)


@router.get(
    "/v1/users/{user_id:user_id}/risk-curve",
    summary="The risk of one user by day",
    response_description="The curve, as of now.",
    responses={
        200: {"model": RiskCurveOut},
        **problems(*Absence, "no_model", "no_risk_curve", "data_stale", "events_unavailable"),
    },
)
async def user_risk_curve(request: Request, user_id: UserIdInPath) -> Response:
    """The probability of being gone d days from now, by the model's risk curve, computed now from the event log.

    With a definition by inactivity it is the probability of silence from now to that day. Only where the model was
    trained with one (`[train] risk_curve`). Needs the scope `scores:read`.
    """
    served, now = await _served(request), datetime.now(UTC)
    if served.scorer.bundle.hazard is None:
        raise RefusedError("no_risk_curve", "this model was trained without a risk curve ([train] risk_curve = true).")
    found = await asyncio.to_thread(_from_log, served, checked(user_id), now, served.scorer.curve)
    if isinstance(found, Absence):
        raise absent(found)
    tells(request, (user_id,), run_id=None)
    return json_response(curve_body(found, model_version=served.version))


async def fresh_from_log(request: Request, user_id: str, language: str) -> Response:
    """The user's score as of now from the event log; raises the refusal that a missing score is."""
    served, now = await _served(request), datetime.now(UTC)
    found = await asyncio.to_thread(_from_log, served, user_id, now, served.scorer.score)
    if isinstance(found, Absence):
        raise absent(found)
    tells(request, (user_id,), run_id=None)
    return json_response(fresh_body(found, language, computed_fields(served, now)))


async def _served(request: Request) -> Served:
    champions: Champions = request.app.state.champions
    if champions.loading:
        await asyncio.to_thread(champions.wait, LONGEST_START_SECONDS)
    try:
        return champions.served(request.state.key.tenant)
    except NotReady as error:
        raise RefusedError("no_model", str(error)) from None


def _from_log(served: Served, user_id: str, now: datetime, ask: Callable[..., T]) -> T | Absence:
    """What `ask` says of a user of the log; events that came days ago say nothing about today."""
    try:
        age = age_days(served.folder, now=now)
        events = served.log().read_user(user_id, served.scorer.wanted)
    except (UserError, OSError) as error:  # its message names folders of this machine
        _log.error("event=events_unavailable error=%s reason=%r", type(error).__name__, str(error))
        why = "there is none yet" if isinstance(error, NotReady) else "the service's log says why"
        raise RefusedError("events_unavailable", f"the event log cannot be read now: {why}.") from None
    if age > served.stale_days:
        raise RefusedError(
            "data_stale",
            f"the newest events came in {age:.1f} days ago, which is too long for a score of today; `holdfast ingest` "
            "newer ones, or ask for the score of the last run.",
        )
    return ask(events, cutoff=now) if len(events) else Absence.UNKNOWN


def _computed(request: Request, served: Served, body: bytes) -> Response:
    asked = requested.read_request(body, served.scorer.wanted)
    cutoff = datetime.now(UTC) if asked.cutoff is None else asked.cutoff.astimezone(UTC)
    shared, language = computed_fields(served, cutoff), asked.reasons or "en"
    scores, missing = [], []
    for place, user in enumerate(asked.users):
        found = _score(served.scorer, user, place, cutoff=cutoff, explained=language != "none")
        if isinstance(found, Absence):
            missing.append({"user_id": user.user_id, "code": found.value})
        else:
            scores.append(fresh_body(found, language, shared))
    tells(request, [user.user_id for user in asked.users], run_id=None)
    return json_response({"scores": scores, "missing": missing})


def _score(
    scorer: "FreshScorer", user: requested.Asked, place: int, *, cutoff: datetime, explained: bool
) -> "FreshScore | Absence":
    try:
        return scorer.answer(user, cutoff=cutoff, explained=explained)
    except BadInput as error:
        raise RefusedError("invalid_request", f"users.{place}.features: {error}") from None
