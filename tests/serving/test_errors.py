"""Every refusal has a code that is documented where it happens: in the OpenAPI document and in docs/errors.md."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from features.windows import utc
from serving.problem_kinds import KINDS
from serving.rules import RULES
from serving.store import ScoreStore
from serving.store.keys import token_of
from tests.postgres import BOTH
from tests.serving.test_matrix import REQUESTS
from tests.serving.things import THINGS, serve_things

NOW = utc("2026-06-01")
JSON = {"content-type": "application/json"}
QUERIES = ("odd=1", "limit=0", "limit=1&limit=1", "cursor=x", "reasons=fr", "%FF", "fresh=maybe", "fresh=true")
BODIES: list[tuple[bytes, dict[str, str]]] = [
    (b"", JSON),
    (b"{", JSON),
    (b"null", JSON),
    (b"[]", JSON),
    (b"NaN", JSON),
    (b"\xff", JSON),
    (b'{"user_ids": 1, "users": 1}', JSON),
    (b"{}", {"content-type": "text/plain"}),
    (b"{}", {**JSON, "content-encoding": "br"}),
    (b"{}", {**JSON, "content-encoding": "gzip"}),
    (gzip.compress(bytes(200_000)), {**JSON, "content-encoding": "gzip"}),
    (bytes(200_000), JSON),
    (b"{}", {**JSON, "idempotency-key": "a b"}),
]


@pytest.fixture
def client(
    store: ScoreStore, url: str, make_client: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    serve_things(tmp_path / "things", monkeypatch)
    return make_client(store, url, max_body_bytes=50_000)


@pytest.fixture
def documented(client: Any) -> Callable[[str, str, Any], None]:
    """Asserts that the answer to a method of an address is one that the OpenAPI document tells of."""
    paths = client.app.openapi()["paths"]

    def check(method: str, pattern: str, answer: Any) -> None:
        told = paths[pattern][method.lower()]["responses"].get(str(answer.status_code))
        assert told is not None, (method, pattern, answer.status_code, answer.text)
        if answer.status_code >= 400:
            examples = told["content"]["application/problem+json"]["examples"]
            assert answer.json()["code"] in examples, (method, pattern, answer.text)

    return check


def addresses() -> Iterator[tuple[str, str, str]]:
    for (method, pattern), (path, _, _) in REQUESTS.items():
        yield method, pattern, path
    yield "POST", THINGS, THINGS


def test_no_address_answers_with_a_code_that_is_not_documented_there(
    client: Any, store: ScoreStore, documented: Callable[[str, str, Any], None]
) -> None:
    other = {scope: store.create_key(scope, [scope], now=NOW).token for scope in ("events:write", "privacy:write")}
    users = ("nobody", "emil", "", "x" * 1025, "%00", "%FF%ED%A0%80", "a%2Fb")
    for method, pattern, path in addresses():
        for token in (None, "guess", token_of(bytes(32)), *other.values()):
            documented(method, pattern, client.using(token)(method, path))
        for query in (
            "odd=1",
            "limit=0",
            "limit=1&limit=1",
            "cursor=x",
            "reasons=fr",
            "%FF",
            "fresh=maybe",
            "fresh=true",
        ):
            documented(method, pattern, client(method, f"{path}?{query}"))
        for user in users if "{user_id}" in pattern else ():
            documented(method, pattern, client(method, pattern.replace("{user_id}", user)))
        for body, headers in BODIES:
            documented(method, pattern, client(method, path, content=body, headers=headers))


@BOTH
def test_what_fails_behind_the_door_is_documented_too(
    client: Any, store: ScoreStore, documented: Callable[[str, str, Any], None]
) -> None:
    with store.database.engine.execution_options(writes=True).begin() as connection:
        for table in ("current_run", "scores", "replays"):
            connection.exec_driver_sql(f"ALTER TABLE {table} RENAME TO {table}_lost")
    for method, pattern, path in addresses():
        body = {"json": REQUESTS[method, pattern][1]} if (method, pattern) in REQUESTS and method == "POST" else {}
        documented(method, pattern, client(method, path, **body))
    key = {"idempotency-key": "one"}
    documented("POST", THINGS, client("POST", THINGS, json={}, headers=key))


def test_who_asks_too_often_is_told_so_everywhere(
    store: ScoreStore, url: str, make_client: Callable[..., Any], documented: Callable[[str, str, Any], None]
) -> None:
    store.revoke_key("everything", now=NOW)
    client = make_client(store, url, reads_a_minute=1, bulk_reads_a_minute=1, writes_a_minute=1)
    for method, pattern, path in addresses():
        client(method, path)
        answer = client(method, path)
        assert answer.json()["code"] == "rate_limited", (method, pattern)
        documented(method, pattern, answer)


def test_every_kind_says_what_to_do_and_is_in_the_document(client: Any) -> None:
    text = str(client.app.openapi())
    unsaid = {"route_unknown", "method_not_allowed"}  # of no address
    assert [code for code, kind in KINDS.items() if code not in unsaid and f"'{code}'" not in text] == []
    assert all(400 <= kind.status <= 599 and kind.title and kind.do.endswith((".", "?")) for kind in KINDS.values())
    assert all(
        "retry-after" in kind.headers or kind.status == 429
        for kind in KINDS.values()
        if "yes" in kind.again and kind.status != 408
    )


def test_a_get_takes_no_body(client: Any) -> None:
    for headers in ({}, {"transfer-encoding": "chunked"}):
        answer = client("GET", "/v1/model", content=b"{}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_request")
    assert client("GET", "/v1/model", headers={"content-length": "0"}).status_code == 200
    assert {path for (method, path), rule in RULES.items() if rule.changes and method == "GET"} == set()
