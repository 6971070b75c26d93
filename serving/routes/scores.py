"""Scores of users: one, or many at once."""

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from serving.auth import scoped_route
from serving.bodies import json_response, lookup_body, score_body
from serving.refusals import RefusedError
from serving.routes.documents import UserIdInPath, problems
from serving.schemas import LookupIn, LookupOut, ScoreOut
from serving.store import Absence, ScoreStore

MOST_IN_THE_LOOP = 50  # ids; a few microseconds each, more would keep the other requests waiting
SCOPE = "scores:read"
router = APIRouter(route_class=scoped_route(SCOPE), tags=["scores"])

_WHY_ABSENT = {
    Absence.UNKNOWN: "this user is unknown: the events hold nothing of them before the cutoff. "
    "Is the id spelt as in the events?",
    Absence.OUTSIDE: "this user is known but was not active in the look-back, so they are outside the population "
    "and have no score; GET /v1/model says who is in it.",
}


@router.get(
    "/v1/users/{user_id:user_id}/score",
    summary="The churn score of one user",
    response_description="The score and what it rests on.",
    responses={200: {"model": ScoreOut}, **problems("user_unknown", "user_outside_population")},
)
async def user_score(request: Request, user_id: UserIdInPath) -> Response:
    """The user's score in the current run: how likely they are to leave, why, and until when to believe it.

    Needs the scope `scores:read`. A 404 says with its `code` whether the user is unknown or outside the population.
    """
    store: ScoreStore = request.app.state.store
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
    store: ScoreStore = request.app.state.store
    if len(body.user_ids) <= MOST_IN_THE_LOOP:
        return _looked_up(store, body.user_ids)
    return await run_in_threadpool(_looked_up, store, body.user_ids)


def _looked_up(store: ScoreStore, user_ids: list[str]) -> Response:
    return json_response(lookup_body(store.lookup(user_ids), user_ids))
