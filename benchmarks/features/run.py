"""Ingest and snapshots on a generated log, beside the same features in Polars, in one run.

    python -m benchmarks.features.run --events 5000000 --users 50000

Each measurement is its own process, so that peak memory and processor time are its own; the results of both sides
are compared before any figure is printed.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.features.generate import END, write_events

LOOK_BACK_DAYS = 91
_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Figure:
    """What one measurement took."""

    wall: float  # seconds
    processor: float  # seconds of user and system time
    peak: float  # resident gigabytes

    def line(self, name: str, *, events: int, peer: "Figure | None" = None) -> str:
        """A row of the table."""
        ratio = f"{self.wall / peer.wall:6.2f} x {self.processor / peer.processor:6.2f} x" if peer else ""
        return (
            f"{name:<34}{self.wall:8.2f}{self.processor:10.2f}{events / self.wall / 1e6:12.2f}{self.peak:9.2f}  {ratio}"
        )


def main() -> None:
    """Measure and print the table."""
    options = _options()
    if options.step:
        _print_step(options)
        return
    with tempfile.TemporaryDirectory() as folder:
        _compare(Path(folder), events=options.events, users=options.users)


def _compare(folder: Path, *, events: int, users: int) -> None:
    write_events(folder / "events.parquet", events=events, users=users)
    _write_csv(folder)
    print(f"{events:,} events, {users:,} users, {_WORKERS} workers, 96 features\n")
    print(f"{'':<34}{'wall s':>8}{'CPU s':>10}{'M events/s':>12}{'peak GB':>9}  wall and CPU against Polars")
    print(_measure("ingest-csv", folder)[0].line("ingest CSV", events=events))
    print(_measure("ingest", folder)[0].line("ingest Parquet", events=events))
    for count in (1, 12):
        polars, theirs = _measure("polars", folder, cutoffs=count)
        ours, mine = _measure("snapshots", folder, cutoffs=count)
        _check_equal(mine, theirs)
        print(polars.line(f"Polars, {count} cutoffs", events=events * count))
        print(ours.line(f"Holdfast snapshots, {count} cutoffs", events=events * count, peer=polars))
    print("\nBoth matrices were equal (relative 1e-9). M events/s counts every event once for each cutoff.")


def _measure(step: str, folder: Path, *, cutoffs: int = 1) -> tuple[Figure, dict[str, Any]]:  # Any: JSON
    command = [sys.executable, "-m", "benchmarks.features.run", "--step", step, "--folder", str(folder)]
    finished = subprocess.run([*command, "--cutoffs", str(cutoffs)], check=True, capture_output=True, text=True)
    told = json.loads(finished.stdout.splitlines()[-1])
    return Figure(told["wall"], told["processor"], told["peak"]), told["result"]


def _print_step(options: argparse.Namespace) -> None:
    step = _STEPS[options.step]
    cutoffs = [END - timedelta(days=30 * back) for back in range(options.cutoffs)][::-1]
    started, used = time.perf_counter(), time.process_time()
    result = step(Path(options.folder), cutoffs)
    wall, processor = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(json.dumps({"wall": wall, "processor": processor, "peak": peak, "result": result}))


def _ingest(source: str, log: str) -> Callable[[Path, list[datetime]], dict[str, Any]]:
    def step(folder: Path, _: list[datetime]) -> dict[str, Any]:
        from features.ingest import ingest
        from features.log import EventLog
        from features.sources.mapping import Mapping

        told = ingest(
            EventLog.create(folder / log),
            [str(folder / source)],
            mapping=Mapping(),
            quarantine=folder / "quarantine",
            now=END + timedelta(days=1),
        )
        return {"accepted": told.accepted}

    return step


def _snapshots(folder: Path, cutoffs: list[datetime]) -> dict[str, Any]:
    from benchmarks.features.subject import features
    from features.log import EventLog
    from features.snapshots import Population, build

    population = Population(activity=(), look_back=timedelta(days=LOOK_BACK_DAYS))
    found = build(EventLog.open(folder / "log"), features(), cutoffs=cutoffs, population=population, workers=_WORKERS)
    newest = found.at(cutoffs[-1])
    order = np.argsort(newest.users.astype(str))
    return _digest(newest.users[order].tolist(), newest.matrix[order])


def _polars(folder: Path, cutoffs: list[datetime]) -> dict[str, Any]:
    from benchmarks.features.polars_peer import build

    users, matrix = build(folder / "events.parquet", cutoffs=cutoffs, look_back_days=LOOK_BACK_DAYS)
    return _digest(users, matrix)


def _digest(users: list[str], matrix: np.ndarray) -> dict[str, Any]:
    known = np.nan_to_num(matrix, nan=-1.0)
    rows = known @ np.cos(np.arange(known.shape[1]))  # a weight of its own for each column
    return {"users": len(users), "first": users[:3], "rows": rows[:: max(1, len(rows) // 500)].tolist()}


def _check_equal(mine: dict[str, Any], theirs: dict[str, Any]) -> None:
    if (mine["users"], mine["first"]) != (theirs["users"], theirs["first"]):
        raise SystemExit(f"the two sides chose other users: {mine['users']} and {theirs['users']}")
    np.testing.assert_allclose(mine["rows"], theirs["rows"], rtol=1e-9, atol=1e-7)


def _write_csv(folder: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet as pq

    pyarrow.csv.write_csv(pq.read_table(folder / "events.parquet"), folder / "events.csv")


_STEPS = {
    "ingest": _ingest("events.parquet", "log"),
    "ingest-csv": _ingest("events.csv", "log-from-csv"),
    "snapshots": _snapshots,
    "polars": _polars,
}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--cutoffs", type=int, default=1)
    parser.add_argument("--folder", default="")
    parser.add_argument("--step", choices=sorted(_STEPS))
    return parser.parse_args()


if __name__ == "__main__":
    main()
