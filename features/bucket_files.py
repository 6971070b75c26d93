"""The rows of one bucket as Parquet: sorted by user, time and event id when written, merged when read."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import Damaged
from features.events import EVENT_SCHEMA
from features.identity import column
from features.user_events import IntArray, KindArray, UserEvents, none

ROWS_PER_GROUP = 1 << 16  # small enough that one user is read in milliseconds, large enough to compress
_KERNEL_COLUMNS = ["user_id", "time", "event", "value"]
_DICTIONARIES = ["user_id", "event"]  # reading these as texts is what reading a log costs


def write(rows: pa.Table, path: Path) -> None:
    """Write sorted rows so that they are on the disk before the commit that names them."""
    pq.write_table(
        rows,
        path,
        compression="zstd",
        compression_level=1,
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=["user_id", "event", "properties.key_value.key", "properties.key_value.value"],
        column_encoding={"time": "DELTA_BINARY_PACKED"},
        store_schema=False,
    )
    with path.open("rb") as written:
        os.fsync(written.fileno())


def read_rows(paths: Sequence[Path], *, columns: list[str] | None = None) -> pa.Table:
    """The rows of some files one after the other, plain texts, not de-duplicated."""
    tables = [_read(path, columns=columns or EVENT_SCHEMA.names) for path in paths]
    schema = pa.schema([EVENT_SCHEMA.field(name) for name in columns or EVENT_SCHEMA.names])
    return pa.concat_tables([table.cast(schema) for table in tables]) if tables else schema.empty_table()


def read_events(paths: Sequence[Path]) -> UserEvents:
    """The events of a bucket; an event that several files hold counts once, as the first of them has it."""
    if not paths:
        return none()
    if len(paths) == 1:  # one file is without duplicates and sorted by the way it was written
        return _as_user_events(_read(paths[0], columns=_KERNEL_COLUMNS))
    columns = [*_KERNEL_COLUMNS, "event_id"]
    return _as_user_events(_merged([_read(path, columns=columns) for path in paths]))


def read_events_of(user_id: str, paths: Sequence[Path]) -> UserEvents:
    """The events of one user; reads only the row groups that can hold them."""
    found = [_read_user(user_id, path) for path in paths]
    return _as_user_events(_merged([rows for rows in found if rows.num_rows])) if any(map(len, found)) else none()


def order_of(rows: pa.Table, users: IntArray) -> IntArray:
    """The order by user, time and event id, for rows whose users are coded in the order of their ids."""
    times = column(rows, "time").cast(pa.int64()).to_numpy()
    keys = _user_and_time(users, times)
    order: IntArray = np.lexsort((times, users)) if keys is None else np.argsort(keys)
    tie = (users[order[1:]] == users[order[:-1]]) & (times[order[1:]] == times[order[:-1]])
    if not tie.any():
        return order
    tied = np.flatnonzero(np.append(tie, False) | np.append(False, tie))  # only these need their ids compared
    among = order[tied]
    ids = column(rows, "event_id").take(pa.array(among))
    ranks = pc.rank(ids, sort_keys="ascending", tiebreaker="dense").to_numpy()
    order[tied] = among[np.lexsort((ranks, times[among], users[among]))]
    return order


def user_codes(rows: pa.Table) -> IntArray:
    """A number for each row's user, in the order of the ids' bytes."""
    coded = column(rows, "user_id")
    if not pa.types.is_dictionary(coded.type):
        coded = coded.dictionary_encode()
    ranks = pc.rank(coded.dictionary, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int64)
    codes: IntArray = ranks[coded.indices.to_numpy()]
    return codes


def first_of_each(users: IntArray, event_ids: pa.Array) -> IntArray:
    """The rows that are the first with their user and event id, in the order of rows."""
    coded = event_ids.dictionary_encode()
    if len(coded.dictionary) == len(event_ids):
        return np.arange(len(event_ids), dtype=np.int64)
    keys = users * np.int64(len(coded.dictionary)) + coded.indices.to_numpy()
    return np.sort(np.unique(keys, return_index=True)[1])


def _user_and_time(users: IntArray, times: IntArray) -> IntArray | None:
    """One number to sort by instead of two, which is several times faster; none when it would not fit 63 bits."""
    if not len(users):
        return users
    start, span = int(times.min()), int(np.ptp(times)) + 1
    return users * span + (times - start) if (int(users.max()) + 1) * span < 2**63 else None


def _read(path: Path, *, columns: list[str]) -> pa.Table:
    with _undamaged(path), pq.ParquetFile(path, read_dictionary=_DICTIONARIES) as file:
        return file.read(columns=columns)


def _read_user(user_id: str, path: Path) -> pa.Table:
    columns = [*_KERNEL_COLUMNS, "event_id"]
    with _undamaged(path), pq.ParquetFile(path, read_dictionary=["event"]) as file:
        groups = [group for group in range(file.num_row_groups) if _may_hold(file.metadata.row_group(group), user_id)]
        rows = file.read_row_groups(groups, columns=columns)
    return rows.filter(pc.equal(rows["user_id"], user_id))


def _may_hold(group: pq.RowGroupMetaData, user_id: str) -> bool:
    bounds = group.column(0).statistics
    return bounds is None or not bounds.has_min_max or bounds.min <= user_id <= bounds.max


@contextmanager
def _undamaged(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise Damaged(
            f"The event log lacks its file {path}. Restore it from a backup, or import the source files into a new log."
        ) from None
    except (pa.ArrowInvalid, pa.ArrowIOError) as error:
        raise Damaged(
            f"The file {path} of the event log cannot be read ({error}). Restore it from a backup, "
            "or import the source files into a new log."
        ) from error


def _merged(tables: Sequence[pa.Table]) -> pa.Table:
    rows = pa.concat_tables(tables).unify_dictionaries().combine_chunks()
    rows = rows.take(pa.array(first_of_each(user_codes(rows), column(rows, "event_id"))))
    return rows.take(pa.array(order_of(rows, user_codes(rows))))


def _as_user_events(rows: pa.Table) -> UserEvents:
    if not rows.num_rows:
        return none()
    rows = rows.unify_dictionaries().combine_chunks()
    users, kinds = _encoded(column(rows, "user_id")), _encoded(column(rows, "event"))
    codes = users.indices.to_numpy()
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    names, kind_codes = _sorted_names(kinds)
    return UserEvents(
        user_ids=tuple(users.dictionary.take(pa.array(codes[starts])).to_pylist()),
        offsets=np.append(starts, len(codes)).astype(np.int64),
        times=column(rows, "time").cast(pa.int64()).to_numpy(),
        kinds=kind_codes,
        kind_names=names,
        values=column(rows, "value").fill_null(np.nan).to_numpy(),
    )


def _encoded(texts: pa.Array) -> pa.DictionaryArray:
    return texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()


def _sorted_names(kinds: pa.DictionaryArray) -> tuple[tuple[str, ...], KindArray]:
    """The kinds that occur in the order of their names, and each row's place among them."""
    counts = np.bincount(kinds.indices.to_numpy(), minlength=len(kinds.dictionary))
    names = np.array(kinds.dictionary.to_pylist(), dtype=object)
    used = np.flatnonzero(counts)
    used = used[np.argsort(names[used])]
    place = np.zeros(len(names), dtype=np.int32)
    place[used] = np.arange(len(used), dtype=np.int32)
    return tuple(names[used].tolist()), place[kinds.indices.to_numpy()]
