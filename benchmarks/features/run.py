"""How fast and in how much memory events become features, beside other tools, in one run.

    python -m benchmarks.features.run --events 20000000 --peers duckdb polars pandas featuretools tsfresh

Each measurement is its own process; the rows of all sides at one cutoff, and their sums at many, are compared before
a figure is printed. All sides read the log's own files, with a warm page cache unless a line says cold.
`--scale 5 50 200` adds a table of logs with so many million events.
"""

import argparse
import math
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.environment import CACHE, python_of
from benchmarks.features.measure import Bench, Failed, Figure, evict
from benchmarks.features.prepare import describe, generate
from benchmarks.features.scale import print_scale
from benchmarks.features.subject import SAMPLES, cutoffs, names
from benchmarks.features.tables import Ratio, Row, print_ratios, print_row, print_rows

_STEPS = {
    "duckdb": {"duckdb": "DuckDB, from the events", "duckdb-days": "DuckDB, days added up once"},
    "polars": {"polars": "Polars, from the events", "polars-days": "Polars, days added up once"},
    "pandas": {"pandas": "pandas, days added up once"},
    "featuretools": {"featuretools": "Featuretools, 1 % of the users"},
    "tsfresh": {"tsfresh": "tsfresh minimal, 0.1 % of the users"},
}
_BEST_OF = ("duckdb", "duckdb-days", "polars", "polars-days", "pandas")
_TOLERANCE = 1e-9

Figures = dict[tuple[str, int], Figure]  # by step and number of cutoffs


