"""Scores that are computed when they are asked for: the batch's bits, one model a response, and clear refusals."""

import json
import math
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.log import EventLog
from features.user_events import UserEvents
from features.windows import days, from_microseconds, iso, shift
from serving.champions import Champions
from serving.fresh import FreshScore, FreshScorer
from serving.house_rules import HouseRules
from serving.schemas.compute import ComputeIn, ComputeOut, FreshScoreOut
from serving.schemas.scores import RiskCurveOut
from serving.scoring import ScoredPopulation, score_population
from serving.settings import DataFolder
from serving.store import ScoreStore
from tests.shop import DEFINITION, FEATURES, QUICK, TONIGHT, publish, visits, write
from training.run import Training, train


@dataclass(frozen=True)
class Shop:
    """A log, what was learnt from it, what tonight's batch says, and where the champion lies."""

    log: EventLog
    training: Training
    scored: ScoredPopulation
    folder: DataFolder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    log = write(folder / "events", visits())
    learnt = train(
        log, DEFINITION, FEATURES, now=TONIGHT, code_version="0.1.0", settings=replace(QUICK, risk_curve=True)
    )
    scored = score_population(log, learnt.bundle, cutoff=TONIGHT, model_version="1")
    publish(learnt, folder / "champion", "1")
    return Shop(log, learnt, scored, DataFolder(folder / "champion", folder / "events"))


@pytest.fixture
def client(shop: Shop, empty_store: ScoreStore, url: str, make_client: Callable[..., Any]) -> Any:
    empty_store.write_run(shop.scored.facts, shop.scored.scores(), now=TONIGHT)
    made = make_client(empty_store, url, folders={"": shop.folder})
    made.app.state.champions.look()
    return made


def sent(shop: Shop, user_id: str) -> dict[str, Any]:
    """The user with all events of the log, as a client would send them, newest first."""
    events = shop.log.read_user(user_id)
    return {"user_id": user_id, "events": [_event(events, row) for row in reversed(range(len(events.times)))]}


def _event(events: UserEvents, row: int) -> dict[str, Any]:
    kind, moment = events.kind_names[events.kinds[row]], from_microseconds(int(events.times[row]))
    return {"time": moment.isoformat(), "event": kind, "value": float(events.values[row])}


def compute(client: Any, **body: Any) -> Any:
    return client("POST", "/v1/scores/compute", json=body)


def test_events_in_the_request_give_the_bits_of_the_batch(shop: Shop, client: Any) -> None:
    chosen = shop.scored.user_ids[::20].tolist()
    answer = compute(client, users=[sent(shop, user) for user in chosen], cutoff=iso(TONIGHT))
    found = ComputeOut.model_validate_json(answer.content, strict=True)
    assert [score.user_id for score in found.scores] == chosen
    places = [shop.scored.user_ids.tolist().index(user) for user in chosen]
    assert [score.churn_probability for score in found.scores] == shop.scored.churn_probability[places].tolist()
    for place, score in zip(places, found.scores, strict=True):
        assert [one.sentence for one in score.reasons] == [one.sentence for one in shop.scored.reasons[place]]
        assert score.lifecycle_stage == shop.scored.standings[place].lifecycle_stage
    assert {score.population_as_of for score in found.scores} == {iso(TONIGHT)}
    assert {score.model_version for score in found.scores} == {"1"}


def test_ready_features_give_the_same_score_as_the_events_that_they_are_of(shop: Shop, client: Any) -> None:
    frame = shop.training.golden.head(3)
    users = [
        {
            "user_id": f"row-{row}",
            "features": {name: None if math.isnan(value) else value for name, value in told.items()},
        }
        for row, told in frame.iterrows()
    ]
    found = compute(client, users=users, cutoff=iso(TONIGHT)).json()["scores"]
    expected = shop.training.bundle.model.predict_proba(frame)[:, 1].tolist()
    assert [score["churn_probability"] for score in found] == expected
    assert {(score["lifecycle_stage"], score["value_at_risk"]) for score in found} == {(None, None)}


def test_later_events_are_not_seen_and_who_has_none_before_is_unknown(shop: Shop, client: Any) -> None:
    user = shop.scored.user_ids[0]
    told = sent(shop, user)
    later = {"time": iso(shift(TONIGHT, days(1))), "event": "visit", "value": 99.0}
    with_later = {**told, "events": [later, *told["events"]]}
    first, second = compute(client, users=[told, with_later], cutoff=iso(TONIGHT)).json()["scores"]
    assert first == second
    only_later = {"user_id": "newcomer", "events": [later]}
    answer = compute(client, users=[only_later, {"user_id": "x", "events": []}], cutoff=iso(TONIGHT)).json()
    assert answer["missing"] == [
        {"user_id": "newcomer", "code": "user_unknown"},
        {"user_id": "x", "code": "user_unknown"},
    ]


