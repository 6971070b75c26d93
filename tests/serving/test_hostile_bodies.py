"""Every address of a real service under a corpus of hostile bodies and ids: no 5xx, no hang, no 300 MB for them."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.rules import JSON, RULES
from serving.store import Score, ScoreStore
from tests.live import Live, live
from tests.open_shop import OpenShop
from tests.postgres import BOTH
from tests.serving.hostile import IN_PATHS, NO_USER_IDS, USER_IDS, Hostile, bodies

MOST_MEGABYTES = 300
SECONDS = 1.0  # that a body may take to arrive
PATIENCE = 8.0  # seconds for any answer on a busy machine
WITH_BODY = sorted(
    (method, path, rule.takes) for (method, path), rule in RULES.items() if method not in ("GET", "HEAD")
)
WITH_ID = sorted((method, path) for method, path in RULES if "{" in path)


@dataclass(frozen=True)
class Fort:
    service: Live
    document: dict[str, Any]
    log: Path
    megabytes_before: float  # what the libraries of a worker take that computes

    def address(self, path: str) -> str:
        return path.replace("{job_id}", "job_0").replace("{user_id}", "ada")

    def example(self, method: str, path: str) -> Any:
        """What the address takes, by its document; of a file of users a line."""
        content = self.document["paths"][path][method.lower()].get("requestBody", {}).get("content", {})
        if JSON not in content:
            return self.document["components"]["schemas"]["ComputeIn"]["examples"][0]["users"][0]
        schema = content[JSON]["schema"]
        return self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]["examples"][0]

    def is_well(self) -> None:
        with self.service.client() as client:
            assert client.get("/livez").status_code == 200
            assert client.get("/v1/runs").status_code == 200
        assert megabytes(self.service) - self.megabytes_before < MOST_MEGABYTES


def megabytes(service: Live) -> float:
    """The most memory that the process that answers has ever had."""
    status = Path(f"/proc/{service.workers()[0]}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


@pytest.fixture(scope="module")
def fort(shop_of_today: OpenShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fort]:
    """One service under all of it: what a body leaves behind, the next one meets."""
    folder = tmp_path_factory.mktemp("fort")
    url, log = f"sqlite:///{folder / 'store.db'}", folder / "log"
    with closing(ScoreStore.open(url)) as store:
        shop_of_today.score(store)
    with live(
        url, folder=shop_of_today.folder, log=log, jobs_folder=str(folder / "jobs"), body_timeout_seconds=SECONDS
    ) as service:
        service.wait_for_the_champion()
        document = httpx.get(service.address + "/openapi.json", timeout=PATIENCE).json()
        yield Fort(service, document, log, megabytes(service))
    assert "Traceback" not in log.read_text()


def test_no_body_brings_an_address_down(fort: Fort) -> None:
    tried = 0
    with fort.service.client() as client:
        for method, path, takes in WITH_BODY:
            for kind in takes:
                for hostile in bodies(kind, fort.example(method, path)):
                    answer = sent(client, method, fort.address(path), hostile)
                    assert answer is None or answer.status_code < 500, (method, path, hostile.name, answer.text)
                    assert answer is None or answer.status_code < 400 or answer.json()["code"], (path, hostile.name)
                    tried += 1
        jobs_are_over(client)
    assert tried > 300
    fort.is_well()


def sent(client: httpx.Client, method: str, address: str, hostile: Hostile) -> httpx.Response | None:
    """The answer; None where the service hung up while the body was still being sent, which is as good."""
    began = time.monotonic()
    try:
        return client.request(method, address, content=hostile.body, headers=hostile.headers, timeout=PATIENCE)
    except (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError):
        assert len(hostile.body) > 1_000_000, hostile.name
        return None
    finally:
        assert time.monotonic() - began < PATIENCE, hostile.name


def jobs_are_over(client: httpx.Client) -> None:
    until = time.monotonic() + 60
    while any(job["state"] in ("queued", "running") for job in client.get("/v1/scores/jobs").json()["jobs"]):
        assert time.monotonic() < until
        time.sleep(0.2)


@pytest.mark.parametrize(("method", "path", "takes"), WITH_BODY)
def test_a_body_that_lies_about_its_length_is_not_waited_for(fort: Fort, method: str, path: str, takes: Any) -> None:
    head = (
        f"{method} {fort.address(path)} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {fort.service.token}\r\n"
        f"content-type: {takes[0]}\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    body = b"{}"
    for name, framing, pieces in (
        ("chunks without end", "transfer-encoding: chunked", [chunk] * 400),
        ("chunks that stop", "transfer-encoding: chunked", [chunk]),
        ("a chunk that is shorter than it says", "transfer-encoding: chunked", [b"ffff\r\nabc"]),
        ("a chunk of a wrong size", "transfer-encoding: chunked", [b"zz\r\n{}\r\n0\r\n\r\n"]),
        ("a chunk of 2^64", "transfer-encoding: chunked", [b"ffffffffffffffffff\r\n{}\r\n0\r\n\r\n"]),
        ("trailers without end", "transfer-encoding: chunked", [b"2\r\n{}\r\n0\r\n", *[b"a: b\r\n" * 1_000] * 50]),
        ("longer than it is", "content-length: 1000", [body]),
        ("shorter than it is", "content-length: 1", [body * 1_000]),
        ("37 MB", "content-length: 37000000", [b" " * 100_000] * 20),
        ("more than there is", f"content-length: {2**63}", [body]),
        ("negative", "content-length: -5", [body]),
        ("no number", "content-length: five", [body]),
        ("two of them", "content-length: 2\r\ncontent-length: 3", [body]),
        ("both", "content-length: 2\r\ntransfer-encoding: chunked", [b"2\r\n{}\r\n0\r\n\r\n"]),
    ):
        began = time.monotonic()
        said = told(fort.service, f"{head}{framing}\r\n\r\n".encode(), pieces)
        assert time.monotonic() - began < SECONDS + PATIENCE, name
        assert b" 5" not in said[:13], (name, said[:300])
    fort.is_well()


def told(service: Live, head: bytes, pieces: list[bytes]) -> bytes:
    """What comes back on a socket of its own, however the other side ends it."""
    port = int(service.address.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS + PATIENCE) as wire:
        try:
            wire.sendall(head)
            for piece in pieces:
                wire.sendall(piece)
            wire.settimeout(SECONDS + 1)
            return wire.recv(65_536)
        except (ConnectionError, TimeoutError):
            return b""


def test_a_body_where_none_can_mean_anything_is_refused(fort: Fort) -> None:
    with fort.service.client() as client:
        for method, path in RULES:
            if method == "GET":
                answer = client.request("GET", fort.address(path), content=b'{"a": 1e400}')
                assert (answer.status_code, answer.json()["code"]) == (400, "bad_request"), path


def coded(text: str) -> str:
    """The text as it stands in an address: every byte as a code, also a dot, which clients drop in pairs."""
    return "".join(f"%{byte:02X}" for byte in text.encode())


@BOTH
def test_an_id_is_an_id_whatever_it_looks_like(
    url: str, empty_store: ScoreStore, facts: Any, make_score: Any, tmp_path: Path
) -> None:
    scores: list[Score] = [make_score(user_id) for user_id in USER_IDS]
    empty_store.write_run(facts, scores, now=facts.cutoff)
    log = tmp_path / "log"
    with live(url, log=log) as service, service.client() as client:
        for user_id in USER_IDS:
            found = client.get(f"/v1/users/{coded(user_id)}/score")
            assert (found.status_code, found.json()["user_id"]) == (200, user_id), user_id[:50]
            assert len(client.get(f"/v1/users/{coded(user_id)}/history").json()["scores"]) == 1
        asked = json.dumps({"user_ids": [*USER_IDS, "nobody"]})
        looked_up = client.post("/v1/scores/lookup", content=asked, headers={"content-type": JSON}).json()
        assert [score["user_id"] for score in looked_up["scores"]] == list(USER_IDS)
        listed = client.get("/v1/users/at-risk", params={"limit": 1000}).json()["scores"]
        assert {score["user_id"] for score in listed} == set(USER_IDS)
        for method, path in WITH_ID:
            for text in [*map(coded, (*USER_IDS, *NO_USER_IDS)), *IN_PATHS]:
                address = service.address + path.replace("{user_id}", text).replace("{job_id}", text)
                answer = client.request(method, httpx.URL(address))
                assert answer.status_code < 500 or answer.json()["code"] == "no_model", (method, path, text[:50])
                assert answer.headers["content-type"].startswith("application/"), (method, path, text[:50])
        assert client.get("/v1/model").status_code == 200
    assert "Traceback" not in log.read_text()
    assert "DROP TABLE" not in log.read_text()
