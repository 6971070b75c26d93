"""The store on PostgreSQL 15 or newer: many machines read and write it together."""

import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import psycopg
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.errors import BadInput, Busy, UserError
from serving.store.database import Row

CONNECT_SECONDS = 5
# A lost network is noticed within seconds instead of after the two hours that TCP would wait.
_ALIVE: dict[str, Any] = {  # Any: options of the driver
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 15_000,
}
_READS = "-c default_transaction_read_only=on -c statement_timeout=10s -c idle_in_transaction_session_timeout=60s"
_WRITES = "-c lock_timeout=10s"
_WRITE_LOCK, _SCHEMA_LOCK = 0x686F6C64, 0x66617374  # "hold", "fast": two numbers that nobody else is likely to take
_NAMED = re.compile(r"(?<!:):(\w+)")


class Postgres:
    """A database; scores go in by COPY, a run is written by one process at a time (an advisory lock)."""

    near = False

    def __init__(self, url: sa.URL) -> None:
        self._url = url.set(drivername="postgresql+psycopg")
        self.name = url.set(drivername="postgresql", password=None).render_as_string()
        self.silent_until, self.silence = 0.0, ""
        self._threads = threading.local()
        self._opened: list[psycopg.Connection[Row]] = []
        arguments = {"connect_timeout": CONNECT_SECONDS, "options": _WRITES, **_ALIVE}
        # Each connection is tested before use: one that died with the database must not fail the next request.
        self.engine = sa.create_engine(self._url, connect_args=arguments, pool_pre_ping=True, pool_timeout=10)

    def prepare(self) -> None:
        """Nothing to do: who runs the server makes the database."""

    def ask(self, query: str, **wanted: object) -> list[Row]:
        """The rows of a query; a connection that has died since it was last used is replaced once."""
        connection = self._connection
        try:
            return connection.execute(_numbered(query), wanted).fetchall()
        except psycopg.OperationalError:
            if not connection.closed or self._inside:
                raise
            return self._connection.execute(_numbered(query), wanted).fetchall()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """What this thread asks inside is answered as of one moment."""
        self.ask("SELECT 1")  # renews a connection that has died
        connection = self._connection
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self._threads.inside = True
        try:
            yield
        finally:
            self._threads.inside = False
            with suppress(psycopg.OperationalError):
                connection.execute("ROLLBACK")

    def listed(self, texts: Sequence[str]) -> object:
        """The texts as one value that `each_of` unfolds."""
        return list(texts)

    def each_of(self, name: str) -> str:
        """A FROM item with the columns `place` (from 0) and `text`, from a value of `listed`."""
        numbered = f"unnest(CAST(:{name} AS text[])) WITH ORDINALITY AS unfolded(text, number)"
        return f"(SELECT number - 1 AS place, text FROM {numbered})"  # noqa: S608 - the name is one of ours

    def insert(
        self, connection: Connection, table: sa.Table, rows: Iterable[Row], *, columns: Sequence[str] = ()
    ) -> None:
        """Add rows of these columns, by default of all; raises `BadInput` for a key that is there already."""
        plain: psycopg.Connection[Row] = connection.connection.driver_connection  # type: ignore[assignment] # SQLAlchemy does not know which driver it is
        names = ", ".join(columns or table.columns.keys())
        try:
            with plain.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.errors.UniqueViolation as error:
            raise BadInput(f"{table.name} would hold a key twice ({error.diag.message_detail}).") from error

    def delete(self, condition: sa.ColumnElement[bool], *, table: sa.Table) -> None:
        """Remove rows in one go: readers of PostgreSQL never wait for it."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(table).where(condition))

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """A lock in the database, which it frees when its holder's connection ends."""
        with self.engine.connect() as connection:
            taken = connection.execute(sa.select(sa.func.pg_try_advisory_lock(_WRITE_LOCK))).scalar_one()
            connection.commit()
            if not taken:
                raise Busy(
                    f"another process is writing scores to {self.name}; wait until it has finished, then try again."
                )
            try:
                yield
            finally:
                with suppress(sa.exc.OperationalError):
                    connection.execute(sa.select(sa.func.pg_advisory_unlock(_WRITE_LOCK)))
                    connection.commit()

    def schema_lock(self, connection: Connection) -> None:
        """Let no other process change the schema until the transaction ends."""
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_SCHEMA_LOCK)))

    def schema_revision(self) -> str | None:
        """The schema's version, without a lock; None before there is one."""
        if self.ask("SELECT to_regclass('alembic_version')") == [(None,)]:
            return None
        rows = self.ask("SELECT version_num FROM alembic_version")
        return str(rows[0][0]) if rows else None

    def trouble(self, complaint: str) -> UserError | None:
        """What the database complains of, as an error that says what to do; None for an unknown complaint."""
        brief = complaint.strip().splitlines()[0] if complaint.strip() else "it said nothing"
        meanings = {
            ("no space left", "disk full", "could not extend"): UserError(
                f"there is no room on the disk of {self.name}; what was stored before is as it was. Free some space, "
                "then run it again: a million scores take up to half a gigabyte, twice that while written."
            ),
            ("lock timeout", "lock_timeout", "deadlock"): Busy(
                f"another process has been writing to {self.name} for ten seconds; try again."
            ),
            ("permission denied", "must be owner"): UserError(
                f"the database user of {self.name} may not do this ({brief}); give it the right to create tables."
            ),
            ("does not exist", "authentication failed", "no password supplied", "role"): UserError(
                f"{self.name} cannot be opened ({brief}); check [store] url, the database, its user and the password."
            ),
            ("connection", "server closed", "timeout expired", "could not translate", "terminating"): UserError(
                f"{self.name} does not answer ({brief}); is the database running, and does [store] url name it?"
            ),
        }
        found = (error for signs, error in meanings.items() if any(sign in complaint.lower() for sign in signs))
        return next(found, None)

    def close(self) -> None:
        """Let go of all connections."""
        while self._opened:
            self._opened.pop().close()
        self._threads = threading.local()
        self.engine.dispose()

    @property
    def _inside(self) -> bool:
        return getattr(self._threads, "inside", False)

    @property
    def _connection(self) -> psycopg.Connection[Row]:
        """This thread's own connection; statements are prepared at their second use."""
        found: psycopg.Connection[Row] | None = getattr(self._threads, "connection", None)
        if found is None or found.closed:
            found = psycopg.connect(
                self._url.set(drivername="postgresql").render_as_string(hide_password=False),
                autocommit=True,
                prepare_threshold=1,
                connect_timeout=CONNECT_SECONDS,
                options=_READS,
                **_ALIVE,
            )
            self._threads.connection = found
            self._opened = [each for each in self._opened if not each.closed] + [found]
        return found


@lru_cache(maxsize=64)
def _numbered(query: str) -> str:
    """The query with its values named as the driver wants them."""
    return _NAMED.sub(r"%(\1)s", query.replace("%", "%%"))
