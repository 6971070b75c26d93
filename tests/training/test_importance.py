from dataclasses import replace

import numpy as np
import pytest

from features.language import FeatureSet, events, feature_set
from features.log import EventLog
from features.windows import days, utc
from models.definition import ChurnDefinition
from training.evidence import Evidence, examine
from training.fit import TrainSettings
from training.importance import importance, leave_out
from training.run import Training
from training.splits import Split, plan

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=20, boosters=1, blends=(0.5,), step_days=14, max_cutoffs=4, test_cutoffs=1, replicates=50, calibration="platt"
)


@pytest.fixture(scope="module")
def split() -> Split:
    return plan(FORTNIGHT, start=utc("2026-01-01"), end=utc("2026-07-28"), step=days(14), max_cutoffs=4)


@pytest.fixture(scope="module")
def evidence(shop: EventLog, few_features: FeatureSet, split: Split) -> Evidence:
    return examine(shop, few_features, split, settings=QUICK)


def test_a_family_s_contributions_are_added_before_their_size_is_taken(
    evidence: Evidence, few_features: FeatureSet, split: Split
) -> None:
    rows = evidence.rows.at(split.test)
    found = importance(evidence.model, few_features, rows, most_rows=len(rows))
    contributions = evidence.model.contributions(rows.frame)
    names = list(few_features.names)
    frequency = contributions[:, [names.index("events_14d"), names.index("events_56d")]].sum(axis=1)
    frequency += contributions[:, names.index("active_days_28d")]
    assert found.families["frequency"] == pytest.approx(np.abs(frequency).mean())
    recency = np.abs(contributions[:, names.index("days_since_last_event")]).mean()
    assert found.features["days_since_last_event"] == pytest.approx(recency)
    assert list(found.families.values()) == sorted(found.families.values(), reverse=True)


def test_without_the_family_that_knows_most_the_model_is_worse_by_as_much_as_it_says(
    evidence: Evidence, few_features: FeatureSet, split: Split
) -> None:
    found = {one.family: one for one in leave_out(evidence, split, features=few_features, settings=QUICK)}
    assert list(found) == ["recency", "frequency", "money"]
    assert {name: one.features for name, one in found.items()} == {"recency": 1, "frequency": 3, "money": 1}
    assert found["recency"].log_loss.low > 0
    assert found["recency"].auc.high < 0
    assert found["recency"].says == "worse without it"
    assert found["recency"].log_loss.low <= found["recency"].log_loss.value <= found["recency"].log_loss.high
    assert found["recency"].to_json()["log_loss_low"] == found["recency"].log_loss.low


def test_a_family_that_says_nothing_is_not_missed(shop: EventLog, few_features: FeatureSet, split: Split) -> None:
    with_nothing = few_features + feature_set(
        weekends=events("no such kind").count(last=days(7)).says("{:.0f}", family="idle")
    )
    evidence = examine(shop, with_nothing, split, settings=replace(QUICK, calibration="identity"))
    settings = replace(QUICK, calibration="identity")
    idle = [one for one in leave_out(evidence, split, features=with_nothing, settings=settings) if one.family == "idle"]
    assert idle[0].says == "no difference seen"
    assert abs(idle[0].auc.value) < 0.01


def test_families_are_left_out_only_where_that_is_asked_for(training: Training) -> None:
    assert training.explained is not None
    assert training.explained.left_out == ()
    assert training.facts["left_out"] == []
