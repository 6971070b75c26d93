"""How long a rollback takes while clients ask: the product's commands and service, each a process of its own.

A shop's log is ingested; a first model is trained and scores, a second one is promoted and scores; then the service
runs, some clients ask it all the time, and `holdfast rollback` is called. Every answer says for each score which
version made it, so an answer of two versions would be seen.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.simulate.world import Log, World, live
from features.user_events import UserEvents

CLIENTS = 4
SCORES_AT_ONCE = 1000  # of a lookup; a page of users at risk holds 200
BEFORE, AFTER = 3.0, 3.0  # seconds of asking before the rollback and after it
MEANT = ("--look-back", "56d", "--horizon", "28d", "--activity", "purchase", "--activity", "visit")
QUICK = ("--max-cutoffs", "12", "--trees", "60", "--replicates", "50")  # what is rolled back to need not be good


@dataclass(slots=True)
class Answers:
    """What clients heard: when, and the versions of all scores of an answer."""

    heard: list[tuple[float, frozenset[str]]] = field(default_factory=list)
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Rolled:
    """One rollback under load; seconds from the start of the command."""

    users: int
    seconds_of_command: float
    first_of_other: float  # until the first answer of the restored version
    last_of_old: float  # until the last answer of the version before
    answers: int
    answers_a_second: float
    mixed: int  # answers of more than one version
    failed: int
    versions: tuple[str, str]


def rolled(folder: Path, world: World, *, more: tuple[str, ...] = QUICK) -> Rolled:
    """Set up, ask, and go back; `more` are options of the trainings."""
    lives = Log.of(live(world, seed=1)).events
    write_events(lives, folder / "events.parquet")
    _run(folder, "ingest", "events.parquet")
    _run(folder, "train", "--promote", *MEANT, *more)
    _run(folder, "score")
    _run(folder, "train", "--promote", "--seed", "1", *MEANT, *more)
    _run(folder, "score")
    key = json.loads(
        _run(folder, "keys", "create", "--name", "bench", "--scope", "scores:read", "--scope", "lists:read", "--json")
    )
    users = list(lives.user_ids)
    with service(folder) as address, asking(address, key["token"], users) as answers:
        time.sleep(BEFORE)
        began = time.monotonic()
        said = json.loads(_run(folder, "rollback", "--reason", "the benchmark", "--json"))
        took = time.monotonic() - began
        time.sleep(AFTER)
        ended = time.monotonic()
    restored = str(said["version"])
    whole = [(moment - began, versions) for moment, versions in answers.heard]
    return Rolled(
        users=len(users),
        seconds_of_command=took,
        first_of_other=min(moment for moment, versions in whole if restored in versions and moment > 0),
        last_of_old=max(moment for moment, versions in whole if versions - {restored}),
        answers=len(whole),
        answers_a_second=len(whole) / (BEFORE + ended - began),
        mixed=sum(len(versions) > 1 for _, versions in whole),
        failed=answers.failed,
        versions=(str(said["before"]), restored),
    )


def write_events(events: UserEvents, file: Path) -> None:
    """A world's events as a file to ingest."""
    users = pa.array(events.user_ids).take(pa.array(_owners(events)))
    kinds = pa.array(events.kind_names).take(pa.array(events.kinds))
    times = pa.array(events.times, pa.timestamp("us", "UTC"))
    values = pa.array(events.values, from_pandas=True)
    pq.write_table(pa.table({"user_id": users, "time": times, "event": kinds, "value": values}), file)


@contextmanager
def service(folder: Path) -> Iterator[str]:
    """`holdfast serve` in a process of its own, until the block is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [*_holdfast(), "serve", "--port", str(port)]
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env=_environment())
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/readyz")
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


@contextmanager
def asking(address: str, key: str, users: list[str]) -> Iterator[Answers]:
    """Clients that look up a thousand users, and ask who is at risk, all the time."""
    answers, stop = Answers(), threading.Event()
    body, headers = {"user_ids": users[:SCORES_AT_ONCE]}, {"authorization": f"Bearer {key}"}

    def ask() -> None:
        with httpx.Client(base_url=address, headers=headers, timeout=30) as client:
            while not stop.is_set():
                for request in (
                    client.build_request("POST", "/v1/scores/lookup", json=body),
                    client.build_request("GET", "/v1/users/at-risk?limit=200"),
                ):
                    answer = client.send(request)
                    if answer.status_code != httpx.codes.OK:
                        answers.failed += 1
                        continue
                    versions = frozenset(str(one["model_version"]) for one in answer.json()["scores"])
                    answers.heard.append((time.monotonic(), versions))

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    try:
        yield answers
    finally:
        stop.set()
        for client in clients:
            client.join()


def _owners(events: UserEvents) -> Any:  # Any: numpy
    import numpy as np

    return np.repeat(np.arange(len(events)), np.diff(events.offsets))


def _holdfast() -> list[str]:
    return [sys.executable, "-W", "ignore", "-m", "holdfast"]


def _environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_WAIT_POLICY": "PASSIVE"}


def _run(folder: Path, *arguments: str) -> str:
    finished = subprocess.run(
        [*_holdfast(), *arguments], cwd=folder, capture_output=True, text=True, check=False, env=_environment()
    )
    if finished.returncode > 1:  # 1 is an honest "no"
        raise RuntimeError(f"holdfast {' '.join(arguments)}: {finished.stderr}")
    return finished.stdout


def _wait_for(address: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(address, timeout=1).status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError("the service did not start within a minute")
