"""Bulk jobs: a file of users up, a file of scores down."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import FileResponse
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from features.windows import iso
from serving.asking import asked_at_length
from serving.bodies import json_response
from serving.job_files import MEDIA_TYPES, NDJSON, PARQUET
from serving.jobs import Jobs, is_id, new_id
from serving.problem_kinds import NO_ROOM
from serving.refusals import RefusedError
from serving.requested import read_instant
from serving.routes.documents import problems
from serving.schemas.jobs import JobOut, JobQuery, JobsOut
from serving.store import ScoreStore, jobs
from serving.store.jobs import OVER, Job, State
from serving.store.trouble import is_full
from serving.telling import tells

ADDRESS = "/v1/scores/jobs"
SENT_AS = (MEDIA_TYPES[NDJSON], MEDIA_TYPES[PARQUET])
_LISTED = 100
router = APIRouter(tags=["jobs"])
JobId = Annotated[str, Path(description="The id of the job.", examples=["job_6f1d0c9b2a7e4c58a1f03b6d"])]
Body = dict[str, object]


class _StreamedRoute(APIRoute):
    """Leaves the body to the endpoint, piece by piece."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["method"] not in (self.methods or ()):
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive)
        response = await self.endpoint(request, _read_query(request))
        await response(scope, receive, send)


upload_router = APIRouter(route_class=_StreamedRoute, tags=["jobs"])


@upload_router.post(
    ADDRESS,
    status_code=202,
    summary="Score a file of users",
    response_description="The job; the header Location says where to ask how far it has come.",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in SENT_AS},
        }
    },
    responses={202: {"model": JobOut}, **problems("no_model", "invalid_request", "no_room")},
)
async def start(request: Request, query: Annotated[JobQuery, Query()]) -> Response:
    """NDJSON with a user a line, as in `POST /v1/scores/compute`, or Parquet: events, or ready features.

    Parquet of events has the columns `user_id`, `time`, `event`, `value` and properties; of features `user_id` and a
    column each. Nothing but the file and its scores is kept, for a day. Needs the scope `scores:compute`.
    """
    work: Jobs = request.app.state.jobs
    store: ScoreStore = request.state.store
    if store.tenant not in work.champions.folders:
        raise RefusedError("no_model", "this service has no data folder of yours, so it computes no scores.")
    kind = PARQUET if request.headers.get("content-type", "").startswith(MEDIA_TYPES[PARQUET]) else NDJSON
    cutoff = None if query.cutoff is None else read_instant(query.cutoff, "query.cutoff")
    job_id, now = new_id(), datetime.now(UTC)
    if not await _save(request, work, job_id, kind):
        await asyncio.to_thread(work.remove, job_id)
        raise RefusedError("invalid_request", "the file is empty; expected a user at least.")
    told = {
        "sent": kind,
        "result": query.result or kind,
        "cutoff": iso(cutoff or now),
        "reasons": query.reasons,
    }
    await asked_at_length(store, jobs.add, store.database, job_id, tenant=store.tenant, asked=told, now=now)
    job = await _find(store, job_id)
    headers = {"location": f"{ADDRESS}/{job_id}"}
    return json_response(_body(job, work), headers=headers, status=202)


@router.get(
    ADDRESS,
    summary="The jobs of the last day",
    response_description=f"At most {_LISTED}, newest first.",
    responses={200: {"model": JobsOut}, **problems()},
)
async def listed(request: Request) -> Response:
    """How far every job has come. Needs the scope `scores:compute`."""
    store: ScoreStore = request.state.store
    found = await asked_at_length(store, jobs.newest, store.database, tenant=store.tenant, limit=_LISTED)
    work: Jobs = request.app.state.jobs
    return json_response({"jobs": await asyncio.to_thread(lambda: [_body(job, work) for job in found])})


@router.get(
    ADDRESS + "/{job_id}",
    summary="How far a job has come",
    response_description="The job.",
    responses={200: {"model": JobOut}, **problems("job_unknown")},
)
async def progress(request: Request, job_id: JobId) -> Response:
    """Users read, scored, missing and refused so far. Needs the scope `scores:compute`."""
    return json_response(_body(await _find(request.state.store, job_id), request.app.state.jobs))


