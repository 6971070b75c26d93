from typing import Any

import numpy as np
import pandas as pd

from features.language import FeatureSet
from models.model import ChurnModel
from models.reasons import changes, decompose, explain


def test_chen_hears_how_long_the_silence_is(model: ChurnModel, features: FeatureSet, cast: pd.DataFrame) -> None:
    first = explain(model, features, cast)[2][0]
    assert first.code == "recency.days_since_last_event"
    assert first.sentence == "last seen 55 days ago"
    assert first.contribution > 0.5


def test_ada_hears_what_speaks_for_staying(model: ChurnModel, features: FeatureSet, cast: pd.DataFrame) -> None:
    reasons = explain(model, features, cast)[0]
    assert {reason.sentence for reason in reasons} & {"last seen 0 days ago", "active on 26 of 28 days"}
    assert all(reason.contribution < 0 for reason in reasons)


def test_all_reasons_of_a_user_point_the_same_way_and_the_strongest_comes_first(
    model: ChurnModel, features: FeatureSet, people: Any
) -> None:
    for reasons in explain(model, features, people.rows[:200]):
        sizes = [abs(reason.contribution) for reason in reasons]
        assert 1 <= len(reasons) <= 3
        assert len({reason.contribution > 0 for reason in reasons}) == 1
        assert sizes == sorted(sizes, reverse=True)


def test_a_middle_says_from_where_reasons_speak_for_leaving(
    model: ChurnModel, features: FeatureSet, cast: pd.DataFrame
) -> None:
    everybody_at_risk = explain(model, features, cast, middle=-100.0)
    assert all(reason.contribution > 0 for reasons in everybody_at_risk for reason in reasons)


def test_the_season_is_nobodys_reason(people: Any, features: FeatureSet) -> None:
    seasonal = (people.rows["season_sine"] > 0).astype(int)
    fitted = ChurnModel(n_estimators=20).fit(people.rows, seasonal)
    codes = {reason.code for reasons in explain(fitted, features, people.rows[:50]) for reason in reasons}
    assert not any(code.startswith("calendar") for code in codes)


def test_a_missing_value_has_a_sentence(people: Any, features: FeatureSet, cast: pd.DataFrame) -> None:
    never_bought = people.rows["days_since_last_purchase"].isna().astype(int)
    fitted = ChurnModel(n_estimators=20).fit(people.rows, never_bought)
    assert explain(fitted, features, cast)[1][0].sentence == "never bought"


def test_a_contribution_is_the_whole_familys(model: ChurnModel, features: FeatureSet, cast: pd.DataFrame) -> None:
    reason = explain(model, features, cast, top=1)[2][0]
    recency = [feature.family == "recency" for feature in features.features]
    assert reason.contribution == model.contributions(cast)[2, :-1][recency].sum()


def test_families_and_bias_add_up_to_the_margin(model: ChurnModel, features: FeatureSet, people: Any) -> None:
    parts = decompose(model, features, people.rows)
    assert parts.families == ("recency", "frequency", "money", "calendar")
    np.testing.assert_allclose(parts.margins, model.margin(people.rows), rtol=1e-9, atol=1e-12)


def test_a_plain_array_is_explained_too(model: ChurnModel, features: FeatureSet, cast: pd.DataFrame) -> None:
    assert explain(model, features, cast.to_numpy()) == explain(model, features, cast)


def test_what_moved_a_score_adds_up_to_the_difference(model: ChurnModel, features: FeatureSet, people: Any) -> None:
    now, then = people.rows[:50], people.rows[50:100]
    moved = changes(model, features, now, then, top=99, least=0.0)
    total = [sum(change.contribution for change in each) for each in moved]
    assert np.allclose(total, model.margin(now) - model.margin(then), atol=1e-9)


def test_the_largest_change_comes_first_and_says_then_and_now(
    model: ChurnModel, features: FeatureSet, cast: pd.DataFrame
) -> None:
    chen, ada = cast.iloc[[2]], cast.iloc[[0]]
    (worse,), (better,) = changes(model, features, chen, ada), changes(model, features, ada, chen)
    assert worse[0].contribution == -better[0].contribution > 0
    sizes = [abs(change.contribution) for change in worse]
    assert sizes == sorted(sizes, reverse=True)
    recency = next(change for change in worse if change.code.startswith("recency"))
    assert (recency.sentence, recency.before) == ("last seen 55 days ago", "last seen 0 days ago")
    assert changes(model, features, ada, ada) == [()]
