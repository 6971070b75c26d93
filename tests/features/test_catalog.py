import re

import pytest

from features.catalog import kinds_kept, slug_of, standard
from features.summary import KindSummary, LogSummary
from features.windows import utc


def summary(*kinds, users=1000, start="2025-01-01", end="2026-11-01"):
    return LogSummary(
        events=sum(kind.events for kind in kinds), users=users, start=utc(start), end=utc(end), kinds=tuple(kinds)
    )


PURCHASE = KindSummary("purchase", events=9000, users=1000, valued=9000)
VISIT = KindSummary("visit", events=50_000, users=900, valued=0)
REFUND = KindSummary("refund", events=30, users=20, valued=30)


def test_a_log_of_purchases_alone_has_sixty_features():
    assert len(standard(summary(PURCHASE))) >= 60


def test_three_months_without_values_still_have_forty():
    assert len(standard(summary(VISIT, start="2026-08-01"))) >= 40


def test_a_suffix_in_days_equals_the_longest_window_of_the_feature():
    for feature in standard(summary(PURCHASE, VISIT, REFUND)):
        found = re.search(r"_(\d+)d$", feature.name)
        if found and not feature.name.startswith(("events_halved", "momentum")):
            factor = 2 if "_change_" in feature.name else 1
            assert feature.window_days == factor * int(found[1]), feature.name


def test_a_name_that_says_ever_looks_back_to_the_first_event():
    for feature in standard(summary(PURCHASE, VISIT)):
        if feature.name.endswith("_ever"):
            assert feature.window_days is None, feature.name


def test_no_window_is_longer_than_the_history():
    names = standard(summary(PURCHASE, start="2026-08-01")).names
    assert "events_56d" in names
    assert not [name for name in names if re.search(r"_(182|364)d", name)]


def test_rare_kinds_are_pooled_instead_of_dropped():
    rarer = standard(summary(PURCHASE, VISIT, REFUND))["rarer_kinds_ever"].expression
    assert rarer.kinds == ("refund",)


def test_thousands_of_kinds_keep_a_few_columns_each():
    kinds = [KindSummary(f"page {number}", events=10, users=900, valued=0) for number in range(3000)]
    assert len(kinds_kept(summary(*kinds))) == 6
    assert len(standard(summary(*kinds))) < 130


def test_amounts_that_hardly_any_event_has_make_no_money_features():
    sparse = KindSummary("visit", events=1000, users=900, valued=10)
    assert "amount_ever" not in standard(summary(sparse)).names
    assert "amount_ever" in standard(summary(PURCHASE)).names


def test_what_is_no_activity_wakes_nobody_but_has_columns_of_its_own():
    features = standard(summary(PURCHASE, VISIT), activity=("purchase",))
    assert features["days_since_last_event"].expression.kinds == ("purchase",)
    assert features["days_since_last_visit"].expression.kinds == ("visit",)


def test_the_season_waits_for_a_year_and_a_half_of_history():
    assert "season_sine" in standard(summary(PURCHASE)).names
    assert "season_sine" not in standard(summary(PURCHASE, start="2026-01-01")).names


@pytest.mark.parametrize("kinds", [("Add to cart", "add-to-cart", "ADD TO CART"), ("退货", "购买"), ("event", "Event")])
def test_kinds_with_awkward_names_get_columns_that_differ(kinds):
    named = [KindSummary(kind, events=100, users=900, valued=0) for kind in kinds]
    names = standard(summary(*named)).names
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name.isidentifier() for name in names)


def test_braces_in_a_kind_are_shown_as_they_are():
    feature = standard(summary(PURCHASE, KindSummary("{oops}", 100, 900, 0)))[f"days_since_last_{slug_of('{oops}')}"]
    assert feature.says(3.0) == "last “{oops}” event 3 days ago"


def test_every_feature_of_the_catalogue_says_a_number_and_a_missing_value():
    for feature in standard(summary(PURCHASE, VISIT, REFUND)):
        assert feature.says(1.0)
        assert "nan" not in feature.says(float("nan"))
