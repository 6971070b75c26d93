import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.columns import ColumnError
from models.model import ChurnModel
from models.ramps import Ramp
from models.splines import fit_splines

NAMES = ("silence", "visits", "age", "plan")
VALUES = st.one_of(st.floats(-3, 3), st.floats(-1e9, 1e9), st.just(float("nan")))


def history(rows: int = 3000) -> tuple[pd.DataFrame, np.ndarray]:
    """Users whose risk goes up and down with silence, and up with visits, where it is to fall."""
    draws = np.random.default_rng(8)
    matrix = draws.uniform(-2, 2, size=(rows, 4))
    matrix[:, 3] = draws.integers(0, 4, rows)
    matrix[draws.random(rows) < 0.1, 0] = np.nan
    odds = 2 * np.sin(2.5 * np.nan_to_num(matrix[:, 0])) + matrix[:, 1] * matrix[:, 2] + 0.5 * matrix[:, 1]
    labels = (draws.random(rows) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame(matrix, columns=list(NAMES)), labels


@cache
def model(booster_weight: float) -> ChurnModel:
    asked = ChurnModel(
        n_estimators=60,
        learning_rate=0.1,
        num_leaves=15,
        min_child_samples=20,
        feature_fraction=1.0,
        reg_lambda=0.1,
        linear_l2=1.0,
        booster_weight=booster_weight,
        categorical=("plan",),
        rising=("silence",),
        falling=("visits",),
    )
    return asked.fit(*history())


@settings(max_examples=150)
@given(
    row=st.tuples(VALUES, VALUES, VALUES, st.integers(0, 3)),
    one=st.floats(-1e9, 1e9),
    other=st.floats(-1e9, 1e9),
    weight=st.sampled_from([1.0, 0.5, 0.0]),
)
def test_more_of_a_rising_feature_never_lowers_the_margin_nor_less_of_a_falling_one(
    row: tuple[float, ...], one: float, other: float, weight: float
) -> None:
    for name, sign in (("silence", 1), ("visits", -1)):
        rows = pd.DataFrame([row, row], columns=list(NAMES)).astype(float)
        rows[name] = sorted([one, other])
        before, after = sign * model(weight).margin(rows)
        assert before <= after


@pytest.mark.parametrize("weight", [1.0, 0.5, 0.0])
def test_along_the_whole_range_the_margin_goes_one_way_to_the_last_bit(weight: float) -> None:
    for name, sign in (("silence", 1), ("visits", -1)):
        rows = pd.DataFrame(0.3, index=range(20_000), columns=list(NAMES)).assign(plan=1.0)
        rows[name] = np.linspace(-2.5, 2.5, len(rows))
        margins = sign * model(weight).margin(rows)
        assert (np.diff(margins) >= 0).all()


def test_without_a_direction_the_same_history_goes_up_and_down() -> None:
    free = ChurnModel(n_estimators=60, learning_rate=0.1, linear_l2=1.0).fit(*history())
    rows = pd.DataFrame(0.3, index=range(200), columns=list(NAMES)).assign(silence=np.linspace(-2, 2, 200))
    assert np.diff(free.margin(rows)).min() < 0 < np.diff(free.margin(rows)).max()


def test_a_curve_against_its_direction_is_flat_and_one_along_it_stays_what_it_was() -> None:
    frame, labels = history()
    matrix = frame[["visits", "age"]].to_numpy()
    free = fit_splines(matrix, labels, l2=1.0).splines
    against = fit_splines(matrix, labels, l2=1.0, directions=np.array([-1, 0], np.int8)).splines
    along = fit_splines(matrix, labels, l2=1.0, directions=np.array([1, 0], np.int8)).splines
    assert free is not None
    assert against is not None
    assert along is not None
    assert np.ptp(against.terms(matrix)[:, 0]) == 0
    assert np.ptp(along.terms(matrix)[:, 0]) == pytest.approx(np.ptp(free.terms(matrix)[:, 0]), rel=0.1)


def test_contributions_still_add_up_to_the_margin() -> None:
    frame, _ = history(300)
    assert model(0.5).contributions(frame).sum(axis=1) == pytest.approx(model(0.5).margin(frame), abs=1e-9)


def test_a_directed_model_survives_json_to_the_bit() -> None:
    frame, _ = history(500)
    kept = json.loads(json.dumps(model(0.5).to_json()))
    again = ChurnModel.from_json(kept, model(0.5).blend_.booster_texts)
    assert (again.margin(frame) == model(0.5).margin(frame)).all()
    assert again.get_params() == model(0.5).get_params()


def test_a_value_far_outside_the_curve_and_a_missing_one_have_a_height() -> None:
    curve = Ramp(np.array([0.0, 1.0, 4.0]), np.array([-1.0, 0.0, 2.0]), missing=0.25)
    heights = curve.of(np.array([-1.8e308, 0.5, 4.0, 1.8e308, np.nan]))
    assert heights.tolist() == [-1.0, -0.5, 2.0, 2.0, 0.25]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"rising": ("silence",), "falling": ("silence",)}, "in rising and in falling"),
        ({"rising": ("plan",), "categorical": ("plan",)}, "codes have no order"),
        ({"falling": ("silense",)}, r"falling names \['silense'\]"),
    ],
)
def test_a_direction_that_means_nothing_is_refused(wrong: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(ColumnError, match=said):
        ChurnModel(**wrong).fit(*history(200))
