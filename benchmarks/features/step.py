"""One measurement in a process of its own: wall and processor time since the process was started, and peak memory."""

import argparse
import importlib
import json
import resource
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.job import Job, Outcome, consumed

_OURS, _PEERS = "benchmarks.features.ours", "benchmarks.features.peers"
STEPS: dict[str, tuple[str, str]] = {
    "samples": (f"{_PEERS}.in_duckdb", "samples"),
    "ingest": (_OURS, "ingest_parquet"),
    "ingest-csv": (_OURS, "ingest_csv"),
    "describe": (_OURS, "describe"),
    "hundred": (_OURS, "hundred"),
    "catalogue": (_OURS, "catalogue"),
    "fresh": (_OURS, "fresh_calls"),
    "fresh-process": (_OURS, "fresh_process"),
    "floor": (f"{_PEERS}.in_duckdb", "floor"),
    "duckdb": (f"{_PEERS}.in_duckdb", "from_events"),
    "duckdb-days": (f"{_PEERS}.in_duckdb", "from_days"),
    "polars": (f"{_PEERS}.in_polars", "from_events"),
    "polars-days": (f"{_PEERS}.in_polars", "from_days"),
    "pandas": (f"{_PEERS}.in_pandas", "from_days"),
    "featuretools": (f"{_PEERS}.in_featuretools", "from_events"),
    "tsfresh": (f"{_PEERS}.in_tsfresh", "minimal"),
}


def main() -> None:
    """Run one step and print what it took as one line of JSON."""
    options = _options()
    job = _job(options)
    module, name = STEPS[options.step]
    function: Callable[[Job], Outcome | Iterable[pa.Table]] = getattr(importlib.import_module(module), name)
    started = {"start_wall": time.perf_counter() - options.launched, "start_processor": _processor()}
    result = function(job)
    outcome = result if isinstance(result, Outcome) else consumed(result, job)
    took = {"wall": time.perf_counter() - options.launched, "processor": _processor(), "peak": _peak()}
    if outcome.kept:
        _write(outcome, job.folder / f"rows-{options.step}.parquet")
    print(json.dumps({**started, **took, "told": outcome.told}))


def _processor() -> float:
    """Seconds of user and system time of this process, its threads and its children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak() -> float:
    """The most resident memory so far, in gigabytes."""
    used = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return max(used) * 1024 / 1e9


def _write(outcome: Outcome, path: Path) -> None:
    table = pa.concat_tables(outcome.kept)
    pq.write_table(table.set_column(0, "user_id", table["user_id"].cast(pa.string())), path)


def _job(options: argparse.Namespace) -> Job:
    listed = options.folder / "files.json"
    return Job(
        folder=options.folder,
        cutoffs=[datetime.fromisoformat(text) for text in options.cutoffs],
        files=json.loads(listed.read_text("utf-8")) if listed.exists() else [],
        keep=options.keep,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--launched", type=float, required=True, help="the system's monotonic clock at the start")
    parser.add_argument("--cutoffs", nargs="*", default=[])
    parser.add_argument("--keep", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
