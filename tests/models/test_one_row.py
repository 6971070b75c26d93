"""A row alone goes through quicker doors than a batch, and comes out with the same bits."""

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from features.feature_set import Grouped
from models.blend import Blend
from models.splines import fit_splines
from models.strongest import Floats, strongest
from models.tree_shap import TreeShap

FAMILIES = {"recency": (0, 3), "money": (1,), "season": (), "rhythm": (4, 2)}


@pytest.fixture(scope="module")
def rows() -> Floats:
    dice = np.random.default_rng(0)
    found = dice.normal(size=(700, 5)) * [1, 10, 100, 1, 1]
    found[dice.random(found.shape) < 0.1] = np.nan
    found[:, 4] = dice.integers(0, 6, len(found))
    return found


@pytest.fixture(scope="module")
def booster(rows: Floats) -> lightgbm.Booster:
    labels = np.nan_to_num(rows[:, 0]) + rows[:, 4] % 2 > 0.5
    settings = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    return lightgbm.train(settings, lightgbm.Dataset(rows, labels, categorical_feature=[4]), 40)


@pytest.fixture(scope="module")
def blend(rows: Floats, booster: lightgbm.Booster) -> Blend:
    labels = (np.nan_to_num(rows[:, 0]) > 0).astype(np.int64)
    return Blend((booster.model_to_string(),) * 2, fit_splines(rows, labels, l2=1.0).splines, 0.4)


def test_trees_say_what_lightgbm_says_to_the_bit(rows: Floats, booster: lightgbm.Booster) -> None:
    trees = TreeShap.of(booster.model_to_string(), features=5)
    assert trees is not None
    assert trees.judge(rows).margins.tolist() == np.asarray(booster.predict(rows, raw_score=True)).tolist()


def test_a_row_alone_is_judged_as_in_a_batch_and_as_in_two_steps(rows: Floats, blend: Blend) -> None:
    together = blend.judge(rows)
    assert (together.margins == blend.margin(rows)).all()
    assert (together.contributions == blend.contributions(rows)).all()
    alone = [blend.judge(rows[place : place + 1]) for place in range(len(rows))]
    assert (np.concatenate([one.margins for one in alone]) == together.margins).all()
    assert (np.concatenate([one.contributions for one in alone]) == together.contributions).all()


def test_a_row_that_must_not_be_written_to_is_judged_too(rows: Floats, blend: Blend) -> None:
    """Arrow hands out such memory."""
    frozen = rows[:1].copy()
    frozen.flags.writeable = False
    assert blend.judge(frozen).margins.tolist() == blend.judge(rows).margins[:1].tolist()


@given(
    moved=arrays.arrays(np.float64, (4, 5), elements=st.integers(-3, 3).map(float)),
    top=st.integers(1, 5),
    either_way=st.booleans(),
)
def test_the_strongest_families_are_those_of_a_plain_sort(moved: Floats, top: int, either_way: bool) -> None:
    named = {name: places for name, places in FAMILIES.items() if places}
    found = strongest(Grouped.of(FAMILIES), moved, top=top, either_way=either_way)
    for row, one in enumerate(moved):
        sums = [float(one[list(places)].sum()) for places in named.values()]
        order = sorted(range(3), key=lambda family: -abs(sums[family]) if either_way else -sums[family])[:top]
        assert found.order[row].tolist() == order
        assert found.sums[row].tolist() == [sums[family] for family in order]
        signs = [-1 if either_way and sums[family] <= 0 else 1 for family in order]
        columns = [list(named.values())[family] for family in order]
        best = [
            max(places, key=lambda column, sign=sign: sign * one[column])
            for places, sign in zip(columns, signs, strict=True)
        ]
        assert found.places[row].tolist() == best
