from dataclasses import replace

import numpy as np
import pytest

from features.language import FeatureSet, events, feature_set
from features.log import EventLog
from features.windows import days, iso, utc
from models.definition import ChurnDefinition
from training.contest import Contender
from training.fit import TrainSettings
from training.metrics import difference, evaluate
from training.run import Training, train
from training.snapshots import labelled
from training.succession import succession

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=20, boosters=1, blends=(0.5,), step_days=7, max_cutoffs=4, test_cutoffs=1, replicates=50, calibration="platt"
)


@pytest.fixture(scope="module")
def features() -> FeatureSet:
    anything = events()
    return feature_set(
        days_since_last_event=anything.days_since_last().says("last seen {:.0f} days ago"),
        events_14d=anything.count(last=days(14)).says("{:.0f} events in 14 days"),
        events_56d=anything.count(last=days(55)).says("{:.0f} events in 56 days"),  # another meaning than before
        events_7d=anything.count(last=days(7)).says("{:.0f} events in 7 days"),
    )


@pytest.fixture(scope="module")
def champion(shop: EventLog, few_features: FeatureSet) -> Contender:
    """Trained when the log was two months shorter."""
    earlier = train(
        shop, FORTNIGHT, few_features, now=utc("2026-06-01"), code_version="0.1.0", cutoff=utc("2026-05-15"),
        settings=QUICK,
    )  # fmt: skip
    return Contender("7", earlier.bundle)


@pytest.fixture(scope="module")
def newer(shop: EventLog, features: FeatureSet) -> Training:
    settings = replace(QUICK, trees=30)
    return train(shop, FORTNIGHT, features, now=utc("2026-09-01"), code_version="0.2.0", settings=settings)


def test_without_a_champion_it_says_so(newer: Training) -> None:
    assert newer.succession.to_json() == {
        "champion": None,
        "because": "there is no champion yet: nothing to compare with.",
    }


def test_what_differs_in_features_recipe_and_settings_is_told(
    shop: EventLog, newer: Training, champion: Contender
) -> None:
    found = succession(shop, newer, champion)
    assert found.version == "7"
    assert (found.added, found.redefined) == (("events_7d",), ("events_56d",))
    assert found.dropped == ("active_days_28d", "spend_56d")
    told = {one.what: (one.before, one.now) for one in found.differences}
    assert told["setting trees"] == ("20", "30")
    assert told["code version"] == ("0.1.0", "0.2.0")
    assert told["outcomes known until"][0] == iso(FORTNIGHT.horizon_of(utc("2026-05-15")).end)
    assert "what churn means" not in told
    assert "setting workers" not in told
    families = {family: (before, now) for family, before, now in found.importance}
    assert np.isnan(families["money"][1])
    assert families["recency"][1] == newer.importance["recency"]


def test_figures_are_of_the_deployed_champion_on_rows_that_it_has_not_seen(
    shop: EventLog, newer: Training, champion: Contender
) -> None:
    found = succession(shop, newer, champion)
    test = newer.split.test
    rows = labelled(shop, champion.bundle.features, FORTNIGHT, test, log_end=newer.split.closes(test), whole=test)
    model = champion.bundle.model
    theirs = evaluate(
        rows.labels,
        model.predict_proba(rows.frame)[:, 1],
        users=rows.users,
        seed=newer.settings.seed,
        ranks=model.margin(rows.frame),
        replicates=newer.settings.replicates,
    )
    loss = {one.metric: one for one in found.figures}["log_loss"]
    assert found.rows == len(rows)
    assert loss.before == theirs["log_loss"]
    assert loss.now.value == pytest.approx(newer.trial.ours["log_loss"].value)
    assert loss.difference == difference(newer.trial.ours, theirs, metric="log_loss")


def test_a_champion_that_has_seen_the_test_is_not_compared_by_figures(
    shop: EventLog, newer: Training, training: Training
) -> None:
    found = succession(shop, newer, Contender("8", training.bundle))
    assert found.figures == ()
    assert "has learnt from outcomes that reach into the test" in found.not_compared
    assert found.moved is not None


def test_another_meaning_of_churn_is_told_and_not_compared_by_figures(
    shop: EventLog, newer: Training, champion: Contender
) -> None:
    other = replace(champion.bundle, definition=ChurnDefinition(look_back=days(28), horizon=days(21)))
    found = succession(shop, newer, Contender("9", other))
    assert "churn means something else" in found.not_compared
    assert found.differences[0].what == "what churn means"


def test_the_tiers_of_all_users_before_and_now_add_up(shop: EventLog, newer: Training, champion: Contender) -> None:
    moved = succession(shop, newer, champion).moved
    assert moved is not None
    assert sum(map(sum, moved.tiers)) == moved.users == newer.steps["test"].rows
    assert 0 < moved.changed < moved.users
    assert moved.low < moved.correlation < moved.high < 1
    model, features = champion.bundle.model, champion.bundle.features
    same = replace(newer, model=model, tested_model=model, features=features)
    still = succession(shop, same, champion).moved
    assert still is not None
    assert (still.changed, still.correlation, still.mean_before - still.mean_now) == (0, 1.0, 0.0)
