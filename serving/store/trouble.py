"""What the database complains of, as errors that say what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import DatabaseError

from features.errors import Busy, Damaged, UserError


@contextmanager
def told_apart(database: Path) -> Iterator[None]:
    """Turns a full disk, a lock, missing rights and a damaged file into errors a user can act on."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError, OSError) as error:
        known = _known(str(getattr(error, "orig", error)), database)
        if known is None:
            raise
        raise known from error


def _known(complaint: str, database: Path) -> UserError | None:
    meanings = {
        ("full", "disk i/o", "no space left"): UserError(
            f"there is no room on the disk of {database} (or it fails); what was stored before is as it was. "
            "Free some space, then run it again: a million scores take about half a gigabyte, twice that while written."
        ),
        ("locked", "busy"): Busy(f"another process has been writing to {database} for ten seconds; try again."),
        (
            "readonly",
            "unable to open",
            "permission denied",
            "not a directory",
            "is a directory",
            "file exists",
        ): UserError(
            f"{database} cannot be opened for writing ({complaint}); check the path and its rights, or [store] url."
        ),
        ("malformed", "not a database"): Damaged(
            f"{database} is not a readable SQLite database ({complaint}); restore it, or point [store] url elsewhere."
        ),
    }
    return next((error for signs, error in meanings.items() if any(sign in complaint.lower() for sign in signs)), None)
