"""What a database complains of, as errors that say what to do."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from features.errors import UserError
from serving.store.database import Database

_FULL = ("is full", "no space left", "disk full", "could not extend", "file too large")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, a quota, or the longest file is full
_IN_BRIEF = {
    _FULL: "its disk is full",
    ("locked", "busy", "lock timeout"): "another process has locked it",
    ("unable to open", "no such table", "was removed", "undefinedtable"): "its file or its tables are gone",
    ("malformed", "not a database", "corrupt"): "it is damaged",
    ("authentication", "password", "role", "does not exist", "permission denied"): "it refuses the service",
}


@contextmanager
def told_apart(database: Database) -> Iterator[None]:
    """Turns a full disk, a lock, missing rights, a damaged file or a missing server into what a user can act on."""
    try:
        yield
    except Exception as error:
        known = database.trouble(str(getattr(error, "orig", error))) if is_of_a_database(error) else None
        if known is None:
            raise
        raise known from error


def is_of_a_database(error: Exception) -> bool:
    """Whether a database or the way to it has failed; psycopg is told by name, because it is an extra.

    A value that it does not take is a fault of ours, and no reason to leave it alone.
    """
    if any(kind.__name__ == "DataError" for kind in type(error).__mro__):
        return False
    return not isinstance(error, UserError) and (
        isinstance(error, DBAPIError | PoolTimeoutError | sqlite3.Error | OSError)
        or type(error).__module__.startswith("psycopg")
    )


def is_full(error: BaseException) -> bool:
    """Whether there is no room left to write: a database or a disk says so.

    >>> is_full(sqlite3.OperationalError("database or disk is full")), is_full(OSError(errno.ENOENT, "no such file"))
    (True, False)
    """
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    # A longest file that is reached is to SQLite a fault of writing.
    if getattr(getattr(error, "orig", error), "sqlite_errorname", "") == "SQLITE_IOERR_WRITE":
        return True
    return isinstance(error, Exception) and is_of_a_database(error) and _says(error, _FULL)


def in_brief(error: Exception) -> str:
    """What is wrong with the store, for everybody: no names, no addresses.

    >>> in_brief(sqlite3.OperationalError("database or disk is full"))
    'its disk is full'
    """
    found = (words for signs, words in _IN_BRIEF.items() if _says(error, signs))
    return next(found, "it does not answer")


def _says(error: Exception, signs: tuple[str, ...]) -> bool:
    complaint = f"{type(error).__name__} {error}".lower()
    return any(sign in complaint for sign in signs)
