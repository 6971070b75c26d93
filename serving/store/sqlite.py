"""The store in one SQLite file: written through, read without waiting for the writer."""

import fcntl
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path

import orjson
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.errors import BadInput, Busy, Damaged, UserError
from serving.store.database import Row

BUSY_TIMEOUT_MS = 10_000  # of a writer
READER_TIMEOUT_SECONDS = 1.0  # in WAL readers wait for nobody; whoever locks the whole file holds up all requests
LOOK_SECONDS = 1.0  # between two looks whether the file is still the one that was opened
ROWS_ADDED_AT_ONCE = 100  # by one statement
ROWS_REMOVED_AT_ONCE = 20_000
PAGE_BYTES = 8_192  # some fifty scores; of more a lookup reads much that nobody has asked for
WRITERS_CACHE_KIB = 32_768  # the list by risk is written at random places: they should not be read anew each time


class Sqlite:
    """A file; WAL and `synchronous=FULL`, because NORMAL was seen to lose acknowledged rows at power loss."""

    near = True

    def __init__(self, url: sa.URL) -> None:
        self.path = Path(str(url.database))
        self.name = str(self.path)
        self.silent_until, self.silence = 0.0, ""
        self._looked_at = 0.0
        self._file: tuple[int, int] | None = None  # device and inode
        self._threads = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self.engine = sa.create_engine(sa.URL.create("sqlite", database=self.name))
        sa.event.listen(self.engine, "connect", _settings)
        sa.event.listen(self.engine, "begin", _begin)

    def prepare(self) -> None:
        """Make the folder of the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def ask(self, query: str, **wanted: object) -> list[Row]:
        """The rows of a query, on this thread's own connection, which cannot write."""
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._look()
        return self._connection.execute(query, wanted).fetchall()

    @contextmanager
    def at_one_moment(self) -> Iterator[None]:
        """What this thread asks inside is answered as of one moment."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            yield
        finally:
            connection.execute("COMMIT")

    def listed(self, texts: Sequence[str]) -> object:
        """The texts as one value that `each_of` unfolds."""
        return orjson.dumps(texts).decode()

    def each_of(self, name: str) -> str:
        """A FROM item with the columns `place` (from 0) and `text`, from a value of `listed`."""
        return f"(SELECT key AS place, value AS text FROM json_each(:{name}))"  # noqa: S608 - the name is one of ours

    def insert(
        self, connection: Connection, table: sa.Table, rows: Iterable[Row], *, columns: Sequence[str] = ()
    ) -> None:
        """Add rows of these columns, by default of all; raises `BadInput` for a key that is there already.

        Many rows a statement: between two statements the thread may have to wait for its turn.
        """
        names = columns or table.columns.keys()
        row, left = f"({', '.join('?' * len(names))})", iter(rows)
        try:
            while some := list(islice(left, ROWS_ADDED_AT_ONCE)):
                statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES {', '.join([row] * len(some))}"  # noqa: S608 - names are ours
                connection.exec_driver_sql(statement, tuple(chain.from_iterable(some)))
        except sa.exc.IntegrityError as error:
            raise BadInput(f"{table.name} would hold a key twice ({error.orig}).") from error

    def delete(self, condition: sa.ColumnElement[bool], *, table: sa.Table) -> None:
        """Remove rows in pieces, so that the log of writes stays small and others get a turn."""
        keys = table.primary_key.columns
        some = sa.select(*keys).where(condition).limit(ROWS_REMOVED_AT_ONCE)
        statement = sa.delete(table).where(sa.tuple_(*keys).in_(some))
        removed = ROWS_REMOVED_AT_ONCE
        while removed == ROWS_REMOVED_AT_ONCE:
            with self.engine.execution_options(writes=True).begin() as connection:
                removed = connection.execute(statement).rowcount

    @contextmanager
    def write_lock(self) -> Iterator[None]:
        """A lock on a file beside the database, which the system frees when its holder dies."""
        with self.path.with_name(self.path.name + ".writing").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(
                    f"another process is writing scores to {self.name}; wait until it has finished, then try again."
                ) from None
            yield

    def schema_lock(self, connection: Connection) -> None:
        """Nothing to do: a writing transaction is alone from its beginning."""

    def schema_revision(self) -> str | None:
        """The schema's version, without a lock; None before there is one."""
        if not self.path.exists():
            return None
        try:
            row = self._connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
        return None if row is None else str(row[0])

    def trouble(self, complaint: str) -> UserError | None:
        """What the database complains of, as an error that says what to do; None for an unknown complaint."""
        meanings = {
            ("full", "disk i/o", "no space left"): UserError(
                f"there is no room on the disk of {self.name} (or it fails); what was stored before is as it was. Free "
                "some space, then run it again: a million scores take up to half a gigabyte, twice that while written."
            ),
            ("locked", "busy"): Busy(f"another process has been writing to {self.name} for ten seconds; try again."),
            (
                "readonly",
                "unable to open",
                "permission denied",
                "not a directory",
                "is a directory",
                "file exists",
            ): UserError(
                f"{self.name} cannot be opened for writing ({complaint}); check the path and its rights, "
                "or [store] url."
            ),
            ("malformed", "not a database"): Damaged(
                f"{self.name} is not a readable SQLite database ({complaint}); restore it, "
                "or point [store] url elsewhere."
            ),
        }
        found = (error for signs, error in meanings.items() if any(sign in complaint.lower() for sign in signs))
        return next(found, None)

    def close(self) -> None:
        """Let go of the file."""
        while self._opened:
            self._opened.pop().close()
        self._threads = threading.local()
        self.engine.dispose()

    def _look(self) -> None:
        """Leave a file that was removed or replaced; SQLite itself would answer from it for ever."""
        try:
            state = self.path.stat()
        except FileNotFoundError:
            raise sqlite3.OperationalError(f"the file {self.name} was removed") from None
        file = (state.st_dev, state.st_ino)
        if self._file not in (None, file):
            self._opened, self._threads = [], threading.local()  # closed when the last thread lets go of each
            self.engine.dispose()
        self._file, self._looked_at = file, time.monotonic()

    @property
    def _connection(self) -> sqlite3.Connection:
        """This thread's own connection; plain, because SQLAlchemy costs more than the lookup."""
        found: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if found is None:
            address = f"{self.path.absolute().as_uri()}?mode=rw"  # rw: a store that was removed is not made anew
            found = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False, timeout=READER_TIMEOUT_SECONDS
            )
            found.execute("PRAGMA query_only = ON")
            self._threads.connection = found
            self._opened.append(found)
        return found


def _settings(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, so that DDL is transactional too
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file; an old one keeps its own
    connection.execute(f"PRAGMA cache_size = -{WRITERS_CACHE_KIB}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
