"""What a measured process is asked for, and what it hands back: sums, and all rows if asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, slots=True)
class Job:
    """One measurement's input."""

    folder: Path
    cutoffs: list[datetime]
    files: list[list[str]]  # the log's own Parquet files, a list for each bucket
    keep: bool  # keep all rows, to be compared

    def sample(self, peer: str) -> Path:
        """The events of a part of the users, for a peer that cannot take all."""
        return self.folder / f"sample-{peer}.parquet"


@dataclass(slots=True)
class Outcome:
    """One measurement's result."""

    told: dict[str, Any] = field(default_factory=dict)  # Any: JSON
    kept: list[pa.Table] = field(default_factory=list)


def consumed(pieces: Iterable[pa.Table], job: Job) -> Outcome:
    """The sums of pieces (`user_id`, then the features), each dropped when it is added."""
    outcome, rows, sums = Outcome(), 0, None
    for piece in pieces:
        found = [pc.sum(piece[name]).as_py() or 0.0 for name in piece.column_names[1:]]
        sums = found if sums is None else [so_far + new for so_far, new in zip(sums, found, strict=True)]
        rows += len(piece)
        if job.keep:
            outcome.kept.append(piece)
    outcome.told = {"rows": rows, "sums": sums or []}
    return outcome
