"""The database gone and back: clear refusals at once, and recovery without a restart."""

import resource
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from features.errors import UserError
from features.windows import utc
from serving.store import RunFacts, Score, ScoreStore, StoredScore
from tests.live import Live, live
from tests.open_shop import OpenShop
from tests.postgres import PostgresServer, running_postgres

MakeClient = Callable[..., Any]


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server that these tests may stop; the others' goes on."""
    with running_postgres() as server:
        yield server


def test_a_locked_file_is_told_quickly_and_forgotten_when_free(client: Any, store: ScoreStore, tmp_path: Path) -> None:
    assert client.get("/v1/users/ada/score").status_code == 200
    for each in (store, client.app.state.store):
        each.close()  # or nobody could lock the file for himself
    with locked(tmp_path / "store.db"):
        refused(client, why="another process has locked it")
        assert client.get("/livez").status_code == 200
    answers_within(client, seconds=5)


def test_a_file_that_was_removed_is_told_and_one_that_comes_is_taken_up(client: Any, tmp_path: Path) -> None:
    assert client.get("/v1/users/ada/score").status_code == 200
    away = tmp_path / "away"
    away.mkdir()
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (tmp_path / name).rename(away / name)
    time.sleep(1.1)
    refused(client, why="gone")
    assert not (tmp_path / "store.db").exists(), "asking must not make a store"
    for name in ("store.db", "store.db-wal", "store.db-shm"):
        (away / name).rename(tmp_path / name)
    answers_within(client, seconds=5)


def test_a_server_that_stops_is_told_quickly_and_taken_up_when_it_is_back(
    mortal: PostgresServer, make_client: MakeClient, facts: RunFacts, cast: list[Score]
) -> None:
    url = mortal.new_database()
    with closing(ScoreStore.open(url)) as store:
        store.write_run(facts, cast, now=utc("2026-06-01"))
        client = make_client(store, url)
    assert client.get("/v1/users/ada/score").status_code == 200
    before = connections(url)
    for _ in range(2):
        mortal.stop()
        refused(client, why="it does not answer")
        assert client.get("/livez").status_code == 200
        mortal.start()
        answers_within(client, seconds=8)
    assert connections(url) <= before + 1


def test_a_full_disk_of_a_server_says_what_to_do_and_leaves_the_old_run(
    mortal: PostgresServer, facts: RunFacts, cast: list[Score], make_score: Callable[..., Score]
) -> None:
    url = mortal.new_database()
    with closing(ScoreStore.open(url)) as store:
        store.write_run(facts, cast, now=utc("2026-06-01"))
        with small_files(mortal, megabytes=18):
            crowd = (make_score(f"user-{number:0400}") for number in range(60_000))
            with closing(ScoreStore.open(url)) as writer, pytest.raises(UserError, match="no room on the disk"):
                writer.write_run(facts, crowd, now=utc("2026-06-02"))
        found = store.score("ada")
        assert isinstance(found, StoredScore)
        assert found.churn_probability == 0.9
        store.write_run(facts, [make_score("ada", 0.2)], now=utc("2026-06-03"))


