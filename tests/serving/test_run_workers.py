"""The service as two processes: one count of both, and an end at which no request is lost."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from features.windows import utc
from serving.store import RunFacts, Score, ScoreStore
from tests.live import ROOT

START = """
import sys
from serving.run import serve
from serving.settings import ServiceSettings
serve(ServiceSettings(sys.argv[1], port=int(sys.argv[2]), workers=2, drain_seconds=float(sys.argv[3]),
                      shutdown_seconds=10, log_format="json"))
"""
SCORE = "/v1/users/ada/score"


@dataclass
class Service:
    process: "subprocess.Popen[bytes]"
    port: int
    token: str
    log: Path
    started_within: float = 0.0

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, path: str, connection: http.client.HTTPConnection | None = None) -> tuple[int, bytes]:
        wire = connection or self.connect()
        try:
            wire.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
            answer = wire.getresponse()
            return answer.status, answer.read()
        finally:
            if connection is None:
                wire.close()


@dataclass
class Counted:
    """What clients saw; a request that got no whole answer is lost."""

    good: int = 0
    bad: list[str] = field(default_factory=list)
    after_the_signal: int = 0


@contextmanager
def two_workers(folder: Path, facts: RunFacts, cast: list[Score], *, drain_seconds: float) -> Iterator[Service]:
    url = f"sqlite:///{folder / 'store.db'}"
    with closing(ScoreStore.open(url)) as store:
        store.write_run(facts, cast, now=utc("2026-06-01"))
        token = store.create_key("everything", ["admin"], now=utc("2026-06-01")).token
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-c", START, url, str(port), str(drain_seconds)]
    log = folder / "service.log"
    began = time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stderr=file, env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
        )
    service = Service(process, port, token, log)
    try:
        wait_until_ready(service)
        service.started_within = time.monotonic() - began
        yield service
    finally:
        process.kill()
        process.wait(timeout=20)


def wait_until_ready(service: Service) -> None:
    for _ in range(2_400):
        try:
            if service.get("/readyz")[0] == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    pytest.fail(service.log.read_text())


def test_whichever_worker_is_asked_tells_the_count_of_both(tmp_path: Path, facts: RunFacts, cast: list[Score]) -> None:
    with two_workers(tmp_path, facts, cast, drain_seconds=0) as service:
        asked, until = 0, time.monotonic() + 60
        while counting(tmp_path) < 2:  # the kernel gives one of the workers as many as it likes
            assert time.monotonic() < until, "not both workers have counted"
            assert service.get(SCORE)[0] == 200
            asked += 1
        assert {counted(service.get("/metrics")[1].decode()) for _ in range(10)} == {asked}


def test_requests_under_way_are_finished_and_the_end_is_in_order(
    tmp_path: Path, facts: RunFacts, cast: list[Score]
) -> None:
    with two_workers(tmp_path, facts, cast, drain_seconds=0) as service:
        body = json.dumps({"user_ids": ["ada", "bert"]}).encode()
        wires = [slow_request(service, body) for _ in range(6)]
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        for wire in wires:
            wire.sendall(body[5:])
        answers = [whole(wire) for wire in wires]
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 6
        assert all(b'"ada"' in answer for answer in answers)
        assert service.process.wait(timeout=20) == 0


def test_under_load_no_request_is_lost_when_a_balancer_watches_readiness(
    tmp_path: Path, facts: RunFacts, cast: list[Score]
) -> None:
    with two_workers(tmp_path, facts, cast, drain_seconds=3) as service:
        away, told, seen = threading.Event(), threading.Event(), Counted()
        clients = [threading.Thread(target=ask_until, args=(service, away, told, seen)) for _ in range(6)]
        balancer = threading.Thread(target=watch, args=(service, away))
        for thread in (*clients, balancer):
            thread.start()
        time.sleep(1)
        service.process.send_signal(signal.SIGTERM)
        told.set()
        for thread in (*clients, balancer):
            thread.join(timeout=20)
        assert service.process.wait(timeout=20) == 0
        assert seen.bad == []
        assert seen.after_the_signal > 0
        assert seen.good > 10
        lines = [json.loads(line) for line in service.log.read_text().splitlines()]
    assert {"time", "level", "event"} <= set.intersection(*(set(line) for line in lines))


def test_a_second_signal_ends_the_waiting(tmp_path: Path, facts: RunFacts, cast: list[Score]) -> None:
    with two_workers(tmp_path, facts, cast, drain_seconds=60) as service:
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert service.get("/readyz")[0] == 503
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=20) == 0


def ask_until(service: Service, away: threading.Event, told: threading.Event, seen: Counted) -> None:
    """Ask again and again, over a connection that is kept as long as the service keeps it."""
    wire = service.connect()
    while not away.is_set():
        try:
            status, body = service.get(SCORE, wire)
            if status == 200 and json.loads(body)["user_id"] == "ada":
                seen.good += 1
                seen.after_the_signal += told.is_set()
            else:
                seen.bad.append(f"{status} {body[:80]!r}")
        except (OSError, http.client.HTTPException) as error:
            seen.bad.append(repr(error))
            wire = service.connect()
    wire.close()


def watch(service: Service, away: threading.Event) -> None:
    """Look at readiness as a balancer does, and take the service out at the first refusal."""
    while service.get("/readyz")[0] == 200:
        time.sleep(0.1)
    away.set()


def slow_request(service: Service, body: bytes) -> socket.socket:
    """A request of which five bytes of the body have been sent."""
    wire = socket.create_connection(("127.0.0.1", service.port), timeout=10)
    head = (
        f"POST /v1/scores/lookup HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    wire.sendall(head.encode() + body[:5])
    return wire


def whole(wire: socket.socket) -> bytes:
    found = b""
    with wire:
        while piece := wire.recv(65536):
            found += piece
    return found


def counting(folder: Path) -> int:
    """How many workers have counted a request."""
    files = folder.glob("holdfast-metrics-*/histogram_*.db")
    return len({file.stem.rsplit("_", 1)[1] for file in files})


def counted(text: str) -> int:
    pattern = r'^holdfast_http_request_duration_seconds_count\{[^}]*route="/v1/users/\{user_id\}/score"[^}]*\} (\S+)$'
    return int(sum(float(count) for count in re.findall(pattern, text, re.MULTILINE)))