@router.get(
    ADDRESS + "/{job_id}/result",
    summary="The scores of a job",
    response_description="A record a user: a score as that of `POST /v1/scores/compute`, or why there is none.",
    response_class=FileResponse,
    responses={
        200: {"content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in MEDIA_TYPES.values()}},
        **problems("job_unknown", "job_not_done", "result_removed"),
    },
)
async def result(request: Request, job_id: JobId) -> Response:
    """The file, for a day after the job was done. Needs the scope `scores:compute`."""
    work: Jobs = request.app.state.jobs
    job = await _find(request.state.store, job_id)
    if job.state is not State.DONE:
        raise RefusedError("job_not_done", f"the job is {job.state}, so it has no scores to hand out.")
    kind = job.asked["result"]
    if not _is_there(job, work):
        raise RefusedError("result_removed", "the scores of this job have been removed; start it again.")
    tells(request, (), run_id=None)
    headers = {"cache-control": "private, no-cache"}
    return FileResponse(
        work.result(job_id, kind), media_type=MEDIA_TYPES[kind], filename=f"scores.{kind}", headers=headers
    )


@router.delete(
    ADDRESS + "/{job_id}",
    summary="Cancel a job, or remove it",
    response_description="The job as it was; `cancelled` where it was not over.",
    responses={200: {"model": JobOut}, **problems("job_unknown")},
)
async def cancel(request: Request, job_id: JobId) -> Response:
    """It goes no further within some hundred users, its files are removed, and it is unknown from now on.

    Needs the scope `scores:compute`.
    """
    work: Jobs = request.app.state.jobs
    store: ScoreStore = request.state.store
    found = await _find(store, job_id)
    await asyncio.to_thread(work.remove, job_id)  # first: on a full disk this makes the room for what follows
    job = await asked_at_length(store, jobs.remove, store.database, job_id, tenant=store.tenant) or found
    left = job if job.state in OVER else replace(job, state=State.CANCELLED, finished_at=datetime.now(UTC))
    return json_response(_body(left, work))


async def _save(request: Request, work: Jobs, job_id: str, kind: str) -> int:
    """How many bytes the body has, which is in its file then, whole or not at all."""
    target = work.sent(job_id, kind)
    try:
        # Users' data: nobody else on the machine reads them.
        await asyncio.to_thread(target.parent.mkdir, 0o700, parents=True)
        file = await asyncio.to_thread(target.open, "wb")
        with file:
            async for piece in request.stream():
                await asyncio.to_thread(file.write, piece)
            return await asyncio.to_thread(file.tell)
    except BaseException as error:
        await asyncio.to_thread(work.remove, job_id)
        if is_full(error):
            raise RefusedError("no_room", NO_ROOM) from None
        raise


async def _find(store: ScoreStore, job_id: str) -> Job:
    if not is_id(job_id):
        raise _unknown()
    found = await asked_at_length(store, jobs.find, store.database, job_id, tenant=store.tenant)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> RefusedError:
    return RefusedError("job_unknown", "there is no such job, or it was removed, or over more than a day ago.")


def _read_query(request: Request) -> JobQuery:
    try:
        return JobQuery.model_validate(dict(request.query_params))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, ("query", *first["loc"])))
        raise RefusedError("invalid_request", f"the request is not valid: {where}: {first['msg']}.") from None


def _is_there(job: Job, work: Jobs) -> bool:
    return job.state is State.DONE and work.result(job.job_id, job.asked["result"]).exists()


def _body(job: Job, work: Jobs) -> Body:
    return {
        "job_id": job.job_id,
        "state": job.state,
        "created_at": iso(job.created_at),
        "finished_at": iso(job.finished_at) if job.state in OVER and job.finished_at else None,
        "cutoff": job.asked["cutoff"],
        "users": job.counts.users,
        "scored": job.counts.scored,
        "missing": job.counts.missing,
        "refused": job.counts.refused,
        "model_version": job.model_version,
        "trouble": job.trouble,
        "result": f"{ADDRESS}/{job.job_id}/result" if _is_there(job, work) else None,
    }
