import pickle
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.metrics import roc_auc_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from features.errors import BadInput
from models.model import ChurnModel

SMALL = ChurnModel(n_estimators=30, n_seeds=1)


@parametrize_with_checks([SMALL])
def test_scikit_learn_finds_what_it_expects_of_a_classifier(estimator: ChurnModel, check: Any) -> None:
    check(estimator)


def test_the_model_ranks_users_it_has_not_seen(model: ChurnModel, people: Any) -> None:
    later = people.part(slice(1000, None))
    assert roc_auc_score(later.churned, model.predict_proba(later.rows)[:, 1]) > 0.8


def test_chen_is_more_at_risk_than_ada(model: ChurnModel, cast: pd.DataFrame) -> None:
    ada, bert, chen = model.predict_proba(cast)[:, 1]
    assert ada < bert < chen


def test_the_same_data_and_seed_give_the_same_bytes(people: Any) -> None:
    first, second = (ChurnModel(n_estimators=20).fit(people.rows, people.churned) for _ in range(2))
    assert first.blend_.booster_texts == second.blend_.booster_texts
    assert first.to_json() == second.to_json()


def test_a_second_thread_changes_no_byte(people: Any) -> None:
    one, two = (ChurnModel(n_estimators=20, n_threads=n).fit(people.rows, people.churned) for n in (1, 2))
    assert one.blend_.booster_texts == two.blend_.booster_texts


def test_another_seed_gives_another_booster(people: Any) -> None:
    one, two = (ChurnModel(n_estimators=5, random_state=n).fit(people.rows, people.churned) for n in (1, 2))
    assert one.blend_.booster_texts != two.blend_.booster_texts


def test_the_order_of_columns_does_not_matter_when_they_have_names(model: ChurnModel, cast: pd.DataFrame) -> None:
    turned = cast[list(reversed(cast.columns))]
    assert (model.margin(turned) == model.margin(cast)).all()
    assert (model.margin(pa.Table.from_pandas(turned, preserve_index=False)) == model.margin(cast)).all()


def test_an_arrow_null_is_a_missing_value(model: ChurnModel, cast: pd.DataFrame) -> None:
    arrow = pa.Table.from_pandas(cast, preserve_index=False)
    assert arrow["days_since_last_purchase"].null_count == 1
    assert (model.predict_proba(arrow) == model.predict_proba(cast)).all()


def test_nullable_and_integer_columns_are_read(model: ChurnModel, cast: pd.DataFrame) -> None:
    nullable = cast.assign(days_since_last_purchase=pd.array([2, None, 58], dtype="Int64"), active_days_28d=[26, 5, 0])
    assert (model.margin(nullable) == model.margin(cast)).all()


def test_a_missing_and_an_unknown_column_are_named(model: ChurnModel, cast: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=r"missing 'spend_28d'; not known to the model 'spend_30d'"):
        model.predict_proba(cast.rename(columns={"spend_28d": "spend_30d"}))


def test_wrong_columns_are_also_an_error_of_the_user(model: ChurnModel, cast: pd.DataFrame) -> None:
    with pytest.raises(BadInput, match="not known to the model 'shoe_size'"):
        model.margin(cast.assign(shoe_size=41))


def test_a_column_of_text_is_refused_by_name(model: ChurnModel, cast: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="'spend_28d' holds str; expected numbers"):
        model.margin(cast.assign(spend_28d=["1", "2", "3"]))


@pytest.mark.parametrize("as_array", [False, True])
def test_infinity_is_refused_with_its_place(model: ChurnModel, cast: pd.DataFrame, *, as_array: bool) -> None:
    endless = cast.assign(spend_28d=[1.0, np.inf, 2.0])
    with pytest.raises(ValueError, match=r"'spend_28d' is inf \(infinity\) in row 1"):
        model.margin(endless.to_numpy() if as_array else endless)


def test_labels_may_be_words(people: Any) -> None:
    words = np.where(people.churned == 1, "left", "still here")
    said = ChurnModel(n_estimators=5).fit(people.rows, words)
    assert said.classes_.tolist() == ["left", "still here"]
    assert set(said.predict(people.rows)) == {"left", "still here"}


def test_one_outcome_only_is_refused(people: Any) -> None:
    with pytest.raises(ValueError, match="one class only"):
        ChurnModel().fit(people.rows, np.zeros(len(people.churned)))


def test_labels_of_open_horizons_are_refused(people: Any) -> None:
    labels = people.churned.astype(float)
    labels[7] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ChurnModel().fit(people.rows, labels)


