import math
import re
from datetime import timedelta

import numpy as np
import pytest

from features.catalog import FAMILIES, kinds_kept, slug_of, standard
from features.errors import BadInput
from features.expressions import Clock, Window, tallies
from features.families.roles import role_of
from features.plan import make_plan
from features.population import Population
from features.property_counts import PropertySummary
from features.snapshots import in_population, of_events, of_user
from features.summary import KindSummary, LogSummary
from features.user_events import Property, UserEvents
from features.windows import days, iso, utc
from tests.cast import user_events


def summary(*kinds, users=1000, start="2025-01-01", end="2026-11-01", properties=(), profile=()):
    return LogSummary(
        events=sum(kind.events for kind in kinds),
        users=users,
        start=utc(start),
        end=utc(end),
        kinds=tuple(kinds),
        properties=tuple(properties),
        profile_properties=tuple(profile),
    )


def texts(name, *found, events=40_000, distinct=None):
    distinct = distinct or len(found)
    return PropertySummary(name, events, distinct, tuple((text, events // distinct) for text in found))


PURCHASE = KindSummary("purchase", events=9000, users=1000, valued=9000, negative=40, large=70.26)
VISIT = KindSummary("visit", events=50_000, users=900, valued=0)
REFUND = KindSummary("refund", events=30, users=20, valued=30, large=12.0)
SEARCH = KindSummary("search", events=8000, users=700, valued=0)
QUIZ = KindSummary("quiz", events=50, users=30, valued=0)
TICKET = KindSummary("ticket", events=300, users=100, valued=0)
MAILING = KindSummary("mailing", events=2000, users=900, valued=0)
REDEMPTION = KindSummary("coupon_redemption", events=200, users=80, valued=0)
TYPICAL = summary(
    PURCHASE,
    VISIT,
    SEARCH,
    REFUND,
    QUIZ,
    TICKET,
    MAILING,
    REDEMPTION,
    properties=[
        texts("store", "north", "south"),
        texts("channel", "web", "app"),
        texts("discount", "0.5", "1.25", events=9000),
        texts("order_id", *map(str, range(20)), events=60_000, distinct=10_000),
    ],
    profile=[
        texts("plan", "free", "pro", events=1000),
        texts("age", *map(str, range(20, 40)), events=900, distinct=60),
        texts("name", *(f"n{number}" for number in range(20)), events=1000, distinct=1000),
    ],
)
RICH = standard(TYPICAL, activity=("visit", "purchase", "search"), clock=Clock("Asia/Shanghai"))


def family_of(features, family):
    return [feature.name for feature in features if feature.family == family]


def test_a_typical_log_has_150_to_250_columns_of_every_family():
    assert 150 <= len(RICH) <= 250
    assert {feature.family for feature in RICH} == set(FAMILIES) - {"paid"}  # nothing is said to pay


def test_a_year_of_purchases_mailings_and_coupons_has_166_columns():
    groceries = summary(
        KindSummary("purchase", 146_000, 2469, 146_000, large=70.0),
        KindSummary("mailing", 6000, 1500, 0),
        KindSummary("coupon_redemption", 2100, 430, 0),
        users=2469,
        start="2017-01-01",
        end="2018-01-01",
        properties=[texts("store_id", "367", "406", events=146_000, distinct=457)],
    )
    features = standard(groceries, activity=("purchase",))
    assert len(features) == 166
    assert not [name for name in features.names if name.startswith("purchase_")]  # told once, as all activity


def test_one_kind_without_values_and_three_weeks_of_history_has_few():
    features = standard(summary(VISIT, start="2026-10-11"))
    assert len(features) == 60
    assert {"money", "service", "treatment", "breadth", "profile"}.isdisjoint(feature.family for feature in features)


def test_a_log_of_minutes_still_has_features():
    assert "days_since_last_event" in standard(summary(VISIT, start="2026-10-31T23:50:00Z")).names


def test_the_most_that_there_can_be_stays_below_300():
    kinds = [KindSummary(f"page {number}", 1000, 900, 1000, 10, 5.0) for number in range(3000)]
    wide = [texts(f"p{number}", "a", "b", events=3_000_000) for number in range(50)]
    everything = summary(*kinds, TICKET, MAILING, REDEMPTION, REFUND, start="2020-01-01", properties=wide, profile=wide)
    assert len(kinds_kept(everything)) == 6
    features = standard(everything)
    assert 250 <= len(features) < 300
    assert max(len(tally.chosen.kinds) for feature in features for tally in tallies(feature.expression)) <= 200


def test_a_suffix_in_days_is_the_length_of_a_window_or_of_a_half_life():
    for feature in RICH:
        found = re.search(r"_(\d+)d$", feature.name)
        if found:
            spans = {getattr(tally, "last", 0) for tally in tallies(feature.expression)}
            spans |= {getattr(tally, "half_life", 0) for tally in tallies(feature.expression)}
            assert int(found[1]) == max(spans), feature.name


def test_a_name_that_says_ever_looks_back_to_the_first_event():
    for feature in RICH:
        if feature.name.endswith("_ever"):
            assert feature.window_days is None, feature.name


def test_windows_are_cut_to_the_history():
    windows = {
        tally.last + tally.ago
        for feature in standard(summary(PURCHASE, start="2026-08-01"))
        for tally in tallies(feature.expression)
        if isinstance(tally, Window)
    }
    assert max(windows) <= 92
    assert {1, 3, 7, 14, 28, 56, 91} <= windows


def test_rarer_kinds_are_what_the_others_leave():
    history = [("2026-10-30", kind, 1.0) for kind in ("visit", "quiz", "quiz", "mailing", "ticket", "purchase")]
    row = values(RICH, history)
    assert row["rarer_kinds_28d"] == 2
    assert row["visit_28d"] == 1


def test_amounts_that_hardly_any_event_has_make_no_money_features():
    assert "amount_ever" not in standard(summary(KindSummary("visit", events=1000, users=900, valued=10))).names
    assert "amount_ever" in standard(summary(PURCHASE)).names


def test_what_is_no_activity_wakes_nobody_but_has_columns_of_its_own():
    features = standard(summary(PURCHASE, VISIT), activity=("purchase",))
    row = values(features, [("2026-10-01", "purchase", 9.0), ("2026-10-31", "visit", None)])
    assert row["days_since_last_event"] == 31
    assert row["days_since_last_visit"] == 1


def test_the_season_waits_for_a_year_and_a_half_of_history_and_last_year_for_thirteen_months():
    long, short = standard(summary(PURCHASE)), standard(summary(PURCHASE, start="2026-01-01"))
    assert {"season_sine", "events_last_year_28d"} <= set(long.names)
    assert family_of(short, "calendar") == ["cutoff_day"]
    assert "season_sine" not in standard(summary(PURCHASE, start="2025-09-01")).names
    assert "cutoff_day" not in long.names  # it would hide from the level of a year ago what there is to follow


@pytest.mark.parametrize(
    "kinds",
    [
        ("Add to cart", "add-to-cart", "ADD TO CART"),
        ("退货", "购买"),
        ("event", "Event", "events"),
        ("amount", "active_days", "mean_amount", "kinds", "rarer_kinds"),
    ],
)
def test_kinds_with_awkward_names_get_columns_that_differ(kinds):
    named = [KindSummary(kind, events=100, users=900, valued=100) for kind in kinds]
    features = standard(summary(*named, VISIT))
    assert len(set(features.names)) == len(features)
    assert all(name.isascii() and name.isidentifier() for name in features.names)
    counted = [feature for feature in features if getattr(feature.expression, "what", "") == "count"]
    own = {feature.expression.chosen.kinds for feature in counted}
    assert {(kind,) for kind in kinds} <= own


def test_braces_in_a_kind_are_shown_as_they_are():
    feature = standard(summary(PURCHASE, KindSummary("{oops}", 100, 900, 0)))[f"days_since_last_{slug_of('{oops}')}"]
    assert feature.says(3.0) == "last “{oops}” event 3 days ago"
    assert feature.says(3.0, "zh") == "最近一次“{oops}”在 3 天前"


def test_every_column_says_a_number_and_a_missing_value_in_both_languages():
    for feature in RICH:
        for said in (feature.says(1.0), feature.says(1.0, "zh")):
            assert re.search(r"\d", said) or feature.categories, feature.name
        assert re.search(r"[\u4e00-\u9fff]", feature.says(1.0, "zh")) or feature.family == "profile", feature.name
        assert bool(feature.missing) == bool(feature.missing_zh), feature.name
        assert "{" not in feature.missing + feature.missing_zh
        assert feature.unit or feature.family == "calendar", feature.name


def test_both_languages_show_the_same_number_the_same_way():
    places = re.compile(r"\{[^}]*\}")
    for feature in RICH:
        assert places.findall(feature.sentence) == places.findall(feature.sentence_zh), feature.name


def test_what_can_be_missing_says_why():
    history = [("2026-01-05", "visit", None), ("2026-10-20", "purchase", None)]
    rows = [values(RICH, deeds) for deeds in ([], history[:1], history, [("2026-10-30", "quiz", None)])]
    for name in RICH.names:
        if any(math.isnan(row[name]) for row in rows):
            assert RICH[name].missing, name


def test_the_reasons_read_as_an_agent_would_say_them():
    assert RICH["events_a_week_halved_28d"].says(2.34) == "in the last weeks about 2.3 events a week"
    assert RICH["events_a_week_halved_28d"].says(2.34, "zh") == "近几周大约每周 2.3 次活动"
    assert RICH["silence_to_mean_gap"].says(3.14) == "silent for 3.1 times the usual pause"
    assert RICH["silence_to_mean_gap"].says(3.14, "zh") == "已沉默的时间是平均间隔的 3.1 倍"


def test_nobody_has_one_days_or_one_events():
    plural = re.compile(
        r"\b1 ((active|new|rarer|“[^”]*”) )?"
        r"(days|weeks|events|kinds|purchases|troubles|campaigns|coupons|messages|offers|redemptions)\b"
    )
    assert [feature.says(1.0) for feature in RICH if plural.search(feature.says(1.0))] == []
    assert RICH["treatments_28d"].says(1.0) == "1 campaign, coupon or message received in the last 28 days"
    assert RICH["treatments_28d"].says(2.0) == "2 campaigns, coupons or messages received in the last 28 days"
    assert not any("(s)" in text for feature in RICH for text in (feature.pattern, feature.pattern_zh, feature.missing))


@pytest.mark.parametrize(
    ("role", "kinds"),
    [
        (
            "service",
            "complaint tickets error failedPayment payment_failure refund_request support cancel "
            "投诉 退款申请 支付失败",
        ),
        ("treatment", "campaign coupon coupon_issued Message email push mailing sms 推送 发券 营销活动"),
        ("redemption", "redeem coupon_redeemed coupon_redemption voucherUsed 核销 使用优惠券"),
        ("return", "return refunds refunded 退货 退款"),
        ("", "visit purchase search email_opened push_clicked couponing pushup discussion 购买 登录 打开推送"),
    ],
)
def test_a_role_is_recognised_from_common_words_in_both_languages(role, kinds):
    assert {kind: role_of(kind) for kind in kinds.split()} == dict.fromkeys(kinds.split(), role)


def test_a_named_role_is_not_guessed_and_activity_is_nobody_elses_deed():
    features = standard(TYPICAL, treatments=("quiz",), activity=("visit", "purchase"))
    assert features["treatments_28d"].expression.chosen.kinds == ("quiz",)
    chat = summary(KindSummary("message", 9000, 900, 0), VISIT)
    assert family_of(standard(chat), "treatment")
    assert not family_of(standard(chat, activity=("message", "visit")), "treatment")


@pytest.mark.parametrize(
    "wrong",
    [
        {"service": ("nothing",)},
        {"treatments": ("nothing",)},
        {"redemptions": ("nothing",)},
        {"returns": ("nothing",)},
        {"properties": ("nothing",)},
        {"clock": Clock("Moon/Base")},
    ],
)
def test_a_kind_a_property_or_a_zone_that_is_not_there_is_refused(wrong):
    with pytest.raises(BadInput, match=r"nothing|Moon"):
        standard(TYPICAL, **wrong)


def test_properties_are_counted_that_repeat_themselves_or_that_were_named():
    assert {name for name in RICH.names if name.endswith("_entropy_ever")} == {
        "kind_entropy_ever",
        "store_entropy_ever",
        "channel_entropy_ever",
    }
    chosen = standard(TYPICAL, properties=("order_id",))
    assert "order_id_distinct_28d" in chosen.names
    assert "store_distinct_28d" not in chosen.names
    assert not [name for name in standard(TYPICAL, properties=()).names if "distinct" in name]


def test_profiles_are_numbers_or_categories_and_names_are_neither():
    assert family_of(RICH, "profile") == ["profile_plan", "profile_age"]
    assert RICH["profile_plan"].categories == ("free", "pro", "(another)")
    assert RICH["profile_age"].categories == ()
    assert RICH["profile_age"].says(31.0, "zh") == "age\N{FULLWIDTH COLON}31"


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


def values(features, history, *, cutoff="2026-11-01", discount=None):
    """What the features say of one user, by name."""
    events = with_columns(user_events({"ada": history}), discount=discount)
    return dict(zip(features.names, of_user(events, make_plan(features), cutoff=utc(cutoff))[0], strict=True))


def with_columns(events: UserEvents, *, discount=None) -> UserEvents:
    """The same events with the properties that the typical log has, all of them missing but the discount."""
    missing = Property(np.full(len(events.times), -1, dtype=np.int32), ())
    named = dict.fromkeys(("store", "channel", "plan", "age", "order_id", "discount"), missing)
    if discount is not None:
        amounts = tuple(amount for amount in discount if amount is not None)
        codes = [-1 if amount is None else amounts.index(amount) for amount in discount]
        named["discount"] = Property(np.array(codes, dtype=np.int32), amounts)
    return UserEvents(
        events.user_ids, events.offsets, events.times, events.kinds, events.kind_names, events.values, None, named
    )


def test_a_property_that_no_profile_has_cannot_tell_the_time_zone():
    with pytest.raises(BadInput, match="no profile has the property 'zone'"):
        standard(TYPICAL, clock=Clock("UTC", told_by="zone"))
