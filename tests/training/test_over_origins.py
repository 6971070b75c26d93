"""Many origins as one trial, lines through them, and the age of models: against figures by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import linregress, t

from tests.trials import known_chances, trial_of
from training.metrics import Estimate, log_losses
from training.model_age import Age, Ageing, Timeline, ageing
from training.over_origins import together, trend
from training.segments import TENURE, Segment, levels_off
from training.trial import OURS, Trial


def _origins() -> list[Trial]:
    return [trial_of(*reversed(known_chances(rows=rows, seed=seed))) for seed, rows in ((1, 300), (2, 900), (3, 500))]


def test_loss_and_brier_are_means_over_origins_and_the_level_is_that_of_all_rows() -> None:
    trials = _origins()
    pooled = together(trials, seed=0, replicates=50).ours
    for metric in ("auc", "log_loss", "brier", "recall_at_10"):
        assert pooled[metric].value == pytest.approx(np.mean([trial.ours[metric].value for trial in trials])), metric
    said, happened = sum(one.probabilities[OURS].sum() for one in trials), sum(one.labels.sum() for one in trials)
    assert pooled["predicted_over_observed"].value == pytest.approx(said / happened)


def test_an_origin_of_one_outcome_counts_for_the_loss_and_not_for_the_order() -> None:
    first, second, _ = _origins()
    nobody = trial_of(np.zeros(200), np.full(200, 0.1))
    pooled = together([first, second, nobody], seed=0, replicates=50).ours
    assert pooled["auc"].value == pytest.approx((first.ours["auc"].value + second.ours["auc"].value) / 2)
    losses = [trial.ours["log_loss"].value for trial in (first, second, nobody)]
    assert pooled["log_loss"].value == pytest.approx(np.mean(losses))


def test_a_user_at_two_origins_is_drawn_at_both_or_at_none() -> None:
    chances, labels = known_chances(rows=400, seed=4)
    once = trial_of(labels, chances)
    twice = together([once, once], seed=0, replicates=200).ours["log_loss"]
    assert (twice.low, twice.high) == pytest.approx((once.ours["log_loss"].low, once.ours["log_loss"].high))


def test_a_trend_is_the_least_squares_line_with_its_t_interval() -> None:
    days, values = [0.0, 30.0, 75.0, 90.0, 140.0], [0.81, 0.78, 0.80, 0.74, 0.75]
    expected = linregress(np.array(days) / 100, values)
    reach = t.ppf(0.975, 3) * expected.stderr
    found = trend(days, values, metric="auc")
    assert found is not None
    line = found.per_100_days
    assert (line.value, line.low, line.high) == pytest.approx(
        (expected.slope, expected.slope - reach, expected.slope + reach)
    )
    gap = trend([*days, 160.0], [*values, np.nan], metric="auc")
    assert gap is not None
    assert gap.per_100_days == found.per_100_days
    assert trend(days[:3], values[:3], metric="auc") is None


def _line(*, days: tuple[float, ...], rows: int = 4000) -> tuple[Timeline, list[np.ndarray]]:
    drawn = [known_chances(rows=rows, seed=place) for place in range(len(days))]
    trials = [trial_of(labels, chances, replicates=50) for chances, labels in drawn]
    return Timeline(list(days), trials, [10] * len(days)), [chances for chances, _ in drawn]


def _worse(chances: np.ndarray, by: float) -> np.ndarray:
    """Chances pulled towards one half."""
    return np.asarray((1 - by) * chances + by * 0.5)


def _lost(trial: Trial, said: np.ndarray) -> float:
    return float((log_losses(trial.labels, said) - log_losses(trial.labels, trial.probabilities[OURS])).mean())


def test_an_age_is_the_time_between_cutoffs_and_its_loss_the_mean_of_its_pairs() -> None:
    line, chances = _line(days=(0.0, 10.0, 30.0, 40.0))
    said = {pair: _worse(chances[pair[1]], 0.1 * (pair[1] - pair[0])) for pair in ((0, 1), (0, 2), (1, 2), (2, 3))}
    found = ageing(line, {pair: (each, each) for pair, each in said.items()}, seed=0, replicates=50)
    assert [(age.days, age.pairs) for age in found.ages] == [(10, 2), (20, 1), (30, 1)]
    losses = [_lost(line.trials[new], said[old, new]) for old, new in ((0, 1), (2, 3))]
    assert found.ages[0].log_loss.value == pytest.approx(np.mean(losses))
    assert found.ages[0].log_loss.value > 0


def test_a_loss_is_sure_only_beyond_what_windows_differ_by_for_all_ages_at_once() -> None:
    line, chances = _line(days=(0.0, 14.0, 28.0))
    said = {(0, 1): _worse(chances[1], 0.05), (1, 2): _worse(chances[2], 0.6), (0, 2): chances[2]}
    found = ageing(line, {pair: (each, each) for pair, each in said.items()}, seed=0, replicates=50)
    young = found.ages[0]
    each = [_lost(line.trials[new], said[old, new]) for old, new in ((0, 1), (1, 2))]
    by_windows = float(np.std(each, ddof=1)) / 2**0.5
    assert young.sure_log_loss == pytest.approx(np.mean(each) - 2.2414 * by_windows, rel=1e-3)  # of two ages
    assert young.sure_log_loss < 0 < young.log_loss.low


def _age(days: int, *, loss: float, sure: float, low: float = 0.01) -> Age:
    level = Estimate(1.0, 0.9, 1.1)
    return Age(days, 3, 900, Estimate(loss, low, loss + 0.02), Estimate(-0.01, -0.02, 0.0), level, 0.5, sure, True)


def test_a_model_may_become_as_old_as_the_age_before_the_first_sign_of_decay() -> None:
    ages = (
        _age(14, loss=0.0, sure=-0.01, low=-0.01),
        _age(28, loss=0.02, sure=-0.01),  # suspected
        _age(42, loss=0.03, sure=0.01),  # shown
    )
    assert (Ageing(ages).retrain_days, Ageing(ages).decay) == (14, ages[2])
    assert Ageing(ages[1:]).retrain_days is None
    assert Ageing(ages[:2]).retrain_days is None
    assert Ageing(ages[:2]).suspicion == ages[1]
    too_little = replace(ages[2], log_loss=Estimate(0.004, 0.001, 0.007))
    assert not too_little.shown


def _segment(ratio: float, *, error: float) -> Segment:
    labels, said = np.zeros(400), np.full(400, 0.25)
    labels[: round(100 / ratio)] = 1
    made = trial_of(labels, said, replicates=100)
    drawn = np.exp(np.log(ratio) + error * np.random.default_rng(0).normal(size=4000))
    replicates = {**made.ours.replicates, "predicted_over_observed": drawn}
    trial = replace(made, evaluations={OURS: replace(made.ours, replicates=replicates)})
    return Segment(TENURE, "newest quarter", 0.0, 9.0, 400, 400, 80, 320, trial)


def test_a_segment_is_off_if_it_surely_is_for_all_segments_at_once() -> None:
    doubtful, sure, small = _segment(1.4, error=0.14), _segment(1.4, error=0.05), _segment(1.1, error=0.01)
    assert [segment for segment, _ in levels_off([doubtful])] == [doubtful]  # 2.4 standard errors
    assert levels_off([doubtful] * 10) == []
    assert [segment for segment, _ in levels_off([doubtful, sure, small] + [small] * 7)] == [sure]
    ((_, ratio),) = levels_off([sure])
    assert ratio.value == pytest.approx(1.4, rel=0.01)
    assert ratio.low == pytest.approx(ratio.value * np.exp(-1.96 * 0.05), rel=0.01)
