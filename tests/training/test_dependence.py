import numpy as np
import pytest

from features.language import FeatureSet, events, feature_set, profile
from features.log import EventLog
from features.snapshots import Snapshots
from features.windows import days, utc
from models.model import ChurnModel
from training.baselines import SimpleFacts
from training.dependence import MOST_VALUES, dependence
from training.run import Training
from training.snapshots import TrainingSet

PLANS = feature_set(
    events_28d=events().count(last=days(28)).says("{:.0f} events"),
    plan=profile("plan").among("free", "pro").says("on the plan {}"),
)


def _rows(matrix: np.ndarray, features: FeatureSet) -> TrainingSet:
    count = len(matrix)
    snapshots = Snapshots(
        np.array([f"user-{number}" for number in range(count)], dtype=object),
        np.full(count, 0, dtype=np.int64),
        features.names,
        matrix,
    )
    nothing = np.zeros(count)
    return TrainingSet(snapshots, (matrix[:, 0] < 3).astype(float), SimpleFacts(nothing, nothing, nothing))


@pytest.fixture(scope="module")
def plans() -> TrainingSet:
    """Counts 0 to 9, and plans of which one in five is not known."""
    draws = np.random.default_rng(3)
    counts = draws.integers(0, 10, 600).astype(float)
    plan = draws.choice([0.0, 1.0, np.nan], 600, p=[0.5, 0.3, 0.2])
    return _rows(np.column_stack([counts, plan]), PLANS)


@pytest.fixture(scope="module")
def model(plans: TrainingSet) -> ChurnModel:
    return ChurnModel(n_estimators=30, n_seeds=1, categorical=("plan",)).fit(plans.frame, plans.labels)


def test_each_point_is_the_mean_probability_if_everybody_had_that_value(plans: TrainingSet, model: ChurnModel) -> None:
    (counts,) = dependence(model, PLANS, plans, names=["events_28d"], most_rows=len(plans))
    for point in counts.points:
        everybody = plans.frame.assign(events_28d=point.value)
        assert point.churn_probability == pytest.approx(float(model.predict_proba(everybody)[:, 1].mean()))
    assert [point.value for point in counts.points] == list(range(10))
    assert counts.points[0].churn_probability > counts.points[-1].churn_probability
    assert counts.swing == counts.points[0].churn_probability - counts.points[-1].churn_probability


def test_the_density_counts_every_row_once(plans: TrainingSet, model: ChurnModel) -> None:
    for found in dependence(model, PLANS, plans, names=["events_28d", "plan"]):
        assert sum(point.share for point in found.points) == pytest.approx(1)
    (counts,) = dependence(model, PLANS, plans, names=["events_28d"])
    assert counts.counts == ()  # ten values, ten points: their shares are the density
    assert counts.averaged < counts.rows == len(plans)
    sevens = float((plans.frame["events_28d"] == 7).mean())
    assert next(point.share for point in counts.points if point.value == 7) == pytest.approx(sevens)


def test_categories_have_names_and_what_is_not_known_is_a_point_of_its_own(
    plans: TrainingSet, model: ChurnModel
) -> None:
    (plan,) = dependence(model, PLANS, plans, names=["plan"])
    assert [point.label for point in plan.points] == ["free", "pro", "not known"]
    assert plan.unknown is not None
    assert plan.unknown.share == pytest.approx(float(plans.frame["plan"].isna().mean()))
    assert plan.counts == ()
    assert plan.to_json()["points"][-1]["value"] is None


def test_a_feature_with_one_value_has_no_dependence(model: ChurnModel) -> None:
    alike = _rows(np.column_stack([np.full(50, 2.0), np.tile([0.0, 1.0], 25)]), PLANS)
    assert [found.feature.name for found in dependence(model, PLANS, alike, names=list(PLANS.names))] == ["plan"]


def test_many_values_are_asked_at_quantiles_between_the_outermost(shop: EventLog, training: Training) -> None:
    assert training.explained is not None
    assert training.explained.dependence
    for found in training.explained.dependence:
        assert 1 < len(found.points) <= MOST_VALUES + 1
        values = [point.value for point in found.known]
        assert values == sorted(set(values))
    assert shop.version == training.log_version
    assert training.split.test[-1] < utc("2026-09-01")
