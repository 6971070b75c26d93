"""Every second booster learns who is away halfway through the horizon, on the scale of the whole of it."""

from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.metrics import roc_auc_score

from features.errors import BadInput
from models.calibration import fit_line
from models.halfway import Grown, to_whole
from models.model import ChurnModel

DRAWS = np.random.default_rng(11)
SEEN = pd.DataFrame(DRAWS.normal(size=(4000, 3)), columns=["pace", "spend", "noise"])


def returns(rows: pd.DataFrame, *, seed: int) -> NDArray[np.float64]:
    """When each user comes back, in horizons: at a rate that his pace and spend tell."""
    rates = np.exp(1.0 + 0.5 * rows["pace"] + 0.4 * rows["spend"])
    return np.random.default_rng(seed).exponential(1 / rates.to_numpy())


def alone() -> ChurnModel:
    return ChurnModel(n_estimators=40, booster_weight=1.0)


BACK = returns(SEEN, seed=1)
AWAY, AWAY_HALFWAY = (BACK >= 1).astype(int), (BACK >= 0.5).astype(int)


@pytest.fixture(scope="module")
def fitted() -> ChurnModel:
    return alone().fit(SEEN, AWAY, halfway=AWAY_HALFWAY)


def booster(model: ChurnModel, place: int) -> lightgbm.Booster:
    return lightgbm.Booster(model_str=model.blend_.booster_texts[place])


def grown(labels: NDArray[np.int64], *, trees: int, seed: int = 1, **given: Any) -> Grown:
    shared = {"objective": "binary", "verbosity": -1, "num_leaves": 7, "num_threads": 1, "seed": seed, **given}
    return Grown(lightgbm.train(shared, lightgbm.Dataset(SEEN, labels, params=shared), 30), trees)


def timidity(margins: Any) -> float:
    """The slope that the whole outcome wants of the margins."""
    return fit_line(margins, AWAY, kind="platt").slope


def test_a_booster_of_another_outcome_is_brought_to_the_level_of_this_one() -> None:
    half, whole = grown(AWAY_HALFWAY, trees=20), grown(AWAY, trees=20)
    before = half.margins(SEEN.to_numpy())
    to_whole(half, SEEN.to_numpy(), AWAY, beside=whole)
    kept = lightgbm.Booster(model_str=half.text())
    after = kept.predict(SEEN, raw_score=True)
    assert kept.num_trees() == 20
    assert expit(after).mean() == pytest.approx(AWAY.mean(), abs=0.001)
    assert AWAY_HALFWAY.mean() > 2 * AWAY.mean()
    slope, intercept = np.polyfit(before, after, 1)
    assert timidity(after) == pytest.approx(timidity(whole.margins(SEEN.to_numpy())), rel=0.001)
    assert slope > 0
    assert after == pytest.approx(slope * before + intercept, abs=1e-9)


def test_a_booster_of_the_same_outcome_stays_as_timid_as_its_neighbour() -> None:
    slow = {"learning_rate": 0.02}
    twin, whole = grown(AWAY, trees=30, **slow), grown(AWAY, trees=30, **slow)
    before = twin.margins(SEEN.to_numpy())
    to_whole(twin, SEEN.to_numpy(), AWAY, beside=whole)
    assert np.polyfit(before, twin.margins(SEEN.to_numpy()), 1)[0] == pytest.approx(1, abs=0.001)


def test_where_there_is_nothing_to_learn_it_is_no_bolder_than_its_neighbour() -> None:
    chance, sooner = (np.random.default_rng(seed).integers(0, 2, len(SEEN)) for seed in (1, 2))
    model = alone().fit(SEEN, chance, halfway=np.maximum(chance, sooner))
    later = np.random.default_rng(7).normal(size=(5000, 3))
    whole, half = (each.predict(later, raw_score=True) for each in (booster(model, 0), booster(model, 1)))
    assert half.std() < 1.5 * whole.std()


def test_an_outcome_that_runs_the_other_way_never_turns_the_order_round() -> None:
    against = grown(1 - AWAY, trees=20)
    to_whole(against, SEEN.to_numpy(), AWAY, beside=grown(AWAY, trees=20))
    assert against.margins(SEEN.to_numpy()) == pytest.approx(np.full(len(SEEN), logit(AWAY.mean())), abs=0.01)


def test_every_second_booster_learns_it_and_the_first_does_not(fitted: ChurnModel) -> None:
    by_noise = (SEEN["noise"] > 0).astype(int)
    model = ChurnModel(n_estimators=5, booster_weight=1.0, n_seeds=4).fit(SEEN, AWAY, halfway=by_noise)
    gains = [booster(model, place).feature_importance("gain").argmax() for place in range(4)]
    assert [SEEN.columns[gain] for gain in gains][1::2] == ["noise", "noise"]
    assert "noise" not in [SEEN.columns[gain] for gain in gains][::2]
    assert model.facts_.halfway == 2
    without = alone().fit(SEEN, AWAY)
    assert fitted.blend_.booster_texts[0] == without.blend_.booster_texts[0]
    assert fitted.blend_.booster_texts[1] != without.blend_.booster_texts[1]
    assert without.facts_.halfway == 0


