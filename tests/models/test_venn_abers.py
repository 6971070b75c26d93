import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.isotonic import isotonic_regression

from models.calibration import fit_calibrator, from_json, moved, to_json
from models.venn_abers import VennAbers, fit_venn_abers

MARGINS = st.one_of(st.integers(-3, 3).map(float), st.floats(-30, 30))


@st.composite
def histories(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    rows = draw(st.integers(1, 40))
    margins = draw(arrays(np.float64, rows, elements=MARGINS))
    return margins, draw(arrays(np.float64, rows, elements=st.sampled_from([0.0, 1.0])))


def by_definition(margins: np.ndarray, labels: np.ndarray, *, asked: float) -> float:
    """Isotonic regression with the asked margin as a row more, of either label, and the two heights merged."""
    heights = []
    for label in (0.0, 1.0):
        places, ties = np.unique(np.append(margins, asked), return_inverse=True)
        mass = np.bincount(ties).astype(float)
        means = np.bincount(ties, weights=np.append(labels, label)) / mass
        heights.append(isotonic_regression(means, sample_weight=mass)[np.searchsorted(places, asked)])
    lower, upper = heights
    return float(upper / (1 - lower + upper))


@settings(max_examples=60)
@given(history=histories(), asked=st.lists(MARGINS, min_size=1, max_size=10))
def test_every_probability_is_that_of_the_definition(
    history: tuple[np.ndarray, np.ndarray], asked: list[float]
) -> None:
    fitted = fit_venn_abers(*history)
    everywhere = np.array([*asked, *history[0], -1e6, 1e6])
    expected = [by_definition(*history, asked=margin) for margin in everywhere]
    assert fitted.probabilities(everywhere) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=40)
@given(history=histories(), asked=st.lists(MARGINS, min_size=2, max_size=20))
def test_a_higher_margin_never_has_a_lower_probability_and_nobody_is_certain(
    history: tuple[np.ndarray, np.ndarray], asked: list[float]
) -> None:
    found = fit_venn_abers(*history).probabilities(np.sort(asked))
    assert (np.diff(found) >= 0).all()
    assert 0 < found.min() <= found.max() < 1


def test_one_user_who_left_says_nothing_of_those_below_and_a_little_of_those_above() -> None:
    assert fit_venn_abers(np.array([0.0]), np.array([1.0])) == VennAbers((0.0,), (1 / 2, 2 / 3, 2 / 3))


def test_only_steps_are_kept() -> None:
    draws = np.random.default_rng(3)
    margins = draws.normal(size=5000)
    labels = (draws.random(5000) < 1 / (1 + np.exp(-margins))).astype(float)
    assert len(fit_venn_abers(margins, labels).margins) < 1000


def test_it_survives_json_to_the_bit_with_what_it_is_made_of_and_nothing_else() -> None:
    draws = np.random.default_rng(4)
    fitted = fit_calibrator(draws.normal(size=300), draws.integers(0, 2, 300), kind="venn_abers")
    kept = json.loads(json.dumps(to_json(fitted)))
    asked = draws.normal(size=100)
    assert set(kept) == {"kind", "margins", "heights"}
    assert from_json(kept) == fitted
    assert (from_json(kept).probabilities(asked) == fitted.probabilities(asked)).all()


def test_a_level_moves_all_its_steps() -> None:
    fitted = VennAbers((0.0,), (0.2, 0.5, 0.8))
    higher = moved(fitted, by=1.0).probabilities(np.array([0.0]))[0]
    assert np.log(higher / (1 - higher)) == pytest.approx(1.0)
