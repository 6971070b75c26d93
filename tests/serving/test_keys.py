"""Keys: shown once, kept as a hash, refused when they should be."""

import asyncio
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import BadInput
from features.windows import utc
from serving.auth import Keyring
from serving.refusals import RefusedError
from serving.store import ScoreStore
from serving.store.keys import is_wellformed, token_of
from tests.postgres import BOTH

NOW = utc("2026-06-01")
ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
LATER = utc("2026-07-01")


@BOTH
def test_a_new_key_is_found_by_its_text_only(empty_store: ScoreStore) -> None:
    made = empty_store.create_key("crm", ["scores:read", "lists:read"], now=NOW)
    assert made.token.startswith("hf_live_")
    assert empty_store.find_key(made.token) == made.key
    assert empty_store.find_key(token_of(bytes(32))) is None
    assert empty_store.list_keys() == [made.key]


@BOTH
def test_a_rotated_key_has_a_successor_and_works_until_the_overlap_ends(empty_store: ScoreStore) -> None:
    old = empty_store.of("brand").create_key("crm", ["scores:read"], now=NOW)
    between = utc("2026-06-08")
    new = empty_store.rotate_key("crm", now=NOW, overlap_ends=between)
    assert (new.key.name, new.key.scopes, new.key.tenant) == ("crm", old.key.scopes, "brand")
    ended = empty_store.find_key(old.token)
    assert ended is not None
    assert (ended.works(NOW), ended.works(between)) == (True, False)
    assert new.key.works(LATER)
    with pytest.raises(BadInput, match="2 keys"):
        empty_store.rotate_key("crm", now=NOW, overlap_ends=LATER)
    with pytest.raises(BadInput, match="works no more"):
        empty_store.rotate_key(old.key.prefix, now=LATER, overlap_ends=LATER)


@BOTH
def test_when_a_key_was_last_used_is_remembered_and_never_goes_back(empty_store: ScoreStore) -> None:
    made = empty_store.create_key("crm", ["scores:read"], now=NOW)
    assert made.key.last_used_at is None
    for moment in (LATER, NOW):
        empty_store.note_use({made.key.prefix: moment})
    assert [key.last_used_at for key in empty_store.list_keys()] == [LATER]


@pytest.mark.parametrize("tenant", ["a b", "../x", "-x", "x" * 101])
def test_a_tenant_that_cannot_be_one_is_refused(empty_store: ScoreStore, tenant: str) -> None:
    with pytest.raises(BadInput, match="cannot be a tenant"):
        empty_store.of(tenant).create_key("crm", ["scores:read"], now=NOW)


def test_the_text_of_a_key_is_nowhere_in_the_store(empty_store: ScoreStore, tmp_path: Path) -> None:
    made = empty_store.create_key("crm", ["scores:read"], now=NOW)
    empty_store.close()
    secret = made.token.removeprefix(made.key.prefix).encode()
    for file in tmp_path.iterdir():
        assert secret not in file.read_bytes()
        assert made.token.encode() not in file.read_bytes()


@BOTH
def test_a_key_with_the_right_prefix_and_a_wrong_rest_is_none(empty_store: ScoreStore) -> None:
    made = empty_store.create_key("crm", ["scores:read"], now=NOW)
    number = 0
    for digit in made.token.removeprefix("hf_live_")[:43]:
        number = number * 62 + ALPHABET.index(digit)
    forged = token_of((number ^ 1).to_bytes(32, "big"))  # a neighbour: same prefix, a checksum of its own
    assert is_wellformed(forged)
    assert forged.startswith(made.key.prefix)
    assert empty_store.find_key(forged) is None


@given(st.binary(min_size=32, max_size=32), st.integers(0, 56), st.sampled_from("0aZ_"))
def test_a_typing_error_in_a_key_is_told_by_its_checksum(entropy: bytes, place: int, letter: str) -> None:
    token = token_of(entropy)
    assert is_wellformed(token)
    changed = token[:place] + letter + token[place + 1 :]
    assert is_wellformed(changed) == (changed == token)


@BOTH
def test_a_key_is_revoked_by_its_name_or_its_prefix(empty_store: ScoreStore) -> None:
    by_name = empty_store.create_key("crm", ["scores:read"], now=NOW)
    by_prefix = empty_store.create_key("mail", ["scores:read"], now=NOW)
    empty_store.revoke_key("crm", now=LATER)
    empty_store.revoke_key(by_prefix.key.prefix, now=LATER)
    for made in (by_name, by_prefix):
        found = empty_store.find_key(made.token)
        assert found is not None
        assert not found.works(LATER)


@BOTH
def test_revoking_again_keeps_the_first_date(empty_store: ScoreStore) -> None:
    empty_store.create_key("crm", ["scores:read"], now=NOW)
    empty_store.revoke_key("crm", now=NOW)
    assert empty_store.revoke_key("crm", now=LATER).revoked_at == NOW


