"""The service as a process: real sockets, a real client, starting, refusing and stopping."""

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from features.errors import BadInput, Damaged, UserError
from features.windows import utc
from serving.run import checked, serve
from serving.settings import ServiceSettings
from serving.store import RunFacts, Score, ScoreStore

ROOT = Path(__file__).parents[2]
START = """
import sys
from serving.run import serve
from serving.settings import ServiceSettings
serve(ServiceSettings(sys.argv[1], port=int(sys.argv[2]), header_timeout_seconds=1.0, body_timeout_seconds=1.0))
"""
FEW_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
import sys
from serving.run import serve
from serving.settings import ServiceSettings
serve(ServiceSettings(sys.argv[1], port=int(sys.argv[2]), header_timeout_seconds=60))
"""
IDLE = 1_500
ODD = "a/b\n😀"


@dataclass
class Service:
    process: subprocess.Popen[str]
    port: int
    token: str
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.address + path, headers=self.headers, timeout=10)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_alive(address: str) -> None:
    for _ in range(300):
        try:
            httpx.get(address + "/livez", timeout=1)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("the service did not start")


@contextmanager
def running(folder: Path, facts: RunFacts, cast: list[Score], *, start: str = START) -> Iterator[Service]:
    url, port, log = f"sqlite:///{folder / 'store.db'}", free_port(), folder / "service.log"
    store = ScoreStore.open(url)
    store.write_run(facts, [*cast, Score(ODD, 0.5, 50.0, "low", ())], now=utc("2026-06-01"))
    token = store.create_key("everything", ["admin"], now=utc("2026-06-01")).token
    store.close()
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", start, url, str(port)], stdout=file, stderr=file, text=True, env=environment
        )
    try:
        found = Service(process, port, token, log)
        wait_until_alive(found.address)
        yield found
    finally:
        process.terminate()
        process.wait(timeout=20)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, facts: RunFacts, cast: list[Score]) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("service"), facts, cast) as found:
        yield found


def raw(service: Service, text: bytes, *, pause: float = 0.0, then: bytes = b"") -> bytes:
    """What comes back for these bytes on a socket of their own."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=8) as wire:
        wire.sendall(text)
        if then:
            time.sleep(pause)
            wire.sendall(then)
        wire.shutdown(socket.SHUT_WR) if pause == 0 else None
        found = b""
        while piece := wire.recv(65536):
            found += piece
        return found


def test_the_service_answers_over_a_real_socket(service: Service) -> None:
    assert service.get("/v1/users/ada/score").json()["churn_probability"] == 0.9
    assert service.get(f"/v1/users/{quote(ODD, safe='')}/score").json()["user_id"] == ODD
    broken = service.get("/v1/users/%FF%ED%A0%80/score")
    assert broken.status_code in (404, 422)
    assert broken.json()["code"]
    assert service.get("/v1/users/at-risk?format=csv&limit=1").text.splitlines()[1].startswith("ada,0.9,")
    assert service.get("/readyz").json()["ready"] is True


def test_a_large_body_without_a_key_is_turned_away_at_once(service: Service) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(37):
            yield b"x" * 1_000_000

    kind = {"content-type": "application/json"}
    started = time.monotonic()
    for headers, expected in ((kind, 401), ({**kind, **service.headers}, 413)):
        with suppress(httpx.TransportError):  # hung up on while still sending: as good
            answer = httpx.post(service.address + "/v1/scores/lookup", content=pieces(), headers=headers, timeout=10)
            assert answer.status_code == expected
    assert time.monotonic() - started < 5
    assert service.get("/v1/users/ada/score").status_code == 200


def test_a_slow_body_is_answered_408_and_slow_headers_are_cut_off(service: Service) -> None:
    head = (
        "POST /v1/scores/lookup HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        f"authorization: Bearer {service.token}\r\ncontent-length: 100\r\nconnection: close\r\n\r\n"
    )
    started = time.monotonic()
    answer = raw(service, head.encode(), pause=0.01, then=b"{")
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert b"body_timeout" in answer
    assert raw(service, b"GET /livez HTTP/1.1\r\nhost: x\r\n", pause=0.01, then=b"x-slow: ")[:15] in (
        b"", b"HTTP/1.1 408 Re", b"HTTP/1.1 400 Ba",
    )  # fmt: skip
    assert time.monotonic() - started < 7


