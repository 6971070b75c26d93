import json
from dataclasses import replace

import numpy as np
import pytest

from features.language import FeatureSet
from features.log import EventLog
from features.snapshots import Snapshots
from features.windows import days, utc
from models.cancel import Cancel
from models.definition import ChurnDefinition
from models.hazard import LOSS, RETURN, survival
from models.risk_curve import median_days, risk_curve
from training.baselines import SimpleFacts
from training.evidence import read_rows
from training.fit import TrainSettings
from training.hazard import (
    MAX_CELLS,
    Cells,
    Durations,
    LearntCurve,
    durations,
    event_of,
    fit_hazard,
    interval_ends,
    learn_curve,
)
from training.labels import churned
from training.run import Training, train
from training.snapshots import TrainingSet, labelled
from training.splits import plan

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
WEEKLY = TrainSettings(step_days=7, max_cutoffs=8, test_cutoffs=1)


@pytest.fixture(scope="module")
def rows(shop: EventLog, few_features: FeatureSet, training: Training) -> TrainingSet:
    return read_rows(shop, few_features, training.split, settings=WEEKLY)


@pytest.fixture(scope="module")
def learnt(shop: EventLog, rows: TrainingSet, training: Training) -> LearntCurve:
    return learn_curve(shop, rows, training.split, training.tested_model, settings=replace(WEEKLY, replicates=100))


def test_the_time_to_the_return_agrees_with_the_label_of_every_horizon(
    shop: EventLog, few_features: FeatureSet
) -> None:
    cutoffs, end = [utc("2026-05-01"), utc("2026-06-20")], shop.summary().end
    rows = labelled(shop, few_features, FORTNIGHT, cutoffs, log_end=end)
    found = durations(shop, rows, FORTNIGHT, ends_days=(3, 14, 60), log_end=end)
    assert np.array_equal(1 - found.come[:, 1], rows.labels, equal_nan=True)
    for place in range(0, len(rows), 41):
        one, user = shop.read_user(rows.users[place]), rows.users[place : place + 1]
        moment = rows.snapshots.cutoffs[place : place + 1]
        for column, horizon in ((0, 3), (2, 60)):
            alone = churned(one, replace(FORTNIGHT, horizon=days(horizon)), users=user, cutoffs=moment, log_end=end)
            assert np.array_equal(alone[0], 1 - found.come[place, column], equal_nan=True)


def test_what_was_not_over_at_a_moment_is_not_known_then() -> None:
    start = np.array([0], dtype=np.int64)
    known = Durations((1, 7, 14), np.array([[0.0, 1.0, 1.0]]), start)
    assert np.array_equal(known.known_at(utc("1970-01-08")), [[0.0, 1.0, np.nan]], equal_nan=True)
    assert np.isnan(known.known_at(utc("1970-01-01T23:59:59"))).all()


def test_the_curve_to_deploy_reaches_beyond_the_horizon(learnt: LearntCurve) -> None:
    assert learnt.tested.days[:6] == (1, 2, 3, 5, 7, 10)
    assert 14 in learnt.tested.days
    assert learnt.model.days[-1] > 14


def test_a_hazard_that_is_known_is_found_again() -> None:
    """People whose daily chance to return is 0.05 or 0.20, by a feature, and falls by half after a week."""
    draws = np.random.default_rng(7)
    often = draws.integers(0, 2, 20_000)
    hazards = np.where(often[:, None] == 1, 0.20, 0.05) * np.where(np.arange(28) < 7, 1.0, 0.5)
    ends = (1, 2, 3, 5, 7, 10, 14, 21, 28)
    came = draws.random(hazards.shape) < hazards
    first = np.where(came.any(axis=1), came.argmax(axis=1), 28)
    seen = draws.integers(5, 29, len(often))  # days that each was observed
    come = np.where(np.array(ends) <= seen[:, None], (first[:, None] < np.array(ends)).astype(float), np.nan)
    rows = _rows(often.astype(float))
    known = Durations(ends, come, np.zeros(len(often), dtype=np.int64))
    fitted = fit_hazard(rows, known, until=utc("2026-01-01"), event=RETURN, trees=150, seed=0)
    curves = survival(fitted.log_survival(np.array([[0.0], [1.0]])))
    truth = np.cumprod(1 - hazards[[np.argmin(often), np.argmax(often)]], axis=1)[:, np.array(ends) - 1]
    assert np.abs(curves - truth).max() < 0.025
    everybody = fit_hazard(rows, known, until=utc("2026-01-01"), event=RETURN, trees=0, seed=0)
    assert everybody.booster is None
    mixed = survival(everybody.log_survival(np.zeros((1, 1))))[0]
    assert np.abs(mixed - truth.mean(axis=0)).max() < 0.025