def test_a_second_working_key_of_a_name_is_refused_so_that_the_name_stays_clear(empty_store: ScoreStore) -> None:
    first = empty_store.create_key("crm", ["scores:read"], now=NOW)
    with pytest.raises(BadInput, match=f"named 'crm' already .{first.key.prefix}.*choose another name"):
        empty_store.create_key("crm", ["scores:read"], now=LATER)
    empty_store.revoke_key("crm", now=LATER)
    assert empty_store.create_key("crm", ["scores:read"], now=LATER).key.works(LATER)


def test_revoking_what_names_no_key_is_refused(empty_store: ScoreStore) -> None:
    with pytest.raises(BadInput, match="holdfast keys list"):
        empty_store.revoke_key("nobody", now=LATER)


def test_of_an_expired_and_a_working_key_of_a_name_the_working_one_is_meant(empty_store: ScoreStore) -> None:
    empty_store.create_key("crm", ["scores:read"], now=NOW, expires_at=LATER)
    working = empty_store.create_key("crm", ["scores:read"], now=LATER)
    assert empty_store.revoke_key("crm", now=LATER).prefix == working.key.prefix


@pytest.mark.parametrize(
    ("name", "scopes", "more", "why"),
    [
        ("crm", ["scores:erase"], {}, "scores:read, scores:compute"),
        ("crm", [], {}, "one or more"),
        (" ", ["scores:read"], {}, "name"),
        ("crm", ["scores:read"], {"expires_at": NOW}, "has passed"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused(
    empty_store: ScoreStore, name: str, scopes: list[str], more: dict[str, Any], why: str
) -> None:
    with pytest.raises(BadInput, match=why):
        empty_store.create_key(name, scopes, now=NOW, **more)


def test_an_expired_key_no_longer_works_from_that_moment_on(empty_store: ScoreStore) -> None:
    made = empty_store.create_key("crm", ["scores:read"], now=NOW, expires_at=LATER)
    keyring = Keyring(empty_store, memory_seconds=5)
    header = f"Bearer {made.token}".encode()
    assert asyncio.run(keyring.key_of(header, now=NOW, tick=0.0)) == made.key
    with pytest.raises(RefusedError):
        asyncio.run(keyring.key_of(header, now=LATER, tick=1.0))


def test_a_revoked_key_stops_working_when_the_memory_of_it_ends(empty_store: ScoreStore) -> None:
    made = empty_store.create_key("crm", ["scores:read"], now=NOW)
    keyring = Keyring(empty_store, memory_seconds=4)
    header = f"Bearer {made.token}".encode()
    asyncio.run(keyring.key_of(header, now=NOW, tick=10.0))
    empty_store.revoke_key("crm", now=NOW)
    assert asyncio.run(keyring.key_of(header, now=NOW, tick=13.9)).name == "crm"
    with pytest.raises(RefusedError):
        asyncio.run(keyring.key_of(header, now=NOW, tick=14.0))


def test_a_request_without_a_working_key_is_401_and_says_how_to_send_one(client: Any) -> None:
    answers = [
        client.using(None).get("/v1/users/ada/score"),
        client.using("hf_live_guess").get("/v1/users/ada/score"),
        client.using(None).get("/v1/model", headers={"authorization": "Basic YWRhOmFkYQ=="}),
        client.using(None).get("/v1/nowhere"),
        client.using(token_of(bytes(32))).get("/v1/users/at-risk"),
    ]
    assert [answer.status_code for answer in answers] == [401] * 5
    assert [answer.json()["code"] for answer in answers] == [
        "key_missing", "key_invalid", "key_invalid", "key_missing", "key_invalid",
    ]  # fmt: skip
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)


ROUTES = [
    ("GET", "/v1/users/ada/score", "scores:read"),
    ("POST", "/v1/scores/lookup", "scores:read"),
    ("GET", "/v1/users/at-risk", "lists:read"),
    ("GET", "/v1/model", "scores:read"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_each_route_opens_to_its_own_scope_only(
    client: Any, store: ScoreStore, method: str, path: str, scope: str
) -> None:
    body = {"content": b'{"user_ids": ["ada"]}', "headers": {"content-type": "application/json"}}
    more = body if method == "POST" else {}
    for owned in ("scores:read", "lists:read", "admin"):
        token = store.create_key(owned, [owned], now=NOW).token
        answer = client.using(token)(method, path, **more)
        assert answer.status_code == (200 if owned in (scope, "admin") else 403)
        if answer.status_code == 403:
            assert answer.json()["code"] == "scope_missing"
            assert scope in answer.json()["message"]


def test_a_wrong_scope_is_told_before_the_body_is_read(client: Any, store: ScoreStore) -> None:
    token = store.create_key("lists", ["lists:read"], now=NOW).token
    assert client.using(token).post("/v1/scores/lookup", b"{not json").status_code == 403


def test_the_scope_may_not_be_taken_from_another_request(
    store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    client = make_client(store, url)
    assert client.get("/v1/model").status_code == 200
    assert client.using(None).get("/v1/model").status_code == 401
