"""Workers that die and services that are stopped or killed while clients write: what was acknowledged is there."""

import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from serving.store import ScoreStore
from tests.live import Live, free_port, start
from tests.open_shop import OpenShop
from tests.postgres import BOTH

WRITERS = 4
KIND = {"content-type": "application/x-ndjson"}
START = "/v1/scores/jobs?reasons=none"


@dataclass
class Written:
    """What clients sent, and what they were told of it."""

    acknowledged: dict[str, httpx.Response] = field(default_factory=dict)  # by idempotency key
    removed: set[str] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)


def body(key: str) -> bytes:
    return json.dumps({"user_id": key, "events": []}).encode()


def write_until(enough: threading.Event, address: str, headers: dict[str, str], written: Written) -> None:
    """Start jobs, and remove every fourth; a request whose connection broke is sent again, with its key."""
    with httpx.Client(base_url=address, headers={**headers, **KIND}, timeout=30) as client:
        while not enough.is_set():
            key = str(uuid.uuid4())
            answer = insist(lambda key=key: client.post(START, content=body(key), headers={"idempotency-key": key}))
            if answer.status_code == 409:  # the worker that had it is dead: free again in a minute, and never promised
                continue
            if answer.status_code != 202:
                written.refused.append(f"{answer.status_code} {answer.text}")
                continue
            written.acknowledged[key] = answer
            if len(written.acknowledged) % 4 == 0:
                gone = answer.headers["location"]
                assert insist(lambda gone=gone: client.delete(gone)).status_code in (
                    200,
                    404,
                )  # 404: done, but not told
                written.removed.add(gone)


def insist(ask: Callable[[], httpx.Response]) -> httpx.Response:
    until = time.monotonic() + 120
    while True:
        try:
            answer = ask()
        except httpx.TransportError:
            assert time.monotonic() < until
            time.sleep(0.1)
        else:
            if answer.status_code != 503 or time.monotonic() > until:
                return answer
            time.sleep(0.2)


@BOTH
def test_no_acknowledged_write_is_lost_whoever_dies(
    url: str, shop_of_today: OpenShop, empty_store: ScoreStore, tmp_path: Path
) -> None:
    shop_of_today.score(empty_store)
    token = empty_store.create_key("writer", ["admin"], now=shop_of_today.now).token
    port, log = free_port(), tmp_path / "log"

    def begin() -> Live:
        folder = shop_of_today.folder
        found = start(url, folder=folder, log=log, port=port, workers=2, jobs_folder=str(tmp_path / "jobs"))
        return replace(found, token=token)

    service, enough, written = begin(), threading.Event(), Written()
    told = (enough, service.address, service.headers, written)
    writers = [threading.Thread(target=write_until, args=told) for _ in range(WRITERS)]
    for writer in writers:
        writer.start()
    try:
        more_than(written, 10)
        kill_a_worker(service)
        more_than(written, 10)
        assert service.end(signal.SIGTERM) == 0
        service = begin()
        more_than(written, 10)
        service.end(signal.SIGKILL)
        service = begin()
        more_than(written, 10)
    finally:
        enough.set()
        for writer in writers:
            writer.join(timeout=150)
        if service.process.poll() is None:
            service.end(signal.SIGKILL)
    service = begin()
    try:
        all_of_it_is_there(service, written)
    finally:
        service.end()
    assert "Traceback" not in log.read_text()


def more_than(written: Written, more: int) -> None:
    """Return when the clients have been told of so many more writes."""
    enough, until = len(written.acknowledged) + more, time.monotonic() + 120
    while len(written.acknowledged) < enough:
        assert time.monotonic() < until, written.refused
        time.sleep(0.05)


def kill_a_worker(service: Live) -> None:
    """As memory that runs out or a crash would; the service has two again within a moment."""
    dead = service.workers()[-1]
    os.kill(dead, signal.SIGKILL)
    until = time.monotonic() + 60
    while dead in service.workers() or len(service.workers()) < 2:
        assert time.monotonic() < until
        assert service.process.poll() is None, "one worker took the others with it"
        time.sleep(0.1)


def all_of_it_is_there(service: Live, written: Written) -> None:
    assert written.refused == []
    assert len(written.acknowledged) > 40
    with service.client() as client:
        for key, first in written.acknowledged.items():
            again = client.post(START, content=body(key), headers={**KIND, "idempotency-key": key})
            assert (again.status_code, again.content) == (202, first.content)
            assert (again.headers["location"], again.headers["idempotent-replayed"]) == (
                first.headers["location"],
                "true",
            )
            gone = first.headers["location"] in written.removed
            assert client.get(first.headers["location"]).status_code == (404 if gone else 200)


def test_a_file_that_kills_workers_is_given_up(
    shop_of_today: OpenShop, empty_store: ScoreStore, make_client: Callable[..., Any], url: str, tmp_path: Path
) -> None:
    client = make_client(empty_store, url, folders={"": shop_of_today.folder}, jobs_folder=tmp_path / "jobs")
    client.app.state.champions.look()
    answer = client.post(START, body("ada"), content_type=KIND["content-type"])
    job = answer.json()["job_id"]
    (tmp_path / "jobs" / job / "begun").write_bytes(b"...")  # what three workers left behind
    assert client.app.state.jobs.step(now=shop_of_today.now)
    found = client.get(answer.headers["location"]).json()
    assert (found["state"], found["trouble"]) == (
        "failed",
        "3 workers died over this file; send it in parts, or mend it.",
    )
