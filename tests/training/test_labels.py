from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.paid import Renewals
from features.user_events import UserEvents
from features.windows import days, to_microseconds, utc
from models.cancel import Cancel
from models.definition import ChurnDefinition
from models.lapse import Lapse
from training.labels import churned, halfway

MONTH = ChurnDefinition(look_back=days(60), horizon=days(30))
WITH_LEAD = replace(MONTH, lead_time=days(7))
CANCEL = replace(MONTH, outcome=Cancel(("cancel",)))
LAPSE = replace(MONTH, outcome=Lapse(Renewals(("renewal",), period_days=30)))
WITH_GRACE = replace(MONTH, outcome=Lapse(Renewals(("renewal",), period_days=30, grace=days(1))))
DAY = 86_400_000_000


def _label(events: UserEvents, user: str, definition: ChurnDefinition, cutoff: str, end: str = "2026-12-31") -> float:
    users = np.array([user], dtype=object)
    cutoffs = np.array([to_microseconds(utc(cutoff))])
    return float(churned(events, definition, users=users, cutoffs=cutoffs, log_end=utc(end))[0])


@pytest.fixture
def events(events_of: Callable[..., UserEvents]) -> UserEvents:
    return events_of(
        {
            "ada": [("2026-05-20", "purchase"), ("2026-06-15", "purchase")],
            "bert": [("2026-05-25", "purchase")],
            "chen": [("2026-05-30", "purchase"), ("2026-06-03", "purchase")],
            "dalia": [("2026-05-30", "purchase"), ("2026-06-15", "newsletter")],
        }
    )


def test_a_user_who_comes_back_in_the_horizon_has_not_churned(events: UserEvents) -> None:
    assert _label(events, "ada", MONTH, "2026-06-01") == 0.0


def test_a_user_who_stays_away_has_churned(events: UserEvents) -> None:
    assert _label(events, "bert", MONTH, "2026-06-01") == 1.0


def test_a_user_active_in_the_lead_time_only_and_then_gone_has_churned(events: UserEvents) -> None:
    assert _label(events, "chen", MONTH, "2026-06-01") == 0.0
    assert _label(events, "chen", WITH_LEAD, "2026-06-01") == 1.0


def test_only_the_kinds_that_count_as_being_alive_keep_a_user(events: UserEvents) -> None:
    assert _label(events, "dalia", MONTH, "2026-06-01") == 0.0
    assert _label(events, "dalia", replace(MONTH, activity=("purchase",)), "2026-06-01") == 1.0


def test_a_kind_that_never_occurs_keeps_nobody(events: UserEvents) -> None:
    assert _label(events, "ada", replace(MONTH, activity=("login",)), "2026-06-01") == 1.0


def test_while_the_horizon_is_open_the_label_is_missing_and_never_0(events: UserEvents) -> None:
    assert np.isnan(_label(events, "ada", MONTH, "2026-06-01", end="2026-06-30T23:59:59Z"))
    assert _label(events, "ada", MONTH, "2026-06-01", end="2026-07-01") == 0.0


def test_the_horizon_starts_at_the_cutoff_and_ends_before_its_end(events_of: Callable[..., UserEvents]) -> None:
    events = events_of({"ada": [("2026-06-01", "visit")], "bert": [("2026-07-01", "visit")]})
    assert _label(events, "ada", MONTH, "2026-06-01") == 0.0
    assert _label(events, "bert", MONTH, "2026-06-01") == 1.0


@pytest.fixture
def subscribers(events_of: Callable[..., UserEvents]) -> UserEvents:
    return events_of(
        {
            "ada": [("2026-05-20", "renewal"), ("2026-06-15", "cancel")],
            "bert": [("2026-05-25", "renewal"), ("2026-06-03", "cancel")],
            "chen": [("2026-05-20", "renewal"), ("2026-06-10", "renewal")],
            "dalia": [("2026-05-20", "renewal"), ("2026-06-15", "cancel"), ("2026-06-20", "renewal")],
        }
    )


def test_who_cancels_in_the_horizon_has_churned_whether_or_not_he_comes_back(subscribers: UserEvents) -> None:
    labels = {user: _label(subscribers, user, CANCEL, "2026-06-01") for user in subscribers.user_ids}
    assert labels == {"ada": 1.0, "bert": 1.0, "chen": 0.0, "dalia": 1.0}


def test_who_cancels_in_the_lead_time_had_gone_before_the_horizon(subscribers: UserEvents) -> None:
    assert _label(subscribers, "bert", replace(CANCEL, lead_time=days(7)), "2026-06-01") == 0.0


