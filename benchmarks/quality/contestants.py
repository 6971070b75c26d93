"""What peers said of the test rows, kept in a folder: nobody is asked twice about the same rows."""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from features.user_events import FloatArray
from training.snapshots import TrainingSet

OTHERWISE = "[learnt from other rows or features]"


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """What somebody said of the test rows, and what it took to say it."""

    name: str
    probabilities: FloatArray
    wall: float = float("nan")  # seconds
    processor: float = float("nan")
    note: str = ""


@dataclass(frozen=True, slots=True)
class Kept:
    """A folder of answers to one question; without a folder nothing is kept."""

    folder: Path | None
    protocol: str
    learnt: str  # the fingerprint of what was learnt from
    asked: str  # that of the test rows, whatever was known of them

    @classmethod
    def of(cls, folder: Path | None, protocol: str, *, learnt: TrainingSet, asked: TrainingSet) -> "Kept":
        """The answers about just these rows, features and outcomes."""
        if folder is None:
            return cls(None, protocol, "", "")
        return cls(folder, protocol, fingerprint(learnt), fingerprint(asked.of(())))

    def there(self, *, whatever_learnt: bool = False) -> Iterator[Contestant]:
        """Those that have answered before; also those that had learnt from other rows or features, who say so."""
        for file in sorted(self.folder.glob(f"{_plain(self.protocol)}--*.json")) if self.folder else ():
            told = json.loads(file.read_text("utf-8"))
            learnt, asked = told.pop("learnt"), told.pop("asked")
            if asked != self.asked or (learnt != self.learnt and not whatever_learnt):
                continue
            if learnt != self.learnt:
                told["note"] = f"{OTHERWISE} {told['note']}".rstrip()
            yield Contestant(**{**told, "probabilities": np.array(told["probabilities"], dtype=np.float64)})

    def keeping(self, found: Iterator[Contestant]) -> Iterator[Contestant]:
        """The same contestants, each written down as it comes."""
        for one in found:
            if self.folder and not math.isnan(one.processor):  # what our own training says anyway is not kept
                told = asdict(one) | {"probabilities": one.probabilities.tolist()}
                told |= {"learnt": self.learnt, "asked": self.asked}
                self.folder.mkdir(parents=True, exist_ok=True)
                file = self.folder / f"{_plain(self.protocol)}--{_plain(one.name)}.json"
                file.write_text(json.dumps(told), "utf-8")
            yield one


def fingerprint(rows: TrainingSet) -> str:
    """Of all that a peer is given: users, cutoffs, names, values and outcomes."""
    found = hashlib.sha256("\n".join([*rows.snapshots.names, *rows.users.astype(str)]).encode())
    for each in (rows.snapshots.cutoffs, rows.snapshots.matrix, rows.labels):
        found.update(np.ascontiguousarray(each).tobytes())
    return found.hexdigest()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
