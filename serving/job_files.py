"""The files of bulk jobs: users as they are sent, a record of each as it is handed out."""

import csv
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from features.errors import BadInput
from serving import rules
from serving.lists import safe_cell
from serving.refusals import RefusedError
from serving.requested import Event, User, check_user, read_user

if TYPE_CHECKING:
    import pyarrow as pa

NDJSON, PARQUET, CSV = "ndjson", "parquet", "csv"
MEDIA_TYPES = {
    NDJSON: rules.NDJSON,
    PARQUET: rules.PARQUET,
    CSV: "text/csv; charset=utf-8; header=present",
}
LONGEST_LINE = 20_000_000  # bytes; a user of a hundred thousand events
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
_EVENT_COLUMNS = ("user_id", "time", "event")
_ROWS_A_GROUP = 10_000
Record = Mapping[str, Any]  # Any: JSON
Write = Callable[[Record], None]


class NotUnderstood(msgspec.Struct, frozen=True):
    """A user of the file who breaks the contract: where, and why."""

    where: str
    why: str


def users_in(path: Path, kind: str) -> Iterator[User | NotUnderstood]:
    """The users of a file, in its order; raises `BadInput` for a file that is none of its kind."""
    return _lines(path) if kind == NDJSON else _groups(path)


def records_to(path: Path, kind: str) -> AbstractContextManager[Write]:
    """What writes a record after the other; the file is whole when the block is left."""
    return {NDJSON: _ndjson, CSV: _csv, PARQUET: _parquet}[kind](path)


def _lines(path: Path) -> Iterator[User | NotUnderstood]:
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
            if not line.strip():
                continue
            try:
                yield read_user(line, f"line {number}")
            except RefusedError as error:
                yield NotUnderstood(f"line {number}", error.message)


def _groups(path: Path) -> Iterator[User | NotUnderstood]:
    import pyarrow as pa  # noqa: PLC0415 who looks scores up does not wait for it
    import pyarrow.parquet as pq  # noqa: PLC0415 as above

    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise BadInput(f"the file is no readable Parquet file: {str(error).splitlines()[0]}.") from None
    if "user_id" not in table.column_names:
        raise BadInput(f"the file has no column user_id; found {', '.join(table.column_names[:10])}.")
    of_events = {"time", "event"} & set(table.column_names)
    if not of_events:
        yield from _by_features(table)
    elif len(of_events) == 1:
        raise BadInput("a file of events has the columns user_id, time and event; one of them is missing.")
    else:
        yield from _by_events(table)


def _by_features(table: "pa.Table") -> Iterator[User | NotUnderstood]:
    names = [name for name in table.column_names if name != "user_id"]
    named = table.set_column(table.column_names.index("user_id"), "user_id", table["user_id"].cast("string"))
    for batch in named.to_batches(max_chunksize=_ROWS_A_GROUP):
        for row in batch.to_pylist():
            odd = next((name for name in names if not isinstance(row[name], int | float | None)), None)
            if odd is not None:
                yield _told_apart(row["user_id"], f"the feature {odd} is no number")
            else:
                yield _checked(row["user_id"], features={name: row[name] for name in names})


def _by_events(table: "pa.Table") -> Iterator[User | NotUnderstood]:
    """Users in the order of their ids: their events need not lie together in the file."""
    import pyarrow as pa  # noqa: PLC0415 as above

    try:
        times = table["time"].cast(pa.timestamp("us", "UTC"))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BadInput("the column time holds no instants; expected timestamps with a time zone.") from None
    if getattr(table["time"].type, "tz", None) is None:
        raise BadInput("the column time has no time zone; write it with one, for example UTC.")
    columns = {"user_id": table["user_id"].cast(pa.string()), "time": times, "event": table["event"].cast(pa.string())}
    if "value" in table.column_names:
        try:
            columns["value"] = table["value"].cast(pa.float64())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise BadInput("the column value holds no numbers.") from None
    others = [name for name in table.column_names if name not in (*_EVENT_COLUMNS, "value")]
    columns |= {name: table[name] for name in others}
    told, user_id = list[dict[str, Any]](), None  # Any: what columns hold
    for batch in pa.table(columns).sort_by("user_id").to_batches(max_chunksize=_ROWS_A_GROUP):
        for row in batch.to_pylist():
            if row["user_id"] != user_id and told:
                yield _of_rows(user_id, told, others)
                told = []
            user_id = row["user_id"]
            told.append(row)
    if told:
        yield _of_rows(user_id, told, others)


# Any: as above
def _of_rows(user_id: str | None, rows: list[dict[str, Any]], others: list[str]) -> User | NotUnderstood:
    if any(row["time"] is None or not row["event"] for row in rows):
        return _told_apart(user_id, "an event has no time or no kind")
    events = [
        Event(
            row["time"],
            row["event"],
            row.get("value"),
            None,
            {name: row[name] for name in others if row[name] is not None},
        )
        for row in rows
    ]
    return _checked(user_id, events=events)


def _checked(user_id: str | None, **more: Any) -> User | NotUnderstood:  # Any: the fields of a user
    if not user_id:
        return _told_apart(user_id, "there is no user_id")
    user = User(user_id, **more)
    try:
        check_user(user, f"user {user_id[:40]!r}")
    except RefusedError as error:
        return NotUnderstood(f"user {user_id[:40]!r}", error.message)
    return user


def _told_apart(user_id: str | None, why: str) -> NotUnderstood:
    return NotUnderstood("a row without a user" if not user_id else f"user {user_id[:40]!r}", why)


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
