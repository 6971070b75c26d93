"""Two workers in front of one store: what one of them learns, the other must know."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from features.windows import utc
from serving.store import ScoreStore
from tests.postgres import BOTH
from tests.serving.test_run import free_port
from tests.serving.things import THINGS

ROOT = Path(__file__).parents[2]
NOW = utc("2026-06-01")
CONNECTIONS = 16  # that all go to one of two workers happens once in thirty thousand times
START = """
import sys
from pathlib import Path
import pytest
from serving.run import serve
from serving.settings import ServiceSettings
from tests.serving.things import serve_things
serve_things(Path(sys.argv[3]), pytest.MonkeyPatch())
serve(ServiceSettings(sys.argv[1], port=int(sys.argv[2]), workers=2, access_log=False))
"""


@dataclass
class Workers:
    process: "subprocess.Popen[bytes]"
    address: str


@contextmanager
def two_workers(url: str, things: Path) -> Iterator[Workers]:
    port = free_port()
    with (things.parent / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", START, url, str(port), str(things)],
            stderr=log,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        found = Workers(process, f"http://127.0.0.1:{port}")
        _wait_for_both(found)
        yield found
    except BaseException:
        sys.stderr.write((things.parent / "log").read_text())  # why a worker said what was not expected
        raise
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def token(store: ScoreStore) -> str:
    return store.create_key("crm", ["admin"], now=NOW).token


@pytest.fixture
def things(tmp_path: Path) -> Path:
    file = tmp_path / "things"
    file.touch()
    return file


@BOTH
def test_a_revoked_key_is_refused_by_every_worker_within_five_seconds(
    store: ScoreStore, url: str, token: str, things: Path
) -> None:
    with two_workers(url, things) as workers, ExitStack() as opened:
        connections = [
            opened.enter_context(httpx.Client(base_url=workers.address, timeout=20)) for _ in range(CONNECTIONS)
        ]
        header = {"authorization": f"Bearer {token}"}

        def accepted() -> list[float]:
            """When those requests were sent that were answered with a score."""
            return [
                sent
                for each in connections
                for sent in [time.monotonic()]
                if each.get("/v1/users/ada/score", headers=header).status_code == 200
            ]

        assert len(accepted()) == CONNECTIONS
        store.revoke_key("crm", now=NOW)
        revoked = time.monotonic()
        while last := accepted():
            assert max(last) - revoked < 5
        time.sleep(max(0.0, revoked + 5 - time.monotonic()))
        assert accepted() == []


@BOTH
def test_one_key_has_one_effect_however_many_workers_get_the_request_at_once(
    url: str, token: str, things: Path
) -> None:
    key = {"idempotency-key": "one", "authorization": f"Bearer {token}"}

    def ask(address: str) -> httpx.Response:
        return httpx.post(address + THINGS, json={"seconds": 0.3}, headers=key, timeout=20)

    with two_workers(url, things) as workers:
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            answers = list(threads.map(ask, [workers.address] * CONNECTIONS))
        assert {answer.status_code for answer in answers} <= {201, 409}
        first = next(answer for answer in answers if answer.status_code == 201)
        assert {answer.content for answer in answers if answer.status_code == 201} == {first.content}
        assert {ask(workers.address).content for _ in range(8)} == {first.content}
        for child in _children(workers.process.pid):
            os.kill(child, signal.SIGKILL)
    with two_workers(url, things) as workers:
        assert {ask(workers.address).content for _ in range(4)} == {first.content}
    assert len(things.read_text().splitlines()) == 1


@BOTH
def test_what_was_read_until_the_end_is_in_the_audit_and_the_key_was_used_last(
    store: ScoreStore, url: str, token: str, things: Path
) -> None:
    began = datetime.now(UTC)
    with two_workers(url, things) as workers:
        for _ in range(CONNECTIONS):
            assert httpx.get(
                workers.address + "/v1/users/ada/score", headers={"authorization": f"Bearer {token}"}
            ).is_success
        workers.process.send_signal(signal.SIGTERM)
        assert workers.process.wait(timeout=30) == 0
    entries = list(store.audit_entries())
    assert [(entry.users, entry.key_name) for entry in entries] == [(1, "crm")] * CONNECTIONS
    used = store.list_keys()[0].last_used_at
    assert used is not None
    assert used >= began


def _wait_for_both(workers: Workers) -> None:
    """Until both workers answer: connections of our own are spread over those that listen."""
    until = time.monotonic() + 90
    while len(_children(workers.process.pid)) < 2:
        assert time.monotonic() < until, "the workers did not start"
        time.sleep(0.1)
    while True:
        try:
            httpx.get(workers.address + "/livez", timeout=20)
        except httpx.TransportError:
            assert time.monotonic() < until, "the service did not start"
            time.sleep(0.1)
        else:
            return


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in found]
