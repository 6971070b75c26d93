# ruff: noqa: RUF001 - Chinese sentences have Chinese punctuation
"""Columns that would say the same of everybody are not in the catalogue, as far as the counts of a log show it."""

import math
from dataclasses import replace

import pytest

from features.catalog import standard
from features.expressions import Clock
from features.plan import make_plan
from features.snapshots import of_user
from features.summary import KindSummary, LogSummary, summarise
from features.windows import days, iso, shift, utc
from tests.cast import user_events

PURCHASE = KindSummary("purchase", events=9000, users=1000, valued=9000, negative=40, large=70.26)
VISIT = KindSummary("visit", events=50_000, users=900, valued=0)


def summary(*kinds: KindSummary, has_hours: bool = True) -> LogSummary:
    return LogSummary(
        events=sum(kind.events for kind in kinds),
        users=1000,
        start=utc("2025-01-01"),
        end=utc("2026-11-01"),
        kinds=kinds,
        has_hours=has_hours,
    )


def names(*kinds: KindSummary, has_hours: bool = True) -> set[str]:
    return set(standard(summary(*kinds, has_hours=has_hours)).names)


def test_a_log_that_is_only_dated_has_no_columns_of_hours() -> None:
    hours, dated = names(PURCHASE, VISIT), names(PURCHASE, VISIT, has_hours=False)
    gone = hours - dated
    assert dated < hours
    assert {name.rsplit("_", 1)[0] for name in gone} == {
        *(f"{band}_share" for band in ("night", "morning", "afternoon", "evening")),
        "rhythm_change",
    }
    assert "weekend_share_ever" in dated


def test_a_log_of_working_days_has_no_columns_of_weekends() -> None:
    every = set(standard(summary(PURCHASE, VISIT)).names)
    working = set(standard(replace(summary(PURCHASE, VISIT), weekdays=(0, 1, 2, 3, 4))).names)
    assert working < every
    assert {name for name in every - working if not name.startswith("weekend")} == set()
    assert not any("weekend" in name for name in working)
    elsewhere = standard(replace(summary(PURCHASE, VISIT), weekdays=(0, 1, 2, 3, 4)), clock=Clock("Asia/Tokyo"))
    assert "weekend_share_ever" in elsewhere.names  # Friday evening in UTC is Saturday there


def test_a_summary_knows_on_which_days_of_the_week_there_are_events() -> None:
    working = user_events({"ada": [("2026-06-01", "visit", None)], "bert": [("2026-06-05T23:59:59Z", "visit", None)]})
    found = summarise([working])
    assert found is not None
    assert found.weekdays == (0, 4)
    every = user_events({"chen": [(f"2026-06-{day:02}", "visit", None) for day in range(1, 8)]})
    both = summarise([working, every])
    assert both is not None
    assert both.weekdays == (0, 1, 2, 3, 4, 5, 6)


def test_in_a_log_of_a_day_nothing_is_said_of_one_days() -> None:
    short = replace(summary(PURCHASE, VISIT), end=utc("2025-01-02T06:00"))
    told = [text for each in standard(short) for text in (each.sentence, each.missing)]
    assert any("last day" in text for text in told)
    assert [text for text in told if " 1 days" in text or "the 1 before" in text] == []


def test_only_what_was_given_back_makes_no_column_that_is_missing_for_all() -> None:
    back = replace(PURCHASE, negative=PURCHASE.valued, large=-1.0, least=-90.0, most=-0.5)
    found = standard(summary(back, VISIT))
    history = [("2026-09-01", "purchase", -3.0), ("2026-10-20", "purchase", -7.0), ("2026-10-30", "visit", None)]
    events = user_events({"ada": history})
    matrix = of_user(events, make_plan(found), cutoff=utc("2026-11-01"))
    row = dict(zip(found.names, matrix[0].tolist(), strict=True))
    assert row["mean_amount_91d"] == -5.0
    assert {name for name in found.names if math.isnan(row[name]) and "amount" in name} == {
        "mean_amount_7d",  # nothing in that week
        "amount_fifth",  # of nobody but him
    }
    assert not any("returned" in name for name in found.names)


def test_values_that_are_always_nothing_are_no_money() -> None:
    found = names(replace(PURCHASE, negative=0, large=0.0, least=0.0, most=0.0), VISIT)
    assert not any("amount" in name for name in found)


def test_one_price_makes_totals_and_no_means() -> None:
    one_price = replace(PURCHASE, negative=0, large=9.0, least=9.0, most=9.0)
    found = names(one_price, VISIT)
    assert {"amount_28d", "amount_fifth", "purchase_amount_28d", "amount_per_day_of_purchase_91d"} <= found
    assert not any("mean_amount" in name or "largest_amount" in name or "newest_amount" in name for name in found)
    several = names(one_price, replace(VISIT, valued=VISIT.events, large=9.0, least=9.0, most=12.0))
    assert {"mean_amount_28d", "visit_mean_amount_364d"} <= several
    assert "purchase_mean_amount_364d" not in several


