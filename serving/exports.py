"""A whole score run as a CSV file, a Parquet file or a Delta table: read and written as a stream, in order of users."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from features.spark_output import Part, Target
from features.windows import iso
from serving.lists import Cell, csv_lines
from serving.store import Run
from serving.store.database import Database
from serving.store.records import Language
from serving.store.tables import scores

Format = Literal["csv", "parquet", "delta"]
ROWS_AT_ONCE = 10_000
_MOMENT = pa.timestamp("us", "UTC")
_REASON = pa.struct([("code", pa.string()), ("sentence", pa.string()), ("contribution", pa.float64())])
_CHANGE = pa.struct(
    [("code", pa.string()), ("sentence", pa.string()), ("before", pa.string()), ("contribution", pa.float64())]
)
SCHEMA = pa.schema(
    [
        pa.field("user_id", pa.string(), nullable=False),
        pa.field("churn_probability", pa.float64(), nullable=False),
        pa.field("percentile", pa.float64(), nullable=False),
        pa.field("risk_tier", pa.string(), nullable=False),
        ("reasons", pa.list_(_REASON)),
        ("previous_churn_probability", pa.float64()),
        ("changes", pa.list_(_CHANGE)),
        ("value_at_risk", pa.float64()),
        ("lifecycle_stage", pa.string()),
        ("segment", pa.string()),
        ("contactable", pa.bool_()),
        ("cutoff", _MOMENT),
        ("horizon_start", _MOMENT),
        ("horizon_end", _MOMENT),
        ("valid_until", _MOMENT),
        ("model_version", pa.string()),
        ("definition_id", pa.string()),
        ("run_id", pa.int64()),
    ]
)


def write_csv(database: Database, run: Run, *, language: Language | None, to: Path) -> int:
    """How many users were written; reasons and changes are sentences, and no cell can run as a formula."""
    users = 0

    def lines() -> Iterator[list[Cell]]:
        nonlocal users
        shared = [_cell(value) for value in _shared(run)]
        for row in _rows(database, run, language):
            users += 1
            yield [_cell(value) for value in row] + shared

    with to.open("w", encoding="utf-8", newline="") as file:
        file.writelines(csv_lines(lines(), columns=SCHEMA.names))
    return users


def write_parquet(database: Database, run: Run, *, language: Language | None, to: Path) -> int:
    """How many users were written; reasons and changes are lists of structures."""
    users = 0
    with pq.ParquetWriter(to, SCHEMA, compression="zstd") as writer:
        for batch in _batches(database, run, language):
            writer.write_batch(batch)
            users += len(batch)
    return users


def write_delta(database: Database, run: Run, *, language: Language | None, target: Target) -> int:
    """As a Parquet file, in one commit of a Delta table; raises `BadInput` when something else is there."""
    target.check()
    part = f"part-00000-{uuid.uuid4()}.parquet"  # never the name of a file that an older version of the table reads
    with target.draft() as draft:
        users = write_parquet(database, run, language=language, to=draft / part)
        facts = {"run_id": str(run.run_id), "model_version": run.facts.model_version, "cutoff": iso(run.facts.cutoff)}
        target.publish(draft, [Part(part, users)], schema=SCHEMA, facts=facts)
    return users


def _batches(database: Database, run: Run, language: Language | None) -> Iterator[pa.RecordBatch]:
    shared = _shared(run)
    rows: list[tuple[Any, ...]] = []  # Any: what a column holds
    for row in _rows(database, run, language):
        rows.append((*row, *shared))
        if len(rows) == ROWS_AT_ONCE:
            yield _batch(rows)
            rows = []
    if rows:
        yield _batch(rows)


def _batch(rows: list[tuple[Any, ...]]) -> pa.RecordBatch:  # Any: as above
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _rows(database: Database, run: Run, language: Language | None) -> Iterator[tuple[Any, ...]]:  # Any: as above
    """What is told of each user, without what all of a run share."""
    speaks, phrases = language or run.facts.language, run.phrases
    told = (
        *(scores.c.user_id, scores.c.churn_probability, scores.c.percentile, scores.c.risk_tier, scores.c.reasons),
        *(scores.c.previous_churn_probability, scores.c.changes, scores.c.value_at_risk, scores.c.lifecycle_stage),
        *(scores.c.segment, scores.c.contactable),
    )
    asked = sa.select(*told).where(scores.c.run_id == run.run_id).order_by(scores.c.user_id)
    with _streamed(database, asked) as found:
        for user_id, probability, percentile, tier, why, earlier, moved, worth, stage, segment, contactable in found:
            allowed = None if contactable is None else bool(contactable)
            texts = (orjson.loads(phrases.reasons(why, speaks)), earlier, orjson.loads(phrases.changes(moved, speaks)))
            yield (user_id, probability, percentile, tier, *texts, worth, stage, segment, allowed)


@contextmanager
def _streamed(database: Database, asked: sa.Select[Any]) -> Iterator[Iterator[Any]]:  # Any: as above
    with database.engine.connect() as connection:
        yield iter(connection.execute(asked, execution_options={"yield_per": ROWS_AT_ONCE}))


def _shared(run: Run) -> tuple[Any, ...]:  # Any: as above
    facts = run.facts
    moments = (facts.cutoff, facts.horizon.start, facts.horizon.end, facts.valid_until)
    return (*moments, facts.model_version, facts.definition_id, run.run_id)


def _cell(value: Any) -> Cell:  # Any: as above
    """A value as a cell: lists as sentences, moments in ISO 8601, what is unknown empty."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str() | int() | float():
            return value
        case list():
            return "; ".join(each["sentence"] for each in value)
    return iso(value)
