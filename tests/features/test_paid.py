from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from features.errors import BadInput
from features.paid import Paid, Renewals
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import days, from_microseconds, iso, to_microseconds, utc
from tests.cast import user_events, with_texts

MONTHLY = Renewals(("renewal",), period_days=30)
BY_PLAN = Renewals(("renewal",), paid_days="plan_days")
UNTIL = Renewals(("renewal",), paid_until="expires")


def renewed(*renewals: tuple[str, str | None], name: str = "plan_days") -> UserEvents:
    events = user_events({"ada": [(time, "renewal", None) for time, _ in renewals]})
    return with_texts(events, name, [text for _, text in renewals])


def lapses(renewals: Renewals, events: UserEvents) -> list[str]:
    return [iso(from_microseconds(moment))[:10] for moment in renewals.lapses(events).times]


def is_paid(renewals: Renewals, events: UserEvents, cutoff: str, *, as_known: bool = False) -> bool:
    population = Paid((), days(28), renewals=renewals)
    return bool(population.eligible(events, cutoff=utc(cutoff), as_known=as_known)[0])


def test_a_period_pays_from_the_renewal_on_and_ends_before_its_end() -> None:
    events = renewed(("2026-01-01", None))
    assert lapses(MONTHLY, events) == ["2026-01-31"]
    assert is_paid(MONTHLY, events, "2026-01-30T23:59:59Z")
    assert not is_paid(MONTHLY, events, "2026-01-31")
    assert not is_paid(MONTHLY, events, "2026-01-01")  # what happens at the cutoff has not happened yet


def test_a_renewal_in_time_or_at_the_very_end_keeps_a_user() -> None:
    assert lapses(MONTHLY, renewed(("2026-01-01", None), ("2026-01-20", None))) == ["2026-02-19"]
    assert lapses(MONTHLY, renewed(("2026-01-01", None), ("2026-01-31", None))) == ["2026-03-02"]


def test_a_renewal_a_moment_too_late_does_not_undo_the_lapse() -> None:
    events = renewed(("2026-01-01", None), ("2026-01-31T00:00:01Z", None))
    assert lapses(MONTHLY, events) == ["2026-01-31", "2026-03-02"]


def test_grace_is_time_to_renew_in() -> None:
    graceful = replace(MONTHLY, grace=days(7))
    events = renewed(("2026-01-01", None), ("2026-02-07", None))
    assert lapses(graceful, events) == ["2026-03-16"]
    assert is_paid(graceful, renewed(("2026-01-01", None)), "2026-02-06T12:00")
    assert not is_paid(graceful, renewed(("2026-01-01", None)), "2026-02-07")


def test_days_are_read_from_the_property_and_the_latest_end_holds() -> None:
    events = renewed(("2026-01-01", "365"), ("2026-02-01", "30"), ("2026-03-01", "0.5"))
    assert lapses(BY_PLAN, events) == ["2027-01-01"]
    assert lapses(BY_PLAN, renewed(("2026-01-01", "0.5"))) == ["2026-01-01"]


def test_a_renewal_that_does_not_say_how_long_it_pays_pays_nothing() -> None:
    assert lapses(BY_PLAN, renewed(("2026-01-01", "30"), ("2026-01-20", "a month"), ("2026-01-21", None))) == [
        "2026-01-31"
    ]
    assert lapses(BY_PLAN, renewed(("2026-01-01", "nan"))) == []
    assert lapses(UNTIL, renewed(("2026-01-01", "31/01/2026"), name="expires")) == []


def test_a_plan_for_life_does_not_leave_the_calendar() -> None:
    assert is_paid(BY_PLAN, renewed(("2026-01-01", "1e9")), "2099-01-01")
    assert is_paid(UNTIL, renewed(("2026-01-01", "9999-12-31"), name="expires"), "2099-01-01")


