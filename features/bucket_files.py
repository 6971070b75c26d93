"""The rows of one bucket: their order, and how they are written as Parquet."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.events import EVENT_SCHEMA
from features.identity import column
from features.user_events import IntArray

ROWS_PER_GROUP = 1 << 15  # small enough that one user is read in a millisecond or two, large enough to read all quickly
_READ_EVERY_TIME = ("user_id", "time", "event", "value")  # small as they are encoded, and unpacking took half the time
_READ_SELDOM = ("event_id", "received_at", "properties.key_value.key", "properties.key_value.value")
_COMPRESSION = dict.fromkeys(_READ_EVERY_TIME, "none") | dict.fromkeys(_READ_SELDOM, "zstd")
_FEW = 256  # texts of a dictionary
_LEVELS = dict.fromkeys(_READ_SELDOM, 1)


def write(rows: pa.Table, path: Path) -> None:
    """Write sorted rows so that they are on the disk before the commit that names them."""
    pq.write_table(
        _plain_where_many(rows),
        path,
        compression=_COMPRESSION,
        compression_level=_LEVELS,
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=["user_id", "event", "properties.key_value.key", "properties.key_value.value"],
        column_encoding={"time": "DELTA_BINARY_PACKED", "event_id": "DELTA_LENGTH_BYTE_ARRAY"},
        write_statistics=["user_id", "time", "properties.key_value.key"],  # those that somebody reads
        store_schema=False,
    )
    with path.open("rb") as written:
        os.fsync(written.fileno())


def coded(rows: pa.Table) -> pa.Table:
    """The rows with users and kinds as dictionaries, the users in the order of their ids' bytes."""
    users = _encoded(column(rows, "user_id"))
    places = pc.rank(users.dictionary, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int32) - 1
    names = users.dictionary.take(pa.array(np.argsort(places)))
    users = pa.DictionaryArray.from_arrays(pa.array(places[users.indices.to_numpy()]), names)
    for name, array in (("user_id", users), ("event", _encoded(column(rows, "event")))):
        rows = rows.set_column(rows.column_names.index(name), name, array)
    return rows


def user_codes(rows: pa.Table) -> IntArray:
    """A number for the user of each coded row, in the order of the ids' bytes."""
    codes: IntArray = column(rows, "user_id").indices.to_numpy().astype(np.int64)
    return codes


def order_of(rows: pa.Table) -> IntArray:
    """The order of coded rows by user, time and event id."""
    order, tied = order_by_time(rows)
    return settled(order, tied, rows)


def order_by_time(rows: pa.Table) -> tuple[IntArray, IntArray]:
    """The order of coded rows by user and time, and where in it stand those with the user and time of a neighbour."""
    users, times = user_codes(rows), column(rows, "time").cast(pa.int64()).to_numpy()
    keys = _user_and_time(users, times)
    order: IntArray = np.lexsort((times, users)) if keys is None else np.argsort(keys)
    if keys is None:
        tie = (users[order[1:]] == users[order[:-1]]) & (times[order[1:]] == times[order[:-1]])
    else:
        in_order = keys[order]
        tie = in_order[1:] == in_order[:-1]
    return order, np.flatnonzero(np.append(tie, False) | np.append(False, tie))


def settled(order: IntArray, tied: IntArray, rows: pa.Table) -> IntArray:
    """The order by user and time with its ties in the order of their event ids."""
    if not len(tied):
        return order
    among = order[tied]  # only these need their ids compared
    few = rows.select(["user_id", "time", "event_id"]).take(pa.array(among))
    ranks = pc.rank(column(few, "event_id"), sort_keys="ascending", tiebreaker="dense").to_numpy()
    times = column(few, "time").cast(pa.int64()).to_numpy()
    order[tied] = among[np.lexsort((ranks, times, user_codes(few)))]
    return order


def taken(rows: pa.Table, order: IntArray) -> pa.Table:
    """The rows in an order; columns that say nothing need not be moved."""
    places = pa.array(order)
    arrays = [array if _says_nothing(array) else array.take(places) for array in rows.columns]
    same = len(order) == rows.num_rows
    return pa.Table.from_arrays(arrays, schema=rows.schema) if same else rows.take(places)


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


def _encoded(texts: pa.Array) -> pa.DictionaryArray:
    return texts if pa.types.is_dictionary(texts.type) else texts.dictionary_encode()


def _plain_where_many(rows: pa.Table) -> pa.Table:
    """Arrow writes a whole dictionary into every row group: fine for a few kinds, not for users."""
    for name in ("user_id", "event"):
        texts = column(rows, name)
        if pa.types.is_dictionary(texts.type) and len(texts.dictionary) > _FEW:
            rows = rows.set_column(rows.column_names.index(name), EVENT_SCHEMA.field(name), texts.cast(pa.string()))
    return rows


def _says_nothing(array: pa.ChunkedArray) -> bool:
    """Whether all rows are missing, or are maps without an entry."""
    if array.null_count == len(array):
        return True
    is_map = pa.types.is_map(array.type)
    return is_map and not array.null_count and not any(len(chunk.keys) for chunk in array.chunks)
