"""The rows of one bucket: their order, and how they are written as Parquet."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.identity import column
from features.user_events import IntArray

ROWS_PER_GROUP = 1 << 14  # small enough that one user is read in a millisecond, large enough to read all quickly
_READ_EVERY_TIME = ("user_id", "time", "event", "value")  # small as they are encoded, and unpacking took half the time
_READ_SELDOM = ("event_id", "received_at", "properties.key_value.key", "properties.key_value.value")
_COMPRESSION = dict.fromkeys(_READ_EVERY_TIME, "none") | dict.fromkeys(_READ_SELDOM, "zstd")
_LEVELS = dict.fromkeys(_READ_SELDOM, 1)


def write(rows: pa.Table, path: Path) -> None:
    """Write sorted rows so that they are on the disk before the commit that names them."""
    pq.write_table(
        rows,
        path,
        compression=_COMPRESSION,
        compression_level=_LEVELS,
        row_group_size=ROWS_PER_GROUP,
        use_dictionary=["user_id", "event", "properties.key_value.key", "properties.key_value.value"],
        column_encoding={"time": "DELTA_BINARY_PACKED"},
        store_schema=False,
    )
    with path.open("rb") as written:
        os.fsync(written.fileno())


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
