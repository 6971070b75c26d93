"""Definitions at the same cutoffs: counted by hand, and on subscribers whose every deed is known."""

from collections.abc import Callable

import numpy as np
import pytest

from features.errors import BadInput
from features.expressions import Chosen
from features.paid import Renewals
from features.user_events import UserEvents
from features.windows import days, utc
from models.cancel import Cancel
from models.definition import ChurnDefinition
from models.lapse import Lapse
from tests.renewals import InMemory
from training.side_by_side import SideBySide, side_by_side

START, END = utc("2026-01-01"), utc("2026-02-26")
VISITS = ChurnDefinition(activity=("visit",), look_back=days(14), horizon=days(14))
CANCELS = ChurnDefinition(look_back=days(14), horizon=days(14), activity=("visit",), outcome=Cancel(("stop",)))
History = dict[str, list[tuple[str, str]]]
Events = Callable[[History], UserEvents]

# The one cutoff is 2026-01-29: horizons end on 02-12, and until 02-26 it is seen what then became of everybody.
FIVE: History = {
    "ada": [("2026-01-20", "visit"), ("2026-02-01", "visit"), ("2026-02-20", "visit")],  # stays
    "bert": [("2026-01-20", "visit"), ("2026-02-15", "visit")],  # silent for the horizon, then back
    "chen": [("2026-01-20", "visit"), ("2026-01-31", "visit"), ("2026-01-31", "stop")],  # says so, and never comes back
    "dalia": [("2026-01-20", "visit")],  # goes without a word
    "emil": [("2026-01-18", "visit"), ("2026-01-19", "stop")],  # gone before
}


def _held(history: History, events_of: Events) -> SideBySide:
    log = InMemory([events_of(history)])
    return side_by_side(log, {"silent": VISITS, "said": CANCELS}, start=utc("2026-01-15"), end=END)


def test_each_definition_is_counted_at_the_same_cutoffs(events_of: Events) -> None:
    found = _held(FIVE, events_of)
    assert found.cutoffs == (utc("2026-01-29"),)
    assert found.followed == days(14)
    silent, said = found.sides
    assert (silent.people.tolist(), said.people.tolist()) == ([5], [4])
    assert silent.churned.value == pytest.approx(3 / 5)  # bert, dalia and emil
    assert said.churned.value == pytest.approx(1 / 4)  # chen


def test_who_came_back_and_who_fell_silent_is_told_of_each(events_of: Events) -> None:
    silent, said = _held(FIVE, events_of).sides
    assert silent.came_back.value == pytest.approx(1 / 3)  # bert
    assert silent.fell_silent.value == pytest.approx(1 / 2)  # chen, not ada
    assert said.came_back.value == 0
    assert said.fell_silent.value == pytest.approx(1 / 3)  # dalia, not ada nor bert


def test_two_definitions_are_compared_on_the_users_of_both(events_of: Events) -> None:
    (pair,) = _held(FIVE, events_of).agreements
    assert (pair.first, pair.second, pair.users, pair.only_first, pair.only_second) == ("silent", "said", 4, 1, 0)
    assert (pair.both_churned, pair.first_alone, pair.second_alone) == (0, 0.5, 0.25)
    assert pair.same.value == pytest.approx(1 / 4)
    by_chance = 0.5 * 0.25 + 0.5 * 0.75
    assert pair.kappa.value == pytest.approx((0.25 - by_chance) / (1 - by_chance))


def test_a_definition_agrees_with_itself(events_of: Events) -> None:
    log = InMemory([events_of(FIVE)])
    found = side_by_side(log, {"one": VISITS, "other": VISITS}, start=utc("2026-01-15"), end=END)
    (pair,) = found.agreements
    assert (pair.same.value, pair.kappa.value, pair.only_first, pair.only_second) == (1, 1, 0, 0)


def test_users_dealt_over_buckets_count_as_in_one(events_of: Events) -> None:
    parts = [{name: FIVE[name]} for name in FIVE]
    log = InMemory([events_of(part) for part in parts])
    spread = side_by_side(log, {"silent": VISITS, "said": CANCELS}, start=utc("2026-01-15"), end=END)
    assert spread.to_json() == _held(FIVE, events_of).to_json()


def test_what_shows_that_somebody_is_back_is_a_start_a_renewal_or_activity() -> None:
    assert VISITS.back == Chosen(("visit",))
    assert CANCELS.back == Chosen(("visit",))
    started = ChurnDefinition(outcome=Cancel(("stop",), starts=("go",)))
    assert started.back == Chosen(("go",))
    assert ChurnDefinition(outcome=Lapse(Renewals(("pay",), period_days=30))).back == Chosen(("pay",))


def test_the_newest_cutoff_leaves_room_to_see_who_came_back(events_of: Events) -> None:
    log = InMemory([events_of(FIVE)])
    longer = ChurnDefinition(activity=("visit",), look_back=days(14), lead_time=days(3), horizon=days(9))
    found = side_by_side(log, {"silent": VISITS, "later": longer}, start=START, end=END)
    assert [cutoff.date().isoformat() for cutoff in found.cutoffs] == ["2026-01-15", "2026-01-22", "2026-01-29"]
    with pytest.raises(BadInput, match="holds 41 days; to hold these definitions side by side it takes 42"):
        side_by_side(log, {"silent": VISITS}, start=utc("2026-01-16"), end=END)


def test_the_report_and_the_document_say_the_same(events_of: Events) -> None:
    found = _held(FIVE, events_of)
    told = found.says()
    assert max(map(len, told.splitlines())) <= 110
    assert "silent: Churned: active in the last 14 days, then no visit for 14 days." in told
    assert "In the population of one alone: silent 1, said 0." in told
    document = found.to_json()
    assert [side["churned"]["value"] for side in document["sides"]] == [pytest.approx(0.6), 0.25]
    assert document["agreements"][0]["same"]["value"] == 0.25


def test_nobody_in_a_population_is_no_share(events_of: Events) -> None:
    log = InMemory([events_of({"ada": [("2026-01-01", "visit"), ("2026-02-20", "visit")]})])
    (side,) = side_by_side(log, {"silent": VISITS}, start=utc("2026-01-15"), end=END).sides
    assert np.isnan(side.churned.value)
    assert side.to_json()["churned"]["value"] is None


def test_intervals_hold_the_value_and_shrink_with_users(events_of: Events) -> None:
    draws = np.random.default_rng(1)
    many: History = {
        f"user-{place:04d}": [
            ("2026-01-20", "visit"),
            *([("2026-02-05", "visit")] if draws.random() < 0.6 else []),
        ]
        for place in range(2000)
    }
    log = InMemory([events_of(many)])
    (side,) = side_by_side(log, {"silent": VISITS}, start=utc("2026-01-15"), end=END).sides
    assert side.churned.low < side.churned.value < side.churned.high
    assert side.churned.high - side.churned.low == pytest.approx(2 * 1.96 * (0.4 * 0.6 / 2000) ** 0.5, rel=0.3)
