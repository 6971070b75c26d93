"""Scores of users: one, or many at once."""

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from serving.bodies import json_response, lookup_body, score_body
from serving.refusals import RefusedError
from serving.routes.documents import UserIdInPath, problems
from serving.schemas import LONGEST_USER_ID, LookupIn, LookupOut, ScoreOut
from serving.store import Absence, ScoreStore

MOST_IN_THE_LOOP = 50  # ids; a few microseconds each, more would keep the other requests waiting
router = APIRouter(tags=["scores"])

_WHY_ABSENT = {
    Absence.UNKNOWN: "this user is unknown: the events hold nothing of them before the cutoff. "
    "Is the id spelt as in the events?",
    Absence.OUTSIDE: "this user is known but was not active in the look-back, or is no subscriber, so they are outside "
    "the population and have no score; GET /v1/model says who is in it.",
}


class _DirectRoute(APIRoute):
    """Hands the user id straight to the endpoint: the framework's way of parameters costs more than the lookup."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)  # says which methods are allowed
            return
        response = await self.endpoint(Request(scope), _checked(scope["path_params"]["user_id"]))
        await response(scope, receive, send)


score_router = APIRouter(route_class=_DirectRoute, tags=["scores"])


@score_router.get(
    "/v1/users/{user_id:user_id}/score",
    summary="The churn score of one user",
    response_description="The score and what it rests on.",
    responses={200: {"model": ScoreOut}, **problems("user_unknown", "user_outside_population")},
)
async def user_score(request: Request, user_id: UserIdInPath) -> Response:
    """The user's score in the current run: how likely they are to leave, why, and until when to believe it.

    Needs the scope `scores:read`. A 404 says with its `code` whether the user is unknown or outside the population.
    """
    store: ScoreStore = request.state.store
    found = store.score(user_id)
    if isinstance(found, Absence):
        raise RefusedError(found.value, _WHY_ABSENT[found])
    return json_response(score_body(found))


@router.post(
    "/v1/scores/lookup",
    summary="The churn scores of many users",
    response_description="Scores and missing users, in the order asked, all of one run.",
    responses={
        200: {"model": LookupOut},
        **problems("invalid_json", "body_timeout", "body_too_large", "unsupported_media_type"),
    },
)
async def look_up(request: Request, body: LookupIn) -> Response:
    """Up to 10,000 users at once; an id sent twice is answered twice. Needs the scope `scores:read`."""
    store: ScoreStore = request.state.store
    if len(body.user_ids) <= MOST_IN_THE_LOOP:
        return _looked_up(store, body.user_ids)
    return await run_in_threadpool(_looked_up, store, body.user_ids)


def _checked(user_id: str) -> str:
    """The id of a path; the same rules as `schemas.UserId`, which documents them."""
    if not 1 <= len(user_id) <= LONGEST_USER_ID:
        length = f"1 to {LONGEST_USER_ID:,}"
        raise RefusedError("invalid_request", f"the user id has {len(user_id):,} characters; expected {length}.")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise RefusedError("invalid_request", "the user id is not UTF-8, percent-encoded.") from None
    return user_id


def _looked_up(store: ScoreStore, user_ids: list[str]) -> Response:
    return json_response(lookup_body(store.lookup(user_ids), user_ids))
