"""Whether the process lives and whether it can answer; open to everybody, says nothing about users."""

import sqlite3
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response

from features.windows import iso
from serving.schemas import CheckOut, LiveOut, ReadyOut
from serving.store import Run, ScoreStore

router = APIRouter(tags=["health"])


@router.get("/livez", summary="Does the process answer?", responses={200: {"model": LiveOut}})
async def alive() -> Response:
    """Always 200 while the process runs; restart it when this does not answer."""
    return Response(LiveOut().model_dump_json(), 200, media_type="application/json")


@router.get(
    "/readyz",
    summary="Can the service answer?",
    responses={200: {"model": ReadyOut}, 503: {"model": ReadyOut, "description": "Not ready; the checks say why."}},
)
async def ready(request: Request) -> Response:
    """200 when the store answers and holds a complete run, else 503; send no traffic until then."""
    answer = _ready(request.app.state.store, now=datetime.now(UTC))
    return Response(answer.model_dump_json(), 200 if answer.ready else 503, media_type="application/json")


def _ready(store: ScoreStore, *, now: datetime) -> ReadyOut:
    try:
        run = store.current_run()
    except sqlite3.Error as error:
        checks = [CheckOut(name="store", ok=False, detail=f"the score store cannot be read ({type(error).__name__})")]
    else:
        checks = [CheckOut(name="store", ok=True, detail="the score store answers"), _scores_check(run, now=now)]
    return ReadyOut(ready=all(check.ok for check in checks), checks=checks)


def _scores_check(run: Run | None, *, now: datetime) -> CheckOut:
    if run is None:
        return CheckOut(name="scores", ok=False, detail="there are no scores yet; run `holdfast score` first")
    until = run.facts.valid_until
    validity = f"valid until {iso(until)}" if now < until else f"no longer valid since {iso(until)}: score again"
    age = f"{(now - run.scored_at).total_seconds() / 3600:.1f} hours old"
    return CheckOut(name="scores", ok=True, detail=f"run {run.run_id}: {run.users} users, {age}, {validity}")
