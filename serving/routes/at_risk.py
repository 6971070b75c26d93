"""The list of users at risk, for people and systems that act on it."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Header, Query, Request, Response

from serving.asking import asked_at_length
from serving.bodies import at_risk_body, json_response
from serving.cursors import from_cursor, to_cursor
from serving.lists import csv_lines, list_row
from serving.refusals import RefusedError
from serving.routes.documents import problems
from serving.schemas.lists import AtRiskOut, AtRiskQuery
from serving.store import AtRiskPage, ScoreStore, Wanted
from serving.telling import tells

ADDRESS = "/v1/users/at-risk"
CSV = "text/csv; charset=utf-8; header=present"
router = APIRouter(tags=["lists"])

_CSV_EXAMPLE = (
    "user_id,churn_probability,percentile,tier,reasons,lifecycle_stage,segment,value_at_risk,contactable,cutoff,horizon_start,horizon_end,model_version,definition_id\r\n"
    "ada,0.83,97.2,high,last seen 24 days ago,cooling,must_keep,41.5,true,2026-06-01T00:00:00Z,"
    "2026-06-01T00:00:00Z,2026-07-01T00:00:00Z,3,churn-3f1c0a9be2d4\r\n"
)


@router.get(
    ADDRESS,
    summary="The users most at risk",
    response_description="A page of users, most at risk first. The header Link names the next page.",
    responses={
        200: {"model": AtRiskOut, "content": {"text/csv": {"example": _CSV_EXAMPLE}}},
        **problems("cursor_expired"),
    },
)
async def at_risk(
    request: Request, query: Annotated[AtRiskQuery, Query()], accept: Annotated[str, Header()] = "application/json"
) -> Response:
    """Users by falling probability, page by page, as JSON or as CSV (`Accept: text/csv` or `format=csv`).

    All pages behind one cursor come from one run, also when a new one has been written meanwhile. In CSV a text that
    a spreadsheet would run as a formula has an apostrophe before it. Needs the scope `lists:read`.
    """
    return await asked_at_length(request.state.store, _page, request, query, accept=accept)


def _page(request: Request, query: AtRiskQuery, *, accept: str) -> Response:
    store: ScoreStore = request.state.store
    after = None if query.cursor is None else from_cursor(query.cursor)
    wanted = Wanted(
        tier=query.tier,
        minimum=query.minimum_probability,
        lifecycle_stage=query.lifecycle_stage,
        segment=query.segment,
        contactable_only=query.contactable_only,
    )
    page = store.at_risk(wanted, after=after, limit=query.limit)
    if page is None:
        raise RefusedError("cursor_expired", "the run of this cursor is no longer kept; start again without a cursor.")
    tells(request, [score.user_id for score in page.scores], run_id=page.run.run_id)
    cursor = None if page.next is None else to_cursor(page.next)
    headers = {"vary": "accept"}
    if cursor is not None:
        headers["link"] = f'<{_address(query, cursor)}>; rel="next"'
    wants_csv = query.format == "csv" or (query.format is None and "text/csv" in accept.lower())
    return _csv(page, headers) if wants_csv else _json(page, cursor, query, headers)


def _json(page: AtRiskPage, cursor: str | None, query: AtRiskQuery, headers: dict[str, str]) -> Response:
    return json_response(at_risk_body(page, next_cursor=cursor, language=query.reasons), headers=headers)


def _csv(page: AtRiskPage, headers: dict[str, str]) -> Response:
    text = "".join(csv_lines(list_row(score) for score in page.scores))
    headers = {
        **headers,
        "cache-control": "private, no-cache",
        "content-disposition": 'attachment; filename="at-risk.csv"',
    }
    return Response(text.encode(), 200, headers, CSV)


def _address(query: AtRiskQuery, cursor: str) -> str:
    parts = query.model_dump(exclude_defaults=True) | {"cursor": cursor}
    return f"{ADDRESS}?{urlencode(parts)}"
