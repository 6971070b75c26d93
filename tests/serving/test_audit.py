"""Who read what, and when a key was last used: written behind the backs of requests, lost by no orderly end."""

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from features.windows import utc
from serving import notes as notes_module
from serving.notes import Notes
from serving.store import ScoreStore
from serving.store.audit import EVERYTHING, FINGERPRINT_BYTES, AuditEntry, Reading, Sought
from serving.store.sqlite import ROWS_ADDED_AT_ONCE
from serving.store.tables import audit
from tests.postgres import BOTH

NOW = utc("2026-06-01")


def reading(user_ids: tuple[str, ...], *, tenant: str = "", at: int = 1, route: str = "GET /v1/x") -> Reading:
    return Reading(at, tenant, "hf_live_12345678", route, 200, user_ids, 7, "request-1")


def entries(client: Any, store: ScoreStore, sought: Sought = EVERYTHING) -> list[AuditEntry]:
    client.app.state.notes.write(all_of_it=True)
    return list(store.audit_entries(sought))


@BOTH
def test_whoever_read_something_of_users_is_noted(client: Any, store: ScoreStore) -> None:
    began = datetime.now(UTC)
    client.get("/v1/users/ada/score", headers={"x-request-id": "mine"})
    client("POST", "/v1/scores/lookup", json={"user_ids": ["ada", "nobody", "bert", "emil"]})
    client.get("/v1/users/at-risk?limit=3&format=csv")
    client.get("/v1/users/ada/history")
    client.get("/v1/users/nobody/score")
    client.get("/v1/model")
    found = entries(client, store)[::-1]
    assert [(entry.route, entry.status, entry.users, entry.run_id) for entry in found] == [
        ("GET /v1/users/{user_id}/score", 200, 1, 1),
        ("POST /v1/scores/lookup", 200, 2, 1),
        ("GET /v1/users/at-risk", 200, 3, 1),
        ("GET /v1/users/{user_id}/history", 200, 1, None),
        ("GET /v1/users/{user_id}/score", 404, 0, None),
    ]
    assert {(entry.key_name, entry.key_prefix, entry.tenant) for entry in found} == {
        ("everything", client.token[:16], "")
    }
    assert found[0].request_id == "mine"
    assert all(began <= entry.at <= datetime.now(UTC) for entry in found)


@BOTH
def test_who_looked_at_a_person_is_found_though_the_log_names_nobody(client: Any, store: ScoreStore) -> None:
    client.get("/v1/users/ada/score")
    client("POST", "/v1/scores/lookup", json={"user_ids": ["bert", "ada"]})
    client.get("/v1/users/bert/score")
    seen = entries(client, store, Sought(user_id="ada"))
    assert [entry.route for entry in seen] == ["POST /v1/scores/lookup", "GET /v1/users/{user_id}/score"]
    assert entries(client, store, Sought(user_id="nobody")) == []
    with store.database.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM audit").mappings().all()
    # the request's id and the key's prefix are left out: they are random letters, now and then "ada" among them
    cells = [row[name] for row in rows for name in row if name not in {"request_id", "key_prefix"}]
    stored = [bytes(cell) if isinstance(cell, bytes | memoryview) else str(cell).encode() for cell in cells]
    assert len(rows) == 3
    assert not any(name in cell for cell in stored for name in (b"ada", b"bert"))
    with store.database.engine.execution_options(writes=True).begin() as connection:
        connection.exec_driver_sql("DELETE FROM secrets")  # forgotten: the log is of nobody any more
    assert entries(client, store, Sought(user_id="ada")) == []


@BOTH
def test_bytes_that_stand_across_two_fingerprints_are_nobody(empty_store: ScoreStore) -> None:
    empty_store.add_readings([reading(("ada",))])
    with empty_store.database.engine.execution_options(writes=True).begin() as connection:
        seen = connection.exec_driver_sql("SELECT seen FROM audit").scalar_one()
        assert len(seen) == FINGERPRINT_BYTES
        moved = b"\0\0\0" + bytes(seen) + b"\0\0\0\0\0"
        connection.execute(sa.update(audit).values(seen=moved))
    assert list(empty_store.audit_entries(Sought(user_id="ada"))) == []


@BOTH
def test_more_entries_than_a_statement_takes_are_all_written(empty_store: ScoreStore) -> None:
    many = 2 * ROWS_ADDED_AT_ONCE + 1
    empty_store.add_readings([reading(("ada",), at=at) for at in range(many)])
    assert [entry.at.microsecond for entry in empty_store.audit_entries()] == list(range(many))[::-1]


