"""The runs that are kept, and the groups of users in the current one."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from features.errors import NotReady
from features.windows import iso
from serving.asking import asked
from serving.bodies import json_response, run_body
from serving.cursors import number_cursor, number_of
from serving.routes.documents import problems
from serving.schemas.lists import RunsOut, RunsQuery, SegmentsOut
from serving.store import Run, ScoreStore
from serving.store.reader import NO_SCORES_YET

router = APIRouter(tags=["lists"])


@router.get(
    "/v1/segments",
    summary="How many users are at risk, by kind of user",
    response_description="The groups of the current run.",
    responses={200: {"model": SegmentsOut}, **problems()},
)
async def segments(request: Request) -> Response:
    """Users, mean risk and value at risk of each tier, lifecycle stage and segment. Needs the scope `lists:read`."""
    store: ScoreStore = request.state.store
    run = await asked(store, store.current_run)
    if run is None:
        raise NotReady(NO_SCORES_YET)
    return json_response(_segments(run))


@router.get(
    "/v1/runs",
    summary="The score runs that are kept",
    response_description="A page of runs, newest first.",
    responses={200: {"model": RunsOut}, **problems()},
)
async def runs(request: Request, query: Annotated[RunsQuery, Query()]) -> Response:
    """When everybody was scored, by which model, and which run is served. Needs the scope `scores:read`."""
    store: ScoreStore = request.state.store
    before = None if query.cursor is None else number_of(query.cursor)
    found = await asked(store, _kept, store, before=before, limit=query.limit)
    return json_response(found)


def _kept(store: ScoreStore, *, before: int | None, limit: int) -> dict[str, object]:
    current, found = store.current_run(), store.runs(before=before, limit=limit + 1)
    page, more = found[:limit], len(found) > limit
    served = None if current is None else current.run_id
    return {
        "runs": [run_body(run, current=run.run_id == served) for run in page],
        "next_cursor": number_cursor(page[-1].run_id) if more else None,
    }


def _segments(run: Run) -> dict[str, object]:
    groups = [
        {
            "by": group.by,
            "name": group.name,
            "users": group.users,
            "mean_churn_probability": group.mean_churn_probability,
            "value_at_risk": group.value_at_risk,
        }
        for group in run.groups
    ]
    return {"run_id": run.run_id, "cutoff": iso(run.facts.cutoff), "groups": groups}
