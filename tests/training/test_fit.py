from dataclasses import replace

import numpy as np
import pytest

from features.errors import BadInput
from features.snapshots import Snapshots
from training.baselines import SimpleFacts
from training.fit import Recipe, TrainSettings, choose_recipe, fit_model
from training.snapshots import TrainingSet

QUICK = TrainSettings(trees=80, boosters=1)


def _rows(seed: int, *, count: int = 1500, shape: str = "steps", noise: bool = False) -> TrainingSet:
    """Users whose risk hangs on the first feature in a straight line or in steps no line can follow."""
    draws = np.random.default_rng(seed)
    matrix = draws.uniform(-2, 2, size=(count, 3))
    margins = 1.5 * matrix[:, 0] if shape == "line" else 6 * ((matrix[:, 0] * matrix[:, 1] > 0) - 0.5)
    labels = (draws.uniform(size=count) < 1 / (1 + np.exp(-margins))).astype(float)
    if noise:
        labels = draws.permutation(labels)
    users = np.array([f"user-{place}" for place in range(count)], dtype=object)
    nothing = np.zeros(count)
    snapshots = Snapshots(users, np.full(count, seed, dtype=np.int64), ("ahead", "aside", "noise"), matrix)
    return TrainingSet(snapshots, labels, SimpleFacts(nothing, nothing, nothing))


def test_where_two_features_act_together_later_time_picks_boosting() -> None:
    recipe = choose_recipe(_rows(1), _rows(2), settings=QUICK)
    assert recipe.booster_weight == 1.0
    assert recipe.log_losses["booster"] < recipe.log_losses["blend"] < recipe.log_losses["regression"]


def test_where_risk_is_a_straight_line_later_time_does_not_pick_boosting_alone() -> None:
    recipe = choose_recipe(_rows(1, shape="line"), _rows(2, shape="line"), settings=QUICK)
    assert recipe.booster_weight < 1.0


def test_where_there_is_nothing_to_learn_few_trees_are_kept() -> None:
    recipe = choose_recipe(_rows(1, noise=True), _rows(2, noise=True), settings=replace(QUICK, trees=300))
    assert recipe.trees < 100


def test_without_validation_rows_the_recipe_is_the_default() -> None:
    nobody = _rows(1, count=0)
    assert choose_recipe(nobody, nobody, settings=QUICK) == Recipe(80, 0.5)
    assert "fixed" in Recipe(80, 0.5).says()


def test_the_model_is_calibrated_on_the_later_rows() -> None:
    later = _rows(2)
    rarer = TrainingSet(later.snapshots, later.labels * (np.arange(len(later)) % 2), later.facts)
    model = fit_model(_rows(1), Recipe(80, 1.0), calibration=rarer, settings=QUICK)
    assert model.predict_proba(rarer.frame)[:, 1].mean() == pytest.approx(rarer.labels.mean(), abs=0.02)


def test_dates_are_for_the_trees_only() -> None:
    model = fit_model(_rows(1), Recipe(40, 0.5), calibration=_rows(2), settings=QUICK, dates=("noise",))
    assert model.booster_only == ("noise",)


def test_nobody_to_learn_from_is_an_error_that_says_what_to_do() -> None:
    nobody = _rows(1, count=0)
    with pytest.raises(BadInput, match="longer --look-back"):
        fit_model(nobody, Recipe(80, 0.5), calibration=nobody, settings=QUICK)
