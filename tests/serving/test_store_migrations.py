"""The schema: forward and back with data in it, and never past what the code knows, on both databases."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from features.errors import Damaged, UserError
from features.sentences import Phrase, Wording
from features.windows import utc
from models.reasons import Change
from serving.store import RunFacts, Score, ScoreStore, StoredScore, schema
from serving.store.database import open_database
from serving.store.tables import metadata
from tests.postgres import BOTH

MIGRATIONS = Path(schema.__file__).parent / "migrations"
NOW = utc("2026-06-02")


def test_the_newest_migration_is_the_one_that_the_code_knows() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == schema.HEAD


@BOTH
def test_the_migrations_lead_to_the_tables_that_the_code_uses(store: ScoreStore) -> None:
    with store.database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


@BOTH
def test_scores_survive_every_step_back_and_forward_again(store: ScoreStore, url: str) -> None:
    steps = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
    for revision in steps[1:]:
        schema.migrate(store.database, to=revision)
        with store.database.engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM scores").scalar_one() == 4
    schema.migrate(store.database)
    again = ScoreStore.open(url)
    found = again.score("ada")
    assert isinstance(found, StoredScore)
    assert (found.churn_probability, found.previous_churn_probability) == (0.9, None)
    said = [told["sentence"] for told in orjson.loads(found.reasons_in())]
    assert said == ["last seen 24 days ago", "spent 3 € in the last 28 days"]
    again.close()


@BOTH
def test_what_was_told_in_sentences_becomes_phrases_and_is_told_as_before(
    store: ScoreStore, facts: RunFacts, cast: list[Score], url: str
) -> None:
    seen = Phrase("last seen ", " days ago", "", " 天前最后一次活动")
    change = Change("recency.days_since_last_event", Wording(seen, "24", "24"), Wording(seen, "17", "17"), 0.31)
    store.write_run(facts, [replace(cast[0], changes=(change,)), *cast[1:]], now=NOW)
    expected = _told(store)
    schema.migrate(store.database, to="0008")
    with store.database.engine.connect() as connection:
        columns = "reasons_zh, changes, changes_zh"
        row = connection.exec_driver_sql(f"SELECT {columns} FROM scores WHERE user_id = 'ada' AND run_id = 2").one()  # noqa: S608
    assert [orjson.loads(text)[0]["sentence"] for text in row] == [
        "24 天前最后一次活动",
        "last seen 24 days ago",
        "24 天前最后一次活动",
    ]
    schema.migrate(store.database)
    again = ScoreStore.open(url)
    assert _told(again) == expected
    again.close()


@BOTH
def test_a_step_back_takes_the_runs_and_keys_of_named_tenants_with_it(
    store: ScoreStore, facts: RunFacts, cast: list[Score]
) -> None:
    brand = store.of("brand")
    brand.write_run(facts, cast, now=NOW)
    brand.create_key("theirs", ["scores:read"], now=NOW)
    store.create_key("ours", ["scores:read"], now=NOW)
    schema.migrate(store.database, to="0003")
    schema.migrate(store.database)
    assert [key.name for key in store.list_keys()] == ["ours"]
    assert brand.current_run() is None
    assert store.current_run() is not None


@BOTH
def test_going_all_the_way_back_leaves_no_table(store: ScoreStore) -> None:
    schema.migrate(store.database, to="base")
    assert sa.inspect(store.database.engine).get_table_names() == ["alembic_version"]
    schema.migrate(store.database)
    assert "scores" in sa.inspect(store.database.engine).get_table_names()


@BOTH
def test_a_store_of_a_newer_version_is_refused_with_advice(store: ScoreStore, url: str) -> None:
    with store.database.engine.connect().execution_options(writes=True) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UserError, match="newer version"):
        ScoreStore.open(url)


def test_a_file_that_is_no_database_is_called_damaged(url: str, tmp_path: Path) -> None:
    (tmp_path / "store.db").write_bytes(b"this is not a database, it is a letter to a friend" * 100)
    with pytest.raises(Damaged, match="not a readable SQLite database"):
        ScoreStore.open(url)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(UserError, match=r"127\.0\.0\.1.*does not answer") as told:
        ScoreStore.open("postgresql://holdfast:secret@127.0.0.1:9/holdfast")
    assert "secret" not in str(told.value)


def test_the_schema_revision_of_nothing_is_none(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path / 'none' / 'store.db'}")
    assert database.schema_revision() is None
    assert not (tmp_path / "none").exists()


def _told(store: ScoreStore) -> list[object]:
    found = store.score("ada")
    assert isinstance(found, StoredScore)
    texts = [tell(language) for tell in (found.reasons_in, found.changes_in) for language in ("en", "zh")]
    return [*map(orjson.loads, texts), found.previous_churn_probability, found.run.before]
