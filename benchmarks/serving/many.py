"""Lookups of 1,000 ids at a time over HTTP: scores a second, with one worker and with two.

    python -m benchmarks.serving.many --users 1000000 --seconds 8
    python -m benchmarks.serving.many --users 100000 --store postgresql

Needs `wrk`. The best of the rounds counts, which are interleaved.
"""

import argparse
import json
import random
import tempfile
from pathlib import Path

from benchmarks.serving.lookup import Figure, database, fill
from benchmarks.serving.processes import measured, posting, python, running

AT_ONCE = 1000
BODIES = 50  # different ones that are sent in turns
BAR = 50_000  # scores a second


def main() -> None:
    """Fill a store, ask one worker and two in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=1_000_000, help="scores in the store (default 1,000,000)")
    parser.add_argument("--seconds", type=int, default=8, help="length of a round (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each (default 3)")
    parser.add_argument("--connections", type=int, default=8, help="open connections (default 8)")
    parser.add_argument("--folder", type=Path, help="keep the store in this folder and use it again")
    parser.add_argument("--store", default="sqlite", metavar="DATABASE", help="as for the lookup of one user")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch, database(asked.store, asked.folder or Path(scratch)) as url:
        token = fill(url, users=asked.users)
        script = posting(Path(scratch) / "many.lua", bodies(asked.users), token=token)
        figures: dict[int, list[Figure]] = {1: [], 2: []}
        for _ in range(asked.rounds):
            for workers, found in figures.items():
                with running(python("benchmarks.serving.service", "--store", url, "--workers", str(workers))) as server:
                    path = "/v1/scores/lookup"
                    found.append(measured(server, path, script, seconds=asked.seconds, connections=asked.connections))
    print_table(figures)


def bodies(users: int) -> list[str]:
    """Requests for random users of a store that `fill` has filled."""
    dice = random.Random(1)  # noqa: S311 (users to ask for, not secrets)
    asked = [[f"user-{dice.randrange(users):07d}" for _ in range(AT_ONCE)] for _ in range(BODIES)]
    return [json.dumps({"user_ids": user_ids}) for user_ids in asked]


def print_table(figures: dict[int, list[Figure]]) -> None:
    """The best round of each number of workers."""
    print(f"| workers | scores/s | of {BAR:,} | requests/s | p50 ms | p99 ms | CPU µs a score | failed |")
    print("|---|---|---|---|---|---|---|---|")
    for workers, rounds in figures.items():
        best = max(rounds, key=lambda figure: figure.per_second)
        scores = best.per_second * AT_ONCE
        least = min(figure.cpu_us for figure in rounds) / AT_ONCE
        print(
            f"| {workers} | {scores:,.0f} | {scores / BAR:.0%} | {best.per_second:,.1f} | {best.p50_ms:,.1f} "
            f"| {best.p99_ms:,.1f} | {least:,.1f} | {sum(figure.failed for figure in rounds)} |"
        )


if __name__ == "__main__":
    main()
