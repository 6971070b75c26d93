"""The verdict over origins, on trials whose truth is known."""

import inspect
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.pages import names, page
from training import backtest_verdict
from training.backtest_verdict import judge_origins
from training.metrics import evaluate
from training.model_age import Ageing, Timeline, ageing
from training.over_origins import together, trend
from training.segments import ACTIVITY, TENURE, by_segment, levels_off
from training.trial import Trial
from training.verdict import Decision, Verdict

ROWS = 900
DATES = ("2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01")
NOT_ASKED = Ageing(())


def _trial(seed: int, *, shift: float = 0.0, noise: float = 0.0, rule_noise: float = 2.0) -> Trial:
    """Our scores are the true log-odds, moved by `shift` and blurred by `noise`; the rule sees them through its own."""
    draws = np.random.default_rng(seed)
    margins = draws.normal(-1.0, 1.5, ROWS)
    labels = (draws.uniform(size=ROWS) < _probability(margins)).astype(float)
    scores = {
        "model": margins + shift + draws.normal(0, noise, ROWS),
        "last_seen_rule": margins + draws.normal(0, rule_noise, ROWS),
        "rfm": margins + draws.normal(0, 3, ROWS),
        "logistic_regression": margins + draws.normal(0, 0.3, ROWS),
    }
    probabilities = {name: _probability(score) for name, score in scores.items()}
    users = np.array([f"user-{place}" for place in range(ROWS)], dtype=object)
    evaluations = {
        name: evaluate(labels, probabilities[name], users=users, seed=1, ranks=scores[name], replicates=100)
        for name in scores
    }
    return Trial(users, labels, probabilities, scores, evaluations)


def _probability(margins: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-margins)))


def _judged(trials: Sequence[Trial], *, ages: Ageing = NOT_ASKED) -> Verdict:
    pooled = together(trials, seed=1, replicates=100)
    line = trend([30.0 * place for place in range(len(trials))], [t.ours["auc"].value for t in trials], metric="auc")
    return judge_origins(pooled, list(zip(DATES, trials, strict=False)), trend=line, ageing=ages)


def _codes(verdict: Verdict) -> set[str]:
    return {finding.code for finding in verdict.findings}


def test_every_finding_is_listed_in_the_documentation() -> None:
    codes = re.findall(r'Finding\(\s*f?"([^"]+)"', inspect.getsource(backtest_verdict))
    expanded = {code.replace("{name}", rule) for code in codes for rule in backtest_verdict.RULES}
    assert set(names(page("docs/backtest.md").section("The verdict"))) == expanded


def test_a_model_that_is_good_at_every_origin_is_to_be_deployed() -> None:
    verdict = _judged([_trial(seed) for seed in range(4)])
    assert verdict.decision is Decision.DEPLOY
    assert {"steady", "level_held", "no_decay_shown", "better_than_last_seen_rule", "calibrated"} == (
        _codes(verdict) - {"better_than_rfm"}
    )


def test_one_origin_alone_asks_for_care() -> None:
    verdict = _judged([_trial(0)])
    assert verdict.decision is Decision.WITH_CARE
    assert "few_origins" in _codes(verdict)


def test_origins_at_which_the_level_is_off_are_named() -> None:
    verdict = _judged([_trial(0), _trial(1, shift=1.2), _trial(2), _trial(3)])
    assert verdict.decision is Decision.WITH_CARE
    said = next(finding.sentence for finding in verdict.findings if finding.code == "level_off_at_origins")
    assert "at 1 of 4 origins" in said
    assert "at 2026-02-01" in said


def test_a_level_that_is_broken_at_half_the_origins_is_not_to_be_deployed_though_it_is_right_on_average() -> None:
    trials = [_trial(0, shift=3.0), _trial(1, shift=-2.5), _trial(2, shift=3.0), _trial(3, shift=-2.5)]
    verdict = _judged(trials)
    assert verdict.decision is Decision.DO_NOT
    assert "level_off_at_origins" in _codes(verdict)


def test_a_rule_that_wins_at_half_the_origins_is_enough() -> None:
    losing = [_trial(seed, noise=4.0, rule_noise=0.1) for seed in (1, 2)]
    verdict = _judged([_trial(0), *losing, _trial(3)])
    assert verdict.decision is Decision.DO_NOT
    assert "last_seen_rule_better_at_origins" in _codes(verdict)
    assert "uneven" in _codes(verdict)  # what asks for care only is told, too


def test_quality_that_falls_from_origin_to_origin_is_noticed_and_noise_is_not() -> None:
    falling = _judged([_trial(seed, noise=0.9 * seed, rule_noise=4.0) for seed in range(4)])
    assert "quality_falls" in _codes(falling)
    assert trend([0.0, 1.0, 2.0], [0.9, 0.8, 0.7], metric="auc") is None  # three origins are too few for a line
    noise = trend([0.0, 30.0, 60.0, 90.0], [0.80, 0.82, 0.79, 0.81], metric="auc")
    assert noise is not None
    assert noise.per_100_days.low < 0 < noise.per_100_days.high


