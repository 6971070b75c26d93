"""One writer of runs at a time: a lock on a file beside the database, which the system frees when its holder dies."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import Busy


@contextmanager
def write_lock(database: Path) -> Iterator[None]:
    """Held while a run is written; raises `Busy` at once when another process holds it."""
    with database.with_name(database.name + ".writing").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(
                f"another process is writing scores to {database}; wait until it has finished, then try again."
            ) from None
        yield
