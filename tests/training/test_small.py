"""Few users get a simple model that says so, not a refusal."""

from pathlib import Path

import pytest

from benchmarks.leakage import FEW, clean, learnt
from features.language import days, events, feature_set
from training.fit import TrainSettings
from training.report import report
from training.run import Training
from training.small import MOST_FEATURES, few, robust
from training.verdict import Decision

QUICK = TrainSettings(trees=30, boosters=1, step_days=7, max_cutoffs=8, test_cutoffs=1, replicates=100)


@pytest.fixture(scope="module")
def village(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return learnt(clean(users=150, seed=2), tmp_path_factory.mktemp("village") / "events", few=True, settings=QUICK)


def test_with_few_users_a_simple_regression_is_fitted(village: Training) -> None:
    assert village.recipe.booster_weight == 0
    assert village.model.facts_.trees == ()
    assert set(village.recipe.only) == {"days_since_last_event", "mean_gap_days"}
    heights = village.model.blend_.splines.terms(village.golden.to_numpy())
    used = {name for name, column in zip(village.features.names, heights.T, strict=True) if column.any()}
    assert used == set(village.recipe.only)


def test_the_report_and_the_verdict_say_so(village: Training) -> None:
    (said,) = [one for one in village.verdict.findings if one.code == "few_to_learn_from"] or [None]
    if village.verdict.decision is not Decision.DO_NOT:
        assert said is not None
        assert said.sentence.startswith("learnt from only 1")
    assert "a spline regression alone, on days_since_last_event, mean_gap_days" in " ".join(report(village).split())


def test_its_intervals_are_wide(village: Training) -> None:
    auc = village.trial.ours["auc"]
    assert auc.high - auc.low > 0.1


def test_enough_users_get_the_usual_recipe(tmp_path: Path) -> None:
    training = learnt(clean(users=500, seed=2), tmp_path / "events", few=True, settings=QUICK)
    assert training.recipe.only == ()


def test_few_is_counted_in_users_and_not_in_rows(village: Training) -> None:
    assert village.steps["fit"].rows > 300
    assert few is not None
    assert village.steps["fit"].users <= 150


def test_a_set_of_ones_own_gives_its_first_features() -> None:
    own = feature_set(**{f"f{number}": events().count(last=days(number + 1)).says("{:.0f}") for number in range(9)})
    assert robust(own) == tuple(f"f{number}" for number in range(MOST_FEATURES))
    assert robust(FEW) == ("days_since_last_event", "mean_gap_days")
