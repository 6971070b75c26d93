"""Allowances, packed bodies, a limit of load, and pages of other origins."""

import asyncio
import gzip
import json
import re
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from features.windows import utc
from serving.allowances import Allowances
from serving.encodings import ENCODINGS, Packer, unpacker_of
from serving.refusals import RefusedError
from serving.store import RunFacts, Score, ScoreStore

NOW = utc("2026-06-01")
LOOKUP = "/v1/scores/lookup"
PACK = {"gzip": gzip.compress, "zstd": zstd.compress}
UNPACK = {"gzip": gzip.decompress, "zstd": zstd.decompress}


def test_a_bucket_fills_evenly_and_never_beyond_its_size() -> None:
    allowances = Allowances({"read": 3, "bulk": 0})
    told = [allowances.take("crm", "read", tick=1000.0) for _ in range(3)]
    assert told[0] == [(b"ratelimit", b'"read";r=2;t=20'), (b"ratelimit-policy", b'"read";q=3;w=60')]
    assert told[2][0] == (b"ratelimit", b'"read";r=0;t=60')
    with pytest.raises(RefusedError, match="3 requests of the kind 'read' a minute; try again in 20 s") as refused:
        allowances.take("crm", "read", tick=1000.0)
    assert refused.value.headers == {
        "retry-after": "20", "ratelimit": '"read";r=0;t=20', "ratelimit-policy": '"read";q=3;w=60',
    }  # fmt: skip
    assert allowances.take("other", "read", tick=1000.0)[0] == (b"ratelimit", b'"read";r=2;t=20')
    assert allowances.take("crm", "bulk", tick=1000.0) == []
    with pytest.raises(RefusedError):
        allowances.take("crm", "read", tick=1019.9)
    assert allowances.take("crm", "read", tick=1020.0)[0] == (b"ratelimit", b'"read";r=0;t=60')
    assert allowances.take("crm", "read", tick=9000.0)[0] == (b"ratelimit", b'"read";r=2;t=20')


@given(st.integers(1, 50), st.lists(st.floats(0, 5), max_size=200))
def test_no_minute_sees_more_than_a_full_bucket_and_what_refills_in_it(size: int, waits: list[float]) -> None:
    allowances, tick, taken = Allowances({"read": size}), 0.0, []
    for wait in waits:
        tick += wait
        with suppress(RefusedError):
            allowances.take("crm", "read", tick=tick)
            taken.append(tick)
    for at in taken:
        assert sum(at <= other < at + 60 for other in taken) <= 2 * size


