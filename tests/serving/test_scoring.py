"""The nightly batch, from a real event log and a real model to scores in the store."""

import csv
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.catalog import standard
from features.errors import Damaged, NotReady
from features.events import EVENT_SCHEMA
from features.feature_set import FeatureSet
from features.log import EventLog
from features.snapshots import build
from features.windows import days, utc
from models.bundle import Bundle
from models.definition import ChurnDefinition
from models.model import ChurnModel
from serving import scoring
from serving.fresh import FreshScore, FreshScorer
from serving.house_rules import HouseRules
from serving.lists import COLUMNS, write_table
from serving.schemas.model import ModelOut
from serving.scoring import ScoredPopulation, score_population
from serving.store import Absence, ScoreStore, StoredScore
from serving.validity import valid_until

CUTOFF = utc("2026-03-01")
DEFINITION = ChurnDefinition(look_back=days(30), horizon=days(14))
USERS = 240


def events() -> pa.Table:
    """Every user buys every few days from January on; those with an odd number stop on 20 February."""
    rows = []
    for user in range(USERS):
        stops = utc("2026-02-20") if user % 2 else utc("2026-03-30")
        moment = utc("2026-01-01") + timedelta(hours=user)
        while moment < stops:
            rows.append((f"user-{user:03d}", moment, "purchase", float(1 + user % 7)))
            moment += timedelta(days=1 + user % 4)
    rows.append(("emil", utc("2025-06-01"), "purchase", 1.0))  # long gone
    rows.append(("frida", utc("2026-03-20"), "purchase", 1.0))  # not yet there
    rows.append(("gita", utc("2026-02-01"), "$profile", None))  # has a profile and did nothing
    columns = list(zip(*rows, strict=True))
    known: dict[str, pa.Array[Any]] = {  # Any: columns of several types
        "user_id": pa.array(columns[0], pa.string()),
        "time": pa.array(columns[1], pa.timestamp("us", tz="UTC")),
        "event": pa.array(columns[2], pa.string()),
        "value": pa.array(columns[3], pa.float64()),
        "event_id": pa.array([f"e{place}" for place in range(len(rows))], pa.string()),
        "received_at": pa.array(columns[1], pa.timestamp("us", tz="UTC")),
    }
    missing = {name: pa.nulls(len(rows)) for name in EVENT_SCHEMA.names if name not in known}
    return pa.table({**known, **missing}).select(EVENT_SCHEMA.names).cast(EVENT_SCHEMA)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    made = EventLog.create(tmp_path_factory.mktemp("data") / "events", buckets=4)
    made.append([events()], source="test")
    return EventLog.open(made.path)


@pytest.fixture(scope="module")
def bundle(log: EventLog) -> Bundle:
    features = standard(log.summary())
    snapshots = build(log, features, cutoffs=[CUTOFF], population=DEFINITION.population)
    labels = np.array([int(user.removeprefix("user-")) % 2 for user in snapshots.users])
    frame = snapshots.to_pandas()
    model = ChurnModel().fit(frame, labels).calibrate(frame, labels)
    facts = {
        "trained_at": "2026-03-02T00:00:00Z",
        "feature_fingerprint": features.fingerprint,
        "quality": {"auc": 0.9, "auc_low": 0.85, "auc_high": 0.95},
        "verdict": {"decision": "deploy", "reasons": []},
    }
    return Bundle.of(model=model, features=features, definition=DEFINITION, facts=facts)


@pytest.fixture(scope="module")
def scored(log: EventLog, bundle: Bundle) -> ScoredPopulation:
    return score_population(log, bundle, cutoff=CUTOFF, model_version="3", workers=2)


def test_everybody_in_the_population_is_scored_and_the_others_are_named(scored: ScoredPopulation) -> None:
    assert sorted(scored.user_ids) == [f"user-{user:03d}" for user in range(USERS)]
    assert scored.outside == {"emil": Absence.OUTSIDE}  # frida comes after the cutoff: she is not known yet


