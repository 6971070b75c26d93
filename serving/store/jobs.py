"""Bulk jobs: files of users to be scored, each in hand of one worker at a time, and of another when that one dies."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.windows import from_microseconds, to_microseconds
from serving.store.database import Database
from serving.store.tables import jobs


class State(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER = frozenset({State.DONE, State.FAILED, State.CANCELLED})


@dataclass(frozen=True, slots=True)
class Counts:
    """How far a job has come: users read, and what became of them."""

    scored: int = 0
    missing: int = 0  # without a score, each with its reason
    refused: int = 0  # not understood

    @property
    def users(self) -> int:
        """All that were read."""
        return self.scored + self.missing + self.refused


@dataclass(frozen=True, slots=True)
class Job:
    """A file of users to be scored."""

    job_id: str
    tenant: str
    state: State
    asked: dict[str, Any]  # Any: JSON
    created_at: datetime
    finished_at: datetime | None
    counts: Counts
    model_version: str | None
    trouble: str | None  # why it failed


def add(database: Database, job_id: str, *, tenant: str, asked: dict[str, Any], now: datetime) -> None:  # Any: JSON
    """A new job, whose file is there already."""
    values = {"state": State.QUEUED, "asked": orjson.dumps(asked).decode(), "created_at": to_microseconds(now)}
    with _writing(database) as connection:
        connection.execute(sa.insert(jobs).values(job_id=job_id, tenant=tenant, **values))


def find(database: Database, job_id: str, *, tenant: str) -> Job | None:
    """A tenant's job."""
    with database.engine.connect() as connection:
        row = connection.execute(sa.select(jobs).where(_one(job_id), jobs.c.tenant == tenant)).one_or_none()
    return None if row is None else _job(row)


def newest(database: Database, *, tenant: str, limit: int) -> list[Job]:
    """A tenant's jobs, newest first."""
    query = sa.select(jobs).where(jobs.c.tenant == tenant).order_by(jobs.c.created_at.desc(), jobs.c.job_id)
    with database.engine.connect() as connection:
        return [_job(row) for row in connection.execute(query.limit(limit))]


def take(database: Database, *, tenants: list[str], holder: str, now: datetime, until: datetime) -> Job | None:
    """The oldest job of these tenants that is in nobody's hand, now in the holder's; None when there is none."""
    at = to_microseconds(now)
    dead = sa.and_(jobs.c.state == State.RUNNING, jobs.c.held_until < at)
    free = sa.and_(jobs.c.tenant.in_(tenants), sa.or_(jobs.c.state == State.QUEUED, dead))
    query = sa.select(jobs.c.job_id).where(free).order_by(jobs.c.created_at).limit(1)
    with _writing(database) as connection:
        job_id = connection.execute(query).scalar()
        if job_id is None:
            return None
        values = {"state": State.RUNNING, "holder": holder, "held_until": to_microseconds(until)}
        taken = connection.execute(sa.update(jobs).where(_one(job_id), free).values(values))
        if not taken.rowcount:  # another worker was first
            return None
        return _job(connection.execute(sa.select(jobs).where(_one(job_id))).one())


def report(
    database: Database, job_id: str, counts: Counts, *, holder: str, until: datetime, model_version: str
) -> bool:
    """Say how far the job has come; False when it was removed or is in another hand, and is to be left alone."""
    values = {**_counted(counts), "held_until": to_microseconds(until), "model_version": model_version}
    mine = sa.and_(_one(job_id), jobs.c.holder == holder, jobs.c.state == State.RUNNING)
    with _writing(database) as connection:
        return bool(connection.execute(sa.update(jobs).where(mine).values(values)).rowcount)


def finish(
    database: Database, job_id: str, counts: Counts, *, holder: str, now: datetime, trouble: str | None = None
) -> bool:
    """The job is done, or failed for a reason; False as for `report`."""
    state = State.DONE if trouble is None else State.FAILED
    values = {**_counted(counts), "state": state, "finished_at": to_microseconds(now), "trouble": trouble}
    mine = sa.and_(_one(job_id), jobs.c.holder == holder, jobs.c.state == State.RUNNING)
    with _writing(database) as connection:
        return bool(connection.execute(sa.update(jobs).where(mine).values(values)).rowcount)


def remove(database: Database, job_id: str, *, tenant: str) -> Job | None:
    """A tenant's job, from now on unknown: whoever works at it finds it gone and stops. None when there is none."""
    mine = sa.and_(_one(job_id), jobs.c.tenant == tenant)
    with _writing(database) as connection:
        row = connection.execute(sa.select(jobs).where(mine).with_for_update()).one_or_none()
        connection.execute(sa.delete(jobs).where(mine))
    return None if row is None else _job(row)


def forget(database: Database, *, before: datetime) -> list[str]:
    """The ids of the jobs that were over before a moment; they are no longer known."""
    old = sa.and_(jobs.c.state.in_(list(OVER)), jobs.c.finished_at < to_microseconds(before))
    with _writing(database) as connection:
        found = list(connection.execute(sa.select(jobs.c.job_id).where(old)).scalars())
        connection.execute(sa.delete(jobs).where(jobs.c.job_id.in_(found)))
    return found


def _one(job_id: str) -> sa.ColumnElement[bool]:
    return jobs.c.job_id == job_id


def _counted(counts: Counts) -> dict[str, int]:
    return {
        "users": counts.users,
        "scored": counts.scored,
        "missing": counts.missing,
        "refused": counts.refused,
    }


def _job(row: sa.Row[Any]) -> Job:  # Any: the columns of the table
    return Job(
        job_id=row.job_id,
        tenant=row.tenant,
        state=State(row.state),
        asked=orjson.loads(row.asked),
        created_at=from_microseconds(row.created_at),
        finished_at=None if row.finished_at is None else from_microseconds(row.finished_at),
        counts=Counts(row.scored, row.missing, row.refused),
        model_version=row.model_version,
        trouble=row.trouble,
    )


def _writing(database: Database) -> AbstractContextManager[Connection]:
    return database.engine.execution_options(writes=True).begin()
