"""Files that no version of the log needs any longer, and what may be done about them."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from deltalake import DeltaTable

from features.errors import BadInput
from features.windows import format_span, from_microseconds, shift

SHORTEST = timedelta(days=1)  # readers and imports that began before may still be at work
_MICROSECONDS = 1000  # in the milliseconds of Delta's times


def vacuum(log: Path, *, older_than: timedelta, now: datetime) -> int:
    """Remove the files of a log that no version of the last `older_than` names; returns how many there were.

    Versions that were the newest at any time since then stay readable, older ones do not. Files that no version ever
    named, which a crash left behind, go as well. Raises `BadInput` for less than a day.
    """
    if older_than < SHORTEST:
        raise BadInput(
            f"{older_than} is too short: readers and imports may still need those files; "
            f"expected {format_span(SHORTEST)} or more."
        )
    oldest_kept = shift(now, -older_than)
    named = set(_named_since(log, oldest_kept))
    gone = [path for path in log.glob("bucket=*/*.parquet") if path not in named and _written(path) < oldest_kept]
    for path in gone:
        path.unlink(missing_ok=True)
    return len(gone)


def readable_from(log: Path, version: int) -> int | None:
    """From which version on a log can be read whose past version names files that were removed since.

    None when no later version gave those files up: then they were not cleaned up but lost.
    """
    newest = DeltaTable(log).version()
    given_up = (number for number in range(version + 1, newest + 1) if any(_gone(log, number)))
    return max(given_up, default=None)


def _gone(log: Path, version: int) -> Iterator[Path]:
    """The files that a version gave up and that are there no more."""
    for action in _actions(log, version):
        if "remove" in action and not (log / action["remove"]["path"]).exists():
            yield log / action["remove"]["path"]


def _named_since(log: Path, oldest_kept: datetime) -> Iterator[Path]:
    """The files of the version that was the newest then, and of all since."""
    table = DeltaTable(log)
    versions = [(each["version"], _made(each["timestamp"])) for each in table.history()]  # newest first
    then = next((version for version, made in versions if made <= oldest_kept), versions[-1][0])
    for name in pa.table(DeltaTable(log, version=then).get_add_actions())["path"].to_pylist():
        yield log / name
    for version in range(then + 1, table.version() + 1):
        for action in _actions(log, version):
            if "add" in action:
                yield log / action["add"]["path"]


def _actions(log: Path, version: int) -> Iterator[dict[str, Any]]:  # Any: JSON
    """What a version did to the table."""
    yield from map(orjson.loads, (log / "_delta_log" / f"{version:020d}.json").read_bytes().splitlines())


def _made(milliseconds: int) -> datetime:
    return from_microseconds(milliseconds * _MICROSECONDS)


def _written(path: Path) -> datetime:
    try:
        return _made(path.stat().st_mtime_ns // 1_000_000)
    except FileNotFoundError:  # somebody else cleans up too
        return from_microseconds(0)
