"""The same work on logs of several sizes: does cost grow with the events, and does memory stay where it is?"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.features.measure import Bench
from benchmarks.features.prepare import describe, generate
from benchmarks.features.subject import cutoffs
from benchmarks.features.tables import Row, print_row, print_rows

_EVENTS_PER_USER = 100


def print_scale(options: argparse.Namespace) -> None:
    """A block of rows for each size; nothing when no size was asked for."""
    if options.scale:
        print("\ngrowth: peak memory stays below 2 GB (bar), CPU an event stays alike", end="")
        print_rows("", [])
    for millions in options.scale:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _print_size(Bench(Path(folder), options.repeat, patience=None), millions, options)


def _print_size(bench: Bench, millions: int, options: argparse.Namespace) -> None:
    events = millions * 1_000_000
    users = events // _EVENTS_PER_USER
    generate(bench, events=events, users=users, kinds=options.kinds, has_properties=options.properties)
    print_row(Row(f"{millions} M, ingest Parquet", bench.once("ingest"), events))
    (bench.folder / "events.parquet").unlink()  # the log is enough from here on
    log = describe(bench)
    print_row(Row(f"{millions} M, floor", bench.measure("floor"), events, f"log of {log['bytes'] / 1e9:.2f} GB"))
    for count in options.cutoffs:
        found = bench.measure("hundred", cutoffs(count))
        note = f"{found.work / events / count * 1e9:.0f} ns CPU an event and cutoff, {found.told['rows']:,} rows"
        print_row(Row(f"{millions} M, {count} cutoff" + "s" * (count > 1), found, events * count, note))
    found = bench.measure("catalogue", cutoffs(1))
    print_row(Row(f"{millions} M, 1 cutoff, catalogue", found, events))
