"""Idempotency-Key: what changes something has its effect once."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from features.windows import utc
from serving import idempotency
from serving.store import ScoreStore
from tests.postgres import BOTH
from tests.serving.things import STREAMED, THINGS, serve_things

NOW = utc("2026-06-01")


@pytest.fixture
def things(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "things"
    file.touch()
    serve_things(file, monkeypatch)
    return file


@pytest.fixture
def client(store: ScoreStore, url: str, make_client: Callable[..., Any], things: Path) -> Any:
    assert things.exists()
    return make_client(store, url)


def made(things: Path) -> int:
    return len(things.read_text().splitlines())


def headers_that_matter(answer: httpx.Response) -> dict[str, str]:
    own = {"x-request-id", "idempotent-replayed"}
    return {name: value for name, value in answer.headers.items() if name not in own}


@BOTH
@pytest.mark.parametrize("path", [THINGS, STREAMED])
def test_the_same_request_again_gets_the_same_answer_and_has_no_second_effect(
    client: Any, things: Path, path: str
) -> None:
    def ask() -> httpx.Response:
        answer: httpx.Response = client("POST", path, json={"length": 10}, headers={"idempotency-key": '"one"'})
        return answer

    first, again = ask(), ask()
    assert (first.status_code, made(things)) == (201, 1)
    assert (again.status_code, again.content) == (201, first.content)
    assert headers_that_matter(again) == headers_that_matter(first)
    assert (first.headers["x-odd"], first.headers["location"]) == ("kept", "/v1/things/1")
    assert (again.headers["idempotent-replayed"], "idempotent-replayed" in first.headers) == ("true", False)
    assert client("POST", path, json={}, headers={"idempotency-key": "two"}).json() != first.json()
    assert client("POST", path, json={"length": 10}).json() != first.json()
    assert made(things) == 3


@BOTH
@pytest.mark.parametrize("path", [THINGS, STREAMED])
def test_another_request_with_the_same_key_is_refused(client: Any, things: Path, path: str) -> None:
    key = {"idempotency-key": "one"}
    client("POST", path, json={"length": 1}, headers=key)
    other = STREAMED if path == THINGS else THINGS
    asked = [(path, {"length": 2}), (other, {"length": 1}), (path + "?again=1", {"length": 1})]
    for address, body in asked[:2]:
        answer = client("POST", address, json=body, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert client("POST", asked[2][0], json={}, headers=key).json()["code"] == "invalid_request"
    assert made(things) == 1


@BOTH
def test_while_the_first_is_answered_the_second_is_told_to_wait(client: Any, things: Path) -> None:
    async def both() -> list[httpx.Response]:
        key = {"authorization": f"Bearer {client.token}", "idempotency-key": "one"}
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=key) as http:
            first = asyncio.create_task(http.post(THINGS, json={"seconds": 1.0}))
            while made(things) == 0:
                await asyncio.sleep(0.01)
            second = await http.post(THINGS, json={"seconds": 1.0})
            return [await first, second, await http.post(THINGS, json={"seconds": 1.0})]

    first, second, third = asyncio.run(both())
    assert (first.status_code, second.status_code, third.content) == (201, 409, first.content)
    assert (second.json()["code"], second.headers["retry-after"]) == ("idempotency_in_progress", "1")
    assert made(things) == 1


@BOTH
def test_a_request_that_changed_nothing_may_be_sent_again_with_its_key(client: Any, things: Path) -> None:
    key = {"idempotency-key": "one"}
    for code, status in (("store_unavailable", 503), ("invalid_request", 422)):
        assert client("POST", THINGS, json={"refuse": code}, headers=key).status_code == status
    broken = client("POST", THINGS, content=b"{", headers={**key, "content-type": "application/json"})
    assert broken.status_code == 500  # the route of this test reads its body itself
    assert client("POST", THINGS, json={}, headers=key).status_code == 201
    assert made(things) == 1


@BOTH
def test_a_key_belongs_to_a_tenant(client: Any, store: ScoreStore, things: Path) -> None:
    key = {"idempotency-key": "one"}
    mine = client("POST", THINGS, json={}, headers=key)
    brand = client.using(store.of("brand").create_key("theirs", ["lists:write"], now=NOW).token)
    theirs = brand("POST", THINGS, json={}, headers=key)
    assert theirs.status_code == 201
    assert theirs.json() != mine.json()
    assert made(things) == 2


@BOTH
def test_what_was_answered_survives_a_restart(
    client: Any, store: ScoreStore, url: str, make_client: Callable[..., Any], things: Path
) -> None:
    first = client("POST", THINGS, json={}, headers={"idempotency-key": "one"})
    store.revoke_key("everything", now=NOW)
    other = make_client(store, url)
    assert other("POST", THINGS, json={}, headers={"idempotency-key": "one"}).content == first.content
    assert made(things) == 1


@BOTH
def test_a_key_expires(store: ScoreStore, url: str, make_client: Callable[..., Any], things: Path) -> None:
    client = make_client(store, url, idempotency_hours=0.01)
    client("POST", THINGS, json={}, headers={"idempotency-key": "one"})
    with store.database.engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("UPDATE replays SET expires_at = expires_at - 36000000")  # 36 seconds
    client("POST", THINGS, json={}, headers={"idempotency-key": "one"})
    assert made(things) == 2
    store.forget_expired_replays(now=utc("2199-01-01"))
    with store.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM replays").scalar_one() == 0


@BOTH
def test_a_request_whose_process_died_is_taken_over_when_it_has_been_silent(
    client: Any, store: ScoreStore, things: Path
) -> None:
    key = {"idempotency-key": "one"}
    client("POST", THINGS, json={}, headers=key)
    as_left = "UPDATE replays SET status = NULL, held_until = held_until - {}"
    with store.database.engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql(as_left.format(0))
    assert client("POST", THINGS, json={}, headers=key).status_code == 409
    with store.database.engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql(as_left.format(61_000_000))
    assert client("POST", THINGS, json={}, headers=key).status_code == 201
    assert made(things) == 2


def test_a_request_that_takes_long_is_not_taken_for_dead(
    client: Any, things: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "HELD_SECONDS", 0.6)

    async def ask() -> list[int]:
        key = {"authorization": f"Bearer {client.token}", "idempotency-key": "one"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(client.app), base_url="http://service", headers=key
        ) as http:
            first = asyncio.create_task(http.post(THINGS, json={"seconds": 2.0}))
            await asyncio.sleep(1.5)
            second = await http.post(THINGS, json={"seconds": 2.0})
            return [(await first).status_code, second.status_code]

    assert asyncio.run(ask()) == [201, 409]
    assert made(things) == 1


@pytest.mark.parametrize("key", ["", '""', "a b", "x" * 256, "naïve", '"open', 'a"b'])
def test_what_is_no_key_is_refused(client: Any, things: Path, key: str) -> None:
    answer = client("POST", THINGS, json={}, headers={"idempotency-key": key.encode()})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_invalid")
    assert made(things) == 0


def test_what_only_reads_keeps_no_key(client: Any, store: ScoreStore) -> None:
    body = json.dumps({"user_ids": ["ada"]}).encode()
    for _ in range(2):
        assert client.post("/v1/scores/lookup", body, idempotency_key="one").status_code == 200
    with store.database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM replays").scalar_one() == 0
