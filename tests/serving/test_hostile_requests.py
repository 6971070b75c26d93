"""Bodies and headers that break services: none is answered with a 5xx, or read before its sender is known."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.problem_kinds import KINDS
from serving.store import ScoreStore

LOOKUP = "/v1/scores/lookup"
HOSTILE = [
    b"", b" ", b"null", b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b'"ada"', b"[]", b"{}", b"{", b"\x00",
    b"\xff\xfe",    b'{"user_ids": NaN}', b'{"user_ids": [NaN]}',
    b'{"user_ids": [1e400]}', b'{"user_ids": 1e400}', b'{"user_ids": [Infinity]}',
    b'{"user_ids": ["\\ud800"]}', b'{"user_ids": ["\\udfff\\ud800"]}', b'{"\\ud800": 1, "user_ids": ["ada"]}',
    b'{"user_ids": ["\xed\xa0\x80"]}', b'{"user_ids": null}', b'{"user_ids": [null]}', b'{"user_ids": [[]]}',
    b'{"user_ids": [{"a": NaN}]}', b'{"user_ids": "ada"}', b'{"user_ids": {"0": "ada"}}', b'{"user_ids": []}',
    b'{"user_ids": [""]}', b'{"user_ids": [20261101]}', b'{"user_ids": [true]}', b'{"user_ids": ["ada"], "extra": NaN}',
    b'{"user_ids": ["ada"], "limit": 1e400}', b'\xef\xbb\xbf{"user_ids": 1}', b"[" * 40_000, b'{"a":' * 8_000,
    b"9" * 5_000, b'{"user_ids": [' + b"9" * 5_000 + b"]}", b'{"user_ids": [' + b"1," * 20_000 + b"1]}",
    b"{" + b",".join(b'"k%d": 1' % i for i in range(4_000)) + b"}", b'{"user_ids": ["' + b"x" * 1025 + b'"]}',
]  # fmt: skip


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:24]))
def test_a_hostile_body_is_a_problem_of_the_client(client: Any, body: bytes) -> None:
    answer = client.post(LOOKUP, body)
    assert answer.status_code in (400, 422), answer.text
    problem = answer.json()
    assert problem["code"] in ("invalid_json", "invalid_request")
    assert problem["message"]
    assert len(answer.content) < 10_000


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(codec=None), max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["user_ids", "x", "\ud800"]), inner, max_size=2)
        ),
        max_leaves=6,
    )
)
def test_no_json_at_all_brings_the_service_down(client: Any, document: object) -> None:
    answer = client.post(LOOKUP, json.dumps(document).encode())
    assert answer.status_code in (200, 400, 422), answer.text


def test_the_value_that_is_refused_is_not_echoed(client: Any) -> None:
    answer = client.post(LOOKUP, b'{"user_ids": ["ada", {"secret": "diary"}]}')
    assert answer.json()["errors"][0]["where"] == "body.user_ids.1"
    assert "diary" not in answer.text


def test_a_twin_key_in_a_body_takes_the_last_as_json_does(client: Any) -> None:
    answer = client.post(LOOKUP, b'{"user_ids": ["ada"], "user_ids": ["bert"]}')
    assert [score["user_id"] for score in answer.json()["scores"]] == ["bert"]


def test_a_body_that_says_it_is_too_large_is_refused(client: Any) -> None:
    answer = client.post(LOOKUP, b'{"user_ids": ["' + b"x" * 50_000 + b'"]}')
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "zip"])
def test_bodies_packed_otherwise_than_with_gzip_or_zstd_are_not_taken(client: Any, encoding: str) -> None:
    answer = client.post(LOOKUP, b"whatever", content_encoding=encoding)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.headers["accept-encoding"] == "gzip, zstd"


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "multipart/form-data"],
)
def test_a_body_of_another_kind_is_not_taken(client: Any, kind: str) -> None:
    answer = client.post(LOOKUP, b'{"user_ids": ["ada"]}', content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "kind", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"']
)
def test_json_in_utf_8_is_taken_however_it_is_spelt(client: Any, kind: str) -> None:
    assert client.post(LOOKUP, b'{"user_ids": ["ada"]}', content_type=kind).status_code == 200


class Wire:
    """One request in raw ASGI, to see how much of a body is read."""

    def __init__(self, app: Any, token: str | None, **headers: str) -> None:
        names = {"content-type": "application/json", **{n.replace("_", "-"): text for n, text in headers.items()}}
        if token:
            names["authorization"] = f"Bearer {token}"
        self.app = app
        self.headers = [(name.encode(), text.encode()) for name, text in names.items()]
        self.read = 0
        self.status = 0
        self.body = b""

    def post(self, piece: bytes, *, pieces: int | None, wait: float = 0.0) -> dict[str, Any]:
        """The problem that comes back for a body of so many pieces (None: without end)."""

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(wait)
            self.read += len(piece)
            more = pieces is None or self.read < pieces * len(piece)
            return {"type": "http.request", "body": piece, "more_body": more}

        async def send(message: Any) -> None:
            self.status = message.get("status", self.status)
            self.body += message.get("body", b"")

        scope = {
            "type": "http", "method": "POST", "path": LOOKUP, "raw_path": LOOKUP.encode(), "query_string": b"",
            "headers": self.headers, "http_version": "1.1", "scheme": "http", "root_path": "",
            "asgi": {"version": "3.0"},            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        }  # fmt: skip
        asyncio.run(self.app(scope, receive, send))
        found: dict[str, Any] = json.loads(self.body)
        return found


def test_nothing_is_read_from_a_caller_without_a_key(client: Any) -> None:
    wire = Wire(client.app, None, transfer_encoding="chunked")
    assert wire.post(b"x" * 1_000_000, pieces=None)["code"] == "key_missing"
    assert (wire.status, wire.read) == (401, 0)


def test_a_body_without_end_is_cut_off_at_the_limit(client: Any) -> None:
    wire = Wire(client.app, client.token, transfer_encoding="chunked")
    assert wire.post(b"x" * 10_000, pieces=None)["code"] == "body_too_large"
    assert wire.status == 413
    assert wire.read == 60_000


def test_a_length_that_is_a_lie_does_not_help(client: Any) -> None:
    wire = Wire(client.app, client.token, content_length="10")
    assert wire.post(b"x" * 10_000, pieces=None)["code"] == "body_too_large"


@pytest.mark.parametrize(
    ("length", "code"), [("9" * 400, "body_too_large"), ("-1", "bad_request"), ("ten", "bad_request")]
)
def test_an_odd_length_is_refused_unread(client: Any, length: str, code: str) -> None:
    wire = Wire(client.app, client.token, content_length=length)
    assert wire.post(b"x", pieces=1)["code"] == code
    assert wire.read == 0


def test_a_body_that_trickles_is_given_up(store: ScoreStore, url: str, make_client: Callable[..., Any]) -> None:
    client = make_client(store, url, body_timeout_seconds=0.2)
    wire = Wire(client.app, client.token, transfer_encoding="chunked")
    assert wire.post(b" ", pieces=None, wait=0.02)["code"] == "body_timeout"
    assert wire.status == 408


def test_every_kind_of_problem_has_a_status_of_an_error_and_a_title() -> None:
    assert all(400 <= kind.status <= 599 and kind.title for kind in KINDS.values())


@pytest.mark.parametrize(
    "document", [{f"{key:x}": 1 for key in range(4_000)}, {"user_ids": [{"a": 1}] * 3_000}], ids=["keys", "ids"]
)
def test_thousands_of_mistakes_in_one_body_are_told_as_one(client: Any, document: object) -> None:
    """To list 60,000 unknown keys held up every other request for half a second."""
    answer = client.post(LOOKUP, json.dumps(document).encode())
    assert answer.status_code == 422
    assert len(answer.json()["errors"]) == 1


def test_a_post_to_an_address_that_is_only_read_is_told_so_and_not_asked_for_json(client: Any) -> None:
    answer = client("POST", "/v1/users/ada/score")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"


def test_an_answer_before_the_end_of_a_body_is_the_last_of_its_connection(client: Any) -> None:
    """The next request on it would be lost: the server hangs up where a body was not read."""
    refused = client.using(None).post(LOOKUP, b'{"user_ids": ["ada"]}')
    assert (refused.status_code, refused.headers["connection"]) == (401, "close")
    assert "connection" not in client.post(LOOKUP, b'{"user_ids": ["ada"]}').headers
    assert "connection" not in client.post(LOOKUP, b'{"user_ids": 1}').headers
