"""The nightly batch on Spark tells what the local one tells, and the store takes it the same."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from deltalake import DeltaTable

from features.errors import BadInput, Damaged, NotReady
from features.events import EVENT_SCHEMA
from features.language import events, feature_set
from features.log import EventLog
from features.sentences import Wording
from features.snapshots import build
from features.spark_output import Target
from features.spark_session import open_session
from features.windows import days, utc
from models import bundle as bundles
from models.bundle import Bundle
from models.definition import ChurnDefinition
from models.model import ChurnModel
from models.reasons import Reason
from models.registry import Champion
from models.tiers import TierRule
from serving.scoring import ScoredPopulation, score_population
from serving.spark import SCORE_SCHEMA, score_on_spark
from serving.store import Absence, Score, ScoreStore, StoredScore
from serving.store.records import Reason as StoredReason

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CUTOFF = utc("2026-03-01")
DEFINITION = ChurnDefinition(look_back=days(30), horizon=days(14))
TIERS = TierRule(high=0.15, medium=0.3)
USERS = 240


@dataclass(frozen=True)
class Shop:
    log: EventLog
    bundle: Bundle
    folder: Path


@pytest.fixture(scope="module")
def session() -> Iterator["SparkSession"]:
    with open_session(cores=2) as opened:
        yield opened


def _history() -> pa.Table:
    """Every user buys every few days from January on; those with an odd number stop on 20 February."""
    rows = [("emil", utc("2025-06-01"), 1.0), ("frida", utc("2026-03-20"), 1.0)]  # long gone, and not yet there
    for user in range(USERS):
        stops = utc("2026-02-20") if user % 2 else utc("2026-03-30")
        moment = utc("2026-01-01") + timedelta(hours=user)
        while moment < stops:
            rows.append((f"user-{user:03d}", moment, float(1 + user % 7)))
            moment += timedelta(days=1 + user % 4)
    users, times, values = zip(*rows, strict=True)
    known = {"user_id": users, "time": times, "event": ["purchase"] * len(rows), "value": values}
    nothing = {name: pa.nulls(len(rows)) for name in EVENT_SCHEMA.names if name not in known}
    return pa.table({**known, **nothing}).select(EVENT_SCHEMA.names).cast(EVENT_SCHEMA)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("data")
    log = EventLog.create(folder / "events", buckets=4)
    log.append([_history()], source="test")
    features = feature_set(
        silence=events().days_since_last().says("last seen {:.0f} days ago", zh="{:.0f} 天前来过", family="recency"),
        purchases_28d=events("purchase").count(last=days(28)).says("{:.0f} purchases", family="frequency"),
        spend_28d=events("purchase").total(last=days(28)).says("spent {:.0f}", family="money"),
        spend_fifth=events("purchase").total(last=days(28)).fifth_of_population().says("fifth {:.0f}", family="rank"),
    )
    people = build(log, features, cutoffs=[CUTOFF], population=DEFINITION.population)
    labels = np.array([int(user.removeprefix("user-")) % 2 for user in people.users])
    frame = people.to_pandas()
    model = ChurnModel(n_estimators=20).fit(frame, labels).calibrate(frame, labels)
    facts = {"trained_at": "2026-03-02T00:00:00Z", "feature_fingerprint": features.fingerprint}
    bundle = Bundle.of(model=model, features=features, definition=DEFINITION, facts=facts)
    bundles.save(bundle, folder / "champion", golden=frame)
    return Shop(log, bundle, folder / "champion")


def test_scores_from_spark_are_those_of_the_local_batch(
    shop: Shop, session: "SparkSession", tmp_path: Path, empty_store: ScoreStore
) -> None:
    local = score_population(shop.log, shop.bundle, cutoff=CUTOFF, model_version="3", tiers=TIERS)
    told: list[tuple[str, int, int]] = []
    scored = score_on_spark(
        shop.log,
        Champion("3", shop.folder),
        cutoff=CUTOFF,
        target=Target(tmp_path / "scores"),
        session=session,
        tiers=TIERS,
        on_progress=lambda *at: told.append(at),
    )
    assert list(scored.scores()) == _plain(local)  # to the bit, reasons and order included
    assert (list(scored.outside), list(local.outside)) == (["emil"], ["emil"])
    assert (scored.facts, len(scored)) == (local.facts, USERS)
    assert [at for at in told if at[1] == at[2]][-2:] == [("scoring users", 4, 4), ("ranking users", 4, 4)]
    table = ds.dataset(tmp_path / "scores").to_table()
    assert table.schema.names == SCORE_SCHEMA.names
    assert set(table["cutoff"].to_pylist()) == {CUTOFF}
    empty_store.write_run(scored.facts, scored.scores(), outside=scored.outside, now=utc("2026-03-02"))
    assert isinstance(empty_store.score("user-001"), StoredScore)
    assert empty_store.score("emil") is Absence.OUTSIDE


def test_reasons_in_chinese_are_those_of_the_local_batch(shop: Shop, session: "SparkSession", tmp_path: Path) -> None:
    local = score_population(shop.log, shop.bundle, cutoff=CUTOFF, model_version="3", language="zh")
    scored = score_on_spark(
        shop.log,
        Champion("3", shop.folder),
        cutoff=CUTOFF,
        target=Target(tmp_path / "scores"),
        session=session,
        language="zh",
    )
    assert list(scored.scores()) == _plain(local)
    assert any("天前来过" in reason.sentence_zh for score in scored.scores() for reason in score.reasons)


def test_scores_can_be_a_delta_table_that_the_next_night_replaces(
    shop: Shop, session: "SparkSession", tmp_path: Path
) -> None:
    for version in ("3", "4"):
        target = Target(tmp_path / "scores", "delta", overwrite=True)
        scored = score_on_spark(shop.log, Champion(version, shop.folder), cutoff=CUTOFF, target=target, session=session)
    table = DeltaTable(tmp_path / "scores").to_pyarrow_table()
    assert set(table["model_version"].to_pylist()) == {"4"}
    assert sorted(table["user_id"].to_pylist()) == sorted(score.user_id for score in scored.scores())


def test_nobody_to_score_and_a_taken_target_are_refused_and_leave_nothing(
    shop: Shop, session: "SparkSession", tmp_path: Path
) -> None:
    def score(cutoff: str) -> None:
        target = Target(tmp_path / "scores")
        score_on_spark(shop.log, Champion("3", shop.folder), cutoff=utc(cutoff), target=target, session=session)

    with pytest.raises(NotReady, match="nobody was active in the 30 days before 2024-01-01"):
        score("2024-01-01")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "scores").mkdir()
    with pytest.raises(BadInput, match="exists already"):
        score("2026-03-01")


def test_a_bundle_that_only_the_driver_has_is_refused(shop: Shop, session: "SparkSession", tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="there is no model bundle in"):
        score_on_spark(
            shop.log,
            Champion("3", tmp_path / "nothing"),
            cutoff=CUTOFF,
            target=Target(tmp_path / "scores"),
            session=session,
        )
    from serving.spark import _bundle  # noqa: PLC0415 as an executor calls it

    with pytest.raises(Damaged, match="an executor finds another model in"):
        _bundle(str(shop.folder), "0" * 64)


def _plain(local: ScoredPopulation) -> list[Score]:
    """The scores without what Spark does not tell: stage, segment, value at risk."""
    untold = {"value_at_risk": None, "lifecycle_stage": None, "segment": None, "contactable": None}
    return [replace(score, reasons=tuple(map(_whole, score.reasons)), **untold) for score in local.scores()]


def _whole(reason: StoredReason) -> Reason:
    """The sentences in one piece."""
    words = reason.wording
    return Reason(reason.code, Wording.whole(words.sentence, words.sentence_zh), reason.contribution)
