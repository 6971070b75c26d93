"""What the addresses answer when all is well, and when a user, a run or a route is not there."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from features.windows import utc
from serving.schemas.common import ProblemOut
from serving.schemas.health import ReadyOut
from serving.schemas.lists import AtRiskOut
from serving.schemas.model import ModelOut
from serving.schemas.scores import LookupOut, ScoreOut
from serving.store import RunFacts, Score, ScoreStore

NOW = utc("2026-06-02")


def assert_problem(answer: Any, *, status: int, code: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = ProblemOut.model_validate_json(answer.content)
    assert (problem.status, problem.code, problem.type) == (status, code, f"urn:holdfast:problem:{code}")
    assert problem.message == problem.detail != ""


def test_a_score_says_all_that_a_client_needs_to_act(client: Any) -> None:
    answer = client.get("/v1/users/ada/score")
    assert answer.status_code == 200
    ScoreOut.model_validate_json(answer.content, strict=True)
    assert answer.json() == {
        "user_id": "ada",
        "churn_probability": 0.9,
        "percentile": 90.0,
        "risk_tier": "high",
        "reasons": [
            {"code": "recency.days_since_last_event", "sentence": "last seen 24 days ago", "contribution": 0.81},
            {"code": "spend.spend_28d", "sentence": "spent 3 € in the last 28 days", "contribution": 0.2},
        ],
        "cutoff": "2026-06-01T00:00:00Z",
        "horizon": {"start": "2026-06-01T00:00:00Z", "end": "2026-07-01T00:00:00Z"},
        "definition_id": "churn-3f1c0a9be2d4",
        "model_version": "3",
        "run_id": 1,
        "valid_until": "2026-06-08T00:00:00Z",
        "previous": None,
        "changes": [],
        "value_at_risk": None,
        "lifecycle_stage": None,
        "segment": None,
        "contactable": None,
    }


def test_no_shared_cache_keeps_a_score(client: Any) -> None:
    assert "private" in client.get("/v1/users/ada/score").headers["cache-control"]


def test_a_missing_user_is_unknown_or_outside_the_population(client: Any) -> None:
    assert_problem(client.get("/v1/users/nobody/score"), status=404, code="user_unknown")
    assert_problem(client.get("/v1/users/emil/score"), status=404, code="user_outside_population")


ODD_IDS = [
    "a/b", "/", "//", "at-risk", "x/score", "score", "émile", "😀", "a b", "100%", "a%2Fb", "?x=1", "#", "ada\n",
    "\n/score", "'; DROP TABLE scores; --", "<script>alert(1)</script>", "../../etc/passwd", ".", "..", "\\",
    "x" * 1024,
]  # fmt: skip


@pytest.mark.parametrize("user_id", ODD_IDS)
def test_any_user_id_can_be_asked_for(
    empty_store: ScoreStore, url: str, facts: RunFacts, make_score: Callable[..., Score], make_client: Any, user_id: str
) -> None:
    empty_store.write_run(facts, [make_score(user_id), make_score("ada")], now=NOW)
    client = make_client(empty_store, url)
    answer = client.get(f"/v1/users/{quote(user_id, safe='').replace('.', '%2E')}/score")
    assert answer.status_code == 200
    assert answer.json()["user_id"] == user_id
    looked_up = client("POST", "/v1/scores/lookup", json={"user_ids": [user_id]})
    assert looked_up.json()["scores"] == [answer.json()]


def test_a_user_id_that_is_too_long_or_empty_is_refused(client: Any) -> None:
    assert_problem(client.get(f"/v1/users/{'x' * 1025}/score"), status=422, code="invalid_request")
    assert_problem(client.get("/v1/users//score"), status=422, code="invalid_request")


def test_a_lookup_keeps_the_order_and_names_who_is_missing_and_why(client: Any) -> None:
    answer = client("POST", "/v1/scores/lookup", json={"user_ids": ["dalia", "nobody", "ada", "emil", "dalia"]})
    found = LookupOut.model_validate_json(answer.content, strict=True)
    assert [score.user_id for score in found.scores] == ["dalia", "ada", "dalia"]
    assert [(one.user_id, one.code) for one in found.missing] == [
        ("nobody", "user_unknown"),
        ("emil", "user_outside_population"),
    ]


def test_ten_thousand_ids_are_answered_and_one_more_is_refused(
    store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    client = make_client(store, url)
    users = [f"user-{i}" for i in range(9_999)]
    answer = client("POST", "/v1/scores/lookup", json={"user_ids": [*users, "ada"]})
    assert (len(answer.json()["missing"]), len(answer.json()["scores"])) == (9_999, 1)
    refused = client("POST", "/v1/scores/lookup", json={"user_ids": [*users, "ada", "bert"]})
    assert_problem(refused, status=422, code="invalid_request")


def test_users_at_risk_come_in_pages_behind_a_cursor(client: Any) -> None:
    first = AtRiskOut.model_validate_json(client.get("/v1/users/at-risk?limit=3").content, strict=True)
    assert [score.user_id for score in first.scores] == ["ada", "bert", "chen"]
    last = client.get("/v1/users/at-risk", params={"limit": 3, "cursor": first.next_cursor})
    assert [score["user_id"] for score in last.json()["scores"]] == ["dalia"]
    assert last.json()["next_cursor"] is None
    assert "link" not in last.headers


def test_the_link_to_the_next_page_keeps_the_question(client: Any) -> None:
    answer = client.get("/v1/users/at-risk?limit=1&tier=low&format=csv")
    address = answer.headers["link"].removeprefix("<").split(">")[0]
    following = client.get(address)
    assert following.text.splitlines()[1].startswith("dalia,0.1,")


def test_users_at_risk_can_be_cut_by_tier_and_probability(client: Any) -> None:
    users = [score["user_id"] for score in client.get("/v1/users/at-risk?tier=low").json()["scores"]]
    assert users == ["chen", "dalia"]
    users = [score["user_id"] for score in client.get("/v1/users/at-risk?minimum_probability=0.6").json()["scores"]]
    assert users == ["ada", "bert"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0", "limit=10001", "limit=1.5", "limit=1e400", "limit=many", "minimum_probability=nan",
        "minimum_probability=inf", "minimum_probability=1e400", "minimum_probability=-0.1", "minimum_probability=2",
        "tier=urgent", "tier=", "format=xml", "cursor=", "cursor=abc", "cursor=%F0%9F%98%80", "cursor=WzEsMl0",
        "cursor=bnVsbA", "cursor=WzEsbnVsbCwiYSJd", "cursor=Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OSwwLjUsImEiXQ", "tiers=high",
        "limit=%ED%A0%80", "%ED%A0%80=1",
    ],
)  # fmt: skip
def test_a_question_that_makes_no_sense_is_refused(client: Any, query: str) -> None:
    assert_problem(client.get(f"/v1/users/at-risk?{query}"), status=422, code="invalid_request")


def test_a_cursor_of_a_run_that_is_no_longer_kept_says_to_start_again(
    client: Any, store: ScoreStore, facts: RunFacts, make_score: Callable[..., Score]
) -> None:
    cursor = client.get("/v1/users/at-risk?limit=1").json()["next_cursor"]
    store.write_run(facts, [make_score("frida")], now=NOW, keep_runs=1)
    assert_problem(client.get(f"/v1/users/at-risk?cursor={cursor}"), status=410, code="cursor_expired")


def test_a_list_comes_as_csv_when_asked_for_by_header_or_by_format(client: Any) -> None:
    by_header = client.get("/v1/users/at-risk?limit=1", headers={"accept": "text/csv"})
    by_format = client.get("/v1/users/at-risk?limit=1&format=csv")
    assert by_header.text == by_format.text == (
        "user_id,churn_probability,percentile,tier,reasons,lifecycle_stage,segment,value_at_risk,contactable,cutoff,horizon_start,horizon_end,model_version,definition_id\r\n"
        "ada,0.9,90.0,high,last seen 24 days ago; spent 3 € in the last 28 days,,,,,2026-06-01T00:00:00Z,"
        "2026-06-01T00:00:00Z,2026-07-01T00:00:00Z,3,churn-3f1c0a9be2d4\r\n"
    )  # fmt: skip
    assert by_header.headers["content-type"].startswith("text/csv; charset=utf-8")
    assert by_header.headers["vary"] == "accept"


def test_the_format_in_the_address_goes_before_the_header(client: Any) -> None:
    answer = client.get("/v1/users/at-risk?format=json", headers={"accept": "text/csv"})
    assert answer.headers["content-type"] == "application/json"


def test_the_model_tells_what_churn_means_and_how_good_it_is(client: Any) -> None:
    answer = client.get("/v1/model")
    model = ModelOut.model_validate_json(answer.content, strict=True)
    assert model.definition.sentence == "Churned: active in the last 60 days, then no event for 30 days."
    assert [(q.metric, q.low, q.value, q.high) for q in model.quality] == [("auc", 0.85, 0.87, 0.89)]
    assert (model.version, model.users, model.users_outside, model.run_id) == ("3", 4, 1, 1)


def test_a_new_run_is_served_without_a_restart(
    client: Any, store: ScoreStore, facts: RunFacts, make_score: Callable[..., Score]
) -> None:
    assert client.get("/v1/users/ada/score").json()["run_id"] == 1
    store.write_run(replace(facts, model_version="4"), [make_score("ada", 0.2)], now=NOW)
    score = client.get("/v1/users/ada/score").json()
    assert (score["run_id"], score["model_version"], score["churn_probability"]) == (2, "4", 0.2)
    assert client.get("/v1/model").json()["version"] == "4"


def test_before_the_first_run_all_say_that_there_are_no_scores_yet(
    empty_store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    client = make_client(empty_store, url)
    answers = [
        client.get("/v1/users/ada/score"),
        client("POST", "/v1/scores/lookup", json={"user_ids": ["ada"]}),
        client.get("/v1/users/at-risk"),
        client.get("/v1/model"),
    ]
    for answer in answers:
        assert_problem(answer, status=503, code="no_scores_yet")
        assert "holdfast score" in answer.json()["message"]
        assert answer.headers["retry-after"]
    assert client.get("/livez").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert [check["ok"] for check in ready.json()["checks"]] == [True, False]


def test_a_service_with_scores_is_ready_and_says_how_old_they_are(client: Any) -> None:
    answer = client.using(None).get("/readyz")
    assert answer.status_code == 200
    ready = ReadyOut.model_validate_json(answer.content, strict=True)
    assert "run 1: 4 users" in ready.checks[1].detail


def test_a_store_that_cannot_be_read_is_503_and_never_500(client: Any, url: str) -> None:
    connection = sqlite3.connect(url.removeprefix("sqlite:///"))
    connection.execute("ALTER TABLE current_run RENAME TO lost")
    connection.close()
    for path in ("/v1/users/ada/score", "/v1/users/at-risk", "/v1/model"):
        assert_problem(client.get(path), status=503, code="store_unavailable")
    assert client.get("/readyz").status_code == 503
    assert client.get("/livez").status_code == 200


def test_unknown_addresses_and_methods_are_problems_too(client: Any) -> None:
    assert_problem(client.get("/v1/nowhere"), status=404, code="route_unknown")
    assert_problem(client.get("/"), status=404, code="route_unknown")
    wrong = client("DELETE", "/v1/users/ada/score")
    assert_problem(wrong, status=405, code="method_not_allowed")
    assert wrong.headers["allow"] == "GET"


def test_every_answer_has_a_request_id_and_keeps_a_sensible_one(client: Any) -> None:
    given = client.get("/v1/users/ada/score", headers={"x-request-id": "crm-42"})
    assert given.headers["x-request-id"] == "crm-42"
    for answer in (
        client.get("/v1/nowhere"),
        client.using(None).get("/v1/model"),
        client.get("/livez", headers={"x-request-id": "no spaces, please"}),
    ):
        assert len(answer.headers["x-request-id"]) == 32


def test_an_error_that_nobody_foresaw_is_a_problem_that_tells_nothing_of_the_inside(
    client: Any, store: ScoreStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: object, _user_id: str) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(type(store), "score", broken)
    answer = client.get("/v1/users/ada/score")
    assert_problem(answer, status=500, code="internal_error")
    assert "secret" not in answer.text
    assert len(answer.headers["x-request-id"]) == 32


def test_the_access_log_names_the_route_but_neither_user_nor_key(
    client: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    client.get("/v1/users/ada/score?reasons=zh")
    client.get("/v1/users/ada/nowhere")
    lines = capsys.readouterr().err.splitlines()
    assert "method=GET route=/v1/users/{user_id}/score status=200" in lines[0]
    assert "route=- status=404" in lines[1]
    assert not any("ada" in line or client.token in line or "hf_live" in line for line in lines)
