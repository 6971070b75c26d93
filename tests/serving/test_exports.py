"""A whole run as a file or a table: everything of everybody, safe to open, in little memory, whole or not at all."""

import csv
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from features.errors import BadInput
from features.spark_output import Target
from features.windows import utc
from serving import exports
from serving.store import Run, RunFacts, Score, ScoreStore
from tests.postgres import BOTH

NOW = utc("2026-06-02")


def run_of(store: ScoreStore, run_id: int | None = None) -> Run:
    found = store.current_run() if run_id is None else store.run(run_id)
    assert found is not None
    return found


@pytest.fixture
def told(store: ScoreStore, facts: RunFacts, make_score: Callable[..., Score]) -> ScoreStore:
    """A second run: Ada with everything, a user whose id is a formula, and one of whom little is known."""
    ada = make_score("ada", 0.8, "high", 90.0)
    known = {"value_at_risk": 41.5, "lifecycle_stage": "cooling", "segment": "must_keep", "contactable": True}
    store.write_run(facts, [replace(ada, **known), make_score("=1+1", 0.5), make_score("艾达", 0.2, "low")], now=NOW)
    return store


@BOTH
def test_a_csv_file_holds_everybody_in_order_and_nothing_that_runs(told: ScoreStore, tmp_path: Path) -> None:
    file = tmp_path / "scores.csv"
    assert exports.write_csv(told.database, run_of(told), language=None, to=file) == 3
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == exports.SCHEMA.names
    assert [row["user_id"] for row in rows] == ["'=1+1", "ada", "艾达"]
    ada = rows[1]
    assert (ada["churn_probability"], ada["previous_churn_probability"]) == ("0.8", "0.9")
    assert ada["reasons"] == "last seen 24 days ago; spent 3 € in the last 28 days"
    assert (ada["value_at_risk"], ada["lifecycle_stage"], ada["segment"]) == ("41.5", "cooling", "must_keep")
    assert (ada["contactable"], rows[2]["contactable"], rows[2]["value_at_risk"]) == ("true", "", "")
    assert (ada["valid_until"], ada["run_id"], ada["model_version"]) == ("2026-06-08T00:00:00Z", "2", "3")


@BOTH
def test_a_parquet_file_holds_the_reasons_as_they_are_in_the_language_that_is_asked_for(
    told: ScoreStore, tmp_path: Path
) -> None:
    file = tmp_path / "scores.parquet"
    assert exports.write_parquet(told.database, run_of(told), language="zh", to=file) == 3
    table = pq.read_table(file)
    assert table.schema.equals(exports.SCHEMA)
    ada = table.to_pylist()[1]
    assert ada["reasons"][0] == {
        "code": "recency.days_since_last_event",
        "sentence": "24 天前最后一次活动",
        "contribution": 0.81,
    }
    assert (ada["changes"], ada["contactable"], ada["cutoff"]) == ([], True, utc("2026-06-01"))


def test_an_earlier_run_is_written_as_it_was(told: ScoreStore, tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    assert exports.write_parquet(told.database, run_of(told, 1), language=None, to=file) == 4
    rows = pq.read_table(file).to_pylist()
    assert [(row["user_id"], row["previous_churn_probability"]) for row in rows] == [
        (user, None) for user in ("ada", "bert", "chen", "dalia")
    ]


def test_a_delta_table_is_replaced_in_one_commit_and_only_if_it_is_ours(told: ScoreStore, tmp_path: Path) -> None:
    folder = tmp_path / "scores"
    assert exports.write_delta(told.database, run_of(told, 1), language=None, target=Target(folder, "delta")) == 4
    with pytest.raises(BadInput, match="exists already"):
        exports.write_delta(told.database, run_of(told), language=None, target=Target(folder, "delta"))
    exports.write_delta(told.database, run_of(told), language=None, target=Target(folder, "delta", overwrite=True))
    rows = pa.table(DeltaTable(folder).to_pyarrow_table()).to_pylist()
    assert sorted(row["user_id"] for row in rows) == ["=1+1", "ada", "艾达"]
    before = pa.table(DeltaTable(folder, version=1).to_pyarrow_table())
    assert before.num_rows == 4
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    with pytest.raises(BadInput, match="left alone"):
        exports.write_delta(told.database, run_of(told), language=None, target=Target(theirs, "delta", overwrite=True))


def test_four_times_the_users_take_no_more_memory(
    empty_store: ScoreStore,
    facts: RunFacts,
    make_score: Callable[..., Score],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exports, "ROWS_AT_ONCE", 500)

    def peak(users: int, write: Callable[..., Any], name: str) -> int:
        empty_store.write_run(facts, [make_score(f"user-{number}") for number in range(users)], now=NOW)
        tracemalloc.start()
        assert write(empty_store.database, run_of(empty_store), language=None, to=tmp_path / name) == users
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    for write, name in ((exports.write_csv, "scores.csv"), (exports.write_parquet, "scores.parquet")):
        peak(1_000, write, name)  # what is loaded once
        assert peak(8_000, write, name) < 1.5 * peak(2_000, write, name)
