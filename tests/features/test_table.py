"""The friendly entrance: `import features; features.build(…)`, and what data scientists take home."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import features
from features.catalog import standard
from features.errors import BadInput, NotReady
from features.events import EVENT_SCHEMA
from features.language import events, feature_set, profile
from features.log import EventLog
from features.snapshots import build as build_rows
from features.table import EVERYBODY, FeatureTable
from features.windows import to_microseconds, utc

JUNE = utc("2026-06-01")
MINE = feature_set(
    visits=events("visit").count(),
    mean_gap=events().mean_gap(),
    plan=profile("plan").among("free", "pro"),
    fifth=events().count().fifth_of_population(),
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """Ada visits daily and pays, Bert came once and has a plan that the list lacks, Chen has no profile."""
    deeds = [("ada", f"2026-05-{day:02}", "visit", None) for day in range(1, 21)]
    deeds += [("ada", "2026-05-02", "$profile", "pro"), ("bert", "2026-05-30", "visit", None)]
    deeds += [("bert", "2026-05-01", "$profile", "gold"), ("chen", "2026-04-30", "purchase", None)]
    users, times, kinds, plans = zip(*deeds, strict=True)
    columns = {
        "user_id": users,
        "time": [utc(time) for time in times],
        "event": kinds,
        "properties": [[("plan", plan)] if plan else None for plan in plans],
    }
    rows = len(deeds)
    table = pa.table(
        {
            field.name: pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(rows, field.type)
            for field in EVENT_SCHEMA
        },
        schema=EVENT_SCHEMA,
    )
    made = EventLog.create(tmp_path_factory.mktemp("shop") / "events", buckets=3)
    made.append([table], source="test")
    return made


def test_importing_the_package_imports_nothing_heavy() -> None:
    program = "import sys, features; print(sorted(set(sys.modules) & {'numpy', 'pyarrow', 'numba', 'pandas'}))"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_every_name_of_the_entrance_is_there() -> None:
    assert [name for name in features.__all__ if not hasattr(features, name)] == []
    assert set(features.__all__) <= set(dir(features))
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        _ = features.biuld  # type: ignore[attr-defined] # that is the point


def test_without_features_or_a_population_it_is_the_standard_catalogue_of_everybody_in_a_year(log: EventLog) -> None:
    found = features.build(str(log.path), cutoffs="2026-06-01")
    expected = build_rows(log, standard(log.summary()), cutoffs=[JUNE], population=EVERYBODY)
    assert found.users.tolist() == expected.users.tolist()
    assert sorted(found.users) == ["ada", "bert", "chen"]
    assert found.matrix.tobytes() == expected.matrix.tobytes()


def test_a_cutoff_may_be_a_text_a_datetime_or_of_pandas(log: EventLog) -> None:
    said = [datetime(2026, 6, 1, tzinfo=UTC), "2026-06-01T02:00+02:00", pd.Timestamp("2026-06-01", tz="UTC")]
    assert set(features.build(log, features=MINE, cutoffs=said).cutoffs.tolist()) == {to_microseconds(JUNE)}


@pytest.mark.parametrize(
    ("cutoffs", "words"),
    [
        ([], "no cutoff; expected at least one"),
        ([datetime(2026, 6, 1)], "has no time zone"),  # noqa: DTZ001 that is the point
        ([20260601], "20260601 is not a cutoff"),
        (["June"], "'June' is not a time"),
    ],
)
def test_a_cutoff_that_is_none_is_refused(log: EventLog, cutoffs: list[datetime | str], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        features.build(log, features=MINE, cutoffs=cutoffs)


def test_a_folder_without_a_log_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="no event log"):
        features.build(tmp_path, cutoffs="2026-06-01")


def test_pandas_gets_categories_and_missing_as_nan(log: EventLog) -> None:
    frame = features.build(log, features=MINE, cutoffs="2026-06-01").to_pandas().droplevel("cutoff").sort_index()
    assert frame["plan"].cat.categories.tolist() == ["free", "pro", "(another)"]
    assert frame["plan"].astype(object).where(frame["plan"].notna(), None).tolist() == ["pro", "(another)", None]
    assert frame["visits"].tolist() == [20, 1, 0]
    assert frame["mean_gap"].isna().tolist() == [False, True, True]


def test_polars_gets_an_enum_and_missing_as_null(log: EventLog) -> None:
    frame = features.build(log, features=MINE, cutoffs="2026-06-01").to_polars().sort("user_id")
    assert frame.schema["plan"] == pl.Enum(["free", "pro", "(another)"])
    assert frame.schema["cutoff"] == pl.Datetime("us", "UTC")
    assert frame["plan"].to_list() == ["pro", "(another)", None]
    assert frame["mean_gap"].null_count() == 2


def test_without_polars_it_says_what_to_install(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(BadInput, match="pip install polars"):
        features.build(log, features=MINE, cutoffs="2026-06-01").to_polars()


def test_arrow_and_back_is_the_same(log: EventLog) -> None:
    there = features.build(log, features=MINE, cutoffs=["2026-05-10", "2026-06-01"])
    arrow = there.to_arrow()
    back = FeatureTable.from_arrow(arrow, MINE)
    assert pa.types.is_dictionary(arrow.schema.field("plan").type)
    assert (back.users.tolist(), back.cutoffs.tolist()) == (there.users.tolist(), there.cutoffs.tolist())
    np.testing.assert_array_equal(back.matrix, there.matrix)


def test_the_rows_of_one_cutoff_still_know_their_features(log: EventLog) -> None:
    there = features.build(log, features=MINE, cutoffs=["2026-05-10", "2026-06-01"])
    assert there.at(JUNE).to_pandas()["plan"].dtype == "category"
    assert len(there.at(JUNE)) == 3
