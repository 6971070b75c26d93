"""A store moves to another database with all it holds, or not at all."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from features.errors import BadInput, NotReady
from features.windows import utc
from serving.store import RunFacts, Score, ScoreStore, StoredScore, copying, schema
from serving.store.copying import copy_store, inventory
from serving.store.database import open_database
from serving.store.tables import metadata, outside, runs, scores
from tests.postgres import PostgresServer
from tests.said import here

NOW = utc("2026-06-02")
DIRECTIONS = pytest.mark.parametrize("direction", ["sqlite to postgresql", "postgresql to sqlite", "sqlite to sqlite"])
EVERYTHING = [table.name for table in metadata.sorted_tables]


@pytest.fixture
def addresses(direction: str, tmp_path: Path, postgres_server: PostgresServer) -> tuple[str, str]:
    """Where from and where to."""

    def address(kind: str, name: str) -> str:
        return f"sqlite:///{tmp_path / name}" if kind == "sqlite" else postgres_server.new_database()

    source, _, target = direction.split()
    return address(source, "source.db"), address(target, "target.db")


@pytest.fixture
def full(addresses: tuple[str, str], facts: RunFacts, cast: list[Score]) -> Iterator[ScoreStore]:
    """A store with something in every table, those included that were added later."""
    with closing(ScoreStore.open(addresses[0])) as store:
        store.write_run(facts, cast, outside=["emil"], now=NOW)
        store.of("brand").write_run(facts, [*cast, Score("a/b\n😀", 0.5, 50.0, "low", ())], now=NOW)
        store.create_key("crm", ["scores:read"], now=NOW)
        fill_empty_tables(store)
        yield store


@DIRECTIONS
def test_everything_arrives_and_goes_on_as_before(
    full: ScoreStore, addresses: tuple[str, str], facts: RunFacts, cast: list[Score]
) -> None:
    copied = copy_store(*addresses)
    with closing(ScoreStore.open(addresses[1])) as arrived:
        assert sorted(copied.rows) == sorted(EVERYTHING)
        assert min(copied.rows.values()) > 0
        for table in metadata.sorted_tables:
            assert rows_of(arrived, table) == rows_of(full, table), table.name
        found = arrived.of("brand").score("a/b\n😀")
        assert isinstance(found, StoredScore)
        assert found.churn_probability == 0.5
        assert [run.run_id for run in arrived.runs()] == [1]
        assert arrived.write_run(facts, cast, now=NOW) == 3, "a number that was given is not given again"


@DIRECTIONS
def test_a_number_whose_run_is_gone_is_not_given_again(
    addresses: tuple[str, str], facts: RunFacts, cast: list[Score]
) -> None:
    def fails() -> None:
        raise BadInput("no")

    with closing(ScoreStore.open(addresses[0])) as store:
        store.write_run(facts, cast, now=NOW)
        with pytest.raises(BadInput):
            store.write_run(facts, cast, now=NOW, confirm=fails)
        with store.database.engine.execution_options(writes=True).begin() as connection:
            for table in (scores, outside, runs):
                connection.execute(sa.delete(table).where(table.c.run_id == 2))
    copy_store(*addresses)
    with closing(ScoreStore.open(addresses[1])) as arrived:
        assert arrived.write_run(facts, cast, now=NOW) == 3


@DIRECTIONS
def test_a_target_that_holds_anything_is_left_as_it_is(full: ScoreStore, addresses: tuple[str, str]) -> None:
    assert full.current_run() is not None
    with closing(ScoreStore.open(addresses[1])) as target:
        target.create_key("theirs", ["admin"], now=NOW)
        with pytest.raises(BadInput, match=r"is not empty \(keys\)"):
            copy_store(*addresses)
        assert [key.name for key in target.list_keys()] == ["theirs"]


@DIRECTIONS
def test_an_interrupted_copy_leaves_nothing_and_can_be_repeated(
    full: ScoreStore, addresses: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert full.current_run() is not None
    with monkeypatch.context() as broken:
        broken.setattr(copying, "_count", interrupted_at_the_end(copying._count))
        with pytest.raises(KeyboardInterrupt):
            copy_store(*addresses)
    with closing(open_database(addresses[1])) as target:
        assert set(inventory(target).rows.values()) == {0}
    assert copy_store(*addresses).rows["scores"] == 9


@pytest.mark.parametrize("direction", ["postgresql to sqlite"])
def test_a_source_of_another_schema_is_refused(full: ScoreStore, addresses: tuple[str, str]) -> None:
    schema.migrate(full.database, to="0005")
    with pytest.raises(NotReady, match=r"schema 0005.*holdfast store migrate"):
        copy_store(*addresses)


@DIRECTIONS
def test_the_commands_copy_migrate_and_tell(full: ScoreStore, addresses: tuple[str, str], tmp_path: Path) -> None:
    assert full.current_run() is not None
    copied = here("store", "copy", *addresses, "--json", folder=tmp_path)
    assert (copied.code, copied.document["rows"]["scores"]) == (0, 9), copied.err
    at = ("--store-url", addresses[1])
    told = here("store", "info", *at, "--json", folder=tmp_path).document
    assert (told["revision"], told["rows"]) == (schema.HEAD, copied.document["rows"])
    assert told["size_bytes"] > 10_000
    back = here("store", "migrate", "--to", "0005", *at, "--json", folder=tmp_path)
    assert (back.code, back.document["revision"]) == (0, "0005")
    assert f"this version needs {schema.HEAD}" in here("store", "info", *at, folder=tmp_path).out
    assert here("store", "migrate", *at, folder=tmp_path).code == 0
    forward = here("store", "info", *at, "--json", folder=tmp_path).document
    assert (forward["revision"], forward["rows"]["scores"]) == (schema.HEAD, 9)


def test_what_cannot_be_copied_or_migrated_is_told(tmp_path: Path) -> None:
    nothing = here("store", "copy", "sqlite:///a.db", "sqlite:///b.db", folder=tmp_path)
    assert nothing.code == 4
    assert "holds no store" in nothing.err
    assert here("store", "copy", "sqlite:///a.db", "sqlite:///a.db", folder=tmp_path).code == 3
    unknown = here("store", "migrate", "--to", "9999", folder=tmp_path)
    assert unknown.code == 3
    assert "base, 0001" in unknown.err
    assert "there is no store yet" in here("store", "info", folder=tmp_path).out
    assert list(tmp_path.iterdir()) == []


def rows_of(store: ScoreStore, table: sa.Table) -> list[tuple[Any, ...]]:
    with store.database.engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(table))]
    return sorted(rows, key=repr)


def fill_empty_tables(store: ScoreStore) -> None:
    """Two rows for each table that has none, made of its columns' types."""
    with store.database.engine.execution_options(writes=True).begin() as connection:
        for table in metadata.sorted_tables:
            if connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0:
                for number in (1, 2):
                    values = {column.name: value_for(column, number, connection) for column in table.columns}
                    connection.execute(sa.insert(table).values(values))


def value_for(column: "sa.Column[Any]", number: int, connection: sa.Connection) -> object:
    for key in column.foreign_keys:
        return connection.execute(sa.select(key.column).limit(1)).scalar_one()
    if isinstance(column.type, sa.LargeBinary):
        return bytes([0, 92, 255, number])
    if isinstance(column.type, sa.Integer):
        return number
    if isinstance(column.type, sa.Float):
        return number / 3
    return None if column.nullable and number == 2 else f"text\t\\N {number}"[: getattr(column.type, "length", 0) or 20]


def interrupted_at_the_end(count: Callable[..., int]) -> Callable[..., int]:
    def counted(connection: sa.Connection, table: sa.Table) -> int:
        found = count(connection, table)
        if table is metadata.sorted_tables[-1] and found:
            raise KeyboardInterrupt
        return found

    return counted
