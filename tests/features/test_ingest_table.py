"""A table in memory enters the log as a file would: same checks, same quarantine, same de-duplication."""

from pathlib import Path

import orjson
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from features.errors import BadInput
from features.ingest import Ingested, ingest, ingest_table
from features.log import EventLog
from features.sources.frames import SourceTable
from features.sources.mapping import Mapping
from features.windows import utc

NOW = utc("2026-06-01")
VISITS = pd.DataFrame(
    {
        "user_id": ["ada", "bert", "ada"],
        "time": pd.to_datetime(["2026-01-01T09:00", "2026-01-02T10:00", "2026-01-03T11:00"], utc=True),
        "event": ["visit", "visit", "purchase"],
        "value": [None, None, 12.5],
        "shop": pd.Categorical(["north", "south", "north"]),
    }
)


def _added(folder: Path, frame: object, mapping: Mapping | None = None) -> Ingested:
    log = EventLog.create(folder / "events", buckets=2)
    return ingest_table(log, frame, mapping=mapping or Mapping(), quarantine=folder / "quarantine", now=NOW)


def _rows(folder: Path) -> list[tuple[str, str, int]]:
    summary = EventLog.open(folder / "events").summary()
    return [(kind.name, "events", kind.events) for kind in summary.kinds]


def test_a_pandas_a_polars_and_an_arrow_table_are_read_alike(tmp_path: Path) -> None:
    arrow = SourceTable.of(VISITS).rows
    tables = {"pandas": VISITS, "polars": pl.DataFrame(pl.from_arrow(arrow)), "arrow": arrow}
    found = {name: _added(tmp_path / name, table) for name, table in tables.items()}
    assert len(set(map(repr, found.values()))) == 1
    assert found["pandas"].accepted == 3
    assert _rows(tmp_path / "polars") == _rows(tmp_path / "pandas")
    kept = EventLog.open(tmp_path / "pandas" / "events").summary().properties
    assert [(each.name, each.texts) for each in kept] == [("shop", (("north", 2), ("south", 1)))]


def test_a_table_added_twice_counts_once_and_so_does_the_file_of_it(tmp_path: Path) -> None:
    _added(tmp_path, VISITS)
    assert _added(tmp_path, VISITS).duplicates == 3
    pq.write_table(SourceTable.of(VISITS).rows, tmp_path / "visits.parquet")
    log = EventLog.open(tmp_path / "events")
    again = ingest(log, [str(tmp_path / "visits.parquet")], mapping=Mapping(), quarantine=tmp_path / "q", now=NOW)
    assert (again.accepted, again.duplicates) == (0, 3)


def test_a_broken_row_goes_to_quarantine_with_its_number(tmp_path: Path) -> None:
    frame = VISITS.assign(user_id=["ada", None, "ada"])
    done = _added(tmp_path, frame)
    assert (done.read, done.accepted, done.quarantined) == (3, 2, 1)
    assert done.quarantine_file is not None
    refused = orjson.loads(done.quarantine_file.read_bytes())
    assert (refused["place"], refused["code"]) == ("the table row 2", "missing_user_id")


def test_a_named_index_is_a_column_and_row_numbers_are_not(tmp_path: Path) -> None:
    named = VISITS.set_index("user_id")
    later = VISITS[VISITS["event"] == "visit"].iloc[::-1]  # its index says 1, 0
    assert _added(tmp_path / "named", named).accepted == 3
    _added(tmp_path / "later", later)
    kept = EventLog.open(tmp_path / "later" / "events").summary().properties
    assert [each.name for each in kept] == ["shop"]


def test_other_names_of_columns_and_local_times_are_told_by_the_mapping(tmp_path: Path) -> None:
    frame = pd.DataFrame({"customer": [7, 8], "when": ["2026-01-01 09:00", "2026-07-01 09:00"]})
    mapping = Mapping(user_id="customer", time="when", event_constant="order", timezone="Europe/Berlin")
    done = _added(tmp_path, frame.head(1), mapping)
    assert done.start == utc("2026-01-01T08:00:00Z")
    assert EventLog.open(tmp_path / "events").read_user("7").kind_names == ("order",)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is a dict; expected a DataFrame"):
        _added(tmp_path, {"user_id": ["ada"]})
    with pytest.raises(BadInput, match="one type a column"):
        _added(tmp_path, pd.DataFrame({"user_id": ["ada", 7]}, dtype=object))
    with pytest.raises(BadInput, match="no column 'time'"):
        _added(tmp_path, VISITS.drop(columns="time"))


def test_a_table_larger_than_a_batch_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.sources.frames._ROWS", 2)
    frame = VISITS.assign(event=["visit", "visit", None])
    done = _added(tmp_path, frame)
    assert (done.accepted, done.quarantined) == (2, 1)
    assert done.quarantine_file is not None
    assert orjson.loads(done.quarantine_file.read_bytes())["place"] == "the table row 3"