def test_person_periods_are_drawn_without_favour() -> None:
    come = (np.random.default_rng(0).random((60_000, 1)) < 0.1).astype(float)
    cells = Cells.of(np.repeat(come, 4, axis=1) * 0 + np.array([0.0, 0.0, 0.0, 1.0]))
    drawn = cells.drawn(60_000, seed=1)
    assert abs(len(drawn) - 60_000) < 1000
    assert abs(drawn.came.mean() - cells.came.mean()) < 0.006
    assert len(cells.drawn(MAX_CELLS * 10, seed=1)) == len(cells)


def test_the_curve_is_better_than_one_for_everybody(learnt: LearntCurve) -> None:
    trial = learnt.trial
    assert trial.rows > 150
    assert trial.brier_more.high < 0
    assert trial.log_loss.low < trial.log_loss.value < trial.log_loss.high
    assert abs(trial.log_loss_more.value) < 0.05


def test_nothing_after_the_test_cutoff_changes_the_tested_curve(
    shop: EventLog, rows: TrainingSet, training: Training, learnt: LearntCurve
) -> None:
    split = training.split
    known = durations(shop, rows, FORTNIGHT, ends_days=interval_ends(split), log_end=split.test[0])
    again = fit_hazard(
        rows,
        known.first(len(learnt.tested.days)),
        until=split.test[0],
        event=RETURN,
        trees=learnt.trial.trees,
        seed=0,
    )
    assert again == learnt.tested


def test_a_cancel_is_a_loss_and_silence_ends_with_a_return() -> None:
    assert event_of(ChurnDefinition()) == RETURN
    assert event_of(ChurnDefinition(outcome=Cancel(("cancel",)))) == LOSS


def test_intervals_reach_as_far_as_half_of_the_cutoffs_can_see() -> None:
    split = plan(FORTNIGHT, start=utc("2026-01-01"), end=utc("2026-07-30"), step=days(7), max_cutoffs=8)
    ends = interval_ends(split)
    assert 14 in ends
    assert (split.closes(split.test) - split.all[(len(split.all) - 1) // 2]).days >= ends[-1]


def _rows(feature: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> TrainingSet:
    users = np.array([f"user-{place}" for place in range(len(feature))], dtype=object)
    moments = np.zeros(len(feature), dtype=np.int64)
    nothing = np.zeros(len(feature))
    snapshots = Snapshots(users, moments, ("often",), feature[:, None])
    return TrainingSet(snapshots, nothing, SimpleFacts(nothing, nothing, nothing))


def test_a_training_learns_the_curve_where_it_is_asked_to(
    shop: EventLog, few_features: FeatureSet, training: Training
) -> None:
    assert training.curve is None
    assert training.bundle.hazard is None
    quick = replace(training.settings, risk_curve=True, max_cutoffs=3, trees=20, blends=(1.0,), replicates=20)
    asked = train(shop, FORTNIGHT, few_features, now=utc("2026-09-01"), code_version="0.1.0", settings=quick)
    facts = json.loads(json.dumps(asked.facts, allow_nan=False))
    assert facts["risk_curve"]["brier_more"]["value"] < 0
    curve = risk_curve(asked.bundle, asked.golden)
    assert (curve[14].to_numpy() == asked.model.predict_proba(asked.golden)[:, 1]).all()
    assert (median_days(asked.bundle, asked.golden) > 0).any()
