"""A night of many users: scored and written as a run, how long and in how much memory, while readers ask.

    python -m benchmarks.serving.batch --users 1000000 --folder ~/benchmark-shop
    python -m benchmarks.serving.batch --users 100000 --store postgresql

The model is that of the shop (`shop.py`), the users are made up bucket by bucket (`crowd.py`). A first run is written
while nobody asks, a second one of seven days later, which tells what has changed, while a service serves the first and
two readers ask for a score fifty times a second each. Every answer must be whole, of one of the two runs, and never of
the first again after the second was seen.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.serving.crowd import Crowd
from benchmarks.serving.lookup import database
from benchmarks.serving.processes import QUIET, ROOT, python, running
from benchmarks.serving.readers import Heard, asking, print_heard
from benchmarks.serving.shop import Shop, shop_in
from features.windows import days, iso, utc
from models import bundle as bundles
from serving.scoring import score_population
from serving.store import ScoreStore

ALONE_SECONDS = 10.0  # that readers ask before the second run begins
_KIB = 1024 / 1_000_000  # megabytes


def main() -> None:
    """Make the shop, score two nights, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000, help="users to score (default 1,000,000)")
    parser.add_argument("--threads", type=int, default=2, help="threads that score (default 2)")
    parser.add_argument("--folder", type=Path, help="keep the shop in this folder and use it again")
    parser.add_argument("--store", default="sqlite", metavar="DATABASE", help="as for the lookup of one user")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        shop, at = Shop(asked.folder), utc(asked.inside)
        print(json.dumps(night(shop, asked.store, users=asked.users, threads=asked.threads, at=at)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        shop = shop_in(asked.folder or Path(scratch) / "shop")
        with database(asked.store, Path(scratch)) as url:
            nights, heard = measured(shop, url, users=asked.users, threads=asked.threads)
    print_nights(nights)
    print_heard(heard)


def measured(
    shop: Shop, url: str, *, users: int, threads: int
) -> tuple[dict[str, dict[str, float]], dict[str, list[Heard]]]:
    """What two nights took, and what readers heard before the second one and during it."""
    first = apart(shop, url, users=users, threads=threads, at=shop.cutoff - days(7))
    with reading(url, users=users) as heard:
        time.sleep(ALONE_SECONDS)
        began = time.monotonic()
        second = apart(shop, url, users=users, threads=threads, at=shop.cutoff)
        ended = time.monotonic()
        time.sleep(2.0)
    writing = ended - second["writing"]
    parts = {
        "before": [one for one in heard if one.at < began],
        "while users are scored": [one for one in heard if began <= one.at < writing],
        "while the run is written": [one for one in heard if writing <= one.at < ended],
        "after": [one for one in heard if one.at >= ended],
    }
    return {"nobody asks": first, "readers ask, with changes": second}, parts


def apart(shop: Shop, url: str, *, users: int, threads: int, at: datetime) -> dict[str, float]:
    """What a night in a process of its own took."""
    options = ["--folder", str(shop.folder), "--store", url, "--users", str(users), "--threads", str(threads)]
    command = python("benchmarks.serving.batch", *options, "--inside", iso(at))
    finished = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=os.environ | QUIET, cwd=ROOT)
    found: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return found


def night(shop: Shop, url: str, *, users: int, threads: int, at: datetime) -> dict[str, float]:
    """Score and write one run; seconds of each stage, and the most memory in megabytes."""
    (folder,) = [found for found in (shop.folder / "champion").iterdir() if found.is_dir()]
    bundle, store = bundles.load(folder), ScoreStore.open(url)
    before, crowd, idle = store.current_run(), Crowd(users, shop.cutoff), _resident()
    began, read = time.perf_counter(), 0.0

    def note(what: str, _done: int, _of: int) -> None:
        nonlocal read
        if what == "reading events":
            read = time.perf_counter()

    scored = score_population(
        crowd,
        bundle,
        cutoff=at,
        model_version=folder.name,
        since=None if before is None else before.facts,
        workers=threads,
        on_progress=note,
    )
    done = time.perf_counter()
    store.write_run(scored.facts, scored.scores(), outside=scored.outside, now=datetime.now(UTC))
    written = time.perf_counter()
    store.close()
    return {
        "users": len(scored),
        "reading": read - began,
        "scoring": done - read,
        "writing": written - done,
        "most_mb": _resident(),
        "idle_mb": idle,
    }


@contextmanager
def reading(url: str, *, users: int) -> Iterator[list[Heard]]:
    """What readers of the store's service have heard so far; they ask until the block is left."""
    store = ScoreStore.open(url)
    token = store.create_key("readers", ["scores:read"], now=datetime.now(UTC)).token
    store.close()
    with running(python("benchmarks.serving.service", "--store", url)) as server:
        names = [Crowd.name(number) for number in range(0, users, max(users // 10_000, 1))]
        with asking(server.address, token, names) as heard:
            yield heard


def print_nights(nights: dict[str, dict[str, float]]) -> None:
    """A line a night."""
    print("| run | users | who is there, s | features and scores, s | writing, s | whole, s | most MB | before MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, took in nights.items():
        stages = [took[stage] for stage in ("reading", "scoring", "writing")]
        shown = " | ".join(f"{seconds:,.1f}" for seconds in (*stages, sum(stages)))
        print(f"| {name} | {took['users']:,.0f} | {shown} | {took['most_mb']:,.0f} | {took['idle_mb']:,.0f} |")


def _resident() -> float:
    """The most memory so far, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (_KIB if sys.platform != "darwin" else 1e-6)


if __name__ == "__main__":
    main()
