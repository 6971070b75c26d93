"""Answers that are given again: what a request with an Idempotency-Key was answered, until the key expires."""

from contextlib import AbstractContextManager
from dataclasses import dataclass

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from serving.store.database import Database
from serving.store.tables import replays

Headers = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that wants to change something once, and how it is told from others."""

    tenant: str
    idempotency_key: str
    route: str  # method and path
    holder: str  # names this very request
    fingerprint: str | None  # of what was sent; None: known only once the request has been read to its end


@dataclass(frozen=True, slots=True)
class Kept:
    """What is known of an earlier request with the same key."""

    route: str
    fingerprint: str | None
    status: int | None  # None: it is still being answered
    headers: Headers
    body: bytes


def claim(database: Database, attempt: Attempt, *, now: int, held_until: int, expires_at: int) -> Kept | None:
    """None when the attempt is the first and now holds the key, else what is kept; instants are in microseconds.

    A key that has expired, or whose holder has not been heard of until `held_until`, is free again.
    """
    mine = _mine(attempt)
    values = {"holder": attempt.holder, "held_until": held_until, "expires_at": expires_at}
    row = {**values, "route": attempt.route, "fingerprint": attempt.fingerprint}
    dead = sa.and_(replays.c.status.is_(None), replays.c.held_until < now)
    with _writing(database) as connection:
        connection.execute(sa.delete(replays).where(mine, sa.or_(replays.c.expires_at <= now, dead)))
        found = connection.execute(sa.select(replays).where(mine)).one_or_none()
        if found is not None:
            return Kept(
                found.route, found.fingerprint, found.status, orjson.loads(found.headers or b"[]"), found.body or b""
            )
        names = {"tenant": attempt.tenant, "idempotency_key": attempt.idempotency_key}
        try:
            with connection.begin_nested():
                connection.execute(sa.insert(replays).values({**names, **row}))
        except IntegrityError:  # another one was first in this very moment, which only PostgreSQL lets happen
            return Kept(attempt.route, attempt.fingerprint, None, [], b"")
    return None


def hold(database: Database, attempt: Attempt, *, until: int) -> None:
    """Say that the attempt is still being answered."""
    with _writing(database) as connection:
        connection.execute(sa.update(replays).where(_held(attempt)).values(held_until=until))


def keep(database: Database, attempt: Attempt, *, status: int, headers: Headers, body: bytes) -> None:
    """Keep the answer, before it is sent; nothing happens when another request has taken the key meanwhile."""
    told = {"status": status, "headers": orjson.dumps(headers).decode(), "body": body}
    known = {"fingerprint": attempt.fingerprint}
    with _writing(database) as connection:
        connection.execute(sa.update(replays).where(_held(attempt)).values({**told, **known}))


def give_up(database: Database, attempt: Attempt) -> None:
    """Free the key: the attempt has changed nothing."""
    with _writing(database) as connection:
        connection.execute(sa.delete(replays).where(_held(attempt)))


def forget_expired(database: Database, *, now: int) -> None:
    """Remove the answers whose keys have expired."""
    database.delete(replays.c.expires_at <= now, table=replays)


def _mine(attempt: Attempt) -> sa.ColumnElement[bool]:
    return sa.and_(replays.c.tenant == attempt.tenant, replays.c.idempotency_key == attempt.idempotency_key)


def _held(attempt: Attempt) -> sa.ColumnElement[bool]:
    return sa.and_(_mine(attempt), replays.c.holder == attempt.holder, replays.c.status.is_(None))


def _writing(database: Database) -> AbstractContextManager[Connection]:
    return database.engine.execution_options(writes=True).begin()