@BOTH
def test_a_tenant_sees_its_own_entries_by_key_and_time(store: ScoreStore) -> None:
    key = store.of("brand").create_key("crm", ["scores:read"], now=NOW).key
    mine = reading(("ada",), tenant="brand", at=5)._replace(key_prefix=key.prefix)
    store.add_readings([reading(("ada",), at=3), mine, reading(("ada",), tenant="brand", at=9)])
    brand = store.of("brand")
    epoch = utc("1970-01-01")
    assert [entry.at for entry in brand.audit_entries(Sought(user_id="ada"))] == [
        epoch + timedelta(microseconds=9), epoch + timedelta(microseconds=5),
    ]  # fmt: skip
    assert [entry.key_name for entry in brand.audit_entries(Sought(key="crm"))] == ["crm"]
    assert [entry.key_name for entry in brand.audit_entries(Sought(key=key.prefix))] == ["crm"]
    until = Sought(until=epoch + timedelta(microseconds=9), since=epoch + timedelta(microseconds=5))
    assert [entry.key_prefix for entry in brand.audit_entries(until)] == [key.prefix]
    store.forget_readings_before(epoch + timedelta(microseconds=6))
    assert [len(list(each.audit_entries())) for each in (store, brand)] == [0, 1]


@BOTH
def test_a_refused_attempt_of_a_known_key_is_noted_and_an_unknown_one_is_not(client: Any, store: ScoreStore) -> None:
    lists = client.using(store.create_key("lists", ["lists:read"], now=NOW).token)
    assert lists.get("/v1/users/ada/score").status_code == 403
    assert client.using(None).get("/v1/users/ada/score").status_code == 401
    assert [(entry.key_name, entry.status, entry.users) for entry in entries(client, store)] == [("lists", 403, 0)]


def test_nothing_is_noted_where_no_audit_is_wanted(
    store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    client = make_client(store, url, audit_days=0)
    client.get("/v1/users/ada/score")
    assert entries(client, store) == []


@BOTH
def test_when_a_key_was_last_used_is_written_now_and_then(client: Any, store: ScoreStore) -> None:
    client.get("/v1/model")
    client.get("/v1/users/ada/score")
    assert store.list_keys()[0].last_used_at is None  # never on the request's path
    client.app.state.notes.write(all_of_it=True)
    used = store.list_keys()[0].last_used_at
    assert used is not None
    assert timedelta(0) <= datetime.now(UTC) - used < timedelta(minutes=1)


@pytest.fixture
def notes(store: ScoreStore) -> Iterator[Notes]:
    made = Notes(store, audit_days=30)
    yield made
    made.end()


@BOTH
def test_what_is_noted_is_written_within_seconds_and_old_entries_are_removed(
    notes: Notes, store: ScoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes_module, "WRITE_SECONDS", 0.05)
    store.add_readings([reading(("ada",), at=1)])
    notes.read(reading(("bert",), at=int(datetime.now(UTC).timestamp() * 1e6)))
    notes.run()
    for _ in range(100):
        found = list(store.audit_entries())
        if len(found) == 1 and found[0].at.year > 1970:
            return
        notes_module.time.sleep(0.05)
    pytest.fail(f"found {found}")


def test_nothing_is_lost_while_the_store_cannot_be_written_to(
    notes: Notes, store: ScoreStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("INSERT", None, Exception("disk I/O error"))

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "holdfast.service"):
        patch.setattr(ScoreStore, "add_readings", broken)
        patch.setattr(ScoreStore, "note_use", broken)
        for at in range(3):
            notes.read(reading(("ada",), at=at))
        notes.used("hf_live_12345678", NOW)
        notes.write(all_of_it=True)
    assert "event=notes_wait error=OperationalError entries=3" in caplog.text
    notes.write(all_of_it=True)
    assert [entry.at.microsecond for entry in store.audit_entries()] == [2, 1, 0]


def test_what_cannot_be_kept_any_longer_is_told(
    notes: Notes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("INSERT", None, Exception("disk I/O error"))

    monkeypatch.setattr(notes_module, "MOST_WAITING", 2)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "holdfast.service"):
        patch.setattr(ScoreStore, "add_readings", broken)
        for at in range(5):
            notes.read(reading(("ada",), at=at))
        notes.write()
    assert "event=audit_entries_lost entries=3" in caplog.text
