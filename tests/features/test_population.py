from datetime import timedelta

import pytest

from features.errors import BadInput
from features.population import Population
from features.windows import days, iso, utc
from models.definition import ChurnDefinition
from tests.cast import user_events

CUTOFF = utc("2026-03-01")


def visits(count: int, *, on: str) -> list[tuple[str, str, float | None]]:
    return [(iso(utc(on) + timedelta(seconds=number)), "visit", None) for number in range(count)]


def test_who_ever_had_too_many_events_on_a_day_is_left_out() -> None:
    events = user_events({"ada": visits(3, on="2026-02-20"), "bot": visits(11, on="2026-02-20")})
    everybody, people = Population((), days(28)), Population((), days(28), most_a_day=10)
    assert everybody.eligible(events, cutoff=CUTOFF).tolist() == [True, True]
    assert people.eligible(events, cutoff=CUTOFF).tolist() == [True, False]


def test_a_busy_day_after_the_cutoff_says_nothing_about_before() -> None:
    events = user_events({"ada": [*visits(3, on="2026-02-20"), *visits(50, on="2026-03-05")]})
    assert Population((), days(28), most_a_day=10).eligible(events, cutoff=CUTOFF).tolist() == [True]


def test_an_event_of_too_little_value_is_no_activity() -> None:
    deeds = {"ada": 20.0, "bert": 19.99, "chen": None}
    events = user_events({user: [("2026-02-20", "purchase", value)] for user, value in deeds.items()})
    assert Population((), days(28), least_value=20.0).eligible(events, cutoff=CUTOFF).tolist() == [True, False, False]
    assert Population((), days(28)).eligible(events, cutoff=CUTOFF).tolist() == [True, True, True]


def test_a_small_event_does_not_hide_the_large_one_before_it() -> None:
    events = user_events({"ada": [("2026-02-19", "purchase", 50.0), ("2026-02-20", "purchase", 1.0)]})
    assert Population((), days(28), least_value=20.0).eligible(events, cutoff=CUTOFF).tolist() == [True]


def test_the_limit_is_part_of_the_definition_and_travels_with_the_model() -> None:
    plain, limited = ChurnDefinition(), ChurnDefinition(most_events_a_day=1000)
    assert plain.id != limited.id
    assert ChurnDefinition.from_json(limited.to_json()) == limited
    assert limited.says().endswith("Left out: who ever had more than 1,000 events on a day.")
    with pytest.raises(BadInput, match="expected a number such as 1000"):
        ChurnDefinition(most_events_a_day=-1)
