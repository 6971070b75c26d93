"""Starts measured processes one after the other and takes down what they used. It imports next to nothing itself.

A child's peak memory begins with what its parent held, so the parent has to stay small.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """What one measurement took, from the start of its process."""

    wall: float  # seconds
    processor: float  # seconds of user and system time, threads and children included
    peak: float  # resident gigabytes
    start_wall: float  # seconds until everything was imported
    start_processor: float
    told: dict[str, Any]  # Any: JSON
    is_scaled: bool = False  # not measured at this size

    @property
    def work(self) -> float:
        """Processor seconds without those that starting took."""
        return self.processor - self.start_processor

    @property
    def cores(self) -> float:
        """How many processors were busy on average after the start."""
        return self.work / (self.wall - self.start_wall)

    def times(self, factor: float) -> "Figure":
        """The same for so many times the work."""
        return replace(
            self,
            wall=self.start_wall + factor * (self.wall - self.start_wall),
            processor=self.start_processor + factor * self.work,
            is_scaled=True,
        )


class Failed(Exception):
    """A measured process did not finish; the text says how."""


@dataclass(frozen=True, slots=True)
class Bench:
    """Measures steps on the log in a folder; the best of `repeat` runs counts, which is the one with the least CPU."""

    folder: Path
    repeat: int
    patience: float | None  # seconds that one process may take

    def measure(
        self, step: str, cutoffs: Sequence[datetime] = (), *, keep: bool = False, python: str = sys.executable
    ) -> Figure:
        """The figures of one step; raises `Failed`."""
        return min((self._once(step, cutoffs, keep, python) for _ in range(self.repeat)), key=lambda found: found.work)

    def once(self, step: str, cutoffs: Sequence[datetime] = ()) -> Figure:
        """The figures of a step that cannot be repeated, however long it takes."""
        return replace(self, patience=None)._once(step, cutoffs, keep=False, python=sys.executable)

    def _once(self, step: str, cutoffs: Sequence[datetime], keep: bool, python: str) -> Figure:
        command = [python, "-W", "ignore", "-m", "benchmarks.features.step", step, "--folder", str(self.folder)]
        command += ["--keep"] * keep + ["--launched", str(time.perf_counter())]
        return Figure(**_answer([*command, "--cutoffs", *(cutoff.isoformat() for cutoff in cutoffs)], self.patience))

    def compare(self, peer: str) -> dict[str, Any]:
        """How a peer's rows differ from ours; raises `Failed` when they differ too much."""
        command = [sys.executable, "-m", "benchmarks.features.compare", peer, "--folder", str(self.folder)]
        return _answer(command, self.patience)

    def extrapolated(self, step: str, cutoffs: Sequence[datetime], *, one: Figure) -> Figure:
        """What many cutoffs would take, from one cutoff and from three of them: the first, the middle, the last."""
        three = self.measure(step, [cutoffs[0], cutoffs[len(cutoffs) // 2], cutoffs[-1]])
        more = (len(cutoffs) - 1) / 2
        return replace(
            three,
            wall=one.wall + more * (three.wall - one.wall),
            processor=one.processor + more * (three.processor - one.processor),
            told={},
            is_scaled=True,
        )


def evict(files: list[list[str]]) -> None:
    """Ask the system to forget what it holds of these files in memory, so that the next reader goes to the disk."""
    for file in (file for bucket in files for file in bucket):
        with Path(file).open("rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _answer(command: list[str], patience: float | None) -> dict[str, Any]:
    try:
        finished = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"not finished in {patience:.0f} s") from None
    if finished.returncode:
        raise Failed(finished.stderr.strip() or f"exit {finished.returncode}")
    answer: dict[str, Any] = json.loads(finished.stdout.splitlines()[-1])
    return answer
