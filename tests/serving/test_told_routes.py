"""What a score tells besides, in which language, and whether it has changed since a client asked last."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from features.sentences import Phrase, Wording
from features.windows import utc
from models.reasons import Change
from serving.schemas.lists import AtRiskOut, RunsOut, SegmentsOut
from serving.schemas.model import FeaturesOut
from serving.schemas.scores import HistoryOut, LookupOut, ScoreOut
from serving.store import Absence, RunFacts, Score, ScoreStore
from tests.postgres import BOTH

NOW = utc("2026-06-09")
pytestmark = BOTH


SEEN = Phrase("last seen ", " days ago", "", " 天前最后一次活动")
CHANGE = Change("recency.days_since_last_event", Wording(SEEN, "24", "24"), Wording(SEEN, "17", "17"), 0.31)


@pytest.fixture
def client(store: ScoreStore, facts: RunFacts, make_score: Any, url: str, make_client: Callable[..., Any]) -> Any:
    """In front of two runs: in the newer one ada is told in full, bert has opted out."""
    later = replace(facts, cutoff=utc("2026-06-08"), model_version="4")
    told = {"changes": (CHANGE,), "value_at_risk": 41.5, "lifecycle_stage": "cooling", "segment": "must_keep"}
    ada: Score = replace(make_score("ada", 0.95, "high"), contactable=False, **told)
    chen: Score = replace(make_score("chen", 0.2, "low"), lifecycle_stage="active", segment="loyal", value_at_risk=2.0)
    store.write_run(later, [ada, chen], outside={"bert": Absence.OPTED_OUT}, now=NOW)
    return make_client(store, url)


def test_a_score_tells_what_was_told_before_and_what_moved_it(client: Any) -> None:
    found = ScoreOut.model_validate_json(client.get("/v1/users/ada/score").content, strict=True)
    assert found.previous is not None
    assert (found.previous.churn_probability, found.previous.model_version, found.previous.run_id) == (0.9, "3", 1)
    assert found.previous.difference == pytest.approx(0.05)
    assert [(one.sentence, one.before, one.contribution) for one in found.changes] == [
        ("last seen 24 days ago", "last seen 17 days ago", 0.31)
    ]
    assert (found.value_at_risk, found.lifecycle_stage, found.segment, found.contactable) == (
        41.5,
        "cooling",
        "must_keep",
        False,
    )


def test_reasons_come_in_the_language_that_is_asked_for_or_not_at_all(client: Any) -> None:
    chinese = client.get("/v1/users/ada/score?reasons=zh").json()
    assert chinese["reasons"][0]["sentence"] == "24 天前最后一次活动"
    assert chinese["changes"][0]["before"] == "17 天前最后一次活动"
    none = client.get("/v1/users/ada/score?reasons=none").json()
    assert (none["reasons"], none["changes"]) == ([], [])
    looked_up = client("POST", "/v1/scores/lookup", json={"user_ids": ["ada"], "reasons": "zh"}).json()
    assert looked_up["scores"] == [chinese]
    listed = client.get("/v1/users/at-risk?reasons=zh&limit=1").json()
    assert listed["scores"] == [chinese]
    assert client.get("/v1/users/ada/history?reasons=zh&limit=1").json()["scores"] == [chinese]


def test_a_run_speaks_its_own_language_where_nobody_asks_for_another(
    client: Any, store: ScoreStore, facts: RunFacts, make_score: Any
) -> None:
    store.write_run(replace(facts, language="zh"), [make_score("ada")], now=NOW)
    assert client.get("/v1/users/ada/score").json()["reasons"][0]["sentence"] == "24 天前最后一次活动"
    assert client.get("/v1/users/ada/score?reasons=en").json()["reasons"][0]["sentence"] == "last seen 24 days ago"


@pytest.mark.parametrize("query", ["reasons=fr", "fresh=perhaps", "unknown=1", "reasons=", "reasons=en&reasons=xx"])
def test_a_question_that_makes_no_sense_is_refused(client: Any, query: str) -> None:
    answer = client.get(f"/v1/users/ada/score?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_client_that_has_the_score_is_told_so_until_the_next_run(
    client: Any, store: ScoreStore, facts: RunFacts, make_score: Any
) -> None:
    first = client.get("/v1/users/ada/score")
    etag = first.headers["etag"]
    assert first.headers["last-modified"] == "Tue, 09 Jun 2026 00:00:00 GMT"
    again = client.get("/v1/users/ada/score", headers={"if-none-match": f'"other", W/{etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert client.get("/v1/users/ada/score?reasons=zh", headers={"if-none-match": etag}).status_code == 200
    assert client.get("/v1/users/nobody/score", headers={"if-none-match": etag}).status_code == 404
    store.write_run(facts, [make_score("ada")], now=NOW)
    assert client.get("/v1/users/ada/score", headers={"if-none-match": etag}).status_code == 200


def test_who_opted_out_has_no_score_and_the_code_says_so(client: Any) -> None:
    answer = client.get("/v1/users/bert/score")
    assert (answer.status_code, answer.json()["code"]) == (404, "user_opted_out")
    found = client("POST", "/v1/scores/lookup", json={"user_ids": ["bert", "nobody"]})
    missing = LookupOut.model_validate_json(found.content, strict=True).missing
    assert [(one.user_id, one.code) for one in missing] == [("bert", "user_opted_out"), ("nobody", "user_unknown")]


def test_a_history_goes_back_page_by_page_and_is_empty_for_who_is_unknown(client: Any) -> None:
    first = HistoryOut.model_validate_json(client.get("/v1/users/ada/history?limit=1").content, strict=True)
    assert [(score.churn_probability, score.model_version) for score in first.scores] == [(0.95, "4")]
    rest = client.get("/v1/users/ada/history", params={"cursor": first.next_cursor}).json()
    assert [score["churn_probability"] for score in rest["scores"]] == [0.9]
    assert rest["next_cursor"] is None
    assert client.get("/v1/users/nobody/history").json() == {"user_id": "nobody", "scores": [], "next_cursor": None}
    assert [score["run_id"] for score in client.get("/v1/users/bert/history").json()["scores"]] == [1]


@pytest.mark.parametrize("cursor", ["x", "MA", "eyJ9", "LTE", "MS41", "!!"])
def test_a_cursor_that_is_none_of_ours_is_refused(client: Any, cursor: str) -> None:
    for address in ("/v1/users/ada/history", "/v1/runs"):
        assert client.get(address, params={"cursor": cursor}).status_code == 422


def test_runs_say_which_one_is_served(client: Any) -> None:
    found = RunsOut.model_validate_json(client.get("/v1/runs").content, strict=True)
    assert [(run.run_id, run.current, run.model_version, run.users) for run in found.runs] == [
        (2, True, "4", 2),
        (1, False, "3", 4),
    ]
    page = client.get("/v1/runs?limit=1").json()
    assert [run["run_id"] for run in client.get(f"/v1/runs?cursor={page['next_cursor']}").json()["runs"]] == [1]


def test_segments_add_up_the_users_of_the_run(client: Any) -> None:
    found = SegmentsOut.model_validate_json(client.get("/v1/segments").content, strict=True)
    told = {(group.by, group.name): (group.users, group.value_at_risk) for group in found.groups}
    assert told == {
        ("risk_tier", "high"): (1, 41.5),
        ("risk_tier", "low"): (1, 2.0),
        ("lifecycle_stage", "cooling"): (1, 41.5),
        ("lifecycle_stage", "active"): (1, 2.0),
        ("segment", "must_keep"): (1, 41.5),
        ("segment", "loyal"): (1, 2.0),
    }


@pytest.mark.parametrize(
    ("query", "users"),
    [("segment=loyal", ["chen"]), ("lifecycle_stage=cooling", ["ada"]), ("contactable_only=true", ["chen"])],
)
def test_a_list_can_be_cut_by_stage_segment_and_consent(client: Any, query: str, users: list[str]) -> None:
    found = AtRiskOut.model_validate_json(client.get(f"/v1/users/at-risk?{query}").content, strict=True)
    assert [score.user_id for score in found.scores] == users


def test_the_features_of_the_model_are_listed(client: Any) -> None:
    found = FeaturesOut.model_validate_json(client.get("/v1/features").content, strict=True)
    assert (found.model_version, found.features[0].name) == ("4", "days_since_last_event")
