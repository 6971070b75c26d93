from datetime import datetime, timedelta

import numpy as np
import pytest

from features.errors import BadInput
from features.subscribed import Subscribed
from features.user_events import UserEvents
from features.windows import days, to_microseconds, utc
from tests.cast import user_events

CUTOFF = utc("2026-03-01")
PLAIN = Subscribed((), days(28), cancels=("cancel",))
STARTED = Subscribed(("visit",), days(28), cancels=("cancel",), starts=("subscribe",))


def subscribed(population: Subscribed, *deeds: tuple[str, str], as_known: bool = False) -> bool:
    events = user_events({"ada": [(time, kind, None) for time, kind in deeds]})
    return bool(population.eligible(events, cutoff=CUTOFF, as_known=as_known)[0])


def test_who_is_active_and_never_cancelled_is_subscribed() -> None:
    assert subscribed(PLAIN, ("2026-02-20", "visit"))
    assert not subscribed(PLAIN, ("2026-01-20", "visit"))


def test_who_cancelled_before_the_cutoff_is_not_there_to_be_lost() -> None:
    assert not subscribed(PLAIN, ("2026-02-10", "visit"), ("2026-02-20", "cancel"))
    assert subscribed(PLAIN, ("2026-02-10", "visit"), ("2026-03-01", "cancel"))


def test_a_cancel_is_no_activity() -> None:
    assert not subscribed(PLAIN, ("2026-02-20", "cancel"))
    assert not subscribed(PLAIN, ("2026-02-10", "cancel"), ("2026-02-20", "cancel"))


def test_without_starts_any_later_activity_shows_that_somebody_is_back() -> None:
    assert subscribed(PLAIN, ("2026-02-10", "cancel"), ("2026-02-20", "visit"))
    assert not subscribed(PLAIN, ("2026-02-10", "visit"), ("2026-02-10", "cancel"))  # one instant: not later


def test_with_starts_only_a_start_brings_back_who_cancelled() -> None:
    assert not subscribed(STARTED, ("2026-02-10", "cancel"), ("2026-02-20", "visit"))
    assert subscribed(STARTED, ("2026-02-10", "cancel"), ("2026-02-20", "subscribe"))


def test_who_started_long_ago_and_is_silent_is_subscribed_all_the_same() -> None:
    assert subscribed(STARTED, ("2024-02-10", "subscribe"))


def test_who_started_before_the_log_begins_is_known_by_activity() -> None:
    assert subscribed(STARTED, ("2026-02-10", "visit"))
    assert not subscribed(STARTED, ("2025-02-10", "visit"))


def test_activity_of_too_little_value_brings_nobody_back() -> None:
    population = Subscribed((), days(28), least_value=5.0, cancels=("cancel",))
    for value, there in ((5.0, True), (4.0, False), (None, False)):
        events = user_events({"ada": [("2026-02-10", "cancel", 9.0), ("2026-02-20", "purchase", value)]})
        assert population.eligible(events, cutoff=CUTOFF).tolist() == [there]


def received(events: UserEvents, moments: list[datetime]) -> UserEvents:
    times = np.array([to_microseconds(moment) for moment in moments], dtype=np.int64)
    return UserEvents(
        events.user_ids, events.offsets, events.times, events.kinds, events.kind_names, events.values, times
    )


def test_a_cancel_that_nobody_knew_of_yet_did_not_count() -> None:
    happened = user_events({"ada": [("2026-02-10", "visit", None), ("2026-02-20", "cancel", None)]})
    events = received(happened, [utc("2026-02-10"), CUTOFF])
    assert PLAIN.eligible(events, cutoff=CUTOFF).tolist() == [False]
    assert PLAIN.eligible(events, cutoff=CUTOFF, as_known=True).tolist() == [True]
    just_before = received(happened, [utc("2026-02-10"), CUTOFF - timedelta(microseconds=1)])
    assert PLAIN.eligible(just_before, cutoff=CUTOFF, as_known=True).tolist() == [False]


def test_without_a_word_on_what_cancels_there_are_no_subscribers() -> None:
    with pytest.raises(BadInput, match="a cancel; expected one or more"):
        Subscribed((), days(28))
