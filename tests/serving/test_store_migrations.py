"""The schema: forward and back with data in it, and never past what the code knows."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql

from features.errors import Damaged, UserError
from features.windows import utc
from serving.store import ScoreStore, StoredScore, schema
from serving.store.tables import metadata

MIGRATIONS = Path(schema.__file__).parent / "migrations"


@pytest.mark.usefixtures("store")
def test_the_migrations_lead_to_the_tables_that_the_code_uses(tmp_path: Path) -> None:
    engine = schema.open_engine(tmp_path / "store.db")
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []


def test_the_newest_migration_is_the_one_that_the_code_knows() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == schema.HEAD


def test_scores_survive_a_step_back_and_forward_again(store: ScoreStore, url: str, tmp_path: Path) -> None:
    store.create_key("crm", ["scores:read"], now=utc("2026-06-01"))
    store.close()
    engine = schema.open_engine(tmp_path / "store.db")
    schema.migrate(engine, to="0001")
    assert set(sa.inspect(engine).get_table_names()) == {"alembic_version", "current_run", "outside", "runs", "scores"}
    engine.dispose()
    again = ScoreStore.open(url)
    assert isinstance(again.score("ada"), StoredScore)
    assert again.list_keys() == []
    again.close()


def test_going_all_the_way_back_leaves_no_table(store: ScoreStore, tmp_path: Path) -> None:
    store.close()
    engine = schema.open_engine(tmp_path / "store.db")
    schema.migrate(engine, to="base")
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    schema.migrate(engine)
    assert "scores" in sa.inspect(engine).get_table_names()
    engine.dispose()


def test_a_store_of_a_newer_version_is_refused_with_advice(store: ScoreStore, url: str, tmp_path: Path) -> None:
    store.close()
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(UserError, match="newer version"):
        ScoreStore.open(url)


def test_a_file_that_is_no_database_is_called_damaged(url: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database, it is a letter to a friend" * 100)
    with pytest.raises(Damaged, match="not a readable SQLite database"):
        ScoreStore.open(url)


def test_the_schema_can_be_written_for_postgresql() -> None:
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    texts = [str(sa.schema.CreateTable(table).compile(dialect=dialect)) for table in metadata.sorted_tables]
    assert any("run_id SERIAL" in text for text in texts)
    assert any("BIGINT" in text for text in texts)
