"""Events on their way into the log: spilled to disk by bucket, so that memory holds one batch or one bucket.

A staging folder is locked by the process that fills it: what a crash left behind is known by its free lock, and removed
by the next import. It stands in the log's own folder, so that finished files move in without being copied; Delta Lake
ignores names that begin with an underscore.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.bucket_files import (
    coded,
    first_of_each,
    order_by_time,
    order_of,
    recoded,
    settled,
    taken,
    user_codes,
    with_codes,
    with_own_texts,
    with_texts,
    write,
)
from features.events import CODED_SCHEMA
from features.identity import buckets_of, column, content_hashes, content_ids, hex_text
from features.reading import read_rows
from features.user_events import IntArray

_SOURCE = pa.field("source", pa.int32(), nullable=False)  # occurrences of a content are numbered within a source
_STAGED = CODED_SCHEMA.append(_SOURCE)
_ROWS_A_PIECE = 1 << 12  # that a bucket should get at once: smaller pieces cost more than their rows
_MOST_ROWS = 1 << 20  # that wait in memory


@dataclass(frozen=True, slots=True)
class Finished:
    """A bucket's new rows, written but not yet part of the log."""

    bucket: int
    path: Path | None  # none when the log had all of them already
    rows: int
    duplicates: int
    first_user: str = ""
    last_user: str = ""
    start: int = 0
    end: int = 0


@contextmanager
def staging_folder(log: Path) -> Iterator[Path]:
    """A locked folder of its own, gone afterwards whatever happens; also removes those of dead processes."""
    root = log / "_staging"
    root.mkdir(exist_ok=True)
    with (root / "lock").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)  # nobody may take a folder for abandoned before its own lock is held
        _remove_abandoned(root)
        folder = Path(tempfile.mkdtemp(dir=root))
        lock = (folder / "lock").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)


def stage(sources: Iterable[Iterable[pa.Table]], folder: Path, *, buckets: int) -> list[Path]:
    """Spill every row of every source to its bucket's file; returns the files, which are there only if needed."""
    room = min(max(1, buckets * _ROWS_A_PIECE), _MOST_ROWS)
    waiting: list[pa.Table] = []
    for number, batches in enumerate(sources):
        for rows in batches:
            waiting.append(_from_source(rows, number))
            if sum(each.num_rows for each in waiting) >= room:
                _spill(waiting, buckets=buckets, folder=folder)
                waiting = []
    _spill(waiting, buckets=buckets, folder=folder)
    return [_spilled(folder, bucket) for bucket in range(buckets)]


def finish(staged: Path, *, bucket: int, existing: list[Path], target: Path) -> Finished:
    """Give a bucket's rows their ids, drop what is there twice or in the log already, and write the rest sorted."""
    rows = coded(_staged_rows(staged))
    order, tied = order_by_time(rows)
    if not existing and _holds_no_repeats(rows):
        return finished(_sorted_with_ids(rows, order, tied), bucket=bucket, target=target)
    rows = _with_ids(rows, twins_among=np.sort(order[tied]))
    fresh = _fresh(rows, existing)
    duplicates = rows.num_rows - len(fresh)
    if not len(fresh):
        return Finished(bucket, None, 0, duplicates)
    if duplicates:
        rows = taken(rows, fresh)
        order, tied = order_by_time(rows)
    rows = taken(rows, settled(order, tied, rows))
    return finished(rows, bucket=bucket, target=target, duplicates=duplicates)


def finished(rows: pa.Table, *, bucket: int, target: Path, duplicates: int = 0) -> Finished:
    """Write rows that are sorted and there once each."""
    write(rows, target)
    times, users = column(rows, "time").cast(pa.int64()).to_numpy(), rows["user_id"]
    ends = (users[0].as_py(), users[-1].as_py(), int(times.min()), int(times.max()))
    return Finished(bucket, target, rows.num_rows, duplicates, *ends)


def _from_source(rows: pa.Table, number: int) -> pa.Table:
    return with_codes(rows).append_column(_SOURCE, pa.array(np.full(rows.num_rows, number, dtype=np.int32)))