def test_input_is_never_changed(people: Any, model: ChurnModel) -> None:
    rows = people.rows.copy()
    ChurnModel(n_estimators=5).fit(rows, people.churned)
    model.predict_proba(rows)
    model.contributions(rows)
    pd.testing.assert_frame_equal(rows, people.rows)


@pytest.mark.parametrize("weight", [0.0, 0.5, 1.0])
def test_contributions_add_up_to_the_margin(people: Any, weight: float) -> None:
    fitted = ChurnModel(n_estimators=30, booster_weight=weight).fit(people.rows, people.churned)
    contributions = fitted.contributions(people.rows)
    assert contributions.shape == (1500, 7)
    np.testing.assert_allclose(contributions.sum(axis=1), fitted.margin(people.rows), rtol=1e-9, atol=1e-12)


def test_contributions_of_the_regression_are_centred_on_the_training_mean(people: Any) -> None:
    fitted = ChurnModel(booster_weight=0.0).fit(people.rows, people.churned)
    np.testing.assert_allclose(fitted.contributions(people.rows)[:, :-1].mean(axis=0), 0.0, atol=1e-12)


@settings(max_examples=25)
@given(start=st.integers(0, 1400), size=st.integers(1, 90))
def test_a_row_alone_and_in_a_batch_have_the_same_bits(model: ChurnModel, people: Any, start: int, size: int) -> None:
    everybody = people.rows.to_numpy()[start : start + 90]
    batch = everybody[:size]
    assert (model.predict_proba(batch) == model.predict_proba(everybody)[:size]).all()
    assert (model.contributions(batch) == model.contributions(everybody)[:size]).all()


def test_a_feature_for_the_booster_only_has_a_flat_curve(model: ChurnModel) -> None:
    assert model.blend_.splines is not None
    place = model.feature_names_in_.tolist().index("season_sine")
    assert model.blend_.splines.slopes[place].tolist() == [0.0] * 5


def test_an_unknown_name_for_the_booster_only_is_refused(people: Any) -> None:
    with pytest.raises(ValueError, match=r"booster_only names \['seson'\]"):
        ChurnModel(booster_only=("seson",)).fit(people.rows, people.churned)


def test_later_time_stops_the_booster_early(people: Any) -> None:
    noise = np.random.default_rng(1).integers(0, 2, 1500)
    fitted = ChurnModel(learning_rate=0.3, reg_lambda=0.0, n_seeds=1, min_child_samples=5)
    fitted.fit(people.rows[:750], noise[:750], validation=(people.rows[750:], noise[750:]))
    assert fitted.facts_.trees[0] < 50


def test_leaves_shrink_with_little_data(people: Any) -> None:
    assert ChurnModel(n_estimators=5).fit(people.rows, people.churned).facts_.rows_per_leaf == 37


def test_a_regression_worse_than_a_constant_is_left_out_and_it_is_recorded(
    people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.splines.solve", lambda basis, *_, **__: (900.0, np.full(basis.shape[1], 50.0)))
    fitted = ChurnModel(n_estimators=5).fit(people.rows, people.churned)
    assert fitted.facts_.linear.startswith("rejected")
    assert fitted.facts_.booster_weight == 1.0
    assert fitted.blend_.splines is None


def test_before_calibration_a_probability_is_the_sigmoid_of_the_margin(people: Any) -> None:
    fitted = ChurnModel(n_estimators=5).fit(people.rows, people.churned)
    expected = 1 / (1 + np.exp(-fitted.margin(people.rows)))
    np.testing.assert_allclose(fitted.predict_proba(people.rows)[:, 1], expected, rtol=1e-12)


def test_calibration_mends_the_level(people: Any) -> None:
    fitted = ChurnModel(n_estimators=20).fit(people.rows, people.churned)
    shifted = fitted.margin(people.rows) + 1.5
    fitted.calibrate_margins(shifted, people.churned)
    assert fitted.calibration_log_losses_["identity"] > fitted.calibration_log_losses_["shift"] + 0.05
    assert abs(fitted.blend_.probabilities(shifted).mean() - people.churned.mean()) < 0.01


def test_a_model_survives_json_to_the_bit(model: ChurnModel, people: Any) -> None:
    again = ChurnModel.from_json(model.to_json(), model.blend_.booster_texts)
    assert (again.predict_proba(people.rows) == model.predict_proba(people.rows)).all()
    assert again.get_params() == model.get_params()


def test_a_model_can_be_cloned_and_sent_to_another_process(model: ChurnModel, cast: pd.DataFrame) -> None:
    assert clone(model).get_params() == model.get_params()
    assert (pickle.loads(pickle.dumps(model)).margin(cast) == model.margin(cast)).all()  # noqa: S301 - our own bytes
