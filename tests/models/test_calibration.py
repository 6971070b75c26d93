import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from features.errors import BadInput
from models.calibration import (
    KINDS,
    Beta,
    Identity,
    Isotonic,
    Platt,
    choose_calibrator,
    fit_calibrator,
    from_json,
    log_losses,
    to_json,
)

MARGINS = st.floats(-1e6, 1e6)
SLOPES = st.floats(0, 50)


@st.composite
def histories(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows = draw(st.integers(1, 60))
    margins = draw(arrays(np.float64, rows, elements=st.floats(-30, 30)))
    return margins, draw(arrays(np.int64, rows, elements=st.integers(0, 1)))


@settings(max_examples=60)
@given(history=histories(), kind=st.sampled_from(KINDS), scores=st.lists(MARGINS, min_size=2, max_size=50))
def test_every_calibration_keeps_the_order_and_is_never_certain(
    history: tuple[np.ndarray, np.ndarray], kind: str, scores: list[float]
) -> None:
    given_probabilities = fit_calibrator(*history, kind=kind).probabilities(np.sort(scores))
    assert all(lower <= upper + 1e-15 for lower, upper in pairwise(given_probabilities))
    assert (given_probabilities > 0).all()
    assert (given_probabilities < 1).all()


@settings(max_examples=60)
@given(history=histories(), kind=st.sampled_from(KINDS), scores=st.lists(MARGINS, min_size=1))
def test_every_calibration_survives_json_to_the_bit(
    history: tuple[np.ndarray, np.ndarray], kind: str, scores: list[float]
) -> None:
    fitted = fit_calibrator(*history, kind=kind)
    again = from_json(json.loads(json.dumps(to_json(fitted))))
    assert again == fitted
    assert (again.probabilities(np.array(scores)) == fitted.probabilities(np.array(scores))).all()


@settings(max_examples=40)
@given(slope=SLOPES, other=SLOPES, intercept=st.floats(-20, 20), scores=st.lists(MARGINS, min_size=1, max_size=40))
def test_a_margin_alone_and_in_a_batch_have_the_same_bits(
    slope: float, other: float, intercept: float, scores: list[float]
) -> None:
    margins = np.array(scores)
    knots = Isotonic((-1.0, 0.5, 2.0), (0.1, 0.4, 0.7))
    for calibrator in (Identity(), Platt(slope, intercept), Beta(slope, other, intercept), knots):
        alone = [calibrator.probabilities(margins[place : place + 1])[0] for place in range(len(margins))]
        assert calibrator.probabilities(margins).tolist() == alone


def drawn(margins: np.ndarray, truth: np.ndarray) -> np.ndarray:
    return (np.random.default_rng(5).random(len(margins)) < 1 / (1 + np.exp(-truth))).astype(int)


SPREAD = np.random.default_rng(4).normal(0, 1.5, 4000)


def test_margins_that_are_right_stay_as_they_are() -> None:
    assert choose_calibrator(SPREAD, drawn(SPREAD, SPREAD)).calibrator == Identity()


def test_a_moved_level_is_moved_back_and_no_more() -> None:
    choice = choose_calibrator(SPREAD, drawn(SPREAD, SPREAD - 1))
    assert choice.kind == "shift"
    assert choice.calibrator.probabilities(np.array([1.0]))[0] == pytest.approx(0.5, abs=0.03)


def test_overconfidence_is_taken_back() -> None:
    choice = choose_calibrator(SPREAD, drawn(SPREAD, SPREAD / 3))
    assert isinstance(choice.calibrator, Platt)
    assert choice.calibrator.slope == pytest.approx(1 / 3, abs=0.05)


def test_a_staircase_needs_steps() -> None:
    choice = choose_calibrator(SPREAD, drawn(SPREAD, np.where(np.abs(SPREAD) < 0.7, -3.0, 2.0 * np.sign(SPREAD))))
    assert choice.kind in {"isotonic", "venn_abers"}


def test_few_users_are_no_ground_to_doubt_the_margin() -> None:
    assert choose_calibrator(SPREAD[:40], drawn(SPREAD, SPREAD - 3)[:40]).kind == "identity"


def test_the_choice_looks_at_later_cutoffs_when_it_knows_them() -> None:
    labels = drawn(SPREAD, SPREAD)
    early = np.arange(4000) < 2000
    labels[early] = drawn(SPREAD, SPREAD - 2)[early]  # an early level that did not last
    assert choose_calibrator(SPREAD, labels, order=np.where(early, 1, 2)).kind == "identity"


def test_a_calibrator_trained_on_a_reversed_order_gives_everybody_the_same() -> None:
    flat = fit_calibrator(SPREAD, 1 - (SPREAD > 0), kind="platt").probabilities(np.array([-2.0, 2.0]))
    assert flat[0] == pytest.approx(flat[1])


def test_one_outcome_only_still_gives_a_modest_probability() -> None:
    stayed = fit_calibrator(np.linspace(-1, 1, 98), np.zeros(98), kind="isotonic")
    assert stayed.probabilities(np.array([0.0]))[0] == pytest.approx(0.01)


def test_log_loss_is_minus_the_log_of_what_happened() -> None:
    assert log_losses(np.array([0.8, 0.8]), [1, 0]).tolist() == pytest.approx([-np.log(0.8), -np.log(0.2)])


@pytest.mark.parametrize(
    ("margins", "labels"), [([np.nan, 0.0], [0, 1]), ([np.inf, 0.0], [0, 1]), ([0.0], [0, 1]), ([], [])]
)
def test_margins_that_no_model_gave_are_refused(margins: list[float], labels: list[int]) -> None:
    with pytest.raises(BadInput):
        fit_calibrator(margins, labels, kind="platt")


def test_open_horizons_are_refused() -> None:
    with pytest.raises(BadInput, match="still open"):
        fit_calibrator([0.0, 1.0], [0.0, np.nan], kind="platt")


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="'spline'"):
        from_json({"kind": "spline"})


def test_between_knots_that_hardly_differ_nothing_overflows() -> None:
    steep = Isotonic(margins=(-2.2e-309, 0.0), heights=(0.25, 0.75))
    assert steep.probabilities(np.array([-1.0, 0.0, 1.0])).tolist() == [0.25, 0.75, 0.75]