def test_the_worst_origin_is_named() -> None:
    verdict = _judged([_trial(0), _trial(1, noise=4.0, rule_noise=9.0), _trial(2), _trial(3)])
    said = [finding.sentence for finding in verdict.findings if finding.code == "uneven"]
    assert "(2026-02-01)" in said[0]


def test_users_are_drawn_with_their_rows_at_all_origins() -> None:
    """The same rows at four origins know no more than once."""
    once, often = together([_trial(0)], seed=1, replicates=300), together([_trial(0)] * 4, seed=1, replicates=300)
    apart = together([_renamed(_trial(0), place) for place in range(4)], seed=1, replicates=300)

    def width(trial: Trial) -> float:
        return trial.ours["log_loss"].high - trial.ours["log_loss"].low

    assert width(often) == pytest.approx(width(once), rel=0.01)
    assert width(apart) == pytest.approx(width(once) / 2, rel=0.2)


def _renamed(trial: Trial, place: int) -> Trial:
    users = np.array([f"{user} {place}" for user in trial.users], dtype=object)
    return Trial(users, trial.labels, trial.probabilities, trial.scores, trial.evaluations)


def _aged(fading: float, *, origins: int = 5) -> Ageing:
    """Origins 30 days apart, whose models' margins are blurred the more, the older they are."""
    trials = [_trial(seed) for seed in range(origins)]
    draws = np.random.default_rng(9)
    asked = {}
    for old in range(origins):
        for fresh in range(old + 1, origins):
            blurred = trials[fresh].scores["model"] + draws.normal(0, fading * (fresh - old), ROWS)
            asked[old, fresh] = (_probability(blurred), blurred)
    known = Timeline([30.0 * place for place in range(origins)], trials, [10] * origins)
    return ageing(known, asked, seed=1, replicates=100)


def test_models_that_fade_are_to_be_trained_anew_before_the_age_at_which_it_shows() -> None:
    fading = _aged(0.3)
    assert fading.decay is not None
    assert fading.decay.log_loss.low > 0
    signs = [age.days for age in fading.ages if age.shown or age.suspected]
    assert fading.retrain_days == (min(signs) - 30 or None)
    assert [age.pairs for age in fading.ages] == [4, 3, 2, 1]
    losses = [age.log_loss.value for age in fading.ages]
    assert losses == sorted(losses)
    assert not fading.ages[-1].shown  # one pair of origins is one window


def test_models_that_do_not_fade_are_said_to_last_as_long_as_was_tested() -> None:
    lasting = _aged(0.0)
    assert lasting.decay is None
    assert lasting.retrain_days is None
    assert lasting.says().startswith("no decay could be shown over 90 days")
    assert lasting.ages[0].log_loss.value == pytest.approx(0, abs=1e-12)


def test_a_sign_of_age_among_many_ages_is_told_as_a_suspicion() -> None:
    sure = _aged(0.3).ages
    unsure = Ageing(tuple(replace(age, sure_log_loss=-0.001) for age in sure))
    assert unsure.decay is None
    assert unsure.suspicion is not None
    assert "for sure" in unsure.says()
    assert f"models {unsure.suspicion.days} days old" in unsure.says()


def test_with_one_origin_nothing_is_said_of_age() -> None:
    assert "cannot be said" in NOT_ASKED.says()


def test_a_segment_whose_level_is_off_is_found_with_its_edges() -> None:
    trial = together([_trial(seed) for seed in range(4)], seed=1, replicates=100)
    fact = np.tile(np.arange(ROWS, dtype=np.float64), 4)
    wrong = dict(trial.probabilities)
    wrong["model"] = np.where(fact < 300, np.minimum(1, 1.6 * wrong["model"]), wrong["model"])
    off = Trial(trial.users, trial.labels, wrong, trial.scores, trial.evaluations)
    segments = by_segment(off, {ACTIVITY: fact, TENURE: np.full(len(fact), 7.0)}, seed=1, replicates=100)
    assert [segment.name for segment in segments] == [
        "activity 0 to 299 events", "activity 300 to 599 events", "activity 600 to 899 events"
    ]  # fmt: skip
    assert [segment.part for segment, _ in levels_off(segments)] == ["least active third"]
    few = by_segment(_trial(0), {ACTIVITY: np.where(np.arange(ROWS) < 50, 1.0, 2.0)}, seed=1, replicates=100)
    assert [bool(segment.too_few) for segment in few] == [False]  # so few of them are not a part of their own
    verdict = judge_origins(
        trial, [(DATES[0], _trial(0))], trend=None, ageing=NOT_ASKED, segments_off=levels_off(segments)
    )
    assert "segment_level_off" in _codes(verdict)
