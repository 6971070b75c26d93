"""The store in an SQLite file: what only a file can do and suffer."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from features.errors import BadInput, UserError
from features.sentences import Phrase, Wording
from features.windows import utc
from models.reasons import Change, Reason
from serving.store import RunFacts, Score, ScoreStore, StoredScore, writer

NOW = utc("2026-06-02")
MakeScore = Callable[..., Score]


def test_a_full_disk_says_what_to_do_and_leaves_the_old_run(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHUNK_ROWS", 100)
    with store.database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 30}")
    with pytest.raises(UserError, match="no room on the disk"):
        store.write_run(facts, (make_score(f"user-{i}") for i in range(5_000)), now=NOW)
    assert _probability(store) == 0.9
    with store.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    store.write_run(facts, [make_score("ada", 0.2)], now=NOW)
    assert (_probability(store), _rows(store)) == (0.2, 5)


def test_a_store_that_cannot_be_opened_says_which_and_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"cannot be opened for writing.*check the path"):
        ScoreStore.open(f"sqlite:///{tmp_path / 'file' / 'store.db'}")
    with pytest.raises(UserError, match="cannot be opened for writing"):
        ScoreStore.open(f"sqlite:///{tmp_path}")


def test_the_database_writes_through_and_checks_references(store: ScoreStore) -> None:
    engine = store.database.engine
    with engine.connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


def test_a_score_with_reasons_and_changes_in_two_languages_takes_no_page_of_its_own(
    store: ScoreStore, facts: RunFacts, make_score: MakeScore, tmp_path: Path
) -> None:
    seen, spent = Phrase("last seen ", " days ago" * 6, "", " 天前来过" * 6), Phrase("spent " * 9, "", "消费 " * 9, "")
    reasons = [Reason("recency.days_since_last_event", Wording(seen, "24", "24"), 0.812345)] * 3
    changes = [Change("money.spend_28d", Wording(spent, "12.00", "12.00"), Wording(spent, "9", "9"), 0.412345)] * 3
    told = {"reasons": reasons, "changes": changes}
    store.write_run(facts, (replace(make_score(f"user-{i:05d}", 0.5), **told) for i in range(1000)), now=NOW)
    assert (tmp_path / "store.db").stat().st_size / 1000 < 600


def test_a_reading_connection_cannot_write(store: ScoreStore) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.database.ask("DELETE FROM scores")


@pytest.mark.parametrize("wrong", ["mysql://localhost/x", "sqlite://", "store.db", ""])
def test_a_url_that_is_no_store_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(BadInput, match="sqlite:///"):
        ScoreStore.open(wrong)


def _probability(store: ScoreStore) -> float:
    found = store.score("ada")
    assert isinstance(found, StoredScore)
    return found.churn_probability


def _rows(store: ScoreStore) -> int:
    return int(store.database.ask("SELECT count(*) FROM scores")[0][0])
