"""One training at a time on the same data: the second is told so at once, instead of racing for the champion."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from features.errors import Busy


@contextmanager
def alone(folder: Path, *, work: str = "training") -> Iterator[None]:
    """Hold the folder's lock for this work; raises `Busy` when another process holds it.

    The operating system lets go of the lock when its process ends, however it ends: a crash leaves nothing to clear.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f".{work}.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise Busy(
            f"another {work} is running on {folder}; wait for it to finish, or stop it, and try again."
        ) from None
    try:
        yield
    finally:
        lock.release()
