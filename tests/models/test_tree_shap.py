"""What each feature does to a margin: LightGBM's own TreeSHAP is the judge."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from features.errors import BadInput
from models import tree_shap
from models.blend import Blend
from models.tree_shap import TreeShap

Matrix = NDArray[np.float64]
ODD = (
    0.0,
    -0.0,
    1e-36,
    -1e-36,
    1.1e-35,
    5e-324,
    -0.5,
    -1.0,
    0.5,
    2.9,
    31.0,
    32.0,
    64.0,
    2.0**31,
    1e300,
    -1e300,
    np.nan,
)


def rows(random: np.random.Generator, count: int) -> Matrix:
    """Six columns: smooth, with many zeros, with NaN, ties with NaN, codes, codes with NaN."""
    return np.column_stack(
        [
            random.normal(size=count),
            np.where(random.random(count) < 0.5, 0.0, random.normal(size=count)),
            np.where(random.random(count) < 0.3, np.nan, random.gamma(1.0, 3.0, count)),
            random.choice([0.0, 1.0, 2.0, np.nan], count),
            random.integers(0, 40, count).astype(float),
            random.choice([0.0, 1.0, 5.0, 33.0, 70.0, np.nan], count),
        ]
    )


def grown(table: Matrix, *, seed: int, trees: int = 5, coded: tuple[int, ...] = (), **shape: Any) -> lightgbm.Booster:
    random = np.random.default_rng(seed)
    known = np.nan_to_num(table, nan=-1.0)
    odds = known[:, 0] * (known[:, 1] > 0) + np.sin(known[:, 4]) + (known[:, -1] == 5) - 0.3 * known[:, 3]
    labels = (odds + random.normal(size=len(table)) > 0).astype(int)
    parameters = {"objective": "binary", "verbosity": -1, "num_threads": 1, "min_data_in_leaf": 1, "seed": seed}
    parameters |= {
        "min_data_per_group": 1,
        "cat_smooth": 1.0,
        "max_bin": 63,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
    }
    data = lightgbm.Dataset(table, labels, params=parameters | shape, categorical_feature=list(coded))
    return lightgbm.train(parameters | shape, data, trees)


def explained(booster: lightgbm.Booster) -> TreeShap:
    found = TreeShap.of(booster.model_to_string(), features=booster.num_feature())
    assert found is not None
    return found


def agrees(booster: lightgbm.Booster, table: Matrix) -> None:
    found = explained(booster).contributions(table)
    np.testing.assert_allclose(found, booster.predict(table, pred_contrib=True), rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.sum(axis=1), booster.predict(table, raw_score=True), rtol=0, atol=1e-9)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**20),
    leaves=st.sampled_from([2, 3, 7, 9, 10, 15, 31, 63]),
    missing=st.sampled_from([{}, {"zero_as_missing": True}, {"use_missing": False}]),
    coded=st.sampled_from([(), (4,), (4, 5)]),
    one_hot=st.sampled_from([1, 4, 100]),
)
def test_values_are_those_of_lightgbm(
    seed: int, leaves: int, missing: dict[str, bool], coded: tuple[int, ...], one_hot: int
) -> None:
    random = np.random.default_rng(seed)
    booster = grown(rows(random, 300), seed=seed, coded=coded, num_leaves=leaves, max_cat_to_onehot=one_hot, **missing)
    later = rows(random, 60)
    later[30:] = np.where(random.random((30, 6)) < 0.4, random.choice(ODD, (30, 6)), later[30:])
    agrees(booster, later)


@pytest.mark.parametrize("features", [1, 12, 40])
def test_values_of_deep_trees_are_those_of_lightgbm(features: int) -> None:
    random = np.random.default_rng(features)
    table = np.column_stack([rows(random, 2000), random.normal(size=(2000, features))])
    booster = grown(table, seed=1, trees=3, num_leaves=255, feature_fraction=0.7)
    agrees(booster, table[:100])


def test_a_chain_of_features_is_as_deep_as_the_tree() -> None:
    """Each leaf is one feature further down, so a path has as many as 24 of them."""
    table = np.eye(25)[np.repeat(np.arange(25), 20)]
    target = np.repeat(1.7 ** np.arange(25), 20)
    parameters = {"objective": "regression", "verbosity": -1, "num_leaves": 25, "min_data_in_leaf": 1, "num_threads": 1}
    booster = lightgbm.train(parameters, lightgbm.Dataset(table, target, params=parameters), 2)
    found, known = explained(booster), booster.predict(table, pred_contrib=True)
    size = np.abs(known).max()
    np.testing.assert_allclose(found.contributions(table) / size, known / size, rtol=0, atol=1e-10)


def test_a_booster_that_learnt_nothing_is_explained_by_its_bias() -> None:
    booster = grown(rows(np.random.default_rng(0), 300), seed=0, min_data_in_leaf=1000)
    agrees(booster, np.zeros((3, 6)))


@cache
def small() -> TreeShap:
    """Small trees, which are tabulated."""
    table = rows(np.random.default_rng(3), 1500)
    return explained(grown(table, seed=2, trees=20, num_leaves=7, coded=(4, 5)))


@cache
def mixed() -> TreeShap:
    """Small trees, which are tabulated, and larger ones, which are walked."""
    table = rows(np.random.default_rng(3), 1500)
    tabulated = grown(table, seed=1, num_leaves=7, coded=(4, 5))
    shape = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 40}
    data = lightgbm.Dataset(table, (table[:, 0] > 0).astype(int), params=shape, categorical_feature=[4, 5])
    return explained(lightgbm.train(shape, data, 4, init_model=tabulated))


@settings(max_examples=80)
@given(
    trees=st.sampled_from(["small", "mixed"]),
    start=st.integers(0, 120),
    size=st.integers(1, 80),
    threads=st.integers(1, 4),
)
def test_a_row_has_the_same_bits_alone_in_any_batch_and_by_any_threads(
    trees: str, start: int, size: int, threads: int
) -> None:
    model = {"small": small, "mixed": mixed}[trees]()
    everybody = rows(np.random.default_rng(8), 200)
    known = model.contributions(everybody, threads=threads)
    part = model.contributions(everybody[start : start + size])
    assert part.tobytes() == known[start : start + size].tobytes()
    assert model.contributions(everybody[[start]]).tobytes() == known[[start]].tobytes()


@pytest.mark.parametrize("number", ODD)
def test_an_odd_number_alone_has_the_same_bits_as_in_a_batch(number: float) -> None:
    everybody = np.repeat(rows(np.random.default_rng(8), 1), 6, axis=0)
    np.fill_diagonal(everybody, number)
    known = small().contributions(everybody)
    alone = [small().contributions(row[None]) for row in everybody]
    assert np.concatenate(alone).tobytes() == known.tobytes()


def test_rows_may_lie_in_memory_as_they_like() -> None:
    everybody = rows(np.random.default_rng(9), 50)
    known = mixed().contributions(everybody)
    assert (mixed().contributions(np.asfortranarray(everybody)) == known).all()
    assert (mixed().contributions(np.repeat(everybody, 2, axis=0)[::2]) == known).all()
    assert mixed().contributions(everybody[:0]).shape == (0, 7)


def test_rows_of_another_width_are_refused() -> None:
    with pytest.raises(BadInput, match="a row has 5 features, the model was fitted on 6"):
        mixed().contributions(np.zeros((2, 5)))


def test_trees_without_room_for_a_table_are_walked_to_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows(np.random.default_rng(4), 500)
    booster = grown(table, seed=4, num_leaves=7)
    tabulated = explained(booster).contributions(table)
    monkeypatch.setattr(tree_shap, "_TABLES", 600)
    assert 0 < len(explained(booster).forest.table) <= 600
    np.testing.assert_allclose(explained(booster).contributions(table), tabulated, rtol=0, atol=1e-13)


def test_what_is_too_large_or_of_another_kind_is_left_to_lightgbm(monkeypatch: pytest.MonkeyPatch) -> None:
    table = rows(np.random.default_rng(5), 400)
    forest = grown(table, seed=5, boosting="rf", feature_fraction=0.5).model_to_string()
    assert TreeShap.of(forest, features=6) is None
    text = grown(table, seed=5, num_leaves=7).model_to_string()
    assert TreeShap.of(text, features=2) is None
    assert TreeShap.of(text.replace("left_child=1", "left_child=2", 1), features=6) is None
    assert TreeShap.of(text.replace("leaf_count", "leaf_rows"), features=6) is None
    blend = Blend(booster_texts=(text,), splines=None, booster_weight=1.0)
    quick = blend.contributions(table)
    monkeypatch.setattr(tree_shap, "_COEFFICIENTS", 100)
    slow = Blend(booster_texts=(text,), splines=None, booster_weight=1.0)
    assert blend.tree_shaps[0] is not None
    assert slow.tree_shaps == (None,)
    np.testing.assert_allclose(quick, slow.contributions(table), rtol=0, atol=1e-10)


def test_a_model_explains_after_a_trip_through_pickle() -> None:
    text = grown(rows(np.random.default_rng(6), 400), seed=6, num_leaves=15).model_to_string()
    blend = Blend(booster_texts=(text,), splines=None, booster_weight=1.0)
    table = rows(np.random.default_rng(7), 40)
    known = blend.contributions(table)
    assert (pickle.loads(pickle.dumps(blend)).contributions(table) == known).all()  # noqa: S301 - our own bytes


def test_threads_that_ask_first_at_once_get_the_same() -> None:
    text = grown(rows(np.random.default_rng(6), 400), seed=6, num_leaves=15).model_to_string()
    blend = Blend(booster_texts=(text,), splines=None, booster_weight=1.0)
    table = rows(np.random.default_rng(7), 40)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: blend.contributions(table).tobytes(), range(16)))
    assert len(set(answers)) == 1