def main() -> None:
    """Measure and print the tables."""
    options = _options()
    system = (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    print(f"{system}\nstart-up is the CPU of starting and importing; cores is CPU through wall after that; ~ is scaled")
    try:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _print_all(Bench(Path(folder), options.repeat, options.patience), options)
        print_scale(options)
    except Failed as failure:
        sys.exit(f"one of our own steps failed:\n{failure}")


def _print_all(bench: Bench, options: argparse.Namespace) -> None:
    users = options.users or max(options.events // 100, 1)
    csv = min(options.events, options.csv_events)
    generate(
        bench,
        events=options.events,
        users=users,
        kinds=options.kinds,
        has_properties=options.properties,
        csv_events=csv,
    )
    ingest, ingest_csv = bench.once("ingest"), bench.once("ingest-csv")
    log = describe(bench)
    print_rows(
        f"{options.events:,} events, {users:,} users, {options.kinds} kinds",
        [Row("ingest Parquet", ingest, options.events), Row(f"ingest CSV, {csv:,} events", ingest_csv, csv)],
    )
    figures = _measured(bench, options, log)
    _print_fresh(bench)
    print_ratios([*_ratios(figures, options.cutoffs), *_ingest_ratios(ingest, ingest_csv, options, csv)])


def _measured(bench: Bench, options: argparse.Namespace, log: dict[str, Any]) -> Figures:
    samples = bench.once("samples").told
    figures: Figures = {}
    print_rows(f"snapshots, {len(names())} features", [])
    figures["floor", 1] = bench.measure("floor")
    print_row(Row("floor: DuckDB, count and sum of each user", figures["floor", 1], options.events))
    for count in options.cutoffs:
        _measure_ours(bench, figures, count, options.events, log)
        for peer in options.peers:
            for step, title in _STEPS[peer].items():
                if count == 1 or peer not in SAMPLES:
                    _measure_peer(bench, figures, step, count, options, title, samples)
    return figures


def _measure_ours(bench: Bench, figures: Figures, count: int, events: int, log: dict[str, Any]) -> None:
    moments = cutoffs(count)
    if count == 1:
        evict(log["files"])
        print_row(Row("Holdfast, 1 cutoff, cold", bench.once("hundred", moments), events))
    found = figures["hundred", count] = bench.measure("hundred", moments, keep=count == 1)
    print_row(Row(f"Holdfast, {_cutoffs(count)}", found, events * count, f"{found.told['rows']:,} rows"))
    found = figures["catalogue", count] = bench.measure("catalogue", moments)
    print_row(Row(f"Holdfast, {_cutoffs(count)}, catalogue of {found.told['columns']}", found, events * count))


def _measure_peer(
    bench: Bench,
    figures: Figures,
    step: str,
    count: int,
    options: argparse.Namespace,
    title: str,
    samples: dict[str, int],
) -> None:
    name, moments = f"{title}, {_cutoffs(count)}", cutoffs(count)
    try:
        own = Path(__file__).with_name(f"{step}.txt")
        python = python_of(own, cache=options.cache) if step in SAMPLES else sys.executable
        found = bench.measure(step, moments, keep=count == 1, python=python)
        note = _compared(bench, step) if count == 1 else _sums_compared(found, figures["hundred", count])
    except Failed as failure:
        if count == 1 or (step, 1) not in figures:
            print(f"{name:<46}left out: {str(failure).splitlines()[-1]}", flush=True)
            return
        found, note = bench.extrapolated(step, moments, one=figures[step, 1]), "scaled from 3 cutoffs"
    except subprocess.CalledProcessError:
        print(f"{name:<46}left out: its environment could not be made", flush=True)
        return
    if step in SAMPLES:
        found = found.times(options.events / samples[step])
        note += f"; scaled from {samples[step]:,} events"
    figures[step, count] = found
    print_row(Row(name, found, options.events * count, note))


def _compared(bench: Bench, step: str) -> str:
    told = bench.compare(step)
    return f"{told['columns']} columns x {told['rows']:,} users equal (worst {told['worst']:.0e})"


def _sums_compared(theirs: Figure, ours: Figure) -> str:
    """Sums of the columns without missing values, over all users and cutoffs."""
    if theirs.told["rows"] != ours.told["rows"]:
        raise Failed(f"{theirs.told['rows']:,} rows, ours are {ours.told['rows']:,}")
    pairs = [(a, b) for a, b in zip(ours.told["sums"], theirs.told["sums"], strict=True) if not math.isnan(a)]
    worst = max(abs(a - b) / max(abs(a), abs(b), 1.0) for a, b in pairs)
    if worst > _TOLERANCE:
        raise Failed(f"sums differ by {worst:.1e}")
    return f"sums of {len(pairs)} columns equal (worst {worst:.0e})"


def _print_fresh(bench: Bench) -> None:
    calls, process = bench.measure("fresh").told, bench.measure("fresh-process")
    print(
        f"\none fresh user, catalogue: median {calls['median']:.0f} us, p99 {calls['p99']:.0f} us "
        f"over {calls['calls']:,} calls of {calls['events']} events (bar: median <= 1000 us)"
    )
    told = process.told
    print(
        f"a fresh process: {process.start_wall:.2f} s to start, {told['plan'] * 1e3:.0f} ms to plan, "
        f"{told['read'] * 1e3:.0f} ms to read one user of the log, first answer {told['first'] * 1e3:.2f} ms, "
        f"second {told['second'] * 1e3:.2f} ms"
    )


def _ratios(figures: Figures, counts: list[int]) -> Iterator[Ratio]:
    ours = {count: figures["hundred", count].work for count in counts}
    many = max(counts)
    if 1 in ours:
        yield Ratio("one cutoff against the floor", ours[1] / figures["floor", 1].work, 4)
    if 1 in ours and many > 1:
        yield Ratio(f"{many} cutoffs against one", ours[many] / ours[1], 4)
    bars = {1: (2.5, 6)} | ({many: (12, 40)} if many > 1 else {})
    for count, (bar, bar_of_pandas) in bars.items():
        found = {step: figures[step, count] for step in _BEST_OF if (step, count) in figures}
        if found:
            best = min(found, key=lambda step: found[step].work)
            title = f"best peer ({best}) against ours, {_cutoffs(count)}"
            yield Ratio(title, found[best].work / ours[count], bar, at_most=False)
        if "pandas" in found:
            title = f"pandas against ours, {_cutoffs(count)}"
            yield Ratio(title, found["pandas"].work / ours[count], bar_of_pandas, at_most=False)
    if ("featuretools", 1) in figures:
        yield Ratio("Featuretools against ours, 1 cutoff", figures["featuretools", 1].work / ours[1], 60, at_most=False)
    for count in counts:
        catalogue = figures["catalogue", count].work
        yield Ratio(f"catalogue against the {len(names())} features, {_cutoffs(count)}", catalogue / ours[count], 3)


def _ingest_ratios(parquet: Figure, csv: Figure, options: argparse.Namespace, csv_events: int) -> Iterator[Ratio]:
    yield Ratio("ingest from Parquet", _millions(parquet, options.events), 1, at_most=False, unit="M/s")
    yield Ratio("ingest from CSV", _millions(csv, csv_events), 0.3, at_most=False, unit="M/s")


def _millions(figure: Figure, events: int) -> float:
    return events / (figure.wall - figure.start_wall) / 1e6


def _cutoffs(count: int) -> str:
    return f"{count} cutoff" + "s" * (count > 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=0, help="by default one for every hundred events")
    parser.add_argument("--kinds", type=int, default=12, help="12 to 40")
    parser.add_argument("--properties", action="store_true", help="a channel and a store with every event")
    parser.add_argument("--cutoffs", type=int, nargs="+", default=[1, 24], help="28 days apart")
    parser.add_argument("--peers", nargs="*", choices=_STEPS, default=["duckdb", "polars", "pandas"])
    parser.add_argument("--scale", type=int, nargs="*", default=[], metavar="MILLIONS", help="sizes of further logs")
    parser.add_argument("--csv-events", type=int, default=5_000_000, help="at most so many are ingested from CSV")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each measurement; the best counts")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for one process of a peer")
    parser.add_argument("--folder", type=Path, help="where the logs are written and removed again")
    parser.add_argument("--cache", type=Path, default=CACHE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
