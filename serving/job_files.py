"""The files of bulk jobs: users as they are sent, a record of each as it is handed out."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from features.errors import BadInput
from features.user_events import Wanted
from serving import rules
from serving.lists import safe_cell
from serving.refusals import RefusedError
from serving.requested import Asked, NotUnderstood, read_user

NDJSON, PARQUET, CSV = "ndjson", "parquet", "csv"
MEDIA_TYPES = {
    NDJSON: rules.NDJSON,
    PARQUET: rules.PARQUET,
    CSV: "text/csv; charset=utf-8; header=present",
}
LONGEST_LINE = 5_000_000  # bytes: a user of a hundred thousand events; read, it takes thirty times as much
COLUMNS = (
    "user_id",
    "churn_probability",
    "reasons",
    "value_at_risk",
    "lifecycle_stage",
    "contactable",
    "population_as_of",
    "cutoff",
    "horizon_start",
    "horizon_end",
    "valid_until",
    "definition_id",
    "model_version",
    "code",
    "message",
)
_NUMBERS = {"churn_probability", "value_at_risk"}
_ROWS_A_GROUP = 10_000
Record = Mapping[str, Any]  # Any: JSON
Write = Callable[[Record], None]


def users_in(path: Path, kind: str, *, wanted: Wanted) -> Iterator[Asked | NotUnderstood]:
    """The users of a file, in its order, with what is wanted of their events; raises `BadInput` for a broken file."""
    if not path.exists():
        raise BadInput("the file of users is gone.")
    if kind == NDJSON:
        return _lines(path, wanted)
    from serving.job_parquet import users_of  # noqa: PLC0415 Arrow: who looks scores up does not wait for it

    return users_of(path, wanted=wanted)


def records_to(path: Path, kind: str) -> AbstractContextManager[Write]:
    """What writes a record after the other; the file is whole when the block is left."""
    return {NDJSON: _ndjson, CSV: _csv, PARQUET: _parquet}[kind](path)


def _lines(path: Path, wanted: Wanted) -> Iterator[Asked | NotUnderstood]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
            if not line.strip():
                continue
            if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                yield NotUnderstood(f"line {number}", f"longer than {LONGEST_LINE // 1_000_000} MB")
                _skip_line(file)
                continue
            try:
                yield read_user(line, wanted, where=f"line {number}")
            except RefusedError as error:
                yield NotUnderstood(f"line {number}", error.message)


def _skip_line(file: BinaryIO) -> None:
    while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
        pass


@contextmanager
def _ndjson(path: Path) -> Iterator[Write]:
    with path.open("wb") as file:

        def write(record: Record) -> None:
            file.write(orjson.dumps(record) + b"\n")

        yield write


@contextmanager
def _csv(path: Path) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)

        def write(record: Record) -> None:
            rows.writerow([safe_cell(_cell(each)) for each in _flat(record).values()])

        yield write


@contextmanager
def _parquet(path: Path) -> Iterator[Write]:
    import pyarrow as pa  # noqa: PLC0415 as above
    import pyarrow.parquet as pq  # noqa: PLC0415 as above

    kinds = {name: pa.float64() if name in _NUMBERS else pa.string() for name in COLUMNS} | {"contactable": pa.bool_()}
    schema = pa.schema(list(kinds.items()))
    waiting: list[dict[str, Any]] = []  # Any: what columns hold

    with pq.ParquetWriter(path, schema) as writer:

        def flush() -> None:
            writer.write_table(pa.Table.from_pylist(waiting, schema=schema))
            waiting.clear()

        def write(record: Record) -> None:
            waiting.append(_flat(record))
            if len(waiting) >= _ROWS_A_GROUP:
                flush()

        yield write
        flush()


def _flat(record: Record) -> dict[str, Any]:  # Any: what columns hold
    """A record as the cells of `COLUMNS`; reasons are sentences, strongest first."""
    horizon = record.get("horizon") or {}
    told = {"horizon_start": horizon.get("start"), "horizon_end": horizon.get("end")}
    reasons = record.get("reasons")
    told["reasons"] = None if reasons is None else "; ".join(reason["sentence"] for reason in reasons)
    return {name: told[name] if name in told else record.get(name) for name in COLUMNS}


def _cell(value: str | float | bool | None) -> str | float:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value
