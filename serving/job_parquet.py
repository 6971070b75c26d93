"""The users of a Parquet file that was sent, read in pieces: a small file may unpack to more than fits into memory."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import BadInput
from features.user_events import Wanted
from serving.refusals import RefusedError
from serving.requested import LONGEST_TEXT, MOST_EVENTS, Asked, Event, NotUnderstood, User, asked_of

LARGEST = 100_000_000  # bytes of a file in memory; about four million events
LARGEST_USER = 20_000_000  # bytes of texts of one user
MOST_COLUMNS = 2_000
_CELLS_AT_ONCE = 200_000  # as Python's objects, which take ten times the room
_WIDEST = 64  # bytes of a value of fixed length; numbers are shorter
_EVENT_COLUMNS = ("user_id", "time", "event")
_UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError)
Row = dict[str, Any]  # Any: what columns hold


def users_of(path: Path, *, wanted: Wanted) -> Iterator[Asked | NotUnderstood]:
    """The users of the file with what is wanted of their events.

    Raises `BadInput` for a file that is no Parquet, too large, or of other columns.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = _checked_names(file)
        users = _by_events(_table(path)) if {"time", "event"} <= set(names) else _by_features(path, names)
        yield from (_checked(user, wanted) for user in users)
    except _UNREADABLE as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(f"the file is no readable Parquet file: {said.replace(str(path), 'it')[:200]}.") from None


def _checked_names(file: pq.ParquetFile) -> list[str]:
    names: list[str] = file.schema_arrow.names
    if len(names) > MOST_COLUMNS:
        raise BadInput(f"the file has {len(names):,} columns; expected at most {MOST_COLUMNS:,}.")
    if "user_id" not in names:
        raise BadInput(f"the file has no column user_id; found {', '.join(names[:10])[:200]}.")
    if len(set(names)) < len(names):
        raise BadInput("the file has two columns of one name.")
    if len({"time", "event"} & set(names)) == 1:
        raise BadInput("a file of events has the columns user_id, time and event; one of them is missing.")
    odd = [name for name, column in zip(names, _columns(file), strict=False) if column.name != column.path]
    if odd or len(_columns(file)) != len(names):
        raise BadInput(f"the columns {', '.join(odd[:10])[:200]} hold lists or records; expected plain values.")
    if any(column.length > _WIDEST for column in _columns(file)):
        raise BadInput(f"a column holds values of more than {_WIDEST} bytes each that are no texts.")
    groups = range(file.metadata.num_row_groups)
    unpacked = max((file.metadata.row_group(group).total_byte_size for group in groups), default=0)
    if unpacked > LARGEST:
        raise _too_large()
    return names


def _columns(file: pq.ParquetFile) -> list[Any]:  # Any: no types are shipped
    return [file.schema.column(place) for place in range(len(file.schema))]


