import json

import numpy as np
import pytest

from models.splines import Splines, fit_splines

NAN = float("nan")


def sample(rows: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    silence = random.gamma(1, 20, rows)
    mostly_zero = np.where(random.random(rows) < 0.9, 0.0, random.integers(1, 9, rows))
    matrix = np.column_stack([silence, mostly_zero, np.full(rows, 7.0), np.full(rows, NAN)])
    matrix[random.random(rows) < 0.2, 0] = NAN
    odds = np.where(np.isnan(matrix[:, 0]), 1.5, np.minimum(silence, 25) / 10 - 1.5)
    return matrix, (random.random(rows) < 1 / (1 + np.exp(-odds))).astype(np.int64)


@pytest.fixture(scope="module")
def curves() -> Splines:
    found = fit_splines(*sample(), l2=1.0).splines
    assert found is not None
    return found


def test_the_curve_bends_where_the_risk_does(curves: Splines) -> None:
    at = curves.terms(np.array([[days, 0, 7, NAN] for days in (1.0, 25.0, 80.0)]))[:, 0]
    assert at[1] - at[0] > 1.2
    assert abs(at[2] - at[1]) < 0.8


def test_beyond_the_training_data_the_curve_is_flat(curves: Splines) -> None:
    far, farther = curves.margin(np.array([[1e4, 0, 7, NAN], [1e9, 0, 7, NAN]]))
    assert far == farther


def test_a_missing_value_has_a_height_of_its_own(curves: Splines) -> None:
    known, missing = curves.terms(np.array([[1.0, 0, 7, NAN], [NAN, 0, 7, NAN]]))[:, 0]
    assert missing > known + 1


def test_a_feature_that_never_varies_says_nothing(curves: Splines) -> None:
    assert curves.terms(np.array([[1.0, 0, 99.0, 5.0]]))[0, 2:].tolist() == [0.0, 0.0]


def test_a_feature_that_is_mostly_zero_gets_knots_among_the_others(curves: Splines) -> None:
    assert (curves.knots[1] < 1).sum() >= 2


def test_curves_survive_json_to_the_bit(curves: Splines) -> None:
    again = Splines.from_json(json.loads(json.dumps(curves.to_json())))
    matrix, _ = sample()
    assert (again.margin(matrix) == curves.margin(matrix)).all()


def test_huge_and_tiny_scales_do_not_matter() -> None:
    matrix, labels = sample()
    scaled = fit_splines(matrix * [1e12, 1e-9, 1, 1], labels, l2=1.0).splines
    plain = fit_splines(matrix, labels, l2=1.0).splines
    assert scaled is not None
    assert plain is not None
    np.testing.assert_allclose(scaled.margin(matrix * [1e12, 1e-9, 1, 1]), plain.margin(matrix), atol=1e-6)


def test_one_row_unlike_all_others_is_no_obstacle() -> None:
    lonely = np.r_[np.zeros(100), 1.0].reshape(-1, 1)
    found = fit_splines(lonely, np.arange(101) % 2, l2=1.0).splines
    assert found is None or np.isfinite(found.margin(lonely)).all()
