from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.errors import BadInput
from features.snapshots import Snapshots
from training.baselines import SimpleFacts
from training.fit import Recipe, Rehearsed, TrainSettings, calibrate, choose_calibration, choose_recipe, fit_model
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
    recipe, _ = choose_recipe(_rows(1), _rows(2), settings=QUICK)
    assert recipe.booster_weight == 1.0
    assert recipe.log_losses["booster"] < recipe.log_losses["blend"] < recipe.log_losses["regression"]


def test_where_risk_is_a_straight_line_later_time_does_not_pick_boosting_alone() -> None:
    recipe, _ = choose_recipe(_rows(1, shape="line"), _rows(2, shape="line"), settings=QUICK)
    assert recipe.booster_weight < 1.0


def test_where_there_is_nothing_to_learn_few_trees_are_kept() -> None:
    recipe, _ = choose_recipe(_rows(1, noise=True), _rows(2, noise=True), settings=replace(QUICK, trees=300))
    assert recipe.trees < 100


def test_without_validation_rows_the_recipe_is_the_default() -> None:
    nobody = _rows(1, count=0)
    assert choose_recipe(nobody, nobody, settings=QUICK) == (Recipe(80, 0.75), None)
    assert "fixed" in Recipe(80, 0.75).says()


def _rehearsed(*, level: float, seed: int = 0, count: int = 4000, slope: float = 1.0) -> Rehearsed:
    """Margins that are right but for a level that moved by so much, and lie too close together for another slope."""
    draws = np.random.default_rng(seed)
    margins = draws.normal(size=count)
    labels = (draws.uniform(size=count) < 1 / (1 + np.exp(-(slope * margins + level)))).astype(float)
    return Rehearsed(margins, labels)


def test_a_level_that_is_off_in_every_window_is_corrected() -> None:
    earlier, later = _rehearsed(level=1.0, seed=1), _rehearsed(level=1.0, seed=2)
    assert choose_calibration([earlier, later], settings=QUICK) == "shift"


def test_a_level_that_swings_from_window_to_window_is_left_alone() -> None:
    earlier, later = _rehearsed(level=1.0, seed=1), _rehearsed(level=-0.3, seed=2)
    model = fit_model(_rows(1), Recipe(40, 1.0), settings=QUICK)
    calibrate(model, [earlier, later], kind=choose_calibration([earlier, later], settings=QUICK))
    said = model.blend_.calibrator.probabilities(np.linspace(-2, 2, 9))
    assert said == pytest.approx(1 / (1 + np.exp(-np.linspace(-2, 2, 9))), abs=0.01)


def test_margins_too_close_together_are_stretched_and_a_level_that_swings_is_left_alone() -> None:
    right = [_rehearsed(level=0.0, slope=1.3, seed=seed) for seed in (1, 2)]
    rehearsals = [replace(one, margins=one.margins + off) for one, off in zip(right, (1.0, -1.0), strict=True)]
    assert choose_calibration(rehearsals, settings=QUICK) == "stretch"
    model = calibrate(fit_model(_rows(1), Recipe(40, 1.0), settings=QUICK), rehearsals, kind="stretch")
    curve = model.blend_.calibrator
    assert curve.slope == pytest.approx(1.3, abs=0.1)
    mean = np.concatenate([rehearsed.margins for rehearsed in rehearsals]).mean(keepdims=True)
    assert curve.probabilities(mean) == pytest.approx(1 / (1 + np.exp(-mean)))


def test_with_one_window_only_the_margin_is_believed() -> None:
    assert choose_calibration([_rehearsed(level=1.0)], settings=QUICK) == "identity"


def test_a_calibration_that_was_asked_for_is_not_argued_with() -> None:
    asked = replace(QUICK, calibration="isotonic")
    assert choose_calibration([_rehearsed(level=0.0)], settings=asked) == "isotonic"


def test_a_calibrator_is_fitted_on_all_rehearsals_so_that_one_window_alone_moves_it_less() -> None:
    model = fit_model(_rows(1), Recipe(40, 1.0), settings=QUICK)
    calibrate(model, [_rehearsed(level=0.0), _rehearsed(level=1.0)], kind="shift")
    assert model.blend_.calibrator.intercept == pytest.approx(0.5, abs=0.1)


def test_what_the_recipe_said_on_validation_is_what_its_blend_says() -> None:
    validation = _rows(2, shape="line")
    recipe, rehearsed = choose_recipe(_rows(1, shape="line"), validation, settings=QUICK)
    assert rehearsed is not None
    losses = np.logaddexp(0, np.where(rehearsed.labels == 1, -rehearsed.margins, rehearsed.margins))
    assert losses.mean() == pytest.approx(min(recipe.log_losses.values()))


def test_what_grows_with_the_log_is_for_the_trees_only_but_for_the_few_features_of_a_simple_recipe() -> None:
    rows = replace(_rows(1), growing=("aside",))
    assert fit_model(rows, Recipe(40, 0.5), settings=QUICK, dates=("noise",)).booster_only == ("noise", "aside")
    simple = fit_model(rows, Recipe(0, 0.0, only=("ahead", "aside")), settings=QUICK)
    assert simple.booster_only == ("noise",)


def _soon(rows: TrainingSet) -> TrainingSet:
    """Whoever leaves was away halfway, and a third of those who stay."""
    third = np.random.default_rng(4).random(len(rows)) < 1 / 3
    return replace(rows, halfway=np.maximum(rows.labels, third))


def test_what_had_come_halfway_is_learnt_wherever_a_model_is_fitted() -> None:
    two = replace(QUICK, boosters=2)
    rows, later = _soon(_rows(1)), _soon(_rows(2))
    assert fit_model(rows, Recipe(40, 1.0), settings=two).facts_.halfway == 1
    assert fit_model(_rows(1), Recipe(40, 1.0), settings=two).facts_.halfway == 0
    chosen, _ = choose_recipe(rows, later, settings=two)
    plainly, _ = choose_recipe(_rows(1), _rows(2), settings=two)
    assert chosen.log_losses["booster"] != plainly.log_losses["booster"]
    assert chosen.log_losses["regression"] == plainly.log_losses["regression"]


def test_dates_are_for_the_trees_only() -> None:
    model = fit_model(_rows(1), Recipe(40, 0.5), settings=QUICK, dates=("noise",))
    assert model.booster_only == ("noise",)


def test_nobody_to_learn_from_is_an_error_that_says_what_to_do() -> None:
    nobody = _rows(1, count=0)
    with pytest.raises(BadInput, match="longer --look-back"):
        fit_model(nobody, Recipe(80, 0.5), settings=QUICK)


@pytest.mark.parametrize(
    "wrong",
    [
        {"trees": 0},
        {"leaves": 1},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"rows_per_leaf": 0},
        {"max_cutoffs": 0},
        {"test_cutoffs": 0},
        {"replicates": 0},
        {"seed": 2**32},
    ],
)
def test_a_setting_that_nothing_can_be_learnt_with_is_refused_by_name(wrong: dict[str, Any]) -> None:
    name = next(iter(wrong))
    with pytest.raises(BadInput, match=rf"\[train\] {name} is .*; expected"):
        TrainSettings(**wrong)