def test_a_paid_until_date_is_its_midnight_and_an_instant_itself() -> None:
    assert lapses(UNTIL, renewed(("2026-01-01", "2026-02-01"), name="expires")) == ["2026-02-01"]
    events = renewed(("2026-01-01", "2026-02-01T09:00:00+02:00"), name="expires")
    assert is_paid(UNTIL, events, "2026-02-01T06:59:59Z")
    assert not is_paid(UNTIL, events, "2026-02-01T07:00:00Z")


def test_the_newest_word_on_a_paid_until_date_is_believed() -> None:
    events = renewed(("2026-01-01", "2026-12-31"), ("2026-03-01", "2026-03-10"), name="expires")
    assert lapses(UNTIL, events) == ["2026-03-10"]


def test_paid_time_that_is_taken_back_ends_when_it_is_said() -> None:
    events = renewed(("2026-01-01", "2026-12-31"), ("2026-03-01", "2026-02-01"), name="expires")
    assert lapses(UNTIL, events) == ["2026-03-01"]
    assert lapses(UNTIL, renewed(("2026-03-01", "2026-02-01"), name="expires")) == []  # there was nothing to take


def test_a_renewal_at_the_very_end_that_pays_nothing_keeps_nobody() -> None:
    events = renewed(("2026-01-01", "2026-02-01"), ("2026-02-01", "2026-02-01"), name="expires")
    assert lapses(UNTIL, events) == ["2026-02-01"]


def test_of_two_renewals_at_one_instant_the_longer_holds_whatever_their_order() -> None:
    for texts in (["2026-02-01", "2026-03-01"], ["2026-03-01", "2026-02-01"]):
        events = renewed(*(("2026-01-01", text) for text in texts), name="expires")
        assert lapses(UNTIL, events) == ["2026-03-01"]


def test_other_kinds_pay_nothing() -> None:
    assert lapses(MONTHLY, user_events({"ada": [("2026-01-01", "visit", 5.0)], "bert": []})) == []


def test_users_do_not_pay_for_each_other() -> None:
    deeds: dict[str, Sequence[tuple[str, str, float | None]]] = {
        "ada": [("2026-01-01", "renewal", None)],
        "bert": [],
        "chen": [("2026-01-11", "renewal", None)],
    }
    events = user_events(deeds)
    found = MONTHLY.lapses(events)
    assert [events.user_ids[owner] for owner in found.owners] == ["ada", "chen"]
    assert Paid((), days(1), renewals=MONTHLY).eligible(events, cutoff=utc("2026-02-01")).tolist() == [
        False,
        False,
        True,
    ]


def test_a_renewal_counts_as_known_once_it_was_received() -> None:
    events = renewed(("2026-01-01", None), ("2026-01-20", None))
    late = np.array([to_microseconds(utc("2026-01-01")), to_microseconds(utc("2026-02-10"))])
    told = replace(events, received=late)
    assert is_paid(MONTHLY, told, "2026-02-05")
    assert not is_paid(MONTHLY, told, "2026-02-05", as_known=True)
    assert is_paid(MONTHLY, told, "2026-02-11", as_known=True)


def test_a_population_says_which_property_it_reads() -> None:
    assert Paid((), days(28), renewals=UNTIL).wanted == Wanted(properties=("expires",))
    assert Paid((), days(28), renewals=MONTHLY).wanted == NOTHING_MORE


def test_exactly_one_thing_says_how_long_a_renewal_pays() -> None:
    for wrong in ({}, {"period_days": 30, "paid_until": "expires"}):
        with pytest.raises(BadInput, match="expected exactly one of them"):
            Renewals(("renewal",), **wrong)  # type: ignore[arg-type] # texts and numbers
    with pytest.raises(BadInput, match="expected 1 to 36,500"):
        Renewals(("renewal",), period_days=-1)
    with pytest.raises(BadInput, match="a renewal; expected one or more"):
        Renewals((), period_days=30)
    with pytest.raises(BadInput, match="expected 0d or more"):
        replace(MONTHLY, grace=days(-1))
