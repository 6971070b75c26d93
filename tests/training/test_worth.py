from dataclasses import replace

import numpy as np

from training.metrics import CALIBRATION_BINS
from training.profit import Costs, Predicted, appraise
from training.report import report
from training.run import Training
from training.stability import Stability
from training.worth import calibration_bins, campaign, steadiness


def test_every_bin_is_shown_with_its_rows(training: Training) -> None:
    lines = list(calibration_bins(training.trial))
    rows = [int(line.split()[0].replace(",", "")) for line in lines[1 : CALIBRATION_BINS + 1]]
    assert sum(rows) == len(training.trial.labels)
    assert max(rows) - min(rows) <= 1
    assert lines[-1].startswith(f"Brier {training.trial.ours['brier'].value:.4f} = reliability")


def test_without_costs_of_one_s_own_no_profit_is_told(training: Training) -> None:
    text = report(training)
    assert "not yours" in text
    assert "contact everybody" not in text
    assert "profit_from_break_even" not in training.facts["quality"]
    assert training.facts["quality"]["expected_maximum_profit"] >= 0


def test_under_one_s_own_costs_every_way_is_told(training: Training) -> None:
    trial = training.trial
    models = {name: Predicted(trial.probabilities[name], trial.scores[name]) for name in trial.scores}
    appraisal = appraise(
        trial.labels,
        models,
        users=trial.users,
        costs=Costs(value=60, contact=0.5, incentive=5, given=True),
        capacity=0.1,
        ours="model",
        seed=1,
        replicates=20,
    )
    told = replace(training, trial=replace(trial, appraisal=appraisal))
    text = report(told)
    for words in ("contact nobody", "contact everybody", "break-even probability", "in hindsight", "last-seen rule:"):
        assert words in text, words
    assert told.facts["profit"]["costs"]["value"] == 60
    assert told.facts["quality"]["profit_everybody"] == appraisal.way("model", "everybody").profit.value
    assert max(len(line) for line in text.splitlines()) <= 110


def test_costs_under_which_nothing_pays_are_called_so(training: Training) -> None:
    trial = training.trial
    models = {"model": Predicted(trial.probabilities["model"], trial.scores["model"])}
    found = appraise(
        trial.labels,
        models,
        users=trial.users,
        costs=Costs(value=1, contact=5, given=True),
        capacity=0.1,
        ours="model",
        seed=1,
        replicates=20,
    )
    assert any("never pays" in line for line in campaign(found))


def test_the_steadiness_of_the_list_is_told_with_its_numbers(training: Training) -> None:
    lines = list(steadiness(training.stability))
    newest = training.stability.steps[-1]
    assert any(f"{newest.in_both:,}" in line and f"{newest.scores.index:.4f}" in line for line in lines)
    assert list(steadiness(Stability())) == ["There are no two consecutive cutoffs that could be compared."]
    assert np.isfinite(training.stability.quality()["psi_noise"])
