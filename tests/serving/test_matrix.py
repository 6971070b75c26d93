"""The route matrix: every address asks for its scope, and shows a key nothing but its own tenant."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import APIRouter

from features.windows import utc
from serving.app import create_app
from serving.routes import health
from serving.rules import OPEN, RULES, RouteMatrix
from serving.settings import ServiceSettings
from serving.store import RunFacts, Score, ScoreStore
from serving.store.keys import SCOPES
from tests.postgres import BOTH

NOW = utc("2026-06-01")
# One request for every address that needs a key, and the status when the key may ask.
REQUESTS: dict[tuple[str, str], tuple[str, Any, int]] = {
    ("GET", "/v1/users/{user_id}/score"): ("/v1/users/ada/score", None, 200),
    ("GET", "/v1/users/{user_id}/history"): ("/v1/users/ada/history", None, 200),
    ("GET", "/v1/users/{user_id}/risk-curve"): ("/v1/users/ada/risk-curve", None, 503),  # no model here
    ("POST", "/v1/scores/lookup"): ("/v1/scores/lookup", {"user_ids": ["ada"]}, 200),
    ("POST", "/v1/scores/compute"): ("/v1/scores/compute", {"users": []}, 503),
    ("POST", "/v1/scores/jobs"): ("/v1/scores/jobs", {}, 503),
    ("GET", "/v1/scores/jobs"): ("/v1/scores/jobs", None, 200),
    ("GET", "/v1/scores/jobs/{job_id}"): ("/v1/scores/jobs/one", None, 404),
    ("GET", "/v1/scores/jobs/{job_id}/result"): ("/v1/scores/jobs/one/result", None, 404),
    ("DELETE", "/v1/scores/jobs/{job_id}"): ("/v1/scores/jobs/one", None, 404),
    ("GET", "/v1/users/at-risk"): ("/v1/users/at-risk", None, 200),
    ("GET", "/v1/segments"): ("/v1/segments", None, 200),
    ("GET", "/v1/runs"): ("/v1/runs", None, 200),
    ("GET", "/v1/model"): ("/v1/model", None, 200),
    ("GET", "/v1/features"): ("/v1/features", None, 200),
}


NOTHING_YET = {"/v1/scores/jobs"}  # a list that is empty here; what is in it is tried where it is filled


@pytest.fixture
def client(
    store: ScoreStore, facts: RunFacts, make_score: Callable[..., Score], url: str, make_client: Callable[..., Any]
) -> Any:
    """In front of three tenants: the one without a name, and two brands with a user each who is nobody elsewhere."""
    for brand in ("acme", "globex"):
        theirs = replace(facts, model_version=f"{brand}-3", definition_id=f"{brand}-churn")
        told = replace(make_score(f"{brand}-ada"), lifecycle_stage="active", segment=f"{brand}-loyal")
        store.of(brand).write_run(theirs, [told, make_score("ada")], outside=[f"{brand}-emil"], now=NOW)
    return make_client(store, url)


def test_every_address_that_needs_a_key_is_tried_here(client: Any) -> None:
    assert REQUESTS.keys() == {address for address, rule in RULES.items() if rule.scope is not None}
    routes = {(method, route.path_format) for route in client.app.routes for method in route.methods}
    assert routes == RULES.keys()
    assert {rule.scope for rule in RULES.values() if rule is not OPEN} <= set(SCOPES)


@BOTH
def test_each_address_opens_to_its_own_scope_and_each_key_to_its_own_tenant(client: Any, store: ScoreStore) -> None:
    for brand, other in (("acme", "globex"), ("globex", "acme")):
        keys = {scope: store.of(brand).create_key(f"{brand} {scope}", [scope], now=NOW).token for scope in SCOPES}
        for (method, pattern), (path, body, status) in REQUESTS.items():
            for scope, token in keys.items():
                answer = client.using(token)(method, path, **({} if body is None else {"json": body}))
                if scope in (RULES[method, pattern].scope, "admin"):
                    assert answer.status_code == status, (method, path, scope, answer.text)
                    assert status != 200 or brand in answer.text or path in NOTHING_YET, (method, path)
                    assert other not in answer.text, (method, path)
                else:
                    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing"), (method, path, scope)


@BOTH
def test_what_is_another_tenants_is_as_if_it_were_not_there(client: Any, store: ScoreStore) -> None:
    mine = client.using(store.of("acme").create_key("mine", ["admin"], now=NOW).token)
    assert mine.get("/v1/users/acme-ada/score").status_code == 200
    for user_id in ("globex-ada", "globex-emil", "bert"):
        absent = mine.get(f"/v1/users/{user_id}/score")
        assert (absent.status_code, absent.json()["code"]) == (404, "user_unknown")
        assert mine.get(f"/v1/users/{user_id}/history").json()["scores"] == []
    looked_up = mine("POST", "/v1/scores/lookup", json={"user_ids": ["globex-ada", "acme-ada", "bert"]}).json()
    assert [score["user_id"] for score in looked_up["scores"]] == ["acme-ada"]
    theirs = client.using(store.of("globex").create_key("theirs", ["admin"], now=NOW).token)
    cursor = theirs.get("/v1/users/at-risk?limit=1").json()["next_cursor"]
    assert mine.get("/v1/users/at-risk", params={"cursor": cursor}).json()["code"] == "cursor_expired"


def test_a_route_without_a_rule_does_not_start(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()
    router.add_api_route("/v1/forgotten", lambda: None, methods=["GET"])
    monkeypatch.setattr(health, "router", router)
    with pytest.raises(LookupError, match=r"GET /v1/forgotten has no rule: say in serving/rules.py"):
        create_app(ServiceSettings(url))


def test_a_route_that_is_added_later_is_not_served_either(client: Any) -> None:
    client.app.add_api_route("/v1/later", lambda: {"secret": 1})
    assert client.get("/v1/later").status_code == 404


def test_the_door_and_the_router_mean_the_same_address(client: Any) -> None:
    matrix = RouteMatrix(client.app.routes)
    assert [address.matches for address in matrix.addresses] == [route.path_regex for route in client.app.routes]
    found = matrix.find("GET", "/v1/users/a/b/score/history/score")
    assert found is not None
    assert found[0].pattern == "/v1/users/{user_id}/score"
    assert matrix.find("GET", "/v1/users/at-risk/../../livez") is None


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/v1/model?verbose=1", "'verbose' is not known; expected none"),
        ("/v1/users/ada/score?language=zh", "'language' is not known; expected fresh, reasons, each once"),
        ("/v1/users/at-risk?limit=1&limit=2", "one is there twice"),
        ("/v1/users/at-risk?%F0%9F%98%80=1", "is not known"),
    ],
)
def test_a_parameter_that_is_not_known_or_there_twice_is_refused(client: Any, path: str, says: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert says in answer.json()["message"]