def test_who_was_not_active_lately_is_outside_and_reasons_speak_chinese_or_not_at_all(shop: Shop, client: Any) -> None:
    answer = compute(client, users=[sent(shop, "emil")], cutoff=iso(TONIGHT)).json()
    assert answer == {"scores": [], "missing": [{"user_id": "emil", "code": "user_outside_population"}]}
    user = sent(shop, shop.scored.user_ids[0])
    assert compute(client, users=[user], cutoff=iso(TONIGHT), reasons="none").json()["scores"][0]["reasons"] == []


EVENT = {"time": "2026-06-01T00:00:00Z", "event": "visit"}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"users": []}, "length"),
        ({"users": [{"user_id": "ada"}]}, "either `events` or `features`"),
        ({"users": [{"user_id": "ada", "events": [], "features": {}}]}, "either `events` or `features`"),
        ({"users": [{"user_id": "ada", "features": {"nonsense": 1.0}}]}, "users.0.features: the model has no feature"),
        ({"users": [{"user_id": "", "events": []}]}, "length"),
        ({"users": [{"user_id": "ada", "events": [{**EVENT, "time": "2026-06-01T00:00:00"}]}]}, "timezone"),
        ({"users": [{"user_id": "ada", "events": [{**EVENT, "time": 1780000000}]}]}, "users[0].events[0].time"),
        ({"users": [{"user_id": "ada", "events": [{**EVENT, "time": "0001-01-01T00:00:00+14:00"}]}]}, "1990 to 2200"),
        ({"users": [{"user_id": "ada", "events": [{**EVENT, "event": "$profile"}]}]}, "reserved"),
        ({"users": [{"user_id": "ada", "events": [{**EVENT, "value": "1"}]}]}, "value"),
        ({"users": [{"user_id": "ada", "events": [{**EVENT, "colour": "red"}]}]}, "unknown field `colour`"),
        ({"users": [{"user_id": "ada", "features": {}, "profiles": [{"valid_from": EVENT["time"], "properties": {}}]}]},
         "beside ready"),
        ({"users": [{"user_id": "ada", "events": [EVENT]}], "cutoff": "1970-01-01T00:00:00Z"}, "cutoff"),
        ({"users": [{"user_id": "ada", "events": [EVENT]}], "reasons": "fr"}, "reasons"),
        ({"users": [{"user_id": str(place), "events": []} for place in range(1001)]}, "length"),
    ],
)  # fmt: skip
def test_a_body_that_breaks_its_contract_is_told_where(client: Any, body: dict[str, Any], why: str) -> None:
    answer = compute(client, **body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert why in answer.json()["message"]


def test_what_the_document_calls_valid_is_read_and_nothing_else(client: Any) -> None:
    example = ComputeIn.model_config["json_schema_extra"]["examples"][0]  # type: ignore[index,call-overload]
    assert compute(client, **example).status_code == 200
    for body in (b"", b"[]", b"NaN", b'{"users": [{"user_id": "\\ud800", "events": []}]}', b"[" * 50_000):
        assert client.post("/v1/scores/compute", body).status_code in {400, 422}


def test_the_newest_log_gives_the_score_of_this_moment(
    shop: Shop, empty_store: ScoreStore, url: str, make_client: Callable[..., Any], tmp_path: Path
) -> None:
    start = shift(datetime.now(UTC), days(-210))
    log = write(tmp_path / "events", visits(users=40), start=start)
    client = make_client(empty_store, url, folders={"": DataFolder(shop.folder.champion, tmp_path / "events")})
    client.app.state.champions.look()
    scorer = FreshScorer(shop.training.bundle, "1")
    users = [f"user-{place:03d}" for place in range(40)]
    answers = [client.get(f"/v1/users/{user}/score?fresh=true&reasons=en") for user in users]
    told = [FreshScoreOut.model_validate_json(each.content, strict=True) for each in answers if each.status_code == 200]
    assert len(told) > 5
    for score in told:
        cutoff = datetime.fromisoformat(score.cutoff)
        expected = scorer.score(log.read_user(score.user_id, scorer.wanted), cutoff=cutoff)
        assert isinstance(expected, FreshScore)
        assert score.churn_probability == expected.churn_probability
    others = {each.json()["code"] for each in answers if each.status_code != 200}
    assert others <= {"user_outside_population", "user_unknown"}  # some have gone, some never came
    assert client.get("/v1/users/nobody/score?fresh=true").json()["code"] == "user_unknown"
    curve = RiskCurveOut.model_validate_json(client.get(f"/v1/users/{told[0].user_id}/risk-curve").content, strict=True)
    risks = [point.churn_probability for point in curve.points]
    assert risks in (sorted(risks), sorted(risks, reverse=True))
    assert client.get("/v1/users/nobody/risk-curve").json()["code"] == "user_unknown"


def test_events_that_came_in_long_ago_say_nothing_about_today(
    shop: Shop, empty_store: ScoreStore, url: str, make_client: Callable[..., Any], tmp_path: Path
) -> None:
    write(tmp_path / "events", visits(users=3))
    client = make_client(empty_store, url, folders={"": DataFolder(shop.folder.champion, tmp_path / "events")})
    client.app.state.champions.look()
    old = time.time() - 8 * 86_400
    for commit in (tmp_path / "events" / "_delta_log").glob("*.json"):
        os.utime(commit, (old, old))
    answer = client.get("/v1/users/user-001/score?fresh=true")
    assert (answer.status_code, answer.json()["code"]) == (404, "data_stale")
    assert "8.0 days ago" in answer.json()["message"]


def test_without_a_champion_nothing_is_computed_and_stored_scores_are_served(
    store: ScoreStore, url: str, make_client: Callable[..., Any], tmp_path: Path
) -> None:
    client = make_client(store, url, folders={"": DataFolder(tmp_path / "none", tmp_path / "none")})
    client.app.state.champions.look()
    for answer in (
        compute(client, users=[{"user_id": "ada", "events": [EVENT]}]),
        client.get("/v1/users/ada/score?fresh=true"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (503, "no_model")
        assert "retry-after" in answer.headers
    assert client.get("/v1/users/ada/score").status_code == 200


def test_another_brand_computes_with_its_own_model_or_not_at_all(
    shop: Shop, store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    client = make_client(store, url, folders={"brand": shop.folder})
    client.app.state.champions.look()
    body = {"users": [sent(shop, shop.scored.user_ids[0])], "cutoff": iso(TONIGHT)}
    assert compute(client, **body).json()["code"] == "no_model"
    theirs = store.of("brand").create_key("theirs", ["scores:compute"], now=TONIGHT).token
    assert compute(client.using(theirs), **body).json()["scores"][0]["model_version"] == "1"


def test_a_new_champion_takes_over_between_responses_and_a_broken_one_never_does(
    shop: Shop, store: ScoreStore, tmp_path: Path
) -> None:
    folder = DataFolder(tmp_path / "champion", tmp_path / "events")
    champions = Champions(store, {"": folder}, HouseRules())
    champions.look()
    assert champions.troubles() == {"": "no model yet: run `holdfast train` first"}
    publish(shop.training, folder.champion, "1")
    champions.look()
    first = champions.served("")
    assert (first.version, champions.troubles()) == ("1", {})
    champions.look()
    assert champions.served("") is first
    publish(shop.training, folder.champion, "2", damaged=True)
    champions.look()
    assert champions.served("") is first
    assert "was changed or damaged after training" in champions.troubles()[""]
    assert str(tmp_path) not in champions.troubles()[""], "a folder of this machine is nobody's business"
    publish(shop.training, folder.champion, "3")
    for _ in range(20):  # a broken one is left alone for a while
        champions.look()
    assert (champions.served("").version, champions.troubles()) == ("3", {})


def test_the_service_follows_by_itself(shop: Shop, store: ScoreStore, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("serving.champions.EVERY_SECONDS", 0.05)
    champions = Champions(store, {"": DataFolder(tmp_path, tmp_path)})
    champions.start()
    try:
        publish(shop.training, tmp_path, "1")
        until = time.monotonic() + 60
        while champions.versions() != {"": "1"} and time.monotonic() < until:
            time.sleep(0.05)
        assert json.dumps(champions.versions()) == '{"": "1"}'
    finally:
        champions.stop()


def test_an_event_log_that_cannot_be_read_is_told_and_stored_scores_go_on(
    shop: Shop, empty_store: ScoreStore, url: str, make_client: Callable[..., Any], tmp_path: Path
) -> None:
    empty_store.write_run(shop.scored.facts, shop.scored.scores(), now=TONIGHT)
    events = tmp_path / "events"
    write(events, visits(users=20), start=shift(datetime.now(UTC), days(-210)))
    client = make_client(empty_store, url, folders={"": DataFolder(shop.folder.champion, events)})
    client.app.state.champions.look()
    for file in events.rglob("*.parquet"):
        file.write_bytes(b"no parquet")
    address = f"/v1/users/{shop.scored.user_ids[0]}/score"
    for why in ("the service's log says why", "there is none yet"):
        refused = client.get(f"{address}?fresh=true")
        assert (refused.status_code, refused.json()["code"]) == (503, "events_unavailable")
        assert why in refused.json()["message"]
        assert str(tmp_path) not in refused.text
        assert client.get(address).status_code == 200
        shutil.rmtree(events, ignore_errors=True)