def log_that_wins(*weekly: int) -> LogSummary:
    """A log of twelve weeks from 1 June 2026 in which so many users are first seen in each of the first weeks."""
    begun = utc("2026-06-01")
    users = [(week, number) for week, count in enumerate(weekly) for number in range(count)]
    first = {f"{week}-{number}": shift(begun, days(7 * week + number % 7)) for week, number in users}
    last = shift(begun, days(84))
    people = {
        user: [(iso(seen), "visit", None), (iso(shift(seen, days(1))), "visit", None), (iso(last), "visit", None)]
        for user, seen in first.items()
    }
    halves = [dict(list(people.items())[place::2]) for place in range(2)]
    found = summarise(user_events(half) for half in halves)
    assert found is not None
    return found


def visits_of_weeks() -> list[tuple[str, str, None]]:
    """Ten users a week for nine weeks from 2 June 2026."""
    return [(iso(shift(utc("2026-06-02"), days(7 * week))), "visit", None) for week in range(9) for _ in range(10)]


@pytest.mark.parametrize(
    ("weekly", "truncated"),
    [
        ((120, 40, 16, 8, 4, 4, 2, 2, 2), True),  # the old customers come by in the first weeks
        ((110, 120, 90, 110, 100, 80, 120, 100, 110), False),  # as many win a business each week
        ((4, 200, 300, 200, 90, 40, 20, 10, 10), False),  # something new is found by more and more
        ((200, *(95,) * 8), True),  # more than twice what is usual
        ((200, *(105,) * 8), False),
        ((60, 20, 8, 4, 2, 2, 1, 1, 1), False),  # so few may be chance
    ],
)
def test_a_crowd_in_the_first_week_tells_that_a_log_begins_in_the_midst_of_things(
    weekly: tuple[int, ...], truncated: bool
) -> None:
    found = log_that_wins(*weekly)
    assert found.truncated == (utc("2026-06-01") if truncated else None)
    assert ("days_into_log_when_first_seen" in standard(found).names) is truncated


def test_a_log_of_less_than_nine_weeks_does_not_tell_how_it_began() -> None:
    crowd = user_events({f"user {number}": [("2026-06-01", "visit", None)] for number in range(100)})
    for end, truncated in (("2026-08-02", False), ("2026-08-03", True)):
        found = summarise([crowd, user_events({"late": [(end, "visit", None)]})])
        assert found is not None
        assert (found.truncated is not None) is truncated


def test_a_stray_event_of_long_ago_does_not_hide_when_a_log_begins() -> None:
    crowd = user_events({f"user {number}": [("2026-06-01", "visit", None)] for number in range(120)})
    stray = user_events({"ada": [("2001-01-01", "visit", None), ("2026-09-01", "visit", None)]})
    found = summarise([crowd, stray])
    assert found is not None
    assert (found.start, found.truncated) == (utc("2001-01-01"), utc("2026-06-01"))


def test_a_log_that_has_seen_a_season_twice_has_ages_that_tell_enough() -> None:
    short = replace(summary(PURCHASE, VISIT), start=utc("2026-01-01"), truncated=utc("2026-01-01"))
    begun = standard(replace(short, truncated=None)).names
    assert set(standard(short).names) - set(begun) == {"days_into_log_when_first_seen"}
    longer = replace(short, start=utc("2025-05-01"), truncated=utc("2025-05-01"))
    assert "days_into_log_when_first_seen" not in standard(longer).names


def test_many_who_are_taken_over_at_once_do_not_begin_a_log() -> None:
    early = {f"early {number}": [("2026-06-01", "visit", None)] for number in range(5)}
    crowd = {f"later {number}": [("2026-07-01", "visit", None)] for number in range(200)}
    found = summarise([user_events(early), user_events(crowd), user_events({"late": [("2026-12-01", "visit", None)]})])
    assert found is not None
    assert found.truncated is None


def test_what_the_company_keeps_for_itself_is_nobodys_first_event() -> None:
    kept = {f"user {number}": [("2026-06-01", "$profile", None)] for number in range(150)}
    come = {
        f"user {number}": [("2026-06-01", "$profile", None), visit] for number, visit in enumerate(visits_of_weeks())
    }
    found = summarise([user_events(kept | come)])
    assert found is not None
    assert (found.users, found.start, found.truncated) == (90, utc("2026-06-02"), None)


def test_when_a_user_was_first_seen_in_a_truncated_log_stays_what_it_is() -> None:
    column = "days_into_log_when_first_seen"
    features = standard(log_that_wins(120, 40, 16, 8, 4, 4, 2, 2, 2))
    place = features.names.index(column)
    plan = make_plan(features)
    for first, expected in (
        ("2026-05-20", 0.0),
        ("2026-06-01", 0.0),
        ("2026-06-20T12:00:00Z", 19.5),
        ("2026-08-20", 56.0),
    ):
        events = user_events({"ada": [(first, "visit", None), ("2026-08-21", "visit", None)]})
        for cutoff in ("2026-08-25", "2026-12-25"):
            assert of_user(events, plan, cutoff=utc(cutoff))[0, place] == expected
    assert features[column].says(19.5) == "first seen 20 days after records began (56: or later)"
    assert features[column].says(19.5, "zh") == "首次出现在记录开始后第 20 天（56 表示 56 天或更晚）"
