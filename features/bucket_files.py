"""The rows of one bucket: their order, and how they are written as Parquet."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.events import CODED_SCHEMA
from features.identity import column
from features.user_events import IntArray

ROWS_PER_GROUP = 1 << 15  # small enough that one user is read in a millisecond or two, large enough to read all quickly
_CODED = ("user_id", "event")  # Arrow writes a whole dictionary into every row group, so each gets one of its own
_READ_EVERY_TIME = ("user_id", "time", "event", "value")  # small as they are encoded, and unpacking took half the time
_READ_SELDOM = ("event_id", "received_at", "properties.key_value.key", "properties.key_value.value")
_COMPRESSION = dict.fromkeys(_READ_EVERY_TIME, "none") | dict.fromkeys(_READ_SELDOM, "zstd")
_LEVELS = dict.fromkeys(_READ_SELDOM, 1)


def write(rows: pa.Table, path: Path) -> None:
    """Write sorted coded rows so that they are on the disk before the commit that names them."""
    with pq.ParquetWriter(
        path,
        CODED_SCHEMA,
        compression=_COMPRESSION,
        compression_level=_LEVELS,
        use_dictionary=["user_id", "event", "properties.key_value.key", "properties.key_value.value"],
        column_encoding={"time": "DELTA_BINARY_PACKED", "event_id": "DELTA_LENGTH_BYTE_ARRAY"},
        write_statistics=["user_id", "time", "properties.key_value.key"],  # those that somebody reads
        write_batch_size=ROWS_PER_GROUP,  # a thousand values at a time, the default, costs a tenth more
        store_schema=False,
    ) as file:
        for start in range(0, rows.num_rows, ROWS_PER_GROUP):
            file.write_table(with_own_texts(rows.slice(start, ROWS_PER_GROUP)))
    with path.open("rb") as written:
        os.fsync(written.fileno())


def with_codes(rows: pa.Table) -> pa.Table:
    """The rows with users and kinds as dictionaries."""
    return with_texts(rows, *(_encoded(column(rows, name)) for name in _CODED))


def coded(rows: pa.Table) -> pa.Table:
    """The rows with users and kinds as dictionaries, the users in the order of their ids' bytes."""
    users, kinds = (_encoded(column(rows, name)) for name in _CODED)
    places = pc.rank(users.dictionary, sort_keys="ascending", tiebreaker="dense").to_numpy().astype(np.int32) - 1
    return with_texts(rows, recoded(users, places, order=np.argsort(places)), kinds)


def with_own_texts(rows: pa.Table) -> pa.Table:
    """Coded rows whose dictionaries hold no text that none of the rows has."""
    return with_texts(rows, *(_with_own_texts(column(rows, name)) for name in _CODED))


def with_texts(rows: pa.Table, users: pa.DictionaryArray, kinds: pa.DictionaryArray) -> pa.Table:
    """The rows with other columns of users and kinds."""
    for name, texts in zip(_CODED, (users, kinds), strict=True):
        rows = rows.set_column(rows.column_names.index(name), CODED_SCHEMA.field(name), texts)
    return rows


def recoded(texts: pa.DictionaryArray, places: IntArray, *, order: IntArray) -> pa.DictionaryArray:
    """The same texts with the dictionary in another order, in which each has its place."""
    codes = pa.array(places.astype(np.int32)[texts.indices.to_numpy()])
    return pa.DictionaryArray.from_arrays(codes, texts.dictionary.take(pa.array(order)))


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


def _with_own_texts(texts: pa.DictionaryArray) -> pa.DictionaryArray:
    """Quick where the codes lie close together, whatever the size of the dictionary."""
    codes = texts.indices.to_numpy()
    first = int(codes.min())
    used = np.bincount(codes - first) > 0
    names = texts.dictionary.slice(first, len(used))
    if used.all():
        return pa.DictionaryArray.from_arrays(pa.array(codes - np.int32(first)), names)
    places = (np.cumsum(used) - 1).astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(places[codes - first]), names.filter(pa.array(used)))


def _says_nothing(array: pa.ChunkedArray) -> bool:
    """Whether all rows are missing, or are maps without an entry."""
    if array.null_count == len(array):
        return True
    is_map = pa.types.is_map(array.type)
    return is_map and not array.null_count and not any(len(chunk.keys) for chunk in array.chunks)
