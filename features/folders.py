"""Folders that appear whole: made beside their place under another name, and moved into it at the end."""

import os
import shutil
import uuid
from pathlib import Path

from features.errors import Busy


def take_place(draft: Path, target: Path, *, overwrite: bool) -> None:
    """Give a finished draft beside the target the target's name; with `overwrite` in the place of what is there.

    Where it replaces another folder, there is none for the instant between two moves. Raises `Busy` when somebody
    else put something there meanwhile, which stays.
    """
    before = target.with_name(f".{target.name}-{uuid.uuid4().hex}-before")
    if overwrite and target.exists():
        target.rename(before)
    try:
        draft.rename(target)
    except OSError as error:
        if before.exists():
            before.rename(target)
        raise Busy(f"{target} was made by somebody else meanwhile and is left alone; run it again.") from error
    shutil.rmtree(before, ignore_errors=True)
    sync(target.absolute().parent)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
