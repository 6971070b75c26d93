"""One commit to the Delta table: files that were written in a staging folder move in and are named all at once."""

import errno
import json
import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import orjson
import pyarrow as pa
from deltalake import DeltaTable, Schema
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, CommitProperties, RemoveAction

from features.errors import Busy, UserError
from features.events import EVENT_SCHEMA
from features.staging import Finished
from features.windows import from_microseconds, iso

TABLE_SCHEMA = Schema.from_arrow(
    pa.schema([field if field.name != "event_id" else field.with_nullable(False) for field in EVENT_SCHEMA]).append(
        pa.field("bucket", pa.int32(), nullable=False)
    )
)
BUCKETS = "holdfast.buckets"  # the property of the table that says how many there are
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def file_name(version: int) -> str:
    """A new name for a file, which sorts by the version that it is written for."""
    return f"{version:012d}-{uuid.uuid4().hex}.parquet"


def commit(log: Path, written: Sequence[Finished], *, note: str, buckets: int, replaced: Sequence[Path] = ()) -> None:
    """Add the written files and remove those that they replace; when that fails, the files are gone again.

    Raises `Busy` when another process removed the same files or changed the number of buckets meanwhile; additions
    never get in each other's way.
    """
    files = [each for each in written if each.path is not None]
    if not files:
        return
    with _moved_in(log, files) as places:
        added, removed = _actions(files, places, replaced)
        properties = CommitProperties(custom_metadata={"source": note}, max_commit_retries=100)
        table = DeltaTable(log)
        if table.metadata().configuration.get(BUCKETS) != str(buckets):
            raise changed_meanwhile(log)
        try:  # a change of the table's configuration after it was loaded is a conflict
            table.create_write_transaction(
                [*added, *removed], "append", TABLE_SCHEMA, ["bucket"], commit_properties=properties
            )
        except CommitFailedError as error:
            raise changed_meanwhile(log) from error


def commit_rebucketed(
    log: Path, written: Sequence[Finished], *, version: int, buckets: int, replaced: Sequence[Path]
) -> None:
    """Replace all files of a version by others in another number of buckets; `Busy` when it is not the newest one.

    The Delta library cannot change files and configuration at once, so the commit is written by hand:
    https://github.com/delta-io/delta/blob/master/PROTOCOL.md. Like the library's own, it is there only if it is the
    first with its number.
    """
    files = [each for each in written if each.path is not None]
    with _moved_in(log, files) as places:
        added, removed = _actions(files, places, replaced)
        table = DeltaTable(log, version=version)
        lines = [
            {"commitInfo": {"operation": "REBUCKET", "timestamp": _newest_time(log, places), "buckets": buckets}},
            {"metaData": _metadata(table, buckets)},
            *({"remove": _as_json(action)} for action in removed),
            *({"add": _as_json(action)} for action in added),
        ]
        _publish(log, version + 1, b"".join(orjson.dumps(line) + b"\n" for line in lines))


@contextmanager
def room_on_disk(path: Path) -> Iterator[None]:
    """Turns a full disk into an error that says what to do."""
    try:
        yield
    except (OSError, DeltaError) as error:
        if getattr(error, "errno", None) not in _FULL and "No space left" not in str(error):
            raise
        raise UserError(
            f"There is no room on the disk of {path} to write the events; nothing was added and the log is as it was. "
            "Free some space (an import needs about three times the size of what it adds), then run it again."
        ) from error


@contextmanager
def _moved_in(log: Path, files: Sequence[Finished]) -> Iterator[list[Path]]:
    """The files in their places; out again when no version came to name them."""
    places = [log / f"bucket={each.bucket}" / each.path.name for each in files if each.path]
    try:
        _move(files, places)
        yield places
    except BaseException:  # also Ctrl-C, which may come after the commit was made
        _withdraw(log, places)
        raise


def _move(files: Sequence[Finished], places: Sequence[Path]) -> None:
    for each, place in zip(files, places, strict=True):
        place.parent.mkdir(exist_ok=True)
        if each.path:
            os.utime(each.path)  # its age counts from here: a long import must not look abandoned
            each.path.rename(place)


def changed_meanwhile(log: Path) -> Busy:
    """What to raise when another process was quicker."""
    return Busy(f"Another process changed the event log at {log} meanwhile. Run the command again.")


def _actions(
    files: Sequence[Finished], places: Sequence[Path], replaced: Sequence[Path]
) -> tuple[list[AddAction], list[RemoveAction]]:
    pairs = zip(files, places, strict=True)
    added = [_added(each, place, data_change=not replaced) for each, place in pairs]
    removed_at = max((action.modification_time for action in added), default=0)
    return added, [_removed(path, removed_at) for path in replaced]


def _newest_time(log: Path, places: Sequence[Path]) -> int:
    """When the newest of the files was written, in milliseconds, because there is no clock down here."""
    return int(max(path.stat().st_mtime for path in [log / "_staging", *places]) * 1000)


def _metadata(table: DeltaTable, buckets: int) -> dict[str, object]:
    found = table.metadata()
    return {
        "id": str(found.id),
        "name": found.name,
        "description": found.description,
        "format": {"provider": "parquet", "options": {}},
        "schemaString": table.schema().to_json(),
        "partitionColumns": found.partition_columns,
        "createdTime": found.created_time,
        "configuration": {**found.configuration, BUCKETS: str(buckets)},
    }


def _as_json(action: AddAction | RemoveAction) -> dict[str, object]:
    shared = {
        "path": action.path,
        "partitionValues": action.partition_values,
        "size": action.size,
        "dataChange": action.data_change,
    }
    if isinstance(action, AddAction):
        return {**shared, "modificationTime": action.modification_time, "stats": action.stats}
    return {**shared, "deletionTimestamp": action.deletion_timestamp, "extendedFileMetadata": True}


def _publish(log: Path, version: int, content: bytes) -> None:
    """Write a commit so that it is whole and on the disk when it can be seen, or `Busy` when there is one already."""
    prepared = log / "_staging" / f"{uuid.uuid4().hex}.json"
    try:
        with prepared.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(prepared, log / "_delta_log" / f"{version:020d}.json")
    except FileExistsError:
        raise changed_meanwhile(log) from None
    finally:
        prepared.unlink(missing_ok=True)


def _withdraw(log: Path, places: Sequence[Path]) -> None:
    """Remove the files that the table does not name."""
    named = set(pa.table(DeltaTable(log).get_add_actions())["path"].to_pylist())
    for place in places:
        if f"{place.parent.name}/{place.name}" not in named:
            place.unlink(missing_ok=True)


def _added(each: Finished, place: Path, *, data_change: bool) -> AddAction:
    stats = {
        "numRecords": each.rows,
        "minValues": {"user_id": each.first_user, "time": iso(from_microseconds(each.start))},
        "maxValues": {"user_id": each.last_user, "time": iso(from_microseconds(each.end))},
        "nullCount": {"user_id": 0, "time": 0, "event": 0, "event_id": 0},
    }
    facts = place.stat()
    return AddAction(
        path=f"{place.parent.name}/{place.name}",
        size=facts.st_size,
        partition_values={"bucket": str(each.bucket)},
        modification_time=int(facts.st_mtime * 1000),
        data_change=data_change,
        stats=json.dumps(stats),
    )


def _removed(path: Path, removed_at: int) -> RemoveAction:
    return RemoveAction(
        path=f"{path.parent.name}/{path.name}",
        data_change=False,
        deletion_timestamp=removed_at,
        size=path.stat().st_size,
        partition_values={"bucket": path.parent.name.removeprefix("bucket=")},
    )