def test_a_key_that_asks_too_often_is_told_when_to_come_again(
    store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    client = make_client(store, url, reads_a_minute=2, bulk_reads_a_minute=1)
    first = client.get("/v1/users/ada/score")
    assert (first.headers["ratelimit"], first.headers["ratelimit-policy"]) == ('"read";r=1;t=30', '"read";q=2;w=60')
    assert client.get("/v1/model").status_code == 200
    refused = client.get("/v1/users/nobody/score")
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    assert 29 <= int(refused.headers["retry-after"]) <= 30
    assert refused.headers["ratelimit"].startswith('"read";r=0;t=')
    assert client("POST", LOOKUP, json={"user_ids": ["ada"]}).status_code == 200  # of another bucket
    other = client.using(store.create_key("other", ["scores:read"], now=NOW).token)
    assert other.get("/v1/users/ada/score").status_code == 200
    assert client.get("/livez").status_code == client.get("/readyz").status_code == 200


def test_without_a_setting_nothing_is_counted(client: Any) -> None:
    assert not [name for name in client.get("/v1/users/ada/score").headers if name.startswith("ratelimit")]


@pytest.fixture
def many(empty_store: ScoreStore, url: str, facts: RunFacts, make_score: Callable[..., Score], make_client: Any) -> Any:
    empty_store.write_run(facts, [make_score(f"user-{number}") for number in range(300)], now=NOW)
    return make_client(empty_store, url)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_long_answer_is_packed_as_the_client_likes_and_a_short_one_never(many: Any, encoding: str) -> None:
    for path in ("/v1/users/at-risk?limit=300", "/v1/users/at-risk?limit=20&format=csv"):
        plain = many.get(path, headers={"accept-encoding": "identity"})
        packed = many.get(path, headers={"accept-encoding": encoding})
        told = packed.content if encoding == "gzip" else zstd.decompress(packed.content)  # httpx unpacks gzip only
        assert told == plain.content
        assert packed.headers["content-encoding"] == encoding
        assert int(packed.headers["content-length"]) < len(plain.content) / 4
        for answer in (plain, packed):
            assert answer.headers["vary"] == "accept, accept-encoding"
    short = many.get("/v1/users/user-1/score", headers={"accept-encoding": encoding})
    assert not {"content-encoding", "vary"} & short.headers.keys()


def test_an_etag_of_a_packed_answer_is_weak(many: Any) -> None:
    packed = many.get("/v1/users/user-1/history", headers={"accept-encoding": "gzip"})
    assert "etag" not in packed.headers or packed.headers["etag"].startswith("W/")


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(pieces=st.lists(st.binary(max_size=4000), min_size=1, max_size=6))
def test_what_is_packed_in_pieces_unpacks_to_the_same(encoding: str, pieces: list[bytes]) -> None:
    packer = Packer(encoding)
    packed = b"".join(packer.pack(piece, last=place == len(pieces) - 1) for place, piece in enumerate(pieces))
    assert UNPACK[encoding](packed) == b"".join(pieces)
    unpacker = unpacker_of(encoding.encode())
    assert unpacker is not None
    cut = len(packed) // 2
    found = [piece for part in (packed[:cut], packed[cut:]) for piece in unpacker.pieces(part)]
    unpacker.finish()
    assert b"".join(found) == b"".join(pieces)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_packed_body_is_read_and_its_limit_holds_for_what_it_unpacks_to(client: Any, encoding: str) -> None:
    body = json.dumps({"user_ids": ["ada"] * 5_000}).encode()
    assert len(body) < 50_000
    answer = client.post(LOOKUP, PACK[encoding](body), content_encoding=encoding.upper())
    assert len(answer.json()["scores"]) == 5_000
    longer = PACK[encoding](json.dumps({"user_ids": ["ada"] * 9_000}).encode())
    assert len(longer) < 1_000
    answer = client.post(LOOKUP, longer, content_encoding=encoding)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("broken", [b"", b"not packed", "cut", "longer"])
def test_a_packed_body_that_is_broken_is_the_clients_mistake(client: Any, encoding: str, broken: bytes | str) -> None:
    whole = PACK[encoding](b'{"user_ids": ["ada"]}')
    body = {"cut": whole[:-5], "longer": whole + b"rest"}[broken] if isinstance(broken, str) else broken
    answer = client.post(LOOKUP, body, content_encoding=encoding)
    assert (answer.status_code, answer.json()["code"]) in (
        (400, "bad_request"), (422, "invalid_request"), (400, "invalid_json"),
    )  # fmt: skip


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_bomb_is_refused_in_flat_memory(client: Any, encoding: str) -> None:
    bomb = _bomb(encoding)
    assert len(bomb) < 50_000
    tracemalloc.start()
    answer = client.post(LOOKUP, bomb, content_encoding=encoding)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert most < 5_000_000


def _bomb(encoding: str) -> bytes:
    """Some hundred megabytes of nothing, packed."""
    if encoding == "zstd":
        return zstd.compress(bytes(300_000_000), 19)
    packer = zlib.compressobj(9, wbits=31)
    return packer.compress(bytes(40_000_000)) + packer.flush()


def test_more_requests_than_a_worker_can_answer_are_told_to_come_again(
    store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    client = make_client(store, url, max_in_flight=3)

    async def slowly() -> AsyncIterator[bytes]:
        await asyncio.sleep(0.3)
        yield b'{"user_ids": ["ada"]}'

    async def ask() -> list[httpx.Response]:
        headers = {"authorization": f"Bearer {client.token}", "content-type": "application/json"}
        transport = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", headers=headers) as http:
            slow = [asyncio.create_task(http.post(LOOKUP, content=slowly())) for _ in range(3)]
            await asyncio.sleep(0.1)
            meanwhile = [await http.get("/v1/users/ada/score"), await http.get("/livez"), await http.get("/readyz")]
            return [*meanwhile, *[await each for each in slow], await http.get("/v1/users/ada/score")]

    shed, alive, ready, *rest = asyncio.run(ask())
    assert (shed.status_code, shed.json()["code"], shed.headers["retry-after"]) == (503, "overloaded", "1")
    assert (alive.status_code, ready.status_code) == (200, 200)
    assert [answer.status_code for answer in rest] == [200, 200, 200, 200]


def test_pages_of_other_origins_may_ask_only_where_they_are_named(
    client: Any, store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    asking = {"origin": "https://crm.example.com", "access-control-request-method": "GET"}
    assert not [name for name in client("OPTIONS", "/v1/model", headers=asking).headers if "access-control" in name]
    assert "access-control-allow-origin" not in client.get("/v1/model", headers=asking).headers
    store.revoke_key("everything", now=NOW)
    named = make_client(store, url, cors_origins=("https://crm.example.com",))
    before = named.using(None)(
        "OPTIONS", "/v1/model", headers={**asking, "access-control-request-headers": "authorization"}
    )
    assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, "https://crm.example.com")
    assert "authorization" in before.headers["access-control-allow-headers"].lower()
    answer = named.get("/v1/model", headers=asking)
    assert answer.headers["access-control-allow-origin"] == "https://crm.example.com"
    assert re.search("x-request-id", answer.headers["access-control-expose-headers"], re.IGNORECASE)
    refused = named.using(None).get("/v1/model", headers=asking)
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://crm.example.com")
    others = named("OPTIONS", "/v1/model", headers={**asking, "origin": "https://evil.example.com"})
    assert "access-control-allow-origin" not in others.headers


@given(st.integers(1, 1000), st.floats(0, 1e6))
def test_who_comes_again_when_told_is_served(size: int, tick: float) -> None:
    allowances = Allowances({"read": size})
    for _ in range(size):
        allowances.take("crm", "read", tick=tick)
    with pytest.raises(RefusedError) as refused:
        allowances.take("crm", "read", tick=tick)
    assert refused.value.headers is not None
    allowances.take("crm", "read", tick=tick + int(refused.value.headers["retry-after"]))
