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

from features.bucket_files import coded, first_of_each, order_by_time, settled, taken, user_codes, write
from features.events import EVENT_SCHEMA
from features.identity import buckets_of, column, content_ids
from features.reading import read_rows
from features.user_events import IntArray

_SOURCE = pa.field("source", pa.int64(), nullable=False)  # occurrences of a content are numbered within a source
_STAGED = EVENT_SCHEMA.append(_SOURCE)
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
            waiting.append(rows.append_column(_SOURCE, pa.array(np.full(rows.num_rows, number))))
            if sum(each.num_rows for each in waiting) >= room:
                _spill(waiting, buckets=buckets, folder=folder)
                waiting = []
    _spill(waiting, buckets=buckets, folder=folder)
    return [_spilled(folder, bucket) for bucket in range(buckets)]


def finish(staged: Path, *, bucket: int, existing: list[Path], target: Path) -> Finished:
    """Give a bucket's rows their ids, drop what is there twice or in the log already, and write the rest sorted."""
    rows = coded(_staged_rows(staged))
    may_repeat = bool(existing) or not _holds_no_repeats(rows)
    order, tied = order_by_time(rows)
    rows = _with_ids(rows, twins_among=np.sort(order[tied]))
    fresh = _fresh(rows, existing) if may_repeat else np.arange(rows.num_rows)
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


def _spill(waiting: list[pa.Table], *, buckets: int, folder: Path) -> None:
    if not sum(rows.num_rows for rows in waiting):
        return
    rows = pa.concat_tables(waiting).combine_chunks()
    bucket_of_row = buckets_of(column(rows, "user_id"), buckets)
    counts = np.bincount(bucket_of_row, minlength=buckets)
    rows = taken(rows, np.argsort(bucket_of_row.astype(np.int16), kind="stable"))  # int16: a radix sort
    ends = np.cumsum(counts)
    for bucket in np.flatnonzero(counts).tolist():
        with _spilled(folder, bucket).open("ab") as file, pa.ipc.new_stream(file, _STAGED) as piece:
            piece.write_table(rows.slice(int(ends[bucket] - counts[bucket]), int(counts[bucket])))


def _spilled(folder: Path, bucket: int) -> Path:
    return folder / f"bucket-{bucket}.arrow"


def _staged_rows(path: Path) -> pa.Table:
    """What was spilled for a bucket, piece after piece; files are not kept open between them, as there may be many."""
    pieces = []
    with pa.memory_map(str(path)) as file:
        while file.tell() < file.size():
            pieces.append(pa.ipc.open_stream(file).read_all())
    return pa.concat_tables(pieces).combine_chunks()


def _with_ids(rows: pa.Table, *, twins_among: IntArray) -> pa.Table:
    """The rows without their source, the missing event ids derived from the content."""
    ids = column(rows, "event_id")
    place = EVENT_SCHEMA.get_field_index("event_id")
    named = rows.drop_columns(["source"])
    if not ids.null_count:
        return named
    if ids.null_count == len(ids):
        sources = column(rows, "source").to_numpy()
        derived = content_ids(rows, sources, user_codes(rows), twins_among=twins_among)
    else:
        unnamed = rows.filter(ids.is_null()).combine_chunks()
        derived = content_ids(unnamed, column(unnamed, "source").to_numpy(), user_codes(unnamed))
        derived = pc.replace_with_mask(ids, ids.is_null(), derived)
    return named.set_column(place, EVENT_SCHEMA.field(place), derived)


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
