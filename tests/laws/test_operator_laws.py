"""Laws of operators: whatever is registered keeps the laws of features, on histories that Hypothesis thinks up."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BadInput
from features.operator_laws import LAWS, BrokenLaw, check
from features.operators import OPERATORS, operator
from features.windows import MICROSECONDS_PER_DAY

DAY = MICROSECONDS_PER_DAY
ours = sorted(OPERATORS)  # before the tests below add some
befores = st.integers(-10 * DAY, 500 * DAY) | st.integers(-2, 400).map(lambda day: day * DAY)
amounts = st.just(math.nan) | st.floats(-1e6, 1e6, allow_subnormal=False)
histories = st.lists(st.tuples(befores, amounts), max_size=25)
numbers = st.sampled_from([0.5, 0.9, 1.0, 4.0, 7.0, 13.0, 28.0, 52.0, 91.0])


@pytest.mark.parametrize("name", ours)
@given(number=numbers, history=histories)
@settings(max_examples=40)
def test_every_operator_keeps_the_laws(name, number, history):
    for law in LAWS:
        law(name, number, history)


@pytest.fixture
def own_operators():
    before = dict(OPERATORS)
    yield
    OPERATORS.clear()
    OPERATORS.update(before)


@pytest.mark.usefixtures("own_operators")
def test_a_users_own_operator_is_held_to_them_in_one_line():
    @operator(family="cadence", unit="days")
    def shortest_gap(active):
        return np.diff(active.days).min() if len(active.days) > 1 else np.nan

    check("shortest_gap")


@pytest.mark.usefixtures("own_operators")
def test_an_operator_that_writes_into_what_it_sees_is_found():
    @operator(family="frequency", unit="events")
    def spoils(active):
        active.counts[0] += 1.0
        return active.counts[0]

    with pytest.raises(BrokenLaw, match="other cutoffs changed it"):
        check("spoils")


@pytest.mark.usefixtures("own_operators")
def test_an_operator_that_says_something_else_in_machine_code_is_found():
    @operator(family="frequency", unit="days")
    def overflows(active):
        return float(active.today**7)

    with pytest.raises(BrokenLaw, match="compiled it says"):
        check("overflows")


def test_an_operator_that_nobody_registered_is_named():
    with pytest.raises(BadInput, match="'nosuch' is not an operator"):
        check("nosuch")
