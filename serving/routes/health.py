"""Whether the process lives and whether it can answer; open to everybody, says nothing about users."""

from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from starlette.concurrency import run_in_threadpool

from features.windows import iso
from serving.asking import asked_at_length
from serving.metrics import CONTENT_TYPE, exposition, of_the_scores, of_the_service
from serving.refusals import RefusedError
from serving.schemas.health import CheckOut, LiveOut, ReadyOut
from serving.store import Run
from serving.store.overview import Overview

_STORE = "the score store answers"
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
    """200 when the store answers and holds a complete run, else 503; send no traffic until then.

    503 also from the moment on at which the service was told to stop. A champion that fails its checks does not make
    the service unready, because the one before goes on serving; its check says so.
    """
    state = request.app.state
    checks = [_stopping_check()] if state.stopping() else []
    try:
        checks += _scores_checks(await asked_at_length(state.store, state.overviews.runs), now=datetime.now(UTC))
    except RefusedError as refusal:
        checks.append(CheckOut(name="store", ok=False, detail=refusal.message))
    is_ready = all(check.ok for check in checks)
    checks += _champion_checks(state.champions.troubles())
    answer = ReadyOut(ready=is_ready, checks=checks)
    return Response(answer.model_dump_json(), 200 if is_ready else 503, media_type="application/json")


@router.get(
    "/metrics",
    summary="Counters for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"description": "Of all workers; nothing about single users."}},
)
async def metrics(request: Request) -> Response:
    """Requests, problems, runs and scores in Prometheus' text format; answers while the store does not."""
    state = request.app.state
    overviews: list[Overview] = []
    try:
        overviews = await asked_at_length(state.store, state.overviews.read)
        store_up = True
    except RefusedError:
        store_up = False
    families = of_the_service(
        store_up=store_up, champions=state.champions.versions(), troubles=state.champions.troubles()
    )
    families += of_the_scores(overviews, now=datetime.now(UTC))
    return Response(await run_in_threadpool(exposition, families), 200, media_type=CONTENT_TYPE)


def _stopping_check() -> CheckOut:
    return CheckOut(name="stopping", ok=False, detail="the service was told to stop; ask another one")


def _scores_checks(runs: Mapping[str, Run], *, now: datetime) -> list[CheckOut]:
    store = CheckOut(name="store", ok=True, detail=_STORE)
    if not runs:
        return [store, CheckOut(name="scores", ok=False, detail="there are no scores yet; run `holdfast score` first")]
    return [store, *(_scores_check(tenant, run, now=now) for tenant, run in runs.items())]


def _scores_check(tenant: str, run: Run, *, now: datetime) -> CheckOut:
    until = run.facts.valid_until
    validity = f"valid until {iso(until)}" if now < until else f"no longer valid since {iso(until)}: score again"
    age = f"{(now - run.scored_at).total_seconds() / 3600:.1f} hours old"
    name = f"scores of {tenant}" if tenant else "scores"
    return CheckOut(name=name, ok=True, detail=f"run {run.run_id}: {run.users} users, {age}, {validity}")


def _champion_checks(troubles: Mapping[str, str]) -> list[CheckOut]:
    return [
        CheckOut(name=f"champion of {tenant}" if tenant else "champion", ok=False, detail=trouble)
        for tenant, trouble in troubles.items()
    ]
