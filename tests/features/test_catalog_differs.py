"""Columns that would say the same of everybody are not in the catalogue, as far as the counts of a log show it."""

import math
from dataclasses import replace

from features.catalog import standard
from features.expressions import Clock
from features.plan import make_plan
from features.snapshots import of_user
from features.summary import KindSummary, LogSummary, summarise
from features.windows import utc
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
