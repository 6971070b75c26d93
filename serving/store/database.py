"""What the store needs of a database, and the two there are: SQLite for one machine, PostgreSQL for many workers."""

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from features.errors import BadInput, UserError

Row = tuple[Any, ...]  # Any: what a database column holds
EXAMPLES = "sqlite:///holdfast-data/store.db or postgresql://holdfast@db.example.com/holdfast"


class Database(Protocol):
    """Reading on the hot path, bulk writing, one writer at a time; the rest is SQLAlchemy's, through `engine`.

    Queries name their values `:so`. What they return is of one moment each; `at_one_moment` makes several so.
    """

    name: str  # for messages; never with a password
    near: bool  # answers within microseconds: may be asked on the event loop
    engine: Engine
    silent_until: float  # of a monotonic clock: it has just failed and is left alone until then; 0: it answers
    silence: str  # what was wrong then

    def prepare(self) -> None:
        """Make the place where the database will be, as far as that is ours to make."""

    def ask(self, query: str, **wanted: object) -> list[Row]:
        """The rows of a query, on this thread's own connection, which cannot write."""

    def at_one_moment(self) -> AbstractContextManager[None]:
        """What this thread asks inside is answered as of one moment."""

    def listed(self, texts: Sequence[str]) -> object:
        """The texts as one value that `each_of` unfolds."""

    def each_of(self, name: str) -> str:
        """A FROM item with the columns `place` (from 0) and `text`, from a value of `listed`."""

    def insert(
        self, connection: Connection, table: sa.Table, rows: Iterable[Row], *, columns: Sequence[str] = ()
    ) -> None:
        """Add rows of these columns, by default of all; raises `BadInput` for a key that is there already.

        Rows are taken as they are written, so that making them and writing them take turns.
        """

    def delete(self, condition: sa.ColumnElement[bool], *, table: sa.Table) -> None:
        """Remove rows, in pieces where one big removal would keep readers waiting."""

    def write_lock(self) -> AbstractContextManager[None]:
        """Held while a run is written; raises `Busy` at once when another process holds it."""

    def schema_lock(self, connection: Connection) -> None:
        """Let no other process change the schema until the transaction ends."""

    def schema_revision(self) -> str | None:
        """The schema's version, without a lock; None before there is one."""

    def trouble(self, complaint: str) -> UserError | None:
        """What the database complains of, as an error that says what to do; None for an unknown complaint."""

    def close(self) -> None:
        """Let go of all connections."""


def open_database(url: str) -> Database:
    """The database at a URL; nothing is made in it. Raises `BadInput` for any other URL."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise BadInput(f"{url!r} is not a database URL; expected for example {EXAMPLES}.") from None
    if parsed.get_backend_name() == "postgresql":
        return _postgres(parsed)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        raise BadInput(f"{parsed.render_as_string()!r} is no store; expected for example {EXAMPLES}.")
    from serving.store.sqlite import Sqlite  # noqa: PLC0415 (as above)

    return Sqlite(parsed)


def _postgres(url: sa.URL) -> Database:
    try:
        from serving.store.postgres import Postgres  # noqa: PLC0415 (its driver, only for who uses it)
    except ModuleNotFoundError as error:
        raise UserError(
            f"a store on PostgreSQL needs the extra `postgres` ({error.name} is missing): "
            "pip install 'holdfast[postgres]'."
        ) from None
    return Postgres(url)