def test_each_is_as_timid_as_the_one_beside_it(fitted: ChurnModel) -> None:
    whole, half = (timidity(booster(fitted, place).predict(SEEN, raw_score=True)) for place in (0, 1))
    assert half == pytest.approx(whole, rel=0.001)
    assert whole > 1.05


def test_the_level_stays_that_of_the_whole_horizon(fitted: ChurnModel) -> None:
    assert fitted.predict_proba(SEEN)[:, 1].mean() == pytest.approx(AWAY.mean(), rel=0.1)


def test_users_are_told_apart_better_than_by_two_boosters_of_the_whole() -> None:
    later = pd.DataFrame(np.random.default_rng(5).normal(size=(20_000, 3)), columns=SEEN.columns)
    gone = returns(later, seed=6) >= 1
    with_it, without = [], []
    for seed in range(6):
        few = SEEN[600 * seed : 600 * (seed + 1)]
        back = returns(few, seed=seed)
        whole, half = (back >= 1).astype(int), (back >= 0.5).astype(int)
        with_it.append(roc_auc_score(gone, alone().fit(few, whole, halfway=half).margin(later)))
        without.append(roc_auc_score(gone, alone().fit(few, whole, halfway=whole).margin(later)))
    assert np.mean(with_it) > np.mean(without) + 0.001


def test_reasons_still_add_up_to_the_margin() -> None:
    model = ChurnModel(n_estimators=30).fit(SEEN, AWAY, halfway=AWAY_HALFWAY)
    assert model.contributions(SEEN[:200]).sum(axis=1) == pytest.approx(model.margin(SEEN[:200]), abs=1e-9)


def test_a_prescribed_direction_holds_in_both() -> None:
    model = ChurnModel(n_estimators=30, rising=("noise",), falling=("pace",)).fit(SEEN, AWAY, halfway=AWAY_HALFWAY)
    steps = np.linspace(-3, 3, 50)
    assert (np.diff(model.margin(pd.DataFrame({"pace": steps, "spend": 0.0, "noise": 0.0}))) <= 1e-12).all()
    assert (np.diff(model.margin(pd.DataFrame({"pace": 0.0, "spend": 0.0, "noise": steps}))) >= -1e-12).all()


def test_the_same_bytes_come_of_it_whatever_the_number_of_threads(fitted: ChurnModel) -> None:
    two = ChurnModel(n_estimators=40, booster_weight=1.0, n_threads=2).fit(SEEN, AWAY, halfway=AWAY_HALFWAY)
    assert two.blend_.booster_texts == fitted.blend_.booster_texts


def test_it_is_kept_with_the_model(fitted: ChurnModel) -> None:
    again = ChurnModel.from_json(fitted.to_json(), fitted.blend_.booster_texts)
    assert again.facts_ == fitted.facts_
    assert again.facts_.halfway == 1


@pytest.mark.parametrize("nothing", [np.zeros(len(SEEN), int), np.ones(len(SEEN), int)])
def test_where_everybody_or_nobody_is_away_by_then_the_whole_horizon_is_learnt(nothing: Any) -> None:
    model = alone().fit(SEEN, AWAY, halfway=nothing)
    assert model.blend_.booster_texts == alone().fit(SEEN, AWAY).blend_.booster_texts
    assert model.facts_.halfway == 0


def test_a_single_booster_learns_the_whole_horizon() -> None:
    one = ChurnModel(n_estimators=10, n_seeds=1, booster_weight=1.0)
    texts = one.fit(SEEN, AWAY, halfway=AWAY_HALFWAY, validation=(SEEN, AWAY)).blend_.booster_texts
    assert texts == one.fit(SEEN, AWAY, validation=(SEEN, AWAY)).blend_.booster_texts


def test_each_booster_is_stopped_by_its_own_outcome_of_a_later_time() -> None:
    later = SEEN[2000:]
    eager = ChurnModel(n_estimators=400, learning_rate=0.3, booster_weight=1.0, min_child_samples=5)
    chance = np.random.default_rng(3).integers(0, 2, len(later))
    learnt, half = AWAY[:2000], AWAY_HALFWAY[:2000]
    model = eager.fit(SEEN[:2000], learnt, halfway=half, validation=(later, AWAY[2000:], chance))
    whole, by_chance = model.facts_.trees
    assert by_chance < 10 < whole < 400


def test_a_later_time_without_it_is_refused() -> None:
    with pytest.raises(BadInput, match="validation lacks what had come of its rows halfway"):
        alone().fit(SEEN, AWAY, halfway=AWAY_HALFWAY, validation=(SEEN, AWAY))


def test_as_many_are_expected_as_rows_and_in_the_same_classes() -> None:
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        alone().fit(SEEN, AWAY, halfway=AWAY_HALFWAY[:10])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        alone().fit(SEEN, AWAY, halfway=AWAY_HALFWAY, validation=(SEEN, AWAY, AWAY_HALFWAY[:10]))
    with pytest.raises(BadInput, match=r"halfway holds \[2\]; the model knows \[0, 1\]"):
        alone().fit(SEEN, AWAY, halfway=np.where(AWAY_HALFWAY == 1, 2, 0))
