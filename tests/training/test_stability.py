import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.run import Training
from training.stability import FEWEST_IN_BOTH, kept_at_top, population_shift, rank_correlation


@given(st.integers(0, 10_000), st.integers(50, 500), st.integers(50, 500))
@settings(max_examples=30)
def test_the_index_is_never_negative_and_forgets_which_came_first_when_bins_are_the_same(
    seed: int, n: int, m: int
) -> None:
    draws = np.random.default_rng(seed)
    before, after = draws.integers(0, 4, n).astype(float), draws.integers(0, 4, m).astype(float)
    there, back = population_shift("x", before, after), population_shift("x", after, before)
    assert there.index >= 0
    if there.bins == back.bins == 4 and n == m:
        assert there.index == pytest.approx(back.index)


def test_the_index_of_two_shares_is_counted_by_hand() -> None:
    before, after = np.repeat([0.0, 1.0], [500, 500]), np.repeat([0.0, 1.0], [800, 200])
    a, b = np.array([500.5, 500.5]) / 1001, np.array([800.5, 200.5]) / 1001
    found = population_shift("x", before, after)
    assert found.index == pytest.approx(((b - a) * np.log(b / a)).sum())
    assert (found.bins, found.before, found.after) == (2, 1000, 1000)
    assert found.seen


def test_without_any_shift_the_noise_is_passed_once_in_twenty_times() -> None:
    draws = np.random.default_rng(1)
    passed = [population_shift("x", draws.normal(size=300), draws.normal(size=200)).seen for _ in range(1500)]
    assert 0.03 < np.mean(passed) < 0.07


def test_few_users_pass_the_usual_bound_without_any_shift() -> None:
    draws = np.random.default_rng(2)
    found = [population_shift("x", draws.normal(size=200), draws.normal(size=200)) for _ in range(400)]
    assert np.mean([shift.index > 0.1 for shift in found]) > 0.2
    assert found[0].noise > 0.1


def test_missing_values_are_a_bin_of_their_own() -> None:
    before, after = np.arange(200.0), np.arange(200.0)
    after[::2] = np.nan
    assert population_shift("x", before, after).index > 1
    assert population_shift("x", np.full(100, np.nan), np.full(100, np.nan)).index == 0


def test_ranks_are_compared_and_not_values() -> None:
    scores = np.random.default_rng(3).normal(size=100)
    assert rank_correlation(scores, np.exp(scores))[0] == pytest.approx(1)
    assert rank_correlation(scores, -scores)[0] == pytest.approx(-1)
    found, low, high = rank_correlation(scores, scores + np.random.default_rng(4).normal(size=100))
    assert low < found < high


def test_an_order_of_few_users_or_of_one_score_says_nothing() -> None:
    few = np.arange(FEWEST_IN_BOTH - 1.0)
    assert np.isnan(rank_correlation(few, few)[0])
    assert np.isnan(rank_correlation(np.ones(50), np.arange(50.0))[0])


def test_who_stays_in_the_first_tenth_is_counted_by_hand() -> None:
    first = np.arange(30.0)
    second = first.copy()
    second[29], second[0] = second[0], second[29]
    assert kept_at_top(first, second) == (3, pytest.approx(2 / 3))


def test_a_training_tells_how_steady_its_list_is(training: Training) -> None:
    steps = training.stability.steps
    assert [step.later for step in steps[:-1]] == [step.earlier for step in steps[1:]]
    assert steps[-1].later == training.split.test[-1]
    assert steps[0].earlier >= training.split.fit[-1]
    for step in steps:
        assert step.in_both <= min(step.scores.before, step.scores.after)
        assert 0 < step.correlation <= 1
        assert {shift.name for shift in step.features} <= set(training.features.names)
    told = training.facts["stability"][-1]
    assert told["correlation"] == steps[-1].correlation