def test_two_workers_under_load_lose_their_server_and_go_on_when_it_is_back(
    mortal: PostgresServer, facts: RunFacts, cast: list[Score], tmp_path: Path
) -> None:
    url, log = mortal.new_database(), tmp_path / "log"
    with closing(ScoreStore.open(url)) as store:
        store.write_run(facts, cast, now=utc("2026-06-01"))
    with live(url, log=log, workers=2) as service:
        enough, seen = threading.Event(), list[tuple[int, str, float]]()
        readers = [threading.Thread(target=read_until, args=(enough, service, seen)) for _ in range(8)]
        for reader in readers:
            reader.start()
        try:
            for _ in range(2):
                statuses_from(seen, {200})
                mortal.stop()
                statuses_from(seen, {503})
                assert httpx.get(service.address + "/readyz", timeout=10).status_code == 503
                assert httpx.get(service.address + "/livez", timeout=10).status_code == 200
                mortal.start()
                statuses_from(seen, {200})
        finally:
            enough.set()
            for reader in readers:
                reader.join(timeout=30)
        ready_again(service)
    assert {(status, code) for status, code, _ in seen} == {(200, ""), (503, "store_unavailable")}
    assert max(seconds for *_, seconds in seen) < 10
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("megabytes", [0, 1])
def test_a_service_whose_disk_is_full_goes_on_reading_and_writes_again_when_there_is_room(
    shop_of_today: OpenShop, empty_store: ScoreStore, tmp_path: Path, megabytes: int
) -> None:
    """A process that may make no file longer meets what it meets on a full disk, and can be given room again."""
    shop_of_today.score(empty_store)
    log, score = tmp_path / "log", f"/v1/users/{shop_of_today.user}/score"
    jobs = {"url": "/v1/scores/jobs", "content": b'{"user_id": "ada", "events": []}\n' * 60_000}
    kind = {"content-type": "application/x-ndjson"}
    with (
        live(
            tmp_path / "store.db", folder=shop_of_today.folder, log=log, jobs_folder=str(tmp_path / "jobs")
        ) as service,
        service.client() as client,
    ):
        first = client.post(**jobs, headers=kind)
        assert first.status_code == 202
        (worker,) = service.workers()
        before = resource.prlimit(worker, resource.RLIMIT_FSIZE, (megabytes * 1_000_000, resource.RLIM_INFINITY))
        for _ in range(8):
            for answer in (
                client.post(**jobs, headers=kind),
                client.post(**jobs, headers={**kind, "idempotency-key": "k"}),
            ):
                assert (answer.status_code, answer.json()["code"]) == (507, "no_room"), answer.text
                assert answer.headers["retry-after"]
            assert client.get(score).status_code == 200
            assert client.get("/v1/scores/jobs").status_code == 200
        if not megabytes:
            assert client.delete(first.headers["location"]).json()["code"] == "no_room"
        assert client.get("/readyz").status_code == 200
        resource.prlimit(worker, resource.RLIMIT_FSIZE, before)
        again = client.post(**jobs, headers={**kind, "idempotency-key": "k"})
        assert again.status_code == 202
        assert client.delete(again.headers["location"]).status_code == 200
    assert "Traceback" not in log.read_text()
    assert [path for path in (tmp_path / "jobs").iterdir() if path.name not in first.headers["location"]] == []


def read_until(enough: threading.Event, service: Live, seen: list[tuple[int, str, float]]) -> None:
    with service.client() as client:
        while not enough.is_set():
            began = time.monotonic()
            answer = client.get("/v1/users/ada/score")
            seen.append((answer.status_code, answer.json().get("code", ""), time.monotonic() - began))


def statuses_from(seen: list[tuple[int, str, float]], expected: set[int]) -> None:
    """Return when a hundred answers in a row had one of the statuses."""
    until = time.monotonic() + 60
    while len(seen) < 100 or {status for status, *_ in seen[-100:]} != expected:
        assert time.monotonic() < until, seen[-5:]
        time.sleep(0.05)


def ready_again(service: Live) -> None:
    """Return when ten answers in a row say so: a worker whom nobody asked meanwhile lets the store rest for seconds."""
    until, ready = time.monotonic() + 15, 0
    while ready < 10:
        found = httpx.get(service.address + "/readyz", timeout=10)
        ready = ready + 1 if found.status_code == 200 else 0
        assert time.monotonic() < until, found.text
        time.sleep(0.05)


def refused(client: Any, *, why: str) -> None:
    """Every request is answered 503 within a moment, with the reason and when to come again."""
    for path in ("/v1/users/ada/score", "/readyz"):
        started = time.monotonic()
        answer = client.get(path)
        assert answer.status_code == 503, answer.text
        assert why in answer.text
        assert time.monotonic() - started < 4
    assert client.get("/v1/users/ada/score").headers["retry-after"]
    assert client.get("/v1/users/ada/score").json()["code"] == "store_unavailable"


def answers_within(client: Any, *, seconds: float) -> None:
    until = time.monotonic() + seconds
    while client.get("/v1/users/ada/score").status_code != 200:
        assert time.monotonic() < until, client.get("/readyz").text
        time.sleep(0.1)
    assert client.get("/readyz").status_code == 200


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """A file that another connection keeps for itself, readers included."""
    with closing(sqlite3.connect(file, isolation_level=None)) as greedy:
        greedy.execute("PRAGMA locking_mode = EXCLUSIVE")
        greedy.execute("BEGIN EXCLUSIVE")
        yield
        greedy.execute("ROLLBACK")


def connections(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()").fetchone()
    assert row is not None
    return int(row[0]) - 1  # this one


@contextmanager
def small_files(server: PostgresServer, *, megabytes: int) -> Iterator[None]:
    """The server cannot make a file larger meanwhile: to a database the same as a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    server.stop()
    resource.setrlimit(resource.RLIMIT_FSIZE, (megabytes * 1024 * 1024, before[1]))
    try:
        server.start()  # inherits the limit
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    yield
    server.stop()
    server.start()
