from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from features.user_events import UserEvents
from features.windows import days, to_microseconds, utc
from models.definition import ChurnDefinition
from training import baselines
from training.baselines import LastSeen, Logistic, Rfm, Rows, SimpleFacts, fit_baselines, simple_facts

MONTH = ChurnDefinition(activity=("purchase",), look_back=days(30), horizon=days(30))


def _facts(events: UserEvents, *users: str) -> SimpleFacts:
    cutoffs = np.full(len(users), to_microseconds(utc("2026-06-01")))
    return simple_facts(events, MONTH, users=np.array(users, dtype=object), cutoffs=cutoffs)


def test_rules_look_at_activity_in_the_look_back_only(events_of: Callable[..., UserEvents]) -> None:
    events = events_of(
        {
            "ada": [("2026-04-01", "purchase"), ("2026-05-20", "purchase"), ("2026-05-25", "purchase")],
            "bert": [("2026-05-02", "purchase"), ("2026-05-31", "newsletter"), ("2026-06-01", "purchase")],
        }
    )
    found = _facts(events, "bert", "ada")
    assert found.recency_days.tolist() == [30.0, 7.0]
    assert found.frequency.tolist() == [1.0, 2.0]


def test_a_subscriber_without_activity_was_seen_a_look_back_ago(events_of: Callable[..., UserEvents]) -> None:
    events = events_of({"chen": [("2026-06-02", "purchase")], "dalia": [("2026-03-01", "purchase")]})
    assert _facts(events, "chen", "dalia").recency_days.tolist() == [30.0, 30.0]


def test_rules_see_only_activity_of_enough_value(events_of: Callable[..., UserEvents]) -> None:
    events = events_of({"ada": [("2026-05-12", "purchase"), ("2026-05-20", "purchase"), ("2026-05-25", "purchase")]})
    events.values[:] = [20.0, 5.0, np.nan]
    cutoffs = np.array([to_microseconds(utc("2026-06-01"))])
    facts = simple_facts(
        events, replace(MONTH, least_value=20.0), users=np.array(["ada"], dtype=object), cutoffs=cutoffs
    )
    assert (facts.recency_days[0], facts.frequency[0], facts.monetary[0]) == (20.0, 1.0, 20.0)


def test_the_monetary_value_is_the_sum_of_the_look_back(events_of: Callable[..., UserEvents]) -> None:
    events = events_of({"ada": [("2026-04-01", "purchase"), ("2026-05-20", "purchase"), ("2026-05-25", "purchase")]})
    events.values[:] = [100.0, 5.0, np.nan]
    assert _facts(events, "ada").monetary.tolist() == [5.0]


def _rows(count: int, seed: int) -> tuple[Rows, np.ndarray]:
    draws = np.random.default_rng(seed)
    recency = draws.uniform(0, 30, count)
    facts = SimpleFacts(recency, draws.poisson(5, count).astype(float), draws.exponential(size=count))
    labels = (draws.uniform(0, 30, count) < recency).astype(float)
    matrix = np.column_stack([recency, draws.normal(size=count), np.full(count, np.nan)])
    return Rows(matrix, facts), labels


def test_the_last_seen_rule_ranks_by_silence_alone() -> None:
    rows, labels = _rows(50, 1)
    scores = LastSeen().fit(rows, labels).score(rows)
    assert np.argsort(scores).tolist() == np.argsort(rows.facts.recency_days).tolist()


def test_the_rfm_score_runs_from_three_to_fifteen() -> None:
    rows, labels = _rows(500, 1)
    scores = -Rfm().fit(rows, labels).score(rows)
    assert (scores.min(), scores.max()) == (3.0, 15.0)


def test_a_rule_gives_probabilities_at_the_level_of_the_calibration_rows() -> None:
    older, later = _rows(2000, 1), _rows(2000, 2)
    rare = later[1] * (np.random.default_rng(0).uniform(size=2000) < 0.5)
    baselines = fit_baselines(*older, calibration=(later[0], rare))
    for name in ("last_seen_rule", "rfm"):
        probabilities = baselines[name].probabilities(later[0])
        assert probabilities.mean() == pytest.approx(rare.mean(), abs=0.02), name
        assert ((probabilities > 0) & (probabilities < 1)).all(), name


def test_the_regression_s_probabilities_are_its_own() -> None:
    older, later = _rows(2000, 1), _rows(2000, 2)
    regression = fit_baselines(*older, calibration=(later[0], later[1] * 0))["logistic_regression"]
    assert regression.probabilities(older[0]).mean() == pytest.approx(older[1].mean(), abs=0.02)


def test_a_feature_that_is_always_missing_does_not_stop_the_regression() -> None:
    rows, labels = _rows(300, 3)
    baseline = fit_baselines(rows, labels, calibration=(rows, labels))["logistic_regression"]
    assert np.isfinite(baseline.scores(rows)).all()


def test_the_regression_learns_from_every_third_row_of_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    many, labels = _rows(3000, seed=4)
    third = Rows(many.matrix[::3], many.facts.at(np.arange(3000) % 3 == 0))
    expected = Logistic().fit(third, labels[::3]).score(many)
    assert not np.allclose(Logistic().fit(many, labels).score(many), expected)
    monkeypatch.setattr(baselines, "MOST_ROWS", 1200)
    np.testing.assert_array_equal(Logistic().fit(many, labels).score(many), expected)
