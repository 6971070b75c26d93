"""Minutes of all kinds of questions: whether the service's memory stays where it is, and whether anything fails.

    python -m benchmarks.serving.soak --minutes 10 --folder ~/benchmark-shop

In turns: one user's stored score, a lookup of 1,000, who is at risk, a fresh score from 500 events, one from ready
features, and a request that is refused. The load is steady and below what the service can answer.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.serving.arrivals import Answer, Clients, request
from benchmarks.serving.processes import Running, first_answer, python, running
from benchmarks.serving.shop import EVENTS, Customer, Shop, shop_in
from features.windows import iso
from serving.store import ScoreStore

DIFFERENT = 50  # questions of each kind
AT_ONCE = 1000
EXPECTED = (200, 422)  # a score, and what the refused request is told


@dataclass(frozen=True, slots=True)
class Minute:
    """What was seen in one minute, or another span."""

    resident_mb: float  # at its end, of all processes of the service
    heard: Sequence[Answer]


def main() -> None:
    """Ask for so many minutes, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=int, default=10, help="how long (default 10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of what is called a minute (default 60)")
    parser.add_argument("--rate", type=float, default=100.0, help="requests a second (default 100)")
    parser.add_argument("--workers", type=int, default=1, help="workers of the service (default 1)")
    parser.add_argument("--folder", type=Path, help="keep the shop in this folder and use it again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shop = shop_in(asked.folder or Path(scratch) / "shop")
        token = shop.key(now=datetime.now(UTC))
        served = ["--store", shop.store_url, "--folder", str(shop.folder), "--workers", str(asked.workers)]
        with running(python("benchmarks.serving.service", *served)) as server:
            first_answer(server, "/v1/scores/compute", _computing(shop, 0), token=token)
            began = server.resident_mb
            minutes = asyncio.run(soak(server, questions(shop, token), asked=asked))
    print_table(began, minutes, seconds=asked.seconds)


async def soak(server: Running, asked_for: Sequence[bytes], *, asked: argparse.Namespace) -> list[Minute]:
    """What was seen minute by minute."""
    clients, minutes = Clients(server.port, asked_for), list[Minute]()
    for _ in range(asked.minutes):
        heard = await clients.ask(rate=asked.rate, seconds=asked.seconds)
        minutes.append(Minute(server.resident_mb, heard))
    clients.close()
    return minutes


def questions(shop: Shop, token: str) -> list[bytes]:
    """The requests, of all kinds in turns."""
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    users, dice = _users(shop), np.random.default_rng(1)
    asked = list[bytes]()
    for number in range(DIFFERENT):
        many = json.dumps({"user_ids": dice.choice(users, AT_ONCE).tolist()})
        ready = json.dumps({"users": [{"user_id": "row", "features": {}}], "cutoff": iso(shop.cutoff)})
        asked += [
            request("GET", f"/v1/users/{dice.choice(users)}/score", headers=headers),
            request("POST", "/v1/scores/lookup", headers=headers, body=many),
            request("GET", f"/v1/users/at-risk?limit={10 + number}", headers=headers),
            request("POST", "/v1/scores/compute", headers=headers, body=_computing(shop, number)),
            request("POST", "/v1/scores/compute", headers=headers, body=ready),
            request("POST", "/v1/scores/compute", headers=headers, body='{"users": []}'),
        ]
    return asked


def print_table(began: float, minutes: Sequence[Minute], *, seconds: float) -> None:
    """A line a minute, then how much memory came between the second and the last."""
    print("| minute | memory MB | answers/s | unexpected | p50 ms | p99 ms |")
    print("|---|---|---|---|---|---|")
    print(f"| start | {began:,.1f} | | | | |")
    for place, minute in enumerate(minutes, start=1):
        p50, p99 = np.percentile([one.seconds * 1000 for one in minute.heard] or [np.nan], [50, 99])
        unexpected = sum(one.status not in EXPECTED for one in minute.heard)
        shown = f"{len(minute.heard) / seconds:,.0f} | {unexpected} | {p50:,.1f} | {p99:,.1f}"
        print(f"| {place} | {minute.resident_mb:,.1f} | {shown} |")
    grown = minutes[-1].resident_mb - minutes[min(1, len(minutes) - 1)].resident_mb
    print(f"\nbetween the ends of the second and the last: {grown:+,.1f} MB")


def _computing(shop: Shop, number: int) -> str:
    user = Customer.made_up(number, cutoff=shop.cutoff, events=EVENTS).to_json()
    return json.dumps({"users": [user], "cutoff": iso(shop.cutoff)})


def _users(shop: Shop) -> list[str]:
    """Users who have a score."""
    with closing(ScoreStore.open(shop.store_url)) as store:
        page = store.at_risk(limit=AT_ONCE)
        return [] if page is None else [score.user_id for score in page.scores]


if __name__ == "__main__":
    main()
