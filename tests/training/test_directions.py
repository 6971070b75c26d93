import pytest

from features.errors import BadInput
from features.language import FeatureSet
from features.log import EventLog
from features.windows import days, utc
from models.definition import ChurnDefinition
from training.directions import Directions
from training.fit import TrainSettings
from training.run import train

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
NAMES = ("days_since_last_event", "events_14d", "events_56d", "plan")


def test_a_pattern_means_every_feature_that_it_fits() -> None:
    found = Directions.of(NAMES, rising=["days_since_*"], falling=["events_*"])
    assert found == Directions(("days_since_last_event",), ("events_14d", "events_56d"))


def test_a_name_that_is_no_feature_is_refused_and_the_nearest_are_told() -> None:
    with pytest.raises(BadInput, match=r"risk_rises_with names 'days_since_last_evnt', .*mean days_since_last_event"):
        Directions.of(NAMES, rising=["days_since_last_evnt"])


def test_a_feature_cannot_do_both() -> None:
    with pytest.raises(BadInput, match="both name events_14d, events_56d"):
        Directions.of(NAMES, rising=["events_*"], falling=["events_*"])


def test_categories_have_no_direction() -> None:
    with pytest.raises(BadInput, match="plan, whose values are categories"):
        Directions.of(NAMES, falling=["plan"], categorical=("plan",))


def test_the_deployed_model_keeps_to_the_directions_of_the_settings(shop: EventLog, few_features: FeatureSet) -> None:
    asked = TrainSettings(
        trees=40,
        boosters=1,
        step_days=7,
        max_cutoffs=6,
        replicates=20,
        risk_rises_with=("days_since_*",),
        risk_falls_with=("spend_*",),
    )
    found = train(shop, FORTNIGHT, few_features, now=utc("2026-09-01"), code_version="0.1.0", settings=asked)
    assert (found.model.rising, found.model.falling) == (("days_since_last_event",), ("spend_56d",))
    rows = found.golden
    longer = rows.assign(days_since_last_event=rows["days_since_last_event"] + 3, spend_56d=rows["spend_56d"] - 5)
    assert (found.model.margin(longer) >= found.model.margin(rows)).all()


def test_a_wrong_name_is_refused_before_the_log_is_read(shop: EventLog, few_features: FeatureSet) -> None:
    stages: list[str] = []
    with pytest.raises(BadInput, match="no feature is called so"):
        train(
            shop,
            FORTNIGHT,
            few_features,
            now=utc("2026-09-01"),
            code_version="0.1.0",
            settings=TrainSettings(risk_rises_with=("silence",)),
            on_progress=lambda what, *_: stages.append(what),
        )
    assert stages == []
