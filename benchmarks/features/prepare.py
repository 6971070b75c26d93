"""Generated events in a folder, and the log that they become."""

import subprocess
import sys
from typing import Any

from benchmarks.features.measure import Bench


def generate(
    bench: Bench, *, events: int, users: int, kinds: int, has_properties: bool = False, csv_events: int = 0
) -> None:
    """Write the events as a Parquet file, and the first of them as CSV."""
    command = [sys.executable, "-m", "benchmarks.features.generate", str(bench.folder / "events.parquet")]
    sizes = {"--events": events, "--users": users, "--kinds": kinds, "--csv-events": csv_events}
    command += ["--properties"] * has_properties
    subprocess.run([*command, *(f"{name}={size}" for name, size in sizes.items())], check=True)


def describe(bench: Bench) -> dict[str, Any]:  # Any: JSON
    """Leave the list of the log's own files, and its standard catalogue, where the steps find them."""
    return bench.once("describe").told
