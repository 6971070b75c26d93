from io import BytesIO

from training.plots import figures, importance
from training.run import Training


def test_every_picture_of_a_training_can_be_drawn(training: Training) -> None:
    drawn = figures(training)
    assert set(drawn) == {"calibration", "gains", "scores", "roc_and_pr", "importance"}
    for figure in drawn.values():
        page = BytesIO()
        figure.savefig(page, format="png")
        assert page.tell() > 5000


def test_importance_of_nothing_is_an_empty_picture() -> None:
    importance({}).savefig(BytesIO(), format="png")
