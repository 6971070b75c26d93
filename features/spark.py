"""Snapshots on Spark: the kernel of the local engine in one task a bucket, without a shuffle.

    with open_session(cores=2) as session:
        target = Target(Path("snapshots"))
        build_on_spark(log, features, cutoffs=cutoffs, population=population, target=target, session=session)

A user lives in one bucket, so a task needs its bucket's files and nothing else. Every executor reads the log's files
where the driver does: on shared storage, under the same path.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from features.feature_set import FeatureSet
from features.fifths import Fifths
from features.log import EventLog
from features.manifest import Request, entry_of, text_of
from features.population import Population
from features.snapshots import stack
from features.spark_job import Batches, collect, frame_of
from features.spark_output import Part, Target, parts_in, write_part
from features.spark_work import Edges, Work, work_of
from features.table import FeatureTable
from features.windows import to_microseconds

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

OnProgress = Callable[[str, int, int], None]  # what is being done, buckets done, buckets there are

_ROWS_A_BATCH = 10_000
_PARTS = "name string, rows bigint"  # what a task that writes a file tells the driver


@dataclass(frozen=True, slots=True)
class Built:
    """What a build wrote."""

    folder: Path
    rows: int
    files: int


def build_on_spark(
    log: EventLog,
    features: FeatureSet,
    *,
    cutoffs: Sequence[datetime],
    population: Population,
    target: Target,
    session: "SparkSession",
    as_known: bool = False,
    on_progress: OnProgress | None = None,
) -> Built:
    """Write the rows of `snapshots.build`, bit for bit, as a folder of Parquet files or a Delta table.

    The columns are `user_id`, `cutoff` and the features; a file holds the users of a bucket. `features.read` reads the
    Parquet folder as it reads one that the local engine wrote. A session
    comes from `spark_session.open_session`, or is one of your own. Raises `BadInput` when the target is taken, and
    what a task raised; then the target is as it was.
    """
    target.check()
    request = Request.of(log, features, cutoffs=cutoffs, population=population, as_known=as_known)
    work = Work.on(log, features, cutoffs=cutoffs, population=population, as_known=as_known)
    with target.draft() as draft:
        work = with_edges(work, session, draft, on_progress=on_progress)
        task = partial(_write, work.to_text(), str(draft))
        parts = write_parts(session, task, work.buckets, draft, told=_told(on_progress, "building features"))
        facts = {"features": features.fingerprint, "log": str(log.path), "log_version": str(log.version)}
        manifest = text_of(request, files=[entry_of(draft / part.name) for part in parts], complete=True)
        target.publish(draft, parts, schema=schema_of(features), facts=facts, manifest=manifest)
    return Built(target.folder, sum(part.rows for part in parts), len(parts))


def frame_on_spark(
    log: EventLog,
    features: FeatureSet,
    *,
    session: "SparkSession",
    cutoffs: Sequence[datetime],
    population: Population,
    scratch: Path,
    as_known: bool = False,
) -> "DataFrame":
    """The same rows as a Spark frame, computed when it is used, for work that goes on in Spark.

    Features that are relative to the population take a first pass over the log, now; its files are in `scratch`, a
    folder that all executors see, for as long as it takes.
    """
    work = Work.on(log, features, cutoffs=cutoffs, population=population, as_known=as_known)
    with Target(scratch / "population").draft() as draft:
        work = with_edges(work, session, draft)
    columns = ", ".join(["user_id string", "cutoff timestamp", *(f"`{name}` double" for name in features.names)])
    return frame_of(session, partial(_snapshots, work.to_text()), buckets=work.buckets, columns=columns)


def with_edges(work: Work, session: "SparkSession", draft: Path, *, on_progress: OnProgress | None = None) -> Work:
    """The work with the fifths of the population known, in a first pass over the log where features need them."""
    first = work.relative
    if first is None:
        return work
    task = partial(_write, first.to_text(), str(draft))
    parts = write_parts(session, task, first.buckets, draft, told=_told(on_progress, "looking at the whole population"))
    edges = _edges(first, [draft / part.name for part in parts])
    for part in parts:
        (draft / part.name).unlink()
    return replace(work, edges=edges)


def write_parts(
    session: "SparkSession",
    task: Callable[[int], Batches],
    buckets: int,
    draft: Path,
    *,
    told: Callable[[int, int], None] | None = None,
) -> list[Part]:
    """Run a task a bucket that writes parts into the draft (`written` says so); the parts in order of buckets."""

    def look() -> None:
        if told is not None:
            told(min(parts_in(draft), buckets), buckets)

    rows = collect(session, frame_of(session, task, buckets=buckets, columns=_PARTS), meanwhile=look)
    if told is not None:
        told(buckets, buckets)
    return sorted((Part(row["name"], row["rows"]) for row in rows), key=lambda part: part.name)


def written(part: Part) -> Batches:
    """What a task yields about a part that it wrote."""
    yield pa.RecordBatch.from_pydict({"name": [part.name], "rows": pa.array([part.rows], pa.int64())})


def schema_of(features: FeatureSet) -> pa.Schema:
    """The columns of a build."""
    nobody = stack([], names=features.names)
    return FeatureTable.of(nobody, features).to_arrow().schema


def _write(work: str, draft: str, bucket: int) -> Batches:
    told = work_of(work)
    rows = stack([told.snapshots(told.read(bucket))], names=told.features.names)
    table = FeatureTable.of(rows, told.features).to_arrow()
    yield from written(write_part(table, Path(draft), bucket=bucket))


def _snapshots(work: str, bucket: int) -> Batches:
    told = work_of(work)
    yield from told.snapshots(told.read(bucket)).to_arrow().to_batches(_ROWS_A_BATCH)


def _edges(work: Work, files: Sequence[Path]) -> Edges:
    """The fifths at each cutoff, from the values of all users: eight bytes a user, one cutoff at a time."""
    rows = ds.dataset(files, format="parquet")
    edges = {}
    for cutoff in work.cutoffs:
        found = rows.to_table(columns=list(work.features.names), filter=ds.field("cutoff") == pa.scalar(cutoff))
        values = np.column_stack([column.to_numpy() for column in found.columns])
        edges[to_microseconds(cutoff)] = Fifths.among(values).edges.tolist()
    return edges


def _told(on_progress: OnProgress | None, what: str) -> Callable[[int, int], None] | None:
    return None if on_progress is None else partial(on_progress, what)
