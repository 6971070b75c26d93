from dataclasses import replace
from io import BytesIO

from training.plots import figures, importance, profit
from training.profit import Costs, Predicted, appraise
from training.run import Training


def test_every_picture_of_a_training_can_be_drawn(training: Training) -> None:
    drawn = figures(training)
    assert set(drawn) == {"calibration", "gains", "scores", "roc_and_pr", "importance"}
    for figure in drawn.values():
        page = BytesIO()
        figure.savefig(page, format="png")
        assert page.tell() > 5000


def test_the_profit_is_drawn_under_the_user_s_own_costs_and_not_under_the_paper_s(training: Training) -> None:
    assert "profit" not in figures(training)
    for costs in (Costs(value=60, given=True), Costs(value=5, given=True)):  # the second never pays
        trial = training.trial
        models = {name: Predicted(trial.probabilities[name], trial.scores[name]) for name in trial.scores}
        appraisal = appraise(
            trial.labels, models, users=trial.users, costs=costs, capacity=0.1, ours="model", seed=1, replicates=10
        )
        assert profit(trial, appraisal).axes[0].lines
        drawn = figures(replace(training, trial=replace(trial, appraisal=appraisal)))
        page = BytesIO()
        drawn["profit"].savefig(page, format="png")
        assert page.tell() > 5000


def test_importance_of_nothing_is_an_empty_picture() -> None:
    importance({}).savefig(BytesIO(), format="png")