def test_what_had_not_been_received_is_not_known_where_the_bundle_says_so(tmp_path: Path, bundle: Bundle) -> None:
    happened = events()
    late = pa.array([time + days(30) for time in happened["time"].to_pylist()], pa.timestamp("us", tz="UTC"))
    users = np.array(happened["user_id"].to_pylist())
    received = pa.array(np.where(users == "user-002", late.to_numpy(), happened["received_at"].to_numpy()))
    place = EVENT_SCHEMA.get_field_index("received_at")
    log = EventLog.create(tmp_path / "events", buckets=4)
    log.append([happened.set_column(place, EVENT_SCHEMA.field(place), received.cast(late.type))], source="test")
    as_known = replace(bundle, facts={**bundle.facts, "as_known": True})
    scored = score_population(log, as_known, cutoff=CUTOFF, model_version="3")
    everybody = score_population(log, bundle, cutoff=CUTOFF, model_version="3")
    assert "user-002" in everybody.user_ids
    assert "user-002" not in scored.user_ids
    assert sorted(scored.outside) == ["emil", "user-002"]  # what came in January had been received
    assert scored.user_ids.tolist() == [user for user in everybody.user_ids if user != "user-002"]


def test_reasons_speak_chinese_where_the_features_do(log: EventLog, bundle: Bundle) -> None:
    translated = tuple(
        replace(feature, sentence_zh="数值 {}") if feature.family == "recency" else replace(feature, sentence_zh="")
        for feature in bundle.features
    )
    chinese = replace(bundle, features=FeatureSet(translated))
    scored = score_population(log, chinese, cutoff=CUTOFF, model_version="3", language="zh")
    reasons = [reason for reasons in scored.reasons for reason in reasons]
    recency = [reason for reason in reasons if reason.code.startswith("recency")]
    others = [reason for reason in reasons if not reason.code.startswith("recency")]
    assert recency
    assert all(reason.sentence_zh.startswith("数值 ") for reason in recency)
    assert all(reason.sentence_zh == reason.sentence for reason in others)
    assert any("数值 " in text for text in scored.to_table()["reasons"].to_pylist())


def test_who_has_fallen_silent_is_more_at_risk_and_in_the_high_tier(scored: ScoredPopulation) -> None:
    silent = np.array([int(user.removeprefix("user-")) % 2 == 1 for user in scored.user_ids])
    assert scored.churn_probability[silent].min() > scored.churn_probability[~silent].max()
    assert scored.percentile[silent].min() > scored.percentile[~silent].max()
    tiers = np.array(scored.risk_tier)
    assert (tiers[~silent] != "high").all()


def test_the_standard_features_say_of_one_user_alone_what_they_say_tonight(
    log: EventLog, bundle: Bundle, scored: ScoredPopulation
) -> None:
    assert {feature.name for feature in bundle.features if feature.unit == "fifth"} == {
        "recency_fifth", "frequency_fifth", "amount_fifth",
    }  # fmt: skip
    scorer = FreshScorer(bundle, "3", scored.facts)
    alone = [scorer.score(log.read_user(user, scorer.wanted), cutoff=CUTOFF) for user in scored.user_ids]
    assert [score.churn_probability for score in alone if isinstance(score, FreshScore)] == list(
        scored.churn_probability
    )
    assert [score.reasons for score in alone if isinstance(score, FreshScore)] == scored.reasons


def test_everybody_has_a_reason_in_words(scored: ScoredPopulation) -> None:
    assert all(1 <= len(reasons) <= 3 for reasons in scored.reasons)
    assert all(reason.sentence and np.isfinite(reason.contribution) for reasons in scored.reasons for reason in reasons)


def test_what_moved_a_score_since_the_run_before_is_told_in_words_then_and_now(log: EventLog, bundle: Bundle) -> None:
    before = score_population(log, bundle, cutoff=utc("2026-02-18"), model_version="2")
    now = score_population(log, bundle, cutoff=CUTOFF, model_version="3", since=before.facts)
    place = now.user_ids.tolist().index("user-001")  # silent since 20 February
    change = now.changes[place][0]
    assert change.contribution > 0
    assert change.sentence != change.before
    assert change.sentence_zh != change.before_zh
    then = before.churn_probability[before.user_ids.tolist().index("user-001")]
    assert now.churn_probability[place] > then
    assert score_population(log, bundle, cutoff=CUTOFF, model_version="3").changes == [()] * USERS
    same = score_population(log, bundle, cutoff=CUTOFF, model_version="3", since=now.facts)
    assert same.changes == [()] * USERS


