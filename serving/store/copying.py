"""A store copied whole to another database: all of it or nothing, and counted."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.errors import BadInput, Damaged, NotReady
from serving.store import schema
from serving.store.database import Database, open_database
from serving.store.tables import metadata
from serving.store.trouble import told_apart

_CHUNK_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a database holds."""

    name: str  # where it is; never with a password
    revision: str | None  # of its schema; None before there is one
    rows: Mapping[str, int]  # by table; of the tables that are there
    size_bytes: int


def copy_store(source_url: str, target_url: str) -> Inventory:
    """What the target holds after everything was copied; an interruption leaves it empty, to be copied again.

    Nobody can write scores to either meanwhile; what else is written to the source after the beginning is not copied.
    Raises `NotReady` where the source has another schema than this version of Holdfast, `BadInput` for a target that
    holds anything, and `Damaged` where the counts differ in the end.
    """
    source, target = open_database(source_url), open_database(target_url)
    try:
        with told_apart(source):
            _check_source(source, target)
        with told_apart(target):
            target.prepare()
            schema.bring_up_to_date(target)
            _check_empty(target)
        with told_apart(source), source.write_lock(), told_apart(target), target.write_lock():
            _copy(source, target)
        return inventory(target)
    finally:
        source.close()
        target.close()


def inventory(database: Database) -> Inventory:
    """The schema, the rows and the size of a database; nothing in it is changed."""
    revision = database.schema_revision()
    if revision is None:
        return Inventory(database.name, None, {}, 0)
    with database.engine.connect() as connection:
        there = set(sa.inspect(connection).get_table_names())
        rows = {table.name: _count(connection, table) for table in metadata.sorted_tables if table.name in there}
        return Inventory(database.name, revision, rows, _size(connection))


def _check_source(source: Database, target: Database) -> None:
    if source.name == target.name:
        raise BadInput(f"{source.name} is named twice; expected where from and where to.")
    found = source.schema_revision()
    if found is None:
        raise NotReady(f"{source.name} holds no store; expected the address of one, see `holdfast store info`.")
    if found != schema.HEAD:
        raise NotReady(
            f"{source.name} has schema {found}, this version of Holdfast works with {schema.HEAD}: "
            "run `holdfast store migrate` on it first."
        )


def _check_empty(target: Database) -> None:
    with target.engine.connect() as connection:
        full = [table.name for table in metadata.sorted_tables if _count(connection, table)]
    if full:
        raise BadInput(f"{target.name} is not empty ({', '.join(full)}); expected an empty database to copy into.")


def _copy(source: Database, target: Database) -> None:
    with (
        source.engine.connect() as reading,
        target.engine.connect().execution_options(writes=True) as writing,
        writing.begin(),
    ):
        if reading.dialect.name == "postgresql":
            reading = reading.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901 (the same connection)
        for table in metadata.sorted_tables:
            _copy_table(table, reading, writing, target=target)
            expected, found = _count(reading, table), _count(writing, table)
            if expected != found:
                raise Damaged(f"{table.name}: {expected:,} rows in {source.name}, {found:,} in {target.name}.")


def _copy_table(table: sa.Table, reading: Connection, writing: Connection, *, target: Database) -> None:
    rows = reading.execution_options(stream_results=True, yield_per=_CHUNK_ROWS).execute(sa.select(table))
    for chunk in rows.partitions(_CHUNK_ROWS):
        target.insert(writing, table, [tuple(row) for row in chunk])
    numbered = table.autoincrement_column
    if numbered is not None:
        last = _last_number(reading, table, numbered)
        if last:
            _go_on_from(writing, table, numbered, last=last)


def _count(connection: Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _last_number(connection: Connection, table: sa.Table, column: sa.Column[int]) -> int:
    """The highest number that was ever given, also to a row that is gone: it must not be given again."""
    highest = connection.execute(sa.select(sa.func.coalesce(sa.func.max(column), 0))).scalar_one()
    if connection.dialect.name == "postgresql":
        name = _sequence(connection, table, column)
        given = connection.exec_driver_sql(f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {name}")  # noqa: S608
    elif table.dialect_options["sqlite"]["autoincrement"]:
        given = connection.execute(sa.text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": table.name})
    else:
        return int(highest)
    return max(int(highest), int(given.scalar() or 0))


def _go_on_from(connection: Connection, table: sa.Table, column: sa.Column[int], *, last: int) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.setval(_sequence(connection, table, column), last)))
    elif table.dialect_options["sqlite"]["autoincrement"]:
        name = {"name": table.name, "last": last}
        connection.execute(sa.text("DELETE FROM sqlite_sequence WHERE name = :name"), name)
        connection.execute(sa.text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), name)


def _sequence(connection: Connection, table: sa.Table, column: sa.Column[int]) -> str:
    return str(connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))).scalar_one())


def _size(connection: Connection) -> int:
    if connection.dialect.name == "postgresql":
        return int(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
    pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    return int(pages) * int(connection.exec_driver_sql("PRAGMA page_size").scalar_one())
