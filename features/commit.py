"""One commit to the Delta table: files that were written in a staging folder move in and are named all at once."""

import errno
import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def file_name(version: int) -> str:
    """A new name for a file, which sorts by the version that it is written for."""
    return f"{version:012d}-{uuid.uuid4().hex}.parquet"


def commit(log: Path, written: Sequence[Finished], *, note: str, replaced: Sequence[Path] = ()) -> None:
    """Add the written files and remove those that they replace; when that fails, the files are gone again.

    Raises `Busy` when another process removed the same files meanwhile; additions never get in each other's way.
    """
    files = [each for each in written if each.path is not None]
    if not files:
        return
    places = [log / f"bucket={each.bucket}" / each.path.name for each in files if each.path]
    try:
        _move(files, places)
        actions: list[AddAction | RemoveAction] = [
            _added(each, place, data_change=not replaced) for each, place in zip(files, places, strict=True)
        ]
        removed_at = max(action.modification_time for action in actions if isinstance(action, AddAction))
        actions += [_removed(path, removed_at) for path in replaced]
        properties = CommitProperties(custom_metadata={"source": note}, max_commit_retries=100)
        table = DeltaTable(log)
        table.create_write_transaction(actions, "append", TABLE_SCHEMA, ["bucket"], commit_properties=properties)
    except CommitFailedError as error:
        _withdraw(log, places)
        raise Busy(f"Another process changed the event log at {log} meanwhile. Run the command again.") from error
    except BaseException:  # also Ctrl-C, which may come after the commit was made
        _withdraw(log, places)
        raise


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


def _move(files: Sequence[Finished], places: Sequence[Path]) -> None:
    for each, place in zip(files, places, strict=True):
        place.parent.mkdir(exist_ok=True)
        if each.path:
            each.path.rename(place)


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
