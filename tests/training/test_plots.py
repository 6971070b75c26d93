from dataclasses import replace
from io import BytesIO

import numpy as np
from matplotlib.image import imread

from training.explained_plots import bars, segments
from training.plots import figures, profit
from training.profit import Costs, Predicted, appraise
from training.run import Training
from training.segments import TENURE, Segment


def test_every_picture_of_a_training_can_be_drawn(training: Training) -> None:
    drawn = figures(training)
    assert set(drawn) == {
        *("timeline", "importance", "calibration", "gains", "scores", "roc_and_pr"),
        *("features", "dependence"),  # segments of so few users are not judged
    }
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
    bars({}, title="nothing", xlabel="").savefig(BytesIO(), format="png")


def test_no_picture_needs_colours(training: Training) -> None:
    segment = Segment(TENURE, "newest quarter", 0.2, 63.0, 211, 211, 50, 161, training.trial)
    for name, figure in {**figures(training), "segments": segments([segment])}.items():
        page = BytesIO()
        figure.savefig(page, format="png", dpi=40)
        red, green, blue, _ = np.moveaxis(imread(BytesIO(page.getvalue())), -1, 0)
        assert np.array_equal(red, green), name
        assert np.array_equal(green, blue), name
