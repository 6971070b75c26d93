import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from training.brier import PARTS
from training.metrics import METRICS, calibration_curve, difference, evaluate, user_weights
from training.ranking import ranking_metrics


def _rows(seed: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    probabilities = np.round(draws.uniform(0.01, 0.99, count), 2)  # rounded: ties are the interesting case
    labels = (draws.uniform(size=count) < probabilities).astype(float)
    labels[:2] = [0.0, 1.0]
    users = np.array([f"user-{draws.integers(0, count // 2)}" for _ in range(count)], dtype=object)
    return labels, probabilities, users


def test_every_metric_agrees_with_scikit_learn_also_with_ties() -> None:
    labels, probabilities, users = _rows(1, 400)
    found = evaluate(labels, probabilities, users=users, seed=1, replicates=20)
    assert found["auc"].value == pytest.approx(roc_auc_score(labels, probabilities))
    assert found["pr_auc"].value == pytest.approx(average_precision_score(labels, probabilities))
    assert found["log_loss"].value == pytest.approx(log_loss(labels, probabilities))
    assert found["brier"].value == pytest.approx(brier_score_loss(labels, probabilities))
    assert found["predicted_over_observed"].value == pytest.approx(probabilities.sum() / labels.sum())


def test_a_weighted_row_counts_as_so_many_rows() -> None:
    labels, probabilities, _ = _rows(2, 60)
    times = np.random.default_rng(0).integers(0, 4, size=60)
    weighted = ranking_metrics(labels, probabilities)(times[None, :].astype(float))
    repeated = ranking_metrics(np.repeat(labels, times), np.repeat(probabilities, times))(np.ones((1, times.sum())))
    for name, value in weighted.items():
        assert value[0] == pytest.approx(repeated[name][0]), name


def test_the_top_of_the_list_is_counted_by_hand() -> None:
    labels = np.array([1.0, 1, 0, 1, 0, 0, 0, 0, 0, 0])
    scores = np.arange(10, 0, -1).astype(float)
    found = ranking_metrics(labels, scores)(np.ones((1, 10)))
    assert found["precision_at_20"][0] == 1.0
    assert found["recall_at_20"][0] == pytest.approx(2 / 3)
    assert found["lift_at_10"][0] == pytest.approx(10 / 3)


def test_rows_with_equal_scores_share_what_falls_to_them() -> None:
    labels = np.array([1.0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    found = ranking_metrics(labels, np.zeros(10))(np.ones((1, 10)))
    assert found["recall_at_20"][0] == pytest.approx(0.2)
    assert found["auc"][0] == pytest.approx(0.5)


@given(st.integers(0, 10_000), st.sampled_from([np.exp, np.log, lambda x: 3 * x - 1, lambda x: x**3]))
@settings(max_examples=30)
def test_a_monotone_map_of_the_scores_changes_no_ranking_metric(seed: int, mapped: object) -> None:
    labels, scores, _ = _rows(seed, 80)
    ones = np.ones((1, 80))
    plain, other = ranking_metrics(labels, scores)(ones), ranking_metrics(labels, mapped(scores))(ones)  # type: ignore[operator]
    assert {name: pytest.approx(value) for name, value in plain.items()} == other


@given(st.integers(0, 10_000))
@settings(max_examples=15)
def test_the_order_of_the_rows_changes_no_figure(seed: int) -> None:
    labels, probabilities, users = _rows(seed, 80)
    order = np.random.default_rng(seed).permutation(80)
    plain = evaluate(labels, probabilities, users=users, seed=1, replicates=5)
    mixed = evaluate(labels[order], probabilities[order], users=users[order], seed=1, replicates=5)
    for metric in set(METRICS) - {"calibration_error", *PARTS}:  # equal probabilities may fall to either side
        assert plain[metric].value == pytest.approx(mixed[metric].value), metric


def test_the_same_seed_draws_the_same_intervals_and_another_does_not() -> None:
    labels, probabilities, users = _rows(3, 200)
    first = evaluate(labels, probabilities, users=users, seed=7)
    again = evaluate(labels, probabilities, users=users, seed=7)
    other = evaluate(labels, probabilities, users=users, seed=8)
    assert first.estimates == again.estimates
    assert first["auc"].low != other["auc"].low


def test_a_users_rows_are_drawn_together() -> None:
    users = np.array(["ada", "bert", "ada", "chen", "bert"], dtype=object)
    for weights in user_weights(users, seed=1, replicates=50):
        np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
        np.testing.assert_array_equal(weights[:, 1], weights[:, 4])


def test_seeing_each_user_at_more_cutoffs_does_not_narrow_the_interval() -> None:
    labels, probabilities, _ = _rows(4, 300)
    users = np.array([f"user-{place}" for place in range(300)], dtype=object)
    once = evaluate(labels, probabilities, users=users, seed=1)["auc"]
    thrice = evaluate(np.tile(labels, 3), np.tile(probabilities, 3), users=np.tile(users, 3), seed=1)["auc"]
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=1e-9)


def test_where_everybody_churned_the_auc_is_missing_and_says_why() -> None:
    users = np.array(["ada", "bert", "chen"], dtype=object)
    found = evaluate(np.ones(3), np.array([0.2, 0.5, 0.9]), users=users, seed=1)
    assert np.isnan(found["auc"].value)
    assert found["auc"].says() == "missing: all 3 test rows churned"
    assert found["log_loss"].value > 0


def test_where_nobody_churned_lift_and_ratio_are_missing_too() -> None:
    users = np.array(["ada", "bert", "chen"], dtype=object)
    found = evaluate(np.zeros(3), np.array([0.2, 0.5, 0.9]), users=users, seed=1)
    for metric in ("auc", "pr_auc", "lift_at_10", "recall_at_10", "predicted_over_observed"):
        assert found[metric].missing_because == "none of the 3 test rows churned", metric


def test_a_model_differs_from_itself_by_nothing_and_from_a_worse_one_for_certain() -> None:
    labels, probabilities, users = _rows(5, 600)
    ours = evaluate(labels, probabilities, users=users, seed=1)
    blind = evaluate(labels, np.full(600, labels.mean()), users=users, seed=1)
    assert difference(ours, ours, metric="auc").says() == "0.000 [0.000, 0.000]"
    assert difference(ours, blind, metric="log_loss").high < 0


def test_the_interval_of_a_certain_figure_contains_it() -> None:
    labels, probabilities, users = _rows(6, 300)
    found = evaluate(labels, probabilities, users=users, seed=1)
    for metric in ("auc", "pr_auc", "log_loss", "brier", "lift_at_10"):
        assert found[metric].low < found[metric].value < found[metric].high, metric


def test_the_calibration_curve_has_bins_of_equal_mass() -> None:
    labels, probabilities, _ = _rows(7, 101)
    curve = calibration_curve(labels, probabilities)
    assert {part.rows for part in curve} == {10, 11}
    assert sum(part.rows * part.observed for part in curve) == pytest.approx(labels.sum())
