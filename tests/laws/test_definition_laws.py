"""What is true of every log that is asked what churn should mean."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from features.windows import days, shift
from tests.renewals import START, log_of
from training.define import Assistance, as_spans, assist

END = 60
SPANS = [as_spans("7d/7d"), as_spans("14d/7d")]
LATER = st.dictionaries(
    st.integers(0, 90).map(lambda place: f"user-{place:02d}"),
    st.lists(st.floats(END, END + 30), min_size=1, max_size=4),
    max_size=6,
)
ACTS = st.lists(
    st.lists(st.one_of(st.floats(0, END - 0.5), st.integers(0, END - 1)), min_size=1, max_size=8),
    min_size=1,
    max_size=70,
)


def asked(acts: dict[str, list[float]], *, buckets: int = 1) -> Assistance:
    everybody = {"first": [0.0], "last": [END + 30.0], **acts}
    return assist(log_of(everybody, buckets=buckets), spans=SPANS, until=shift(START, days(END)))


def named(acts: list[list[float]]) -> dict[str, list[float]]:
    return {f"user-{place:02d}": each for place, each in enumerate(acts)}


@settings(max_examples=25)
@given(ACTS, LATER)
def test_events_after_the_end_of_the_observation_change_nothing(
    acts: list[list[float]], later: dict[str, list[float]]
) -> None:
    before = named(acts)
    after = {user: [*before.get(user, []), *later.get(user, [])] for user in sorted({*before, *later})}
    assert asked(after).to_json() == asked(before).to_json()


@settings(max_examples=25)
@given(ACTS)
def test_what_must_be_monotone_is(acts: list[list[float]]) -> None:
    found = asked(named(acts))
    errors, returns = found.errors, found.returns
    if errors.there:
        for falling in (errors.buried, -errors.kept):
            assert (np.diff(falling) <= 1e-12).all()
        assert errors.kept[0] == 0
        assert errors.buried[0] == 1
    for falling in (returns.still_silent, returns.silences, returns.users):
        assert (np.diff(falling) <= 1e-12).all()
    assert (returns.back >= 0).all()
    assert (returns.back <= 1).all()


@settings(max_examples=15)
@given(ACTS, st.integers(1, 5))
def test_how_users_are_dealt_over_buckets_changes_no_figure(acts: list[list[float]], buckets: int) -> None:
    one, many = asked(named(acts)), asked(named(acts), buckets=buckets)
    assert np.array_equal(one.errors.buried, many.errors.buried, equal_nan=True)
    assert np.array_equal(one.returns.back, many.returns.back)
    assert one.gaps == many.gaps or np.isnan(one.gaps.each_gap[0])
    assert [each.people.tolist() for each in one.candidates] == [each.people.tolist() for each in many.candidates]
