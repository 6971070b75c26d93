"""Fresh scores over HTTP: ours from 500 events beside `mlflow models serve` and the usual endpoint made by hand.

    python -m benchmarks.serving.compute --seconds 8 --folder ~/benchmark-shop

MLflow serves the same model, and is sent features that are ready: one row. The endpoint made by hand gets the same 500
events as ours and has a model of its own (`hand_made.py`). Each server runs alone, the rounds are interleaved, and the
best of each counts. Needs `wrk`.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.serving.lookup import Figure
from benchmarks.serving.processes import Running, first_answer, measured, posting, python, running
from benchmarks.serving.shop import EVENTS, Customer, Shop, shop_in
from features.windows import iso

OURS, OURS_TWICE = "Holdfast, from events", "Holdfast, from events, two workers"
READY, SILENT = "Holdfast, ready features", "Holdfast, from events, no reasons"
MLFLOW, BY_HAND = "mlflow models serve, ready features", "FastAPI + joblib + pandas, from events"


@dataclass(frozen=True, slots=True)
class Peer:
    """A server, and what it is asked."""

    start: Callable[[], AbstractContextManager[Running]]
    path: str
    script: Path
    sample: str  # one of the bodies
    token: str = ""


def main() -> None:
    """Make the shop, load each server in turns, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8, help="length of a round (default 8)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each server (default 3)")
    parser.add_argument("--connections", type=int, default=8, help="open connections (default 8)")
    parser.add_argument("--folder", type=Path, help="keep the shop in this folder and use it again")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        shop = shop_in(asked.folder or Path(scratch) / "shop")
        contest = peers(shop, Path(scratch), token=shop.key(now=datetime.now(UTC)))
        figures: dict[str, list[Figure]] = {name: [] for name in contest}
        for _ in range(asked.rounds):
            for name, peer in contest.items():
                figures[name].append(one_round(peer, seconds=asked.seconds, connections=asked.connections))
    print_table(figures)


def peers(shop: Shop, scratch: Path, *, token: str) -> dict[str, Peer]:
    """Who takes part, by name."""
    customers = [Customer.made_up(number, cutoff=shop.cutoff, events=EVENTS) for number in range(20)]
    cutoff = iso(shop.cutoff)
    users = [one.to_json() for one in customers]
    rows = _rows(shop)
    served = ["--store", shop.store_url, "--folder", str(shop.folder)]

    def ours(users: list[dict[str, object]], *, workers: int = 1, **more: str) -> Peer:
        command = python("benchmarks.serving.service", *served, "--workers", str(workers))
        bodies = [json.dumps({"users": [user], "cutoff": cutoff, **more}) for user in users]
        return _peer(lambda: running(command), "/v1/scores/compute", bodies, scratch, token=token)

    by_hand = python("benchmarks.serving.hand_made", "--model", str(shop.hand_made))
    plain = [json.dumps({**user, "cutoff": cutoff}) for user in users]
    columns = list(rows[0])
    split = [json.dumps({"dataframe_split": {"columns": columns, "data": [list(row.values())]}}) for row in rows]
    return {
        OURS: ours(users),
        OURS_TWICE: ours(users, workers=2),
        SILENT: ours(users, reasons="none"),
        READY: ours([{"user_id": f"row-{place}", "features": row} for place, row in enumerate(rows)]),
        BY_HAND: _peer(lambda: running(by_hand), "/score", plain, scratch),
        MLFLOW: _peer(lambda: _mlflow(shop), "/invocations", split, scratch),
    }


def one_round(peer: Peer, *, seconds: int, connections: int) -> Figure:
    """A round of a server that was seen to answer."""
    with peer.start() as server:
        first_answer(server, peer.path, peer.sample, token=peer.token)
        return measured(server, peer.path, peer.script, seconds=seconds, connections=connections)


def print_table(figures: dict[str, list[Figure]]) -> None:
    """The best round of each, and how many times as many requests ours answered."""
    best = {name: max(rounds, key=lambda figure: figure.per_second) for name, rounds in figures.items()}
    ours = best[OURS].per_second
    print("| server | requests/s | ours, times as many | p50 ms | p99 ms | CPU ms a request | failed |")
    print("|---|---|---|---|---|---|---|")
    for name, figure in best.items():
        least = min(each.cpu_us for each in figures[name]) / 1000
        print(
            f"| {name} | {figure.per_second:,.1f} | {ours / figure.per_second:,.1f} | {figure.p50_ms:,.1f} "
            f"| {figure.p99_ms:,.1f} | {least:,.2f} | {sum(each.failed for each in figures[name])} |"
        )


def _peer(
    start: Callable[[], AbstractContextManager[Running]],
    path: str,
    bodies: list[str],
    scratch: Path,
    *,
    token: str = "",
) -> Peer:
    script = scratch / f"{len(list(scratch.glob('*.lua')))}.lua"
    return Peer(start, path, posting(script, bodies, token=token), bodies[0], token)


def _mlflow(shop: Shop) -> AbstractContextManager[Running]:
    command = python("mlflow", "models", "serve", "-m", "models:/holdfast@champion", "--env-manager", "local")
    beside = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # it looks for uvicorn there
    there = {"MLFLOW_TRACKING_URI": shop.project().tracking_uri, "PATH": beside}
    return running(command, ready="/ping", environment=there)


def _rows(shop: Shop) -> list[dict[str, float | None]]:
    """Ready features: the golden rows of the champion, by name."""
    (champion,) = [folder for folder in (shop.folder / "champion").iterdir() if folder.is_dir()]
    names = [each["name"] for each in json.loads((champion / "features.json").read_text())["features"]]
    rows = json.loads((champion / "golden.json").read_text())["rows"][:20]
    return [dict(zip(names, row, strict=True)) for row in rows]


if __name__ == "__main__":
    main()
