import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
import pytest

from features.errors import BadInput, Damaged, NotReady
from models.bundle import Bundle, load, save
from models.hazard import RETURN, HazardModel
from models.risk_curve import median_days, risk_curve, shown_days

ENDS = (1, 7, 30, 60)
SHAPE = {"objective": "binary", "num_leaves": 7, "num_threads": 1, "verbosity": -1}


@pytest.fixture(scope="module")
def with_curve(bundle: Bundle, people: Any) -> Bundle:
    draws = np.random.default_rng(1)
    intervals = draws.integers(0, len(ENDS), len(people.rows))
    came = draws.random(len(intervals)) < 1 / (1 + people.rows["days_since_last_event"].to_numpy() / 10)
    table = np.column_stack([people.rows.to_numpy(), intervals])
    trees = lightgbm.train(SHAPE, lightgbm.Dataset(table, came), 20).model_to_string()
    return replace(bundle, hazard=HazardModel(ENDS, (-1.0, -0.5, -1.0, -1.5), RETURN, bundle.features.names, trees))


def test_a_bundle_brings_its_curves_back_to_the_bit(with_curve: Bundle, people: Any, tmp_path: Path) -> None:
    save(with_curve, tmp_path / "new", golden=people.rows)
    again = load(tmp_path / "new")
    assert again.hazard == with_curve.hazard
    assert risk_curve(again, people.rows).equals(risk_curve(with_curve, people.rows))
    assert np.array_equal(median_days(again, people.rows), median_days(with_curve, people.rows), equal_nan=True)


def test_a_bundle_without_a_curve_says_how_to_get_one(bundle: Bundle, people: Any) -> None:
    with pytest.raises(NotReady, match=r"Set `risk_curve = true` under \[train\]"):
        risk_curve(bundle, people.rows)


def test_who_was_seen_yesterday_is_expected_back_before_who_has_been_silent_for_weeks(
    with_curve: Bundle, cast: pd.DataFrame
) -> None:
    curve = risk_curve(with_curve, cast)
    assert shown_days(with_curve) == (1, 3, 7, 14, 28, 30, 56, 60)
    assert tuple(map(int, curve.columns)) == shown_days(with_curve)
    assert list(curve.index) == ["ada", "bert", "chen"]
    assert (curve.loc["chen"] > curve.loc["ada"]).all()
    medians = median_days(with_curve, cast)
    assert medians[0] < np.nan_to_num(medians[2], nan=61)


@pytest.mark.parametrize("days", [(3, 1), (1, 1), (-1,), (61,), (float("nan"),)])
def test_days_that_no_curve_has_are_refused(with_curve: Bundle, cast: pd.DataFrame, days: tuple[float, ...]) -> None:
    with pytest.raises(BadInput, match="expected days from 0 to 60 that grow"):
        risk_curve(with_curve, cast, days=days)


def test_a_curve_of_other_features_is_not_saved(with_curve: Bundle, people: Any, tmp_path: Path) -> None:
    assert with_curve.hazard is not None
    names = (*with_curve.features.names[1:], "spend_7d")
    with pytest.raises(BadInput, match="the risk curve reads other features"):
        save(replace(with_curve, hazard=replace(with_curve.hazard, names=names)), tmp_path / "new", golden=people.rows)


def test_an_edited_baseline_is_noticed_although_the_sums_were_edited_too(
    with_curve: Bundle, people: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "new"
    save(with_curve, folder, golden=people.rows)
    text = (folder / "hazard.json").read_text()
    (folder / "hazard.json").write_text(text.replace("-0.5,", "-0.6,", 1))
    document = json.loads((folder / "sums.json").read_text())
    document["files"]["hazard.json"] = hashlib.sha256((folder / "hazard.json").read_bytes()).hexdigest()
    (folder / "sums.json").write_text(json.dumps(document))
    with pytest.raises(Damaged, match="golden risk curves differ"):
        load(folder)


def test_intervals_that_do_not_grow_are_refused() -> None:
    with pytest.raises(BadInput, match="expected whole days from 1 on that grow"):
        HazardModel((7, 7), (0.0, 0.0), RETURN, ("spend_7d",))


def test_a_hazard_model_has_a_baseline_for_each_interval() -> None:
    with pytest.raises(BadInput, match="1 baseline log-odds; expected one, finite, for each interval"):
        HazardModel((7, 14), (0.0,), RETURN, ("spend_7d",))