@pytest.mark.parametrize(
    "text",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET /v1/model\r\n\r\n",
        b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nhost: x\r\n" + b"a: " + b"b" * 100_000 + b"\r\n\r\n",
        b"POST /v1/scores/lookup HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /v1/scores/lookup HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_broken_http_is_no_reason_to_fail(service: Service, text: bytes) -> None:
    try:
        first = raw(service, text).split(b"\r\n")[0]
    except ConnectionError:
        first = b""
    assert b" 5" not in first[:13]
    assert service.get("/livez").status_code == 200


def test_many_idle_connections_keep_nobody_waiting(tmp_path: Path, facts: RunFacts, cast: list[Score]) -> None:
    """More than were allowed when it started, and more than a listening socket holds back."""
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < IDLE + 500:
        pytest.skip("this system does not let a process open so many connections")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(few, IDLE + 500), most))
    with running(tmp_path, facts, cast, start=FEW_FILES) as service, ExitStack() as idle:
        for _ in range(IDLE):
            idle.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=8))
        assert service.get("/v1/users/ada/score").status_code == 200


def test_stopping_ends_in_order_and_logs_neither_ids_nor_keys(
    tmp_path: Path, facts: RunFacts, cast: list[Score]
) -> None:
    with running(tmp_path, facts, cast) as service:
        service.get("/v1/users/ada/score")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(timeout=10) == 0
        log = service.log.read_text()
    assert "route=/v1/users/{user_id}/score status=200" in log
    assert "ada" not in log
    assert service.token not in log
    assert "Traceback" not in log


def test_a_port_in_use_is_told_before_anything_starts(service: Service, url: str) -> None:
    with pytest.raises(UserError, match=rf"port {service.port}.*in use.*--port"):
        serve(ServiceSettings(url, port=service.port))


def test_a_host_that_is_not_ours_is_told(url: str) -> None:
    with pytest.raises(UserError, match="cannot listen on"):
        serve(ServiceSettings(url, host="192.0.2.1"))


def test_the_service_starts_without_the_libraries_of_training(url: str) -> None:
    heavy = "{'mlflow', 'lightgbm', 'sklearn', 'pandas', 'matplotlib', 'numba'}"
    code = f"""
import sys
from serving.app import create_app
from serving.settings import ServiceSettings
create_app(ServiceSettings({url!r}))
print(sorted(set(sys.modules) & {heavy}))
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert found.stdout == "[]\n"


@pytest.mark.parametrize(
    ("name", "value"), [("port", 70_000), ("workers", 0), ("key_memory_seconds", 6.0), ("max_body_bytes", 1)]
)
def test_a_setting_outside_its_range_is_refused(name: str, value: float) -> None:
    with pytest.raises(BadInput, match=name):
        ServiceSettings("sqlite:///store.db", **{name: value})  # type: ignore[arg-type]  # wrong on purpose


def test_a_damaged_store_is_told_before_anything_starts(tmp_path: Path) -> None:
    damaged = tmp_path / "store.db"
    damaged.write_bytes(b"this is not a database" * 200)
    with pytest.raises(Damaged, match=r"store\.db is not a readable SQLite database"):
        checked(ServiceSettings(f"sqlite:///{damaged}", port=0))


def test_any_free_port_is_known_before_the_start(url: str) -> None:
    assert checked(ServiceSettings(url, port=0)).port > 0


def test_an_interrupt_while_the_service_starts_is_not_waited_out(tmp_path: Path) -> None:
    """A worker that was still loading kept the signal to itself and was killed after `shutdown_seconds`."""
    url = f"sqlite:///{tmp_path / 'store.db'}"
    command = [sys.executable, "-c", START, url, str(free_port())]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
    assert process.stdout is not None
    with process.stdout as log:
        next(line for line in log if b"Spawning worker" in line)
        process.send_signal(signal.SIGINT)
        said = log.read()
    assert process.wait(timeout=10) == 0
    assert b"refused to gracefully stop" not in said
