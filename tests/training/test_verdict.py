from dataclasses import replace

import numpy as np

from training.metrics import evaluate
from training.trial import Trial
from training.verdict import Decision, Verdict, judge

ROWS = 1500


def _trial(*, rule_noise: float = 2.0, shift: float = 0.0, labels: np.ndarray | None = None, rows: int = ROWS) -> Trial:
    """Our scores are the true log-odds (moved by `shift`); a rule sees them through noise."""
    draws = np.random.default_rng(1)
    margins = draws.normal(-1.0, 1.5, rows)
    truth = (draws.uniform(size=rows) < _probability(margins)).astype(float) if labels is None else labels
    rule = margins + draws.normal(0, rule_noise, rows)
    scores = {
        "model": margins,
        "last_seen_rule": rule,
        "rfm": margins + draws.normal(0, 3, rows),
        "logistic_regression": margins + draws.normal(0, 0.3, rows),
    }
    probabilities = {name: _probability(score) for name, score in scores.items()}
    probabilities["model"] = _probability(margins + shift)
    if rule_noise == 0:
        probabilities["last_seen_rule"] = probabilities["model"]
    users = np.array([f"user-{place}" for place in range(rows)], dtype=object)
    evaluations = {
        name: evaluate(truth, probabilities[name], users=users, seed=1, ranks=scores[name], replicates=100)
        for name in scores
    }
    return Trial(users, truth, probabilities, scores, evaluations)


def _probability(margins: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-margins))


def _codes(verdict: Verdict) -> set[str]:
    return {finding.code for finding in verdict.findings}


def test_a_calibrated_model_that_beats_the_rules_is_to_be_deployed() -> None:
    verdict = judge(_trial())
    assert verdict.decision is Decision.DEPLOY
    assert _codes(verdict) == {"better_than_last_seen_rule", "better_than_rfm", "calibrated"}
    assert verdict.may_be_promoted


def test_a_model_no_better_than_the_inactivity_rule_is_not_to_be_deployed() -> None:
    verdict = judge(_trial(rule_noise=0))
    assert verdict.decision is Decision.DO_NOT
    assert not verdict.may_be_promoted
    assert verdict.says()[0] == "DO NOT DEPLOY"
    assert verdict.says()[1].startswith("- your inactivity rule is as good, as far as 1,500 test rows can tell (AUC ")


def test_a_level_that_is_off_asks_for_care() -> None:
    verdict = judge(_trial(shift=0.7))
    assert verdict.decision is Decision.WITH_CARE
    assert "level_off" in _codes(verdict)
    assert "calibrated" not in _codes(verdict)


def test_a_level_that_is_off_by_more_than_half_forbids() -> None:
    assert _codes(judge(_trial(shift=2.5))) == {"level_broken"}


def test_a_test_where_everybody_churned_decides_nothing_in_favour() -> None:
    verdict = judge(_trial(labels=np.ones(ROWS)))
    assert verdict.decision is Decision.DO_NOT
    assert verdict.findings[0].sentence == "there is nothing to test: all 1500 test rows churned."


def test_few_users_ask_for_care_and_a_handful_of_churners_forbids() -> None:
    few = judge(_trial(rows=120))
    assert "too_few_users" in _codes(few) or few.decision is Decision.DO_NOT
    handful = np.zeros(ROWS)
    handful[:5] = 1.0
    assert "too_few_users" in _codes(judge(_trial(labels=handful)))


def test_an_auc_that_is_too_good_to_be_true_forbids() -> None:
    trial = _trial(labels=(np.random.default_rng(1).normal(-1.0, 1.5, ROWS) > -0.5).astype(float))
    assert "suspicious_auc" in _codes(judge(trial))


def test_where_paid_time_foretells_the_outcome_such_an_auc_asks_for_care() -> None:
    trial = _trial(labels=(np.random.default_rng(1).normal(-1.0, 1.5, ROWS) > -0.5).astype(float))
    found = [one for one in judge(replace(trial, foretold=True)).findings if one.code.endswith("_auc")]
    assert [(one.code, one.decision) for one in found] == [("foretold_auc", Decision.WITH_CARE)]
