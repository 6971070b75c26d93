"""Scores of users: last night's of one or many, and one user's history."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from serving.asking import asked, asked_in_turn
from serving.bodies import json_response, lookup_body, score_body
from serving.conditional import not_modified, validators
from serving.cursors import number_cursor, number_of
from serving.direct import DirectRoute
from serving.refusals import RefusedError
from serving.routes.documents import UserIdInPath, problems
from serving.routes.fresh import fresh_from_log
from serving.routes.users import absent, checked
from serving.schemas.compute import FreshScoreOut
from serving.schemas.scores import HistoryOut, HistoryQuery, LookupIn, LookupOut, ScoreOut, ScoreQuery
from serving.store import Absence, ScoreStore, StoredScore
from serving.telling import tells
from serving.together import score_asked

MOST_IN_THE_LOOP = 50  # ids; a few microseconds each, more would keep the other requests waiting
ABSENT = tuple(Absence)
router = APIRouter(tags=["scores"])

_USUAL = ScoreQuery(reasons=None, fresh=False)


class _ScoreRoute(DirectRoute):
    """Hands the user id straight to the endpoint."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        text = scope["query_string"]
        query = _read_query(text) if text else _USUAL
        response = await self.endpoint(Request(scope), checked(scope["path_params"]["user_id"]), query)
        await response(scope, receive, send)


score_router = APIRouter(route_class=_ScoreRoute, tags=["scores"])


@score_router.get(
    "/v1/users/{user_id:user_id}/score",
    summary="The churn score of one user",
    response_description="The score and what it rests on; with `fresh=true` the one that was computed just now.",
    responses={
        200: {"model": ScoreOut | FreshScoreOut},
        304: {"description": "Not modified: the score that you have (If-None-Match) is still the one that is served."},
        **problems(*ABSENT, "no_model", "data_stale", "events_unavailable"),
    },
)
async def user_score(request: Request, user_id: UserIdInPath, query: Annotated[ScoreQuery, Query()]) -> Response:
    """The user's score in the current run: how likely they are to leave, why, and until when to believe it.

    With `fresh=true` it is computed now, from all events of the log. Needs the scope `scores:read`. A 404 says with
    its `code` why there is no score.
    """
    store: ScoreStore = request.state.store
    if query.fresh:
        return await fresh_from_log(request, user_id, query.reasons or "en")
    found = await score_asked(store, user_id)
    if isinstance(found, Absence):
        raise absent(found)
    tells(request, (user_id,), run_id=found.run.run_id)
    headers = validators(found.run, query.reasons)
    response = not_modified(request, headers)
    if response is None:
        response = json_response(score_body(found, query.reasons))
        response.raw_headers += headers
    return response


@router.get(
    "/v1/users/{user_id:user_id}/history",
    summary="What was told of one user",
    response_description="A page of scores, newest first.",
    responses={200: {"model": HistoryOut}, **problems()},
)
async def history(request: Request, user_id: UserIdInPath, query: Annotated[HistoryQuery, Query()]) -> Response:
    """The user's scores in the runs that are kept, newest first; none of them is ever changed.

    An unknown user has an empty history. Needs the scope `scores:read`.
    """
    store: ScoreStore = request.state.store
    before = None if query.cursor is None else number_of(query.cursor)
    found = await asked(store, store.history, checked(user_id), before=before, limit=query.limit + 1)
    tells(request, (user_id,) if found else (), run_id=None)
    return json_response(_history(user_id, found, query))


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
    ask = asked if len(body.user_ids) <= MOST_IN_THE_LOOP else asked_in_turn
    return await ask(request.state.store, _looked_up, request, body)


def _read_query(text: bytes) -> ScoreQuery:
    parts = parse_qsl(text.decode("latin-1"), keep_blank_values=True, max_num_fields=10)
    try:
        return ScoreQuery.model_validate(dict(parts))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("query", *first["loc"])))
        raise RefusedError("invalid_request", f"the request is not valid: {where}: {first['msg']}.") from None


def _history(user_id: str, found: list[StoredScore], query: HistoryQuery) -> dict[str, object]:
    page, more = found[: query.limit], len(found) > query.limit
    return {
        "user_id": user_id,
        "scores": [score_body(score, query.reasons) for score in page],
        "next_cursor": number_cursor(page[-1].run.run_id) if more else None,
    }


def _looked_up(request: Request, body: LookupIn) -> Response:
    store: ScoreStore = request.state.store
    found = store.lookup(body.user_ids)
    scored = [answer.user_id for answer in found.answers if isinstance(answer, StoredScore)]
    tells(request, scored, run_id=found.run.run_id)
    return json_response(lookup_body(found, body.user_ids, body.reasons))