def _spill(waiting: list[pa.Table], *, buckets: int, folder: Path) -> None:
    if not sum(rows.num_rows for rows in waiting):
        return
    rows = pa.concat_tables(waiting).unify_dictionaries().combine_chunks()
    users = column(rows, "user_id")
    bucket_of_user = buckets_of(users.dictionary, buckets).astype(np.int16)  # int16: sorted by radix
    bucket_of_row = bucket_of_user[users.indices.to_numpy()]
    rows = _without_empty_columns(_with_users_by_bucket(rows, bucket_of_user))
    rows = taken(rows, np.argsort(bucket_of_row, kind="stable"))
    counts = np.bincount(bucket_of_row, minlength=buckets)
    ends = np.cumsum(counts)
    for bucket in np.flatnonzero(counts).tolist():
        piece = with_own_texts(rows.slice(int(ends[bucket] - counts[bucket]), int(counts[bucket])))
        with _spilled(folder, bucket).open("ab") as file, pa.ipc.new_stream(file, piece.schema) as stream:
            stream.write_table(piece)


def _with_users_by_bucket(rows: pa.Table, bucket_of_user: NDArray[np.int16]) -> pa.Table:
    """The users of a bucket side by side in the dictionary, so that its rows can be told theirs quickly."""
    order = np.argsort(bucket_of_user, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return with_texts(rows, recoded(column(rows, "user_id"), places, order=order), column(rows, "event"))


def _spilled(folder: Path, bucket: int) -> Path:
    return folder / f"bucket-{bucket}.arrow"


def _staged_rows(path: Path) -> pa.Table:
    """What was spilled for a bucket, piece after piece; files are not kept open between them, as there may be many."""
    pieces = []
    with pa.memory_map(str(path)) as file:
        while file.tell() < file.size():
            pieces.append(pa.ipc.open_stream(file).read_all())
    rows = pa.concat_tables([_STAGED.empty_table(), *pieces], promote_options="default")
    return rows.unify_dictionaries().combine_chunks()


def _without_empty_columns(rows: pa.Table) -> pa.Table:
    """What most files do not have need not be written and read again."""
    return rows.select([name for name in rows.column_names if rows[name].null_count < rows.num_rows])


def _sorted_with_ids(rows: pa.Table, order: IntArray, tied: IntArray) -> pa.Table:
    """Rows of one source, all without an id, sorted and with ids: written last, because numbers are moved faster."""
    arrived = np.sort(order[tied])  # twins share user and time, and are numbered as they came
    few = _with_ids(rows.take(pa.array(arrived)), twins_among=np.arange(len(arrived)))
    within = order_of(few)
    order[tied] = arrived[within]
    rows = taken(rows, order)
    ids = hex_text(content_hashes(rows))
    if len(tied):
        mask = np.zeros(len(ids), dtype=bool)
        mask[tied] = True
        ids = pc.replace_with_mask(ids, mask, column(few, "event_id").take(pa.array(within)))
    return _named(rows, ids)


def _with_ids(rows: pa.Table, *, twins_among: IntArray) -> pa.Table:
    """The rows without their source, the missing event ids derived from the content."""
    ids = column(rows, "event_id")
    if ids.null_count == len(ids):
        ids = content_ids(rows, column(rows, "source").to_numpy(), user_codes(rows), twins_among=twins_among)
    elif ids.null_count:
        unnamed = rows.filter(ids.is_null()).combine_chunks()
        derived = content_ids(unnamed, column(unnamed, "source").to_numpy(), user_codes(unnamed))
        ids = pc.replace_with_mask(ids, ids.is_null(), derived)
    return _named(rows, ids)


def _named(rows: pa.Table, ids: pa.Array) -> pa.Table:
    place = CODED_SCHEMA.get_field_index("event_id")
    return rows.drop_columns(["source"]).set_column(place, CODED_SCHEMA.field(place), ids)


def _holds_no_repeats(staged: pa.Table) -> bool:
    """Whether all ids will be derived within one source: twins are numbered there, so no id can come up twice."""
    sources = column(staged, "source")
    return bool(staged["event_id"].null_count == staged.num_rows and sources[0] == sources[-1])  # sources come in order


def _fresh(rows: pa.Table, existing: list[Path]) -> IntArray:
    """The rows that the log has not got, each once; the first with a user's event id wins."""
    known = read_rows(existing, columns=["user_id", "event_id"])
    keys = rows.select(["user_id", "event_id"]).cast(known.schema)
    both = pa.concat_tables([known, keys]).combine_chunks()
    users = column(both, "user_id").dictionary_encode().indices.to_numpy().astype(np.int64)
    first = first_of_each(users, column(both, "event_id"))
    fresh: IntArray = first[first >= known.num_rows] - known.num_rows
    return fresh


def _remove_abandoned(root: Path) -> None:
    for folder in root.iterdir():
        if folder.is_dir() and not _is_in_use(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_in_use(folder: Path) -> bool:
    try:
        with (folder / "lock").open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
