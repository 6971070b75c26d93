"""Five times as many requests as the service can answer: what it refuses, what becomes of the others, and after.

    python -m benchmarks.serving.overload --seconds 15 --folder ~/benchmark-shop

`wrk` measures the capacity, with fresh scores from 500 events. Then requests arrive five times as often by the clock,
whatever is answered, and then lightly again, until answers take no longer than before. Refusals are 429 and 503, and
say when to come again; anything else but 200 is an error, and so is a request without an answer.
"""

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.serving.arrivals import Answer, Clients, request
from benchmarks.serving.processes import Running, first_answer, measured, posting, python, running
from benchmarks.serving.shop import EVENTS, Customer, shop_in
from features.windows import iso

TIMES = 5
PATH = "/v1/scores/compute"
REFUSED = (429, 503)
LIGHT = 0.2  # of the capacity, before and after
AFTER_SECONDS = 15  # that are looked at
OK = 200


def main() -> None:
    """Measure the capacity, go beyond it, look how it recovers, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=15, help="length of the overload (default 15)")
    parser.add_argument("--workers", type=int, default=1, help="workers of the service (default 1)")
    parser.add_argument("--in-flight", type=int, default=256, help="requests a worker takes at a time (default 256)")
    parser.add_argument("--folder", type=Path, help="keep the shop in this folder and use it again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shop = shop_in(asked.folder or Path(scratch) / "shop")
        token = shop.key(now=datetime.now(UTC))
        users = [Customer.made_up(number, cutoff=shop.cutoff, events=EVENTS) for number in range(20)]
        bodies = [json.dumps({"users": [user.to_json()], "cutoff": iso(shop.cutoff)}) for user in users]
        served = ["--store", shop.store_url, "--folder", str(shop.folder), "--workers", str(asked.workers)]
        script = posting(Path(scratch) / "compute.lua", bodies, token=token)
        with running(python("benchmarks.serving.service", *served, "--in-flight", str(asked.in_flight))) as server:
            first_answer(server, PATH, bodies[0], token=token)
            capacity = measured(server, PATH, script, seconds=5, connections=16).per_second
            phases, most = asyncio.run(overload(server, bodies, token, capacity=capacity, seconds=asked.seconds))
    print_table(phases, capacity=capacity, most_mb=most)


async def overload(
    server: Running, bodies: Sequence[str], token: str, *, capacity: float, seconds: int, after: int = AFTER_SECONDS
) -> tuple[dict[str, list[Answer]], float]:
    """What was heard before, during and after, and the most memory of the service after a phase, in megabytes."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    clients = Clients(server.port, [request("POST", PATH, headers=headers, body=body) for body in bodies])
    phases, most = dict[str, list[Answer]](), 0.0
    for name, share, length in (
        ("light load before", LIGHT, 5),
        (f"{TIMES} times the capacity", TIMES, seconds),
        ("light load after", LIGHT, after),
    ):
        phases[name] = await clients.ask(rate=share * capacity, seconds=length)
        most = max(most, server.resident_mb)
    clients.close()
    return phases, most


def print_table(phases: dict[str, list[Answer]], *, capacity: float, most_mb: float) -> None:
    """A line a phase, then how soon answers were as quick as before."""
    print(f"capacity {capacity:,.0f} requests/s, most memory of the service {most_mb:,.0f} MB\n")
    print("| phase | asked/s | answered/s | refused | say not when | errors | p50 ms | p99 ms | refusals p99 ms |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, heard in phases.items():
        counts = Counter(one.status for one in heard)
        span = max(one.at for one in heard) - min(one.at for one in heard)
        refusals = [one for one in heard if one.status in REFUSED]
        errors = len(heard) - len(refusals) - counts[OK]
        p50, p99 = np.percentile(_milliseconds([one for one in heard if one.status == OK]), [50, 99])
        slow = np.percentile(_milliseconds(refusals), 99)
        print(
            f"| {name} | {len(heard) / span:,.0f} | {counts[OK] / span:,.0f} | {len(refusals) / len(heard):.0%} "
            f"| {sum(not one.says_when for one in refusals)} | {errors} | {p50:,.1f} | {p99:,.1f} | {slow:,.1f} |"
        )
    before, _, after = phases.values()
    print(f"\nas quick as before {recovered(before, after):.1f} s after the overload")


def recovered(before: list[Answer], after: list[Answer]) -> float:
    """Seconds until nothing is refused, and nothing takes longer than twice the slowest before, for good."""
    slowest = 2 * max(one.seconds for one in before)
    began = min(one.at for one in after)
    late = [one.at + one.seconds - began for one in after if one.status != OK or one.seconds > slowest]
    return max(late, default=0.0)


def _milliseconds(heard: list[Answer]) -> list[float]:
    return [one.seconds * 1000 for one in heard] or [np.nan]


if __name__ == "__main__":
    main()
