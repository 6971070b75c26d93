from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from features.errors import BadInput
from training.profit import (
    CERTAINTY,
    PAPER,
    Appraisal,
    Costs,
    Predicted,
    appraise,
    expected_maximum_profit,
    priced,
    profit_curve,
)

COSTS = st.builds(
    Costs,
    value=st.floats(20, 500),
    contact=st.floats(0.01, 10),
    incentive=st.floats(0.01, 15),
    success_rate=st.floats(0.05, 0.95),
)


def _rows(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    draws = np.random.default_rng(seed)
    probabilities = np.round(draws.uniform(0.01, 0.99, count), 2)  # rounded: ties are the interesting case
    labels = (draws.uniform(size=count) < probabilities).astype(float)
    labels[:2] = [0.0, 1.0]
    return labels, probabilities


def _integrated(labels: np.ndarray, scores: np.ndarray, costs: Costs) -> float:
    """The definition, by brute force: for each acceptance rate the best of all cuts of the list."""
    cuts = [np.zeros(len(labels))] + [(scores >= cut).astype(float) for cut in np.unique(scores)]
    churners = np.array([(cut * labels).mean() for cut in cuts])
    stayers = np.array([(cut * (1 - labels)).mean() for cut in cuts])
    accepted = beta(CERTAINTY * costs.success_rate, CERTAINTY * (1 - costs.success_rate))

    def best(rate: float) -> float:
        profits = churners * (rate * (costs.value - costs.incentive) - costs.contact) - stayers * costs.stayer
        return float(profits.max() * accepted.pdf(rate))

    return float(quad(best, 0, 1, points=np.linspace(0.02, 0.98, 49), limit=400, epsabs=1e-5, epsrel=1e-5)[0])


@given(st.integers(0, 10_000), st.integers(4, 60), COSTS)
@settings(max_examples=25)
def test_the_closed_form_is_the_integral(seed: int, count: int, costs: Costs) -> None:
    labels, scores = _rows(seed, count)
    found, _ = expected_maximum_profit(labels, scores, costs=costs)
    assert found == pytest.approx(_integrated(labels, scores, costs), rel=2e-3, abs=1e-3)


def test_the_paper_s_costs_give_the_figures_that_another_package_documents() -> None:
    """The package empulse documents 23.8756 and .8744 for these eight users."""
    labels = np.array([0.0, 1, 0, 1, 0, 1, 0, 1])
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9])
    found = expected_maximum_profit(labels, scores, costs=PAPER)
    assert found == pytest.approx((23.875593418348124, 0.8743700763487141), rel=1e-12)


@given(st.integers(0, 10_000), COSTS)
@settings(max_examples=25)
def test_it_agrees_with_the_sum_over_the_hull_that_the_paper_writes_down(seed: int, costs: Costs) -> None:
    labels, scores = _rows(seed, 80)
    assert expected_maximum_profit(labels, scores, costs=costs) == pytest.approx(
        _summed(labels, scores, costs), rel=1e-9, abs=1e-12
    )


def _summed(labels: np.ndarray, scores: np.ndarray, costs: Costs) -> tuple[float, float]:
    """Equations 18 to 21 of the paper: corners of the hull, and what is earned between two acceptance rates."""
    corners = [(0.0, 0.0)] + [
        (float((scores >= cut)[labels == 0].mean()), float((scores >= cut)[labels == 1].mean()))
        for cut in np.unique(scores)[::-1]
    ]
    hull: list[tuple[float, float]] = []
    for x, y in corners:
        while len(hull) > 1 and (hull[-1][0] - hull[-2][0]) * (y - hull[-2][1]) >= (hull[-1][1] - hull[-2][1]) * (
            x - hull[-2][0]
        ):
            hull.pop()
        hull.append((x, y))
    stayers, churners = np.array(hull).T
    base = labels.mean()
    with np.errstate(divide="ignore"):
        rates = ((1 - base) * costs.stayer * np.diff(stayers) + base * costs.contact * np.diff(churners)) / (
            base * (costs.value - costs.incentive) * np.diff(churners)
        )
    ends = np.concatenate([[0.0], np.minimum(rates, 1.0), [1.0]])
    a, b = CERTAINTY * costs.success_rate, CERTAINTY * (1 - costs.success_rate)
    mass, mean = np.diff(beta(a, b).cdf(ends)), a / (a + b) * np.diff(beta(a + 1, b).cdf(ends))
    earned = base * churners * ((costs.value - costs.incentive) * mean - costs.contact * mass)
    spent = (1 - base) * stayers * costs.stayer * mass
    return float((earned - spent).sum()), float((mass * (base * churners + (1 - base) * stayers)).sum())


