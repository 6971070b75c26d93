"""Who read what: one entry a request that told something of users, never changed, removed when it is old.

An entry names no user. It holds a fingerprint of each: a keyed hash, whose key is kept in the store and nowhere else.
So the question "who looked at this person?" can be answered by whoever has the store and the person's id, while an
entry, a backup of the log or an export of it tells nothing of anybody; and once the key is gone, nothing ever will.
"""

import hashlib
import secrets as randomness
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.windows import from_microseconds, to_microseconds
from serving.store.database import Database, Row
from serving.store.tables import audit, keys, secrets

FINGERPRINT_BYTES = 8
_NAME = "audit"  # of the secret
_COLUMNS = ("at", "tenant", "key_prefix", "route", "status", "run_id", "request_id", "users", "seen")


class Reading(NamedTuple):
    """A request that told something of users; a tuple, because one is made on the hot path."""

    at: int  # microseconds since 1970 UTC
    tenant: str
    key_prefix: str
    route: str  # method and pattern
    status: int
    user_ids: Sequence[str]
    run_id: int | None
    request_id: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """An entry of the log, as it is shown and exported."""

    at: datetime
    tenant: str
    key_prefix: str
    key_name: str
    route: str
    status: int
    users: int
    run_id: int | None
    request_id: str


@dataclass(frozen=True, slots=True)
class Sought:
    """Which entries are wanted; None: all."""

    since: datetime | None = None
    until: datetime | None = None
    user_id: str | None = None
    key: str | None = None  # name or prefix


EVERYTHING = Sought()


def add_readings(database: Database, readings: Sequence[Reading]) -> None:
    """Write entries, all or none."""
    rows = _rows(readings, _secret(database))
    with _writing(database) as connection:
        database.insert(connection, audit, rows, columns=_COLUMNS)


def list_entries(database: Database, sought: Sought = EVERYTHING, *, tenant: str) -> Iterator[AuditEntry]:
    """A tenant's entries, newest first."""
    named = sa.select(audit, keys.c.name).join_from(audit, keys, keys.c.prefix == audit.c.key_prefix, isouter=True)
    query = named.where(audit.c.tenant == tenant).order_by(audit.c.at.desc(), audit.c.entry_id.desc())
    if sought.since is not None:
        query = query.where(audit.c.at >= to_microseconds(sought.since))
    if sought.until is not None:
        query = query.where(audit.c.at < to_microseconds(sought.until))
    if sought.key is not None:
        query = query.where(sa.or_(audit.c.key_prefix == sought.key, keys.c.name == sought.key))
    wanted = None
    if sought.user_id is not None:
        wanted = _fingerprint(sought.user_id, tenant, _secret(database))
        query = query.where(_holds(database, wanted))
    with database.engine.connect() as connection:
        for row in connection.execution_options(yield_per=1000).execute(query):
            if wanted is None or _place(row.seen, wanted) is not None:
                yield _entry(row)


def forget_before(database: Database, moment: datetime) -> None:
    """Remove the entries before a moment."""
    database.delete(audit.c.at < to_microseconds(moment), table=audit)


def _rows(readings: Sequence[Reading], secret: bytes) -> Iterator[Row]:
    for at, tenant, key_prefix, route, status, user_ids, run_id, request_id in readings:
        seen = b"".join([_fingerprint(user_id, tenant, secret) for user_id in user_ids])
        yield at, tenant, key_prefix, route, status, run_id, request_id, len(user_ids), seen


def _fingerprint(user_id: str, tenant: str, secret: bytes) -> bytes:
    text = f"{tenant}\0{user_id}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=FINGERPRINT_BYTES, key=secret).digest()


def _place(seen: bytes, wanted: bytes) -> int | None:
    """Which of the users it is; None where the bytes only happen to stand across two fingerprints."""
    at = seen.find(wanted)
    while at >= 0 and at % FINGERPRINT_BYTES:
        at = seen.find(wanted, at + 1)
    return None if at < 0 else at // FINGERPRINT_BYTES


def _holds(database: Database, wanted: bytes) -> sa.ColumnElement[bool]:
    if database.engine.dialect.name == "sqlite":
        return sa.func.instr(audit.c.seen, wanted) > 0
    return sa.func.position(sa.literal(wanted, sa.LargeBinary).op("IN")(audit.c.seen)) > 0


def _secret(database: Database) -> bytes:
    """The store's own, made when it is first needed."""
    asked = sa.select(secrets.c.value).where(secrets.c.name == _NAME)
    with database.engine.connect() as connection:
        found = connection.execute(asked).scalar()
    if found is None:
        with _writing(database) as connection:
            made = {"name": _NAME, "value": randomness.token_hex(32)}
            insert = sa.text("INSERT INTO secrets (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING")
            connection.execute(insert, made)
        with database.engine.connect() as connection:
            found = connection.execute(asked).scalar_one()
    return bytes.fromhex(found)


def _entry(row: sa.Row[tuple[object, ...]]) -> AuditEntry:
    return AuditEntry(
        at=from_microseconds(row.at),
        tenant=row.tenant,
        key_prefix=row.key_prefix,
        key_name=row.name or "",
        route=row.route,
        status=row.status,
        users=row.users,
        run_id=row.run_id,
        request_id=row.request_id,
    )


def _writing(database: Database) -> AbstractContextManager[Connection]:
    return database.engine.execution_options(writes=True).begin()
