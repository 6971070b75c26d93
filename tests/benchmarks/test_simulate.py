"""The worlds with known truth: the truth is that of the simulation, and a tiny world goes the whole way."""

import json

import numpy as np
import pytest

from benchmarks.simulate.found import Found, look
from benchmarks.simulate.judge import recovered, thresholds
from benchmarks.simulate.page import page
from benchmarks.simulate.truth import truth
from benchmarks.simulate.world import HORIZON, Lives, Log, World, contact_chance, live
from training.fit import TrainSettings

EVERYTHING = World("everything", length=200, users=10_000, season=0.5, fading=0.5, souring=0.7, mails_every=56)
TINY = World("tiny", length=196, users=500, mails_every=56)
QUICK = TrainSettings(
    trees=30, boosters=1, blends=(0.5,), step_days=14, max_cutoffs=6, replicates=50, calibration="identity"
)
CUTOFF = 150  # a campaign lies in the horizon, on day 168


@pytest.fixture(scope="module")
def lives() -> Lives:
    return live(EVERYTHING, seed=3)


@pytest.fixture(scope="module")
def tiny() -> Found:
    return look(TINY, seed=0, settings=QUICK)


def test_who_is_said_to_fall_silent_with_a_probability_does_so_as_often(lives: Lives) -> None:
    known = truth(lives, cutoff=CUTOFF)
    here = lives.counts[:, CUTOFF - 56 : CUTOFF].sum(axis=1) > 0
    silent = lives.counts[here, CUTOFF : CUTOFF + HORIZON].sum(axis=1) == 0
    for chances in (known.fate[here], known.best[here]):
        for part in np.array_split(np.argsort(chances), 10):
            expected = chances[part]
            error = np.sqrt((expected * (1 - expected)).sum()) / len(part)
            assert abs(silent[part].mean() - expected.mean()) <= 4 * error


def test_fate_knows_who_is_gone_and_the_history_does_not(lives: Lives) -> None:
    known = truth(lives, cutoff=CUTOFF)
    there = lives.born < CUTOFF
    assert np.isnan(known.best[~there]).all()
    gone = lives.gone < CUTOFF
    assert (known.fate[there & gone] == 1).all()
    assert known.fate[there & ~gone].max() < 1
    assert known.best[there & gone].mean() < 1


def test_fate_without_seasons_hazards_or_campaigns_is_that_of_a_poisson_process() -> None:
    plain = live(World("plain", length=60, users=50), seed=0)
    forever = Lives(plain.world, plain.paces, np.zeros(50), plain.born, plain.gone, plain.counts, plain.mailed, 0)
    there = (plain.born < 30) & (plain.gone >= 30)
    found = truth(forever, cutoff=30).fate[there]
    np.testing.assert_allclose(found, np.exp(-plain.paces[there] * HORIZON))


def test_mails_go_to_the_long_silent_and_not_to_the_forgotten() -> None:
    assert contact_chance(np.array([0, 13, 14, 60, 61])).tolist() == [0.1, 0.1, 0.8, 0.8, 0.0]


def test_the_best_prediction_loses_nothing_and_another_does(lives: Lives) -> None:
    here = np.flatnonzero(lives.counts[:, CUTOFF - 56 : CUTOFF].sum(axis=1) > 0)
    users = np.array([f"user-{place:05d}" for place in here], dtype=object)
    best = truth(lives, cutoff=CUTOFF).best[here]
    itself = recovered(best, users, lives, cutoff=CUTOFF)
    assert (itself.ratio, itself.calibration_error, itself.rmse, itself.lost) == (1.0, 0.0, 0.0, 0.0)
    assert itself.rank == pytest.approx(1.0)
    assert recovered(best.mean() + 0.1 * (best - best.mean()), users, lives, cutoff=CUTOFF).lost > 0.05


def test_the_assistant_is_near_the_true_threshold() -> None:
    lives = live(World("stable", length=364, users=3000), seed=1)
    found = thresholds(lives, Log.of(lives))
    assert found.fewest_errors <= found.errors < 1.1 * found.fewest_errors
    assert abs(found.assistant - found.true) <= 5


def test_a_tiny_world_goes_the_whole_way_to_the_page(tiny: Found) -> None:
    assert tiny.alarms == ()
    assert tiny.tested.rank > 0.8
    assert 0.7 < tiny.deployed.ratio < 1.4
    assert tiny.tested.lost < tiny.baselines["last_seen_rule"].lost
    text = page([tiny], seeds=1)
    assert "| tiny |" in text
    assert "were raised on 0 of 1." in text
    assert "nan" not in text


def test_what_was_found_can_be_kept(tiny: Found) -> None:
    assert Found.from_json(json.loads(json.dumps(tiny.to_json()))) == tiny
