from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from features.language import FeatureSet
from features.log import EventLog
from features.windows import days, shift, utc
from holdfast.backtest_telling import report
from models.calibration import Beta, Calibrator, Identity, Isotonic, Platt, moved
from models.definition import ChurnDefinition
from tests.seasons import seasons
from training.backtest import backtest
from training.evidence import Evidence, examine, plan_for
from training.fit import TrainSettings
from training.level import FEWEST_WINDOWS, YEAR, Level, Window, _decided, cutoffs_of_year_ago

MONTH = ChurnDefinition(look_back=days(56), horizon=days(28))
QUICK = TrainSettings(
    trees=30,
    boosters=1,
    blends=(0.0,),
    step_days=14,
    max_cutoffs=60,
    test_cutoffs=1,
    replicates=50,
    calibration="identity",
)
CALIBRATORS = [
    Identity(),
    Platt(slope=0.8, intercept=-0.2),
    Beta(slope_low=0.9, slope_high=1.1, intercept=0.1),
    Isotonic(margins=(-2.0, 0.0, 1.0), heights=(0.1, 0.4, 0.8)),
]


@given(st.sampled_from(CALIBRATORS), st.floats(-2, 2))
@settings(max_examples=40)
def test_a_moved_calibrator_moves_its_knots_by_so_much_and_keeps_the_order(calibrator: Calibrator, by: float) -> None:
    knots = np.array([-2.0, 0.0, 1.0])
    found = moved(calibrator, by=by).probabilities(knots)
    np.testing.assert_allclose(found, expit(logit(calibrator.probabilities(knots)) + by), atol=1e-9)
    assert (np.diff(moved(calibrator, by=by).probabilities(np.linspace(-3, 3, 50))) >= 0).all()


def test_a_shift_that_served_earlier_windows_is_used_and_one_that_did_not_is_not() -> None:
    good = [_window(gain) for gain in (0.02, 0.01, -0.001, 0.015)]
    assert _decided(tuple(good)).part == 1.0
    often_worse = [_window(gain) for gain in (0.1, 0.01, -0.001, -0.002)]
    assert _decided(tuple(often_worse)).part == 0.0
    by_luck = [_window(gain) for gain in (0.2, 0.0001, 0.0001, -0.15)]
    assert _decided(tuple(by_luck)).part == 0.0
    assert _decided(tuple(good[: FEWEST_WINDOWS - 1])).part == 0.0


def test_half_of_the_shift_is_used_where_all_of_it_is_too_much() -> None:
    overshoot = [replace(_window(0.001), losses=(0.499, 0.48)) for _ in range(4)]
    assert _decided(tuple(replace(w, losses=(0.499, 0.48 + i / 1000)) for i, w in enumerate(overshoot))).part == 0.5


def test_a_level_that_moves_with_the_season_follows_that_of_a_year_ago(
    tmp_path: Path, write_log: Callable[..., EventLog], few_features: FeatureSet
) -> None:
    log = write_log(tmp_path / "seasons", seasons(amplitude=0.9))
    found = _examined(log, few_features)
    assert found.level.part > 0
    assert len(found.level.windows) >= FEWEST_WINDOWS
    assert "a year ago" in found.level.says()
    plain = found.trial.probabilities["model"]
    without = expit(logit(plain) - found.level.shift)
    churned = found.trial.labels.mean()
    assert abs(plain.mean() - churned) < abs(without.mean() - churned)


def test_the_newest_origin_of_a_back_test_follows_the_season_as_a_training_does(
    tmp_path: Path, write_log: Callable[..., EventLog], few_features: FeatureSet
) -> None:
    log = write_log(tmp_path / "seasons", seasons(amplitude=0.9))
    alone = _examined(log, few_features)
    found = backtest(log, MONTH, few_features, code_version="x", most=2, every=days(56), settings=QUICK)
    older, newest = found.origins
    assert alone.level.part > 0
    assert newest.level == alone.level
    assert newest.trial.probabilities["model"].tobytes() == alone.trial.probabilities["model"].tobytes()
    assert newest.trial.ours.estimates == alone.trial.ours.estimates
    assert older.level.windows != newest.level.windows
    assert f"at {1 + bool(older.level.part)} of 2 origins the level follows" in report(found)
    assert [each["level"]["part"] for each in found.to_json()["origins"]] == [older.level.part, newest.level.part]


def test_without_seasons_the_level_stays_the_model_s_own(
    tmp_path: Path, write_log: Callable[..., EventLog], few_features: FeatureSet
) -> None:
    found = _examined(write_log(tmp_path / "flat", seasons(amplitude=0.0)), few_features)
    assert (found.level.part, found.level.shift) == (0.0, 0.0)
    assert found.level.windows


def test_a_log_of_less_than_a_year_knows_no_season(
    tmp_path: Path, write_log: Callable[..., EventLog], few_features: FeatureSet
) -> None:
    log = write_log(tmp_path / "short", [row for row in seasons(amplitude=0.9) if row[1] < 300])
    found = _examined(log, few_features)
    assert found.rows.year_ago is None
    assert found.level == Level()


def test_nothing_of_a_year_ago_is_looked_at_whose_outcome_was_open(shop: EventLog) -> None:
    split = plan_for(shop.summary(), MONTH, cutoff=None, settings=QUICK)
    assert cutoffs_of_year_ago(split) == ()
    long = replace(split, definition=ChurnDefinition(look_back=days(56), horizon=days(365)))
    assert cutoffs_of_year_ago(long, start=utc("2020-01-01")) == ()
    assert cutoffs_of_year_ago(split, start=utc("2020-01-01"))[-1] == shift(split.test[0], -YEAR)


def _window(gain: float) -> Window:
    return Window(utc("2026-01-01"), 1000, 0.2, without=0.5, losses=(0.5 - gain, 0.5 - gain / 2))


def _examined(log: EventLog, features: FeatureSet) -> Evidence:
    split = plan_for(log.summary(), MONTH, cutoff=None, settings=QUICK)
    return examine(log, features, split, settings=QUICK)