def _by_features(path: Path, names: list[str]) -> Iterator[User | NotUnderstood]:
    names = [name for name in names if name != "user_id"]
    for batch in _batches(path):
        known, codes = _ids(pa.chunked_array([batch["user_id"]]))
        columns = {name: batch[name] for name in names}
        numbers = {name: column for name, column in columns.items() if _is_number(column.type)}
        others = {name: column.is_valid().to_pylist() for name, column in columns.items() if name not in numbers}
        rows = pa.table(numbers).to_pylist() if numbers else [{}] * len(batch)
        for place, row in enumerate(rows):
            user_id = known[int(codes[place])].as_py() if codes[place] >= 0 else None
            odd = next((name for name, there in others.items() if there[place]), None)
            if odd is not None:
                yield _told_apart(user_id, f"the feature {odd[:40]} is no number")
            else:
                yield _identified(user_id, features={**row, **dict.fromkeys(others)})


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    """The rows in pieces; texts as places in a list of the different ones, however often each is there."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        texts = [column.name for column in _columns(file) if column.physical_type == "BYTE_ARRAY"]
        rows = max(1, _CELLS_AT_ONCE // len(file.schema_arrow.names))
    with pq.ParquetFile(path, read_dictionary=texts, pre_buffer=False) as file:
        yield from file.iter_batches(batch_size=rows, use_threads=False)


def _table(path: Path) -> pa.Table:
    """The whole file, texts as places in a list of the different ones."""
    found, size = list[pa.RecordBatch](), 0
    for batch in _batches(path):
        size += batch.nbytes
        if size > LARGEST:
            raise _too_large()
        found.append(batch)
    if not found:
        raise BadInput("the file has no rows.")
    return pa.Table.from_batches(found)


def _by_events(table: pa.Table) -> Iterator[User | NotUnderstood]:
    """Users in the order of their ids: their events need not lie together in the file."""
    kind = table["time"].type
    if not pa.types.is_timestamp(kind):
        raise BadInput("the column time holds no instants; expected timestamps with a time zone.")
    if kind.tz is None:
        raise BadInput("the column time has no time zone; write it with one, for example UTC.")
    columns = {"time": table["time"].cast(pa.timestamp("us", "UTC")), "event": table["event"]}
    if "value" in table.column_names:
        columns["value"] = _numbers(table["value"])
    others = [name for name in table.column_names if name not in (*_EVENT_COLUMNS, "value")]
    known, codes = _ids(table["user_id"])
    order = np.argsort(codes, kind="stable")
    rest = pa.table(columns | {name: table[name] for name in others}).unify_dictionaries()
    weights = _weights(rest)
    ends = np.flatnonzero(np.diff(codes[order], append=len(known))) + 1
    for begin, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True):
        code = int(codes[order[begin]])
        user_id = known[code].as_py() if code >= 0 else None
        if end - begin > MOST_EVENTS:
            yield _told_apart(user_id, f"more than {MOST_EVENTS:,} events of one user")
        elif weights[order[begin:end]].sum() > LARGEST_USER:
            yield _told_apart(user_id, f"more than {LARGEST_USER // 1_000_000} MB of texts of one user")
        else:
            yield _of_rows(user_id, rest.take(pa.array(order[begin:end])).to_pylist(), others)


def _numbers(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise BadInput("the column value holds no numbers.") from None


def _ids(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int64]]:
    """The different ids in order, and the place of each row's among them; -1 where it has none."""
    texts = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    whole = texts.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no rows
        whole = pa.array([], texts.type)
    given = whole.dictionary.cast(pa.string())
    if (pc.max(pc.utf8_length(given)).as_py() or 0) > LONGEST_TEXT:
        raise BadInput(f"a user_id has more than {LONGEST_TEXT:,} characters.")
    order = pc.sort_indices(given).to_numpy()
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return given.take(pa.array(order)), np.where(codes < 0, -1, places[codes] if len(places) else -1)


def _weights(table: pa.Table) -> NDArray[np.int64]:
    """The bytes of all texts of each row."""
    weights = np.zeros(len(table), np.int64)
    for column in table.columns:
        if pa.types.is_dictionary(column.type):
            whole = column.combine_chunks()
            lengths = pc.binary_length(whole.dictionary.cast(pa.large_binary())).to_numpy(zero_copy_only=False)
            codes = whole.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            weights += np.append(lengths, 0)[codes].astype(np.int64)
    return weights


def _of_rows(user_id: str | None, rows: list[Row], others: list[str]) -> User | NotUnderstood:
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
    return _identified(user_id, events=events)


def _identified(user_id: str | None, **more: Any) -> User | NotUnderstood:  # Any: the fields of a user
    return User(user_id, **more) if user_id else _told_apart(user_id, "there is no user_id")


def _checked(user: User | NotUnderstood, wanted: Wanted) -> Asked | NotUnderstood:
    if isinstance(user, NotUnderstood):
        return user
    where = f"user {user.user_id[:40]!r}"
    try:
        return asked_of(user, wanted, where=where)
    except RefusedError as error:
        return NotUnderstood(where, error.message)


def _told_apart(user_id: str | None, why: str) -> NotUnderstood:
    return NotUnderstood("a row without a user" if not user_id else f"user {user_id[:40]!r}", why)


def _too_large() -> BadInput:
    return BadInput(f"the file unpacks to more than {LARGEST // 1_000_000} MB; send it in parts.")
