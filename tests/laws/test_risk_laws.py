"""Laws of every risk curve: it never crosses itself, begins at certainty, and meets the classifier at the horizon."""

import lightgbm
import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from features.language import events, feature_set
from features.windows import days
from models.bundle import Bundle
from models.cancel import Cancel
from models.definition import ChurnDefinition
from models.hazard import LOSS, RETURN, HazardModel, at_days
from models.model import ChurnModel
from models.risk_curve import median_days, risk_curve
from training.hazard import Cells

NAMES = ("days_since_last_event", "events_28d")
FEATURES = feature_set(
    days_since_last_event=events().days_since_last().says("last seen {:.0f} days ago"),
    events_28d=events().count(last=days(28)).says("{:.0f} events in 28 days"),
)
ENDS = (1, 3, 7, 14, 30, 60)
_DRAWS = np.random.default_rng(4)
_MATRIX = np.column_stack([_DRAWS.gamma(1.5, 10, 800), _DRAWS.poisson(6, 800).astype(float)])
_CHURNED = (_DRAWS.random(800) < 1 / (1 + np.exp(1 - _MATRIX[:, 0] / 15))).astype(int)
CLASSIFIER = ChurnModel(n_estimators=20).fit(pd.DataFrame(_MATRIX, columns=list(NAMES)), _CHURNED)


def _trees(seed: int) -> str:
    draws = np.random.default_rng(seed)
    rows = np.column_stack([_MATRIX, draws.integers(0, len(ENDS), len(_MATRIX))])
    shape = {"objective": "binary", "verbosity": -1, "num_threads": 1, "num_leaves": 7, "learning_rate": 0.5}
    return lightgbm.train(shape, lightgbm.Dataset(rows, draws.random(len(rows)) < 0.3), 15).model_to_string()


TREES = [_trees(seed) for seed in range(3)]
log_odds = st.lists(st.floats(-12, 12), min_size=len(ENDS), max_size=len(ENDS))
rows = st.lists(st.tuples(st.floats(0, 400) | st.just(np.nan), st.floats(0, 60)), min_size=1, max_size=9)
asked = st.lists(st.floats(0, 60), min_size=1, max_size=12, unique=True).map(sorted)


def bundle_of(baseline: list[float], *, event: str, trees: str) -> Bundle:
    outcome = {} if event == RETURN else {"outcome": Cancel(("cancel",))}
    hazard = HazardModel(ENDS, tuple(baseline), event, NAMES, trees)
    return Bundle.of(CLASSIFIER, FEATURES, ChurnDefinition(**outcome), {}, hazard=hazard)  # type: ignore[arg-type]


@given(log_odds, rows, asked, st.sampled_from([RETURN, LOSS]), st.sampled_from(["", *TREES]))
def test_a_curve_falls_or_rises_from_certainty_and_meets_the_classifier(
    baseline: list[float], users: list[tuple[float, float]], at: list[float], event: str, trees: str
) -> None:
    bundle = bundle_of(baseline, event=event, trees=trees)
    frame = pd.DataFrame(users, columns=list(NAMES))
    curve = risk_curve(bundle, frame, days=sorted({0.0, 30.0, *at}))
    steps = np.diff(curve.to_numpy(), axis=1)
    assert ((steps <= 0) if event == RETURN else (steps >= 0)).all()
    assert (curve[0.0] == (1.0 if event == RETURN else 0.0)).all()
    assert (curve[30.0].to_numpy() == CLASSIFIER.predict_proba(frame)[:, 1]).all()


@settings(max_examples=25)
@given(log_odds, rows, st.sampled_from(TREES))
def test_a_row_alone_gives_the_bits_that_it_gives_among_many(
    baseline: list[float], users: list[tuple[float, float]], trees: str
) -> None:
    bundle = bundle_of(baseline, event=RETURN, trees=trees)
    frame = pd.DataFrame(users * 30, columns=list(NAMES))
    together, medians = risk_curve(bundle, frame).to_numpy(), median_days(bundle, frame)
    for place in range(len(users)):
        alone = frame.iloc[[place]]
        assert (risk_curve(bundle, alone).to_numpy()[0] == together[place]).all()
        assert np.array_equal(median_days(bundle, alone)[0], medians[place], equal_nan=True)


@given(log_odds, rows, st.sampled_from(["", *TREES]))
@settings(max_examples=50)
def test_at_the_median_the_curve_is_at_one_half(
    baseline: list[float], users: list[tuple[float, float]], trees: str
) -> None:
    bundle = bundle_of(baseline, event=RETURN, trees=trees)
    frame = pd.DataFrame(users, columns=list(NAMES))
    for place, median in enumerate(median_days(bundle, frame)):
        alone = frame.iloc[[place]]
        if np.isnan(median):
            assert risk_curve(bundle, alone, days=(60,)).to_numpy()[0, 0] > 0.5
        else:
            assert abs(risk_curve(bundle, alone, days=(float(median),)).to_numpy()[0, 0] - 0.5) < 1e-6


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 8))
def test_a_row_counts_in_the_intervals_that_were_observed_until_the_event_and_in_no_other(
    seed: int, users: int, intervals: int
) -> None:
    draws = np.random.default_rng(seed)
    event, seen = draws.integers(0, intervals + 3, users), draws.integers(0, intervals + 1, users)
    place = np.arange(intervals)
    come = np.where(place < seen[:, None], (place >= event[:, None]).astype(float), np.nan)
    cells = Cells.of(come)
    expected = [
        (user, interval, float(interval == event[user]))
        for user in range(users)
        for interval in range(min(seen[user], event[user] + 1))
    ]
    assert list(zip(cells.rows.tolist(), cells.intervals.tolist(), cells.came.tolist(), strict=True)) == expected


@given(log_odds)
def test_between_the_ends_of_intervals_a_curve_is_straight_on_the_logarithm(baseline: list[float]) -> None:
    curve = HazardModel(ENDS, tuple(baseline), RETURN, NAMES).log_survival(np.zeros((1, 2)))
    assert (at_days(curve, ENDS, ENDS) == curve).all()
    middle = at_days(curve, ENDS, (22,))[0, 0]
    assert np.isclose(middle, (curve[0, 3] + curve[0, 4]) / 2, rtol=1e-12)
