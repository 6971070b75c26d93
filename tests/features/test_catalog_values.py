"""What the standard columns say of users whose history can be counted by hand."""

import math
from datetime import timedelta

import numpy as np
import pytest

from features.plan import make_plan
from features.population import Population
from features.snapshots import in_population, of_events
from features.windows import days, iso, utc
from tests.cast import user_events
from tests.typical_log import (
    RICH,
    values,
    with_columns,
)


def test_what_was_sent_redeemed_and_ignored():
    history = [
        ("2026-10-05", "mailing", None),
        ("2026-10-20", "mailing", None),
        ("2026-10-25", "mailing", None),
        ("2026-10-26", "coupon_redemption", None),
    ]
    row = values(RICH, history)
    assert (row["treatments_28d"], row["redemptions_28d"], row["ignored_91d"]) == (3, 1, 2)
    assert row["redeemed_share_91d"] == pytest.approx(1 / 3)
    assert row["days_since_last_treatment"] == 7
    assert row["events_ever"] == 0


def test_service_tells_the_last_trouble_its_rate_and_its_change():
    history = [
        ("2026-09-20", "ticket", None),
        ("2026-10-20", "ticket", None),
        ("2026-10-25", "ticket", None),
        *((f"2026-10-{day}", "visit", None) for day in (10, 20, 25, 30)),
    ]
    row = values(RICH, history)
    assert (row["days_since_last_trouble"], row["troubles_28d"], row["trouble_change_28d"]) == (7, 2, 1)
    assert row["trouble_rate_91d"] == 3 / 4


def test_money_knows_returns_discounts_and_large_purchases():
    history = [
        ("2026-10-01", "purchase", 100.0),
        ("2026-10-20", "purchase", 50.0),
        ("2026-10-25", "purchase", -20.0),
        ("2026-10-26", "refund", 10.0),
    ]
    row = values(RICH, history, discount=["5", "10", None, None])
    assert row["amount_ever"] == 130
    assert row["mean_amount_ever"] == 75
    assert row["returned_share_ever"] == pytest.approx(0.2)
    assert row["discount_share_ever"] == pytest.approx(0.1)
    assert row["days_since_last_large_amount"] == 31
    assert RICH["days_since_last_large_amount"].says(31.0) == "last purchase of 70.3 or more 31 days ago"


def test_the_rhythm_is_by_the_clock_of_the_zone_and_its_change_is_what_moved():
    evenings = [(f"2026-06-{day:02}T12:00:00Z", "visit", None) for day in range(1, 11)]  # 20:00 in Shanghai
    mornings = [(f"2026-10-{day:02}T01:00:00Z", "visit", None) for day in range(10, 20)]  # 09:00 there
    row = values(RICH, evenings + mornings)
    assert (row["morning_share_ever"], row["evening_share_ever"], row["morning_share_91d"]) == (0.5, 0.5, 1.0)
    assert row["rhythm_change_28d"] == 1.0
    assert math.isnan(values(RICH, mornings)["rhythm_change_28d"])


def test_a_steady_users_fading_levels_are_his_weekly_count():
    cutoff = utc("2026-11-01")
    history = [(iso(cutoff - days(age) - timedelta(hours=1)), "visit", None) for age in range(1200)]
    row = values(RICH, history)
    for half_life in (7, 28, 91):
        assert row[f"events_a_week_halved_{half_life}d"] == pytest.approx(7, rel=0.06)
    assert row["momentum_7d_of_28d"] == pytest.approx(1, rel=0.06)


def test_the_same_weeks_a_year_ago_begin_364_days_before_the_cutoff():
    cutoff = utc("2026-11-01")
    history = [(iso(cutoff - days(age)), "visit", None) for age in (336, 337, 364, 365)]
    assert values(RICH, history)["events_last_year_28d"] == 2


def test_the_most_recent_most_frequent_and_best_spender_is_in_the_fifth_fifth():
    users = {
        f"user{number}": [(f"2026-10-{10 + number}", "purchase", 10.0 * number + day) for day in range(number)]
        for number in range(1, 11)
    }
    plan = make_plan(RICH)
    population = Population(("purchase",), days(91))
    found = of_events(
        with_columns(user_events(users)), plan, RICH.names, cutoffs=[utc("2026-11-01")], population=population
    )
    fifths = in_population(found, plan).to_pandas()[["recency_fifth", "frequency_fifth", "amount_fifth"]]
    assert fifths["recency_fifth"].droplevel("cutoff")["user10"] == 5
    assert fifths["recency_fifth"].droplevel("cutoff")["user1"] == 1
    assert fifths["amount_fifth"].droplevel("cutoff").sort_index().to_dict()["user9"] == 5
    assert set(np.unique(fifths["recency_fifth"])) == {1, 2, 3, 4, 5}
