"""What a database complains of, as errors that say what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DatabaseError

from features.errors import UserError
from serving.store.database import Database


@contextmanager
def told_apart(database: Database) -> Iterator[None]:
    """Turns a full disk, a lock, missing rights, a damaged file or a missing server into what a user can act on."""
    try:
        yield
    except Exception as error:
        known = database.trouble(str(getattr(error, "orig", error))) if _of_a_database(error) else None
        if known is None:
            raise
        raise known from error


def _of_a_database(error: Exception) -> bool:
    return not isinstance(error, UserError) and (
        isinstance(error, DatabaseError | sqlite3.DatabaseError | OSError)
        or type(error).__module__.startswith("psycopg")
    )