def test_scoring_a_few_users_at_a_time_changes_nothing(
    log: EventLog, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = score_population(log, bundle, cutoff=utc("2026-02-18"), model_version="2").facts
    whole = score_population(log, bundle, cutoff=CUTOFF, model_version="3", since=before, workers=2)
    monkeypatch.setattr(scoring, "CHUNK_USERS", 7)
    pieces = score_population(log, bundle, cutoff=CUTOFF, model_version="3", since=before)
    assert list(pieces.scores()) == list(whole.scores())
    assert pieces.to_table().equals(whole.to_table())
    assert pieces.facts == whole.facts


def test_a_user_stands_in_a_stage_and_a_segment_with_something_at_stake(scored: ScoredPopulation) -> None:
    told = {score.user_id: score for score in scored.scores()}
    gone, there = told["user-001"], told["user-000"]
    assert (gone.lifecycle_stage, there.lifecycle_stage) == ("cooling", "active")
    assert there.segment == "best"
    assert gone.segment in {"must_keep", "slipping", "dormant"}
    assert there.value_at_risk == pytest.approx(there.churn_probability * 30 * 1.0 * 14 / 30)  # 1 a day, 14 of 30 days
    assert there.contactable is None


def test_who_is_known_for_too_short_gets_no_score(log: EventLog, bundle: Bundle) -> None:
    rules = HouseRules(least_history=days(55))
    found = score_population(log, bundle, cutoff=CUTOFF, model_version="3", rules=rules)
    brief = {user for user, why in found.outside.items() if why is Absence.TOO_LITTLE_HISTORY}
    assert brief == {f"user-{user:03d}" for user in range(USERS) if user > 4 * 24}  # first seen on the fifth or later
    assert brief.isdisjoint(found.user_ids)
    fresh = FreshScorer(bundle, "3", rules=rules)
    assert fresh.score(log.read_user("user-200", fresh.wanted), cutoff=CUTOFF) is Absence.TOO_LITTLE_HISTORY


def test_a_scored_population_is_served_whole(
    scored: ScoredPopulation, empty_store: ScoreStore, url: str, make_client: Callable[..., Any]
) -> None:
    empty_store.write_run(scored.facts, scored.scores(), outside=scored.outside, now=utc("2026-03-02"))
    found = empty_store.score("user-001")
    assert isinstance(found, StoredScore)
    assert found.churn_probability == scored.churn_probability[scored.user_ids.tolist().index("user-001")]
    assert (empty_store.score("emil"), empty_store.score("frida")) == (Absence.OUTSIDE, Absence.UNKNOWN)
    model = ModelOut.model_validate_json(make_client(empty_store, url).get("/v1/model").content, strict=True)
    assert (model.definition.id, model.version, model.users) == (DEFINITION.id, "3", USERS)
    assert [(q.metric, q.low, q.value, q.high) for q in model.quality] == [("auc", 0.85, 0.9, 0.95)]


def test_the_list_of_everybody_has_the_columns_that_are_promised(scored: ScoredPopulation, tmp_path: Path) -> None:
    write_table(scored.to_table(), tmp_path / "scores.csv")
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == USERS
    assert float(rows[1]["churn_probability"]) == scored.churn_probability[1]
    assert (rows[0]["cutoff"], rows[0]["horizon_start"], rows[0]["horizon_end"], rows[0]["model_version"]) == (
        "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z", "2026-03-15T00:00:00Z", "3",
    )  # fmt: skip


def test_progress_is_told_to_its_end(log: EventLog, bundle: Bundle) -> None:
    told: list[tuple[str, int, int]] = []
    score_population(log, bundle, cutoff=CUTOFF, model_version="3", on_progress=lambda *step: told.append(step))
    assert told[-1] == ("scoring users", USERS, USERS)
    assert ("reading events", 4, 4) in told


def test_a_cutoff_without_anybody_is_refused_with_advice(log: EventLog, bundle: Bundle) -> None:
    with pytest.raises(NotReady, match="nobody was active in the 30 days before 2030-01-01"):
        score_population(log, bundle, cutoff=utc("2030-01-01"), model_version="3")


def test_a_model_trained_with_other_features_is_refused(log: EventLog, bundle: Bundle) -> None:
    other = replace(bundle, facts={**bundle.facts, "feature_fingerprint": "fs-000000000000"})
    with pytest.raises(Damaged, match="fs-000000000000"):
        score_population(log, other, cutoff=CUTOFF, model_version="3")


@pytest.mark.parametrize(
    ("lead", "horizon", "expected"),
    [(0, 30, "2026-03-08"), (14, 30, "2026-03-15"), (0, 3, "2026-03-04"), (3, 30, "2026-03-08")],
)
def test_a_score_is_valid_until_the_horizon_starts_but_a_week_at_least(lead: int, horizon: int, expected: str) -> None:
    definition = ChurnDefinition(lead_time=days(lead), horizon=days(horizon))
    assert valid_until(definition, cutoff=CUTOFF) == utc(expected)
