"""Opens the database with safe settings and brings its schema to the version that this code knows."""

import sqlite3
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from features.errors import BadInput, UserError

HEAD = "0003"  # the newest file in migrations/versions; a test compares
_MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS = 10_000


def sqlite_path(url: str) -> Path:
    """The file that a `sqlite:///` URL names.

    >>> sqlite_path("sqlite:///holdfast-data/store.db").name
    'store.db'
    """
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise BadInput(
            f"{url!r} is not a database URL; expected for example sqlite:///holdfast-data/store.db."
        ) from None
    if parsed.get_backend_name() != "sqlite":
        raise BadInput(
            f"a store on {parsed.get_backend_name()}: this version keeps scores in SQLite only (sqlite:///…)."
        )
    if parsed.database in (None, "", ":memory:"):
        raise BadInput(f"{url!r} names no file; expected for example sqlite:///holdfast-data/store.db.")
    return Path(str(parsed.database))


def open_engine(path: Path) -> Engine:
    """A pool of connections that write through (WAL, synchronous FULL), wait for locks, and check foreign keys."""
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)))

    @sa.event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, so that DDL is transactional too
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # NORMAL was seen to lose acknowledged rows at power loss
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def read_connection(path: Path) -> sqlite3.Connection:
    """A plain connection that cannot write, for the hot path."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA mmap_size = 1073741824")  # page reads without a copy; only address space is taken
    return connection


def migrate(engine: Engine, *, to: str = HEAD) -> None:
    """Bring the schema forward (or back) to a revision; all steps in one transaction.

    Raises `UserError` when a newer version of Holdfast wrote the store.
    """
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        found = _revision(connection)
        if found == to:
            return
        if found is not None and found > HEAD:
            raise UserError(
                f"the store has schema {found}, this version of Holdfast knows up to {HEAD}: "
                "a newer version has opened it. Update Holdfast, or point [store] url at another file."
            )
        _run_alembic(connection, found=found, to=to)


def is_current(path: Path) -> bool:
    """Whether the file has the newest schema, told without a lock and without Alembic (which takes time to import)."""
    if not path.exists():
        return False
    connection = read_connection(path)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return row is not None and row[0] == HEAD


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _run_alembic(connection: Connection, *, found: str | None, to: str) -> None:
    from alembic import command  # noqa: PLC0415 (costs a noticeable part of a second; only where a store is new)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    forward = found is None or (to != "base" and found < to)
    (command.upgrade if forward else command.downgrade)(config, to)
