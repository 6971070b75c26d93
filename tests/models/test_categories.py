"""Features whose numbers are codes of categories: grouped by the trees, a height each in the regression."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.levels import Indicators, Levels
from models.model import ChurnModel
from models.splines import fit_splines

NAN = float("nan")
RISKY = (0, 3)  # of the plans 0 to 5: no threshold on the code tells them from the others


def subscribers(users: int, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Users whose churn follows their plan and a little their silence; a sixth have no known plan."""
    random = np.random.default_rng(seed)
    plan = random.choice([0.0, 1.0, 2.0, 3.0, 4.0, NAN], users)
    silence = random.gamma(1.5, 10.0, users)
    odds = np.where(np.isin(plan, RISKY), 1.5, -1.5) + 0.02 * silence
    odds[np.isnan(plan)] = 0.0
    labels = (random.random(users) < 1 / (1 + np.exp(-odds))).astype(np.int64)
    return pd.DataFrame({"plan": plan, "silence": silence}), labels


@pytest.fixture(scope="module")
def model() -> ChurnModel:
    return ChurnModel(n_estimators=40, categorical=("plan",)).fit(*subscribers(3000))


def rows(*plans: float) -> pd.DataFrame:
    return pd.DataFrame({"plan": plans, "silence": 10.0})


@pytest.mark.parametrize("booster_weight", [0.0, 1.0])
def test_either_member_tells_the_risky_plans_from_the_others(booster_weight: float) -> None:
    fitted = ChurnModel(n_estimators=40, linear_l2=10.0, booster_weight=booster_weight, categorical=("plan",))
    margins = fitted.fit(*subscribers(3000)).margin(rows(0, 3, NAN, 1, 2, 4))
    assert margins[:2].min() > margins[2] + 0.3 > margins[3:].max() + 0.6


@settings(max_examples=60)
@given(st.lists(st.one_of(st.floats(-1e18, 1e18), st.sampled_from([NAN, -0.0, -0.5, 5.0, 6.0, 999.0])), min_size=1))
def test_contributions_add_up_whatever_the_code(model: ChurnModel, plans: list[float]) -> None:
    table = rows(*plans)
    margins = model.margin(table)
    assert np.isfinite(margins).all()
    np.testing.assert_allclose(model.contributions(table).sum(axis=1), margins, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("code", [5.0, 6.0, 1e9, -3.0])
def test_a_category_that_training_did_not_see_says_nothing_in_the_regression(model: ChurnModel, code: float) -> None:
    assert model.blend_.splines is not None
    assert model.blend_.splines.terms(rows(code).to_numpy())[0, 0] == 0.0


def test_all_unseen_categories_are_one_to_the_model(model: ChurnModel) -> None:
    assert len(set(model.margin(rows(6.0, 7.0, 50.0, 1e6)).tolist())) == 1


def test_an_alone_row_gives_the_same_bits_as_in_a_batch(model: ChurnModel) -> None:
    table = rows(0, 3, NAN, 1, 9)
    assert [model.margin(table[place : place + 1])[0] for place in range(5)] == model.margin(table).tolist()


def test_the_same_data_give_the_same_bytes(model: ChurnModel) -> None:
    again = ChurnModel(n_estimators=40, categorical=("plan",), n_threads=2).fit(*subscribers(3000))
    assert again.blend_.booster_texts == model.blend_.booster_texts
    assert again.blend_.to_json() == model.blend_.to_json()


def test_a_model_with_categories_survives_json_to_the_bit(model: ChurnModel) -> None:
    again = ChurnModel.from_json(json.loads(json.dumps(model.to_json())), model.blend_.booster_texts)
    table = rows(0, 1, 2, 3, 4, 5, NAN)
    assert again.get_params() == model.get_params()
    assert (again.margin(table) == model.margin(table)).all()


def test_later_time_stops_a_booster_with_categories() -> None:
    fitted = ChurnModel(n_estimators=400, learning_rate=0.3, categorical=("plan",))
    fitted.fit(*subscribers(800), validation=subscribers(800, seed=1))
    assert max(fitted.facts_.trees) < 400


@pytest.mark.parametrize("wrong", [-1.0, 2.5, 5000.0])
def test_what_is_no_code_is_refused_when_fitting(wrong: float) -> None:
    table, labels = subscribers(200)
    table.loc[7, "plan"] = wrong
    with pytest.raises(ValueError, match=rf"'plan' holds {wrong:g}; expected codes 0, 1, 2"):
        ChurnModel(categorical=("plan",)).fit(table, labels)


def test_a_category_that_is_no_feature_is_refused() -> None:
    with pytest.raises(ValueError, match=r"categorical names \['plans'\]; expected names of features"):
        ChurnModel(categorical=("plans",)).fit(*subscribers(200))


def test_heights_are_centred_on_the_training_rows(model: ChurnModel) -> None:
    table, _ = subscribers(3000)
    assert model.blend_.splines is not None
    assert abs(model.blend_.splines.terms(table.to_numpy())[:, 0].mean()) < 1e-12


def test_a_few_users_of_a_rare_category_do_not_get_a_steep_height() -> None:
    table, labels = subscribers(3000)
    table.loc[:3, "plan"], labels[:4] = 5.0, 1
    splines = fit_splines(table.to_numpy(), labels, l2=1000.0, coded=(0,)).splines
    assert splines is not None
    rare, risky = splines.levels[0].of(np.array([5.0, 3.0]))
    assert 0 < rare < risky


def test_a_category_that_never_varies_has_no_levels() -> None:
    found = Indicators.of(np.array([[2.0], [2.0]]), [0])
    assert (found.width, found.levels(np.zeros(0))) == (0, {})


def test_heights_by_hand() -> None:
    levels = Levels(np.array([0.5, -1.0]), 2.0)
    assert levels.of(np.array([0.0, 1.0, 2.0, NAN, -1.0, 1.9])).tolist() == [0.5, -1.0, 0.0, 2.0, 0.0, -1.0]