def test_a_cancel_that_has_been_seen_already_is_missing_while_the_horizon_is_open(subscribers: UserEvents) -> None:
    assert np.isnan(_label(subscribers, "ada", CANCEL, "2026-06-01", end="2026-06-30T23:59:59Z"))


def test_whose_paid_time_runs_out_in_the_horizon_has_churned(subscribers: UserEvents) -> None:
    labels = {user: _label(subscribers, user, LAPSE, "2026-06-01") for user in subscribers.user_ids}
    assert labels == {"ada": 1.0, "bert": 1.0, "chen": 0.0, "dalia": 1.0}  # chen's runs out on 10 July
    assert _label(subscribers, "dalia", WITH_GRACE, "2026-06-01") == 0.0


def _random_events(seed: int) -> UserEvents:
    draws = np.random.default_rng(seed)
    counts = draws.integers(0, 6, size=5)
    times = np.concatenate([np.sort(draws.integers(0, 100, count)) for count in counts]) * DAY
    return UserEvents(
        user_ids=("ada", "bert", "chen", "dalia", "emil"),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        times=times.astype(np.int64),
        kinds=draws.integers(0, 2, counts.sum()).astype(np.int32),
        kind_names=("purchase", "visit"),
        values=np.full(counts.sum(), np.nan),
    )


def _labels(events: UserEvents, definition: ChurnDefinition, cutoffs: list[int]) -> np.ndarray:
    users = np.array([user for _ in cutoffs for user in events.user_ids], dtype=object)
    moments = np.repeat(np.array(cutoffs, dtype=np.int64) * DAY, len(events))
    return churned(events, definition, users=users, cutoffs=moments, log_end=utc("1970-06-01"))


definitions = st.builds(
    lambda lead, horizon, kinds: ChurnDefinition(kinds, lead_time=days(lead), horizon=days(horizon)),
    st.integers(0, 10),
    st.integers(1, 40),
    st.sampled_from([(), ("visit",), ("purchase", "visit")]),
)


@given(st.integers(0, 5000), definitions, st.lists(st.integers(0, 100), min_size=1, max_size=4, unique=True))
@settings(max_examples=60)
def test_labels_of_many_users_and_cutoffs_equal_a_plain_loop(
    seed: int, definition: ChurnDefinition, cutoffs: list[int]
) -> None:
    events = _random_events(seed)
    expected = []
    for cutoff in cutoffs:
        start = cutoff + definition.lead_time.days
        for place in range(len(events)):
            rows = range(events.offsets[place], events.offsets[place + 1])
            alive = [
                r for r in rows if not definition.activity or events.kind_names[events.kinds[r]] in definition.activity
            ]
            expected.append(not any(start <= events.times[r] / DAY < start + definition.horizon.days for r in alive))
    np.testing.assert_array_equal(_labels(events, definition, cutoffs), np.array(expected, dtype=float))


@given(st.integers(0, 5000), definitions, st.integers(0, 100))
@settings(max_examples=60)
def test_labels_never_read_what_features_read(seed: int, definition: ChurnDefinition, cutoff: int) -> None:
    events = _random_events(seed)
    past = events.times < cutoff * DAY
    moved = replace(events, times=np.where(past, 0, events.times), kinds=np.where(past, 0, events.kinds))
    np.testing.assert_array_equal(_labels(events, definition, [cutoff]), _labels(moved, definition, [cutoff]))


@given(st.integers(0, 5000), definitions, st.integers(0, 100))
@settings(max_examples=60)
def test_whoever_is_silent_for_a_horizon_is_silent_halfway(seed: int, definition: ChurnDefinition, cutoff: int) -> None:
    half = halfway(definition)
    if half is None:
        assert definition.horizon == days(1)
        return
    assert 2 * half.horizon == definition.horizon
    events = _random_events(seed)
    assert (_labels(events, half, [cutoff]) >= _labels(events, definition, [cutoff])).all()


def test_half_of_the_horizon_begins_after_the_lead_time_too(events: UserEvents) -> None:
    half = halfway(WITH_LEAD)
    assert half == replace(WITH_LEAD, horizon=days(15))
    assert _label(events, "ada", half, "2026-05-31") == 0.0  # back on the 15th, of 7 to 22 June
    assert _label(events, "ada", half, "2026-06-10") == 1.0


@pytest.mark.parametrize("outcome", [CANCEL, LAPSE])
def test_of_outcomes_that_are_events_there_is_no_half(outcome: ChurnDefinition) -> None:
    assert halfway(outcome) is None