def test_the_order_of_users_is_all_that_matters_to_the_expected_profit() -> None:
    labels, scores = _rows(5, 300)
    plain = expected_maximum_profit(labels, scores, costs=PAPER)
    assert expected_maximum_profit(labels, np.log(scores), costs=PAPER) == pytest.approx(plain)
    perfect, _ = expected_maximum_profit(labels, labels, costs=PAPER)
    blind, _ = expected_maximum_profit(labels, np.zeros(300), costs=PAPER)
    assert perfect > plain[0] > blind


def test_contacting_pays_exactly_from_the_break_even_probability_on() -> None:
    costs = Costs(value=120, contact=2, incentive=15, success_rate=0.4)
    p = costs.break_even
    assert p * costs.churner - (1 - p) * costs.stayer == pytest.approx(0)
    assert Costs(value=5, contact=2, incentive=15, success_rate=0.4).break_even > 1


def test_the_profit_is_counted_by_hand() -> None:
    costs = Costs(value=100, contact=1, incentive=10, success_rate=0.5)  # a churner brings 44, a stayer costs 11
    curve = profit_curve(np.array([1.0, 0, 1, 0]), np.array([0.9, 0.7, 0.7, 0.1]), costs=costs)
    assert curve.contacted.tolist() == [0, 1, 3, 4]
    assert curve.profit.tolist() == [0, 44, 77, 66]
    assert curve.best == (3, 77)


def test_the_ways_to_choose_bring_what_the_curve_says() -> None:
    costs = Costs(value=100, contact=1, incentive=10, success_rate=0.5, given=True)
    labels, scores = np.array([1.0, 0, 1, 0]), np.array([0.9, 0.7, 0.7, 0.1])
    found = _appraised(labels, scores, costs, capacity=0.5)
    brought = {way.name: (way.contacted, way.profit.value) for way in found.ways["model"]}
    assert brought == {
        "nobody": (0, 0),
        "everybody": (4, 66),
        "at_capacity": (2, 44 + (44 - 11) / 2),  # the tie on the border gives each half a place
        "from_break_even": (3, 77),
        "best_in_hindsight": (3, 77),
    }


def test_nothing_is_best_where_nothing_can_be_gained() -> None:
    labels, scores = _rows(2, 100)
    found = _appraised(labels, scores, Costs(value=5, incentive=10, given=True), capacity=0.1)
    assert found.way("model", "best_in_hindsight").contacted == 0
    assert found.way("model", "from_break_even").contacted == 0
    assert found.expected["model"].value == 0
    assert found.to_json()["break_even"] is None or found.costs.break_even > 1


def test_a_better_order_earns_more_and_the_interval_says_so() -> None:
    labels, scores = _rows(7, 1000)
    noisy = scores + np.random.default_rng(1).normal(0, 1, 1000)
    found = appraise(
        labels,
        {"model": Predicted(scores, scores), "rule": Predicted(np.clip(noisy, 0, 1), noisy)},
        users=_users(1000),
        costs=PAPER,
        capacity=0.1,
        ours="model",
        seed=1,
        replicates=100,
    )
    assert found.gains["rule"].low > 0
    assert found.expected["model"].low < found.expected["model"].value < found.expected["model"].high
    assert set(found.metrics("model")) == {"expected_maximum_profit"}  # the paper's costs are nobody's profit


def test_the_value_of_a_kept_user_is_what_those_who_left_had_spent() -> None:
    asked = Costs(value_days=30, given=True)
    spent, churned = np.array([60.0, 120.0, 900.0]), np.array([1.0, 1.0, 0.0])
    assert priced(asked, spent=spent, churned=churned, look_back_days=90).value == pytest.approx(30)
    assert priced(PAPER, spent=spent, churned=churned, look_back_days=90) == PAPER


def test_without_values_in_the_events_the_paper_s_costs_stand_in_and_say_so() -> None:
    found = priced(Costs(value_days=30, given=True), spent=np.zeros(3), churned=np.ones(3), look_back_days=90)
    assert not found.given
    assert "values" in found.remark
    assert found == replace(PAPER, remark=found.remark)


@pytest.mark.parametrize("wrong", [{"success_rate": 0.0}, {"success_rate": 1.0}, {"contact": -1.0}])
def test_costs_that_cannot_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="costs"):
        Costs(**wrong)  # type: ignore[arg-type] # only numbers are given


def _users(count: int) -> np.ndarray:
    return np.array([f"user-{place}" for place in range(count)], dtype=object)


def _appraised(labels: np.ndarray, scores: np.ndarray, costs: Costs, *, capacity: float) -> Appraisal:
    return appraise(
        labels,
        {"model": Predicted(scores, scores)},
        users=_users(len(labels)),
        costs=costs,
        capacity=capacity,
        ours="model",
        seed=1,
        replicates=20,
    )


def test_a_free_contact_reaches_whoever_may_leave() -> None:
    labels, scores = np.array([0.0, 0.0, 1.0]), np.array([0.1, 0.2, 0.9])
    found = expected_maximum_profit(labels, scores, costs=Costs(contact=0, incentive=0))
    assert found == pytest.approx((0.3 * 200 / 3, 1 / 3))
