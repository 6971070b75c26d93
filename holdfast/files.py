"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from features.errors import BadInput


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """A path beside the target to write to; it takes the target's place when the block ends without an error.

    Raises `BadInput` when the target's folder is not there.
    """
    if not target.parent.is_dir():
        raise BadInput(f"{target}: there is no folder {target.parent}; make it, or name another place.")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
    try:
        yield unfinished
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
