import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.stretch import WIDEST, Stretch, fit_stretch

DRAWS = np.random.default_rng(7)
SPREAD = DRAWS.normal(-1, 1.5, 6000)
WINDOWS = np.repeat([1, 2], 3000)


def drawn(truth: np.ndarray) -> np.ndarray:
    return (np.random.default_rng(8).random(len(truth)) < 1 / (1 + np.exp(-truth))).astype(float)


def test_margins_that_are_right_are_not_doubted() -> None:
    assert fit_stretch(SPREAD, drawn(SPREAD)).shrunk == pytest.approx(1, abs=0.02)


def test_a_level_that_moves_between_windows_does_not_pass_for_a_slope() -> None:
    margins = SPREAD + np.where(WINDOWS == 1, 1.0, -1.0)  # the model followed a level that did not move
    labels = drawn(SPREAD)
    assert fit_stretch(margins, labels, windows=WINDOWS).shrunk == pytest.approx(1, abs=0.02)
    assert fit_stretch(margins, labels).shrunk < 0.8


def test_a_timid_model_is_stretched_about_its_mean() -> None:
    found = fit_stretch(SPREAD, drawn(1.3 * SPREAD + 0.7), windows=WINDOWS)
    assert found.slope == pytest.approx(1.3, abs=3 * found.error)
    assert 1 + (found.slope - 1) * 0.9 < found.shrunk < found.slope
    assert found.pivot == SPREAD.mean()


@given(slope=st.floats(0.34, 2.9), error=st.floats(0.001, 1.0))
def test_a_slope_is_drawn_towards_one_and_never_past_it(slope: float, error: float) -> None:
    shrunk = Stretch(slope, error, 0.0).shrunk
    assert min(slope, 1.0) <= shrunk <= max(slope, 1.0)
    assert abs(slope - 1.0) > error or shrunk == 1.0


def test_the_error_is_that_of_a_slope_beside_a_level() -> None:
    labels = drawn(SPREAD)
    found = fit_stretch(SPREAD, labels)
    draws = np.random.default_rng(9).integers(0, len(SPREAD), size=(40, len(SPREAD)))
    again = [fit_stretch(SPREAD[rows], labels[rows]).slope for rows in draws]
    assert found.error == pytest.approx(np.std(again), rel=0.4)


def test_windows_of_one_outcome_or_one_margin_tell_nothing() -> None:
    assert fit_stretch(SPREAD, np.zeros(6000)) == Stretch(1.0, np.inf, SPREAD.mean())
    assert fit_stretch(np.zeros(100), np.arange(100) % 2.0).shrunk == 1


def test_an_order_without_mistakes_stretches_no_farther_than_the_widest() -> None:
    assert fit_stretch(SPREAD, (SPREAD > -1).astype(float)).slope == WIDEST
