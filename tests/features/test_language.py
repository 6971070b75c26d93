import math

import pytest

from features.errors import BadInput
from features.expressions import Season
from features.language import FeatureSet, events, feature_set, profile, season
from features.plan import make_plan
from features.snapshots import of_user
from features.windows import days, utc
from tests.cast import user_events

CUTOFF = utc("2026-06-01")


def value(expression, events_of_ada):
    features = feature_set(it=expression)
    return of_user(user_events({"ada": events_of_ada}), make_plan(features), cutoff=CUTOFF)[0, 0]


def test_an_event_at_the_cutoff_is_not_seen():
    assert value(events().count(), [("2026-06-01", "visit", None)]) == 0


def test_an_event_a_microsecond_before_the_cutoff_is_seen():
    assert value(events().count(last=days(1)), [("2026-05-31T23:59:59.999999Z", "visit", None)]) == 1


def test_a_window_is_half_open_so_its_first_instant_counts_and_the_one_before_does_not():
    assert value(events().count(last=days(7)), [("2026-05-25", "visit", None)]) == 1
    assert value(events().count(last=days(7)), [("2026-05-24T23:59:59.999999Z", "visit", None)]) == 0


def test_the_window_before_ends_where_the_window_starts():
    visits = [("2026-05-25", "visit", None), ("2026-05-24T23:59:59Z", "visit", None), ("2026-05-18", "visit", None)]
    assert value(events().count(last=days(7), ago=days(7)), visits) == 2


def test_a_count_and_a_total_of_nothing_are_zero():
    assert value(events("purchase").count(last=days(7)), [("2026-05-31", "visit", 3.0)]) == 0
    assert value(events("purchase").total(), [("2026-05-31", "visit", 3.0)]) == 0


@pytest.mark.parametrize(
    "expression",
    [
        events("purchase").days_since_last(),
        events("purchase").mean(),
        events("purchase").maximum(last=days(7)),
        events("purchase").total(last=days(7)) / events("purchase").total(last=days(28)),
        events("purchase").mean_gap(),
        events("purchase").gap_spread(),
        events("purchase").longest_gap(),
        events("purchase").weekend_share(),
    ],
)
def test_what_cannot_be_known_is_missing(expression):
    assert math.isnan(value(expression, [("2026-05-31", "visit", 3.0)]))


def test_totals_means_and_maxima_leave_out_events_without_a_value():
    bought = [("2026-05-30", "purchase", 10.0), ("2026-05-29", "purchase", None), ("2026-05-10", "purchase", -4.0)]
    assert value(events("purchase").total(), bought) == 6
    assert value(events("purchase").mean(), bought) == 3
    assert value(events("purchase").maximum(), bought) == 10
    assert value(events("purchase").maximum(last=days(28), ago=days(7)), bought) == -4


def test_active_days_are_days_of_age_counted_back_from_the_cutoff():
    visits = [("2026-05-31T01:00Z", "visit", None), ("2026-05-31T23:00Z", "visit", None), ("2026-05-30", "visit", None)]
    assert value(events().active_days(last=days(7)), visits) == 2


def test_days_since_last_and_first_are_exact_fractions_of_days():
    visits = [("2026-05-31T12:00Z", "visit", None), ("2026-05-22", "visit", None)]
    assert value(events().days_since_last(), visits) == 0.5
    assert value(events().days_since_first(), visits) == 10


def test_gaps_run_between_active_days_and_know_the_present_silence():
    visits = [(f"2026-05-{day:02}T12:00Z", "visit", None) for day in (1, 3, 9, 11, 28)]  # gaps 2, 6, 2, 17
    assert value(events().mean_gap(), visits) == 27 / 4
    assert value(events().longest_gap(), visits) == 17
    assert value(events().newest_gap(), visits) == 17
    assert value(events().gap_spread(), visits) == pytest.approx(math.sqrt(333 / 4 - (27 / 4) ** 2))
    assert value(events().share_of_longer_gaps(), visits) == 2 / 4  # silent for 3.5 days: 6 and 17 were longer


def test_weekends_and_nights_are_told_apart_in_utc():
    visits = [("2026-05-30T05:59Z", "visit", None), ("2026-05-29T06:00Z", "visit", None)]  # a Saturday, a Friday
    assert value(events().weekend_share(), visits) == 0.5
    assert value(events().night_share(last=days(7)), visits) == 0.5


def test_a_decayed_count_halves_with_every_half_life_of_age():
    visits = [("2026-05-31T12:00Z", "visit", None), ("2026-05-24T12:00Z", "visit", None)]
    assert value(events().decayed_count(half_life=days(7)), visits) == 1.5


def test_the_season_is_the_same_a_year_later():
    features = feature_set(sine=season(Season.SINE), cosine=season(Season.COSINE))
    plan = make_plan(features)
    nobody = user_events({"ada": []})
    this, next_year = (of_user(nobody, plan, cutoff=utc(text))[0] for text in ("2026-06-01", "2027-06-01"))
    assert this == pytest.approx(next_year, abs=0.01)


def test_the_day_of_the_cutoff_goes_on():
    plan = make_plan(feature_set(day=season(Season.DAY)))
    nobody = user_events({"ada": []})
    assert [of_user(nobody, plan, cutoff=utc(text))[0][0] for text in ("1970-01-02", "1970-01-03T12:00Z")] == [1, 2.5]


@pytest.mark.parametrize("ago", [days(-1), days(-28)])
def test_no_window_reaches_past_the_cutoff(ago):
    with pytest.raises(BadInput, match=r"a span of -\d+ days.*before the cutoff"):
        events().count(last=days(7), ago=ago)


def test_a_window_of_half_a_day_is_refused_because_ages_are_whole_days():
    with pytest.raises(BadInput, match=r"a span of 0.5 days.*days\(28\)"):
        events().count(last=days(1) / 2)


def test_a_sentence_that_takes_no_number_is_refused_when_it_is_written():
    with pytest.raises(BadInput, match=r"write \{:.0f\} for it"):
        events().count().says("{name} events")


def test_a_feature_says_its_value_and_says_when_there_is_none():
    features = feature_set(
        spent=events("purchase").mean().says("{:.2f} a purchase", missing="never bought"),
        visits_7d=events().count(last=days(7)),
    )
    assert features["spent"].says(12.5) == "12.50 a purchase"
    assert features["spent"].says(math.nan) == "never bought"
    assert features["visits_7d"].says(2.0) == "visits 7d: 2"


def test_one_is_said_in_the_singular_and_a_name_is_left_as_it_is():
    features = feature_set(
        visits=events().count().says("{:.0f} visit(s), “item(s)” among them", zh="来过 {:.0f} 次"),
        change=events().count().says("{:+.0f} active day(s)"),
        pause=events().mean_gap().says("{:.1f} day(s) (usually)"),
        plan=profile("plan").among("box(es)", "jar(s)").says("on {} of plan(s)"),
    )
    assert [features["visits"].says(n) for n in (0, 1, 1.4, 2, 21)] == [
        f"{n}, “item(s)” among them" for n in ("0 visits", "1 visit", "1 visit", "2 visits", "21 visits")
    ]
    assert [features["change"].says(n) for n in (-1, 1, -11)] == ["-1 active day", "+1 active day", "-11 active days"]
    assert features["pause"].says(1.0) == "1.0 days (usually)"
    assert features["plan"].says(1.0) == "on jar(s) of plans"
    assert features["visits"].says(1.0, "zh") == "来过 1 次"
    assert features["visits"].pattern == "N visits, “item(s)” among them"


def test_a_negative_zero_is_said_as_zero():
    features = feature_set(change=events().count().says("{:+.0f} events"))
    assert features["change"].says(-0.0) == "+0 events"


def test_the_fingerprint_changes_with_the_meaning_and_not_with_the_words():
    plain = feature_set(visits_7d=events().count(last=days(7)))
    assert plain.fingerprint == feature_set(visits_7d=events().count(last=days(7)).says("{:.0f} visits")).fingerprint
    assert plain.fingerprint != feature_set(visits_7d=events().count(last=days(8))).fingerprint
    assert plain.fingerprint != feature_set(visits=events().count(last=days(7))).fingerprint


def test_a_feature_set_survives_json_and_notices_an_edit():
    features = feature_set(
        a=events("x").mean_gap() / 2, b=season(Season.SINE), c=events().decayed_count(half_life=days(3))
    )
    document = features.to_json()
    assert FeatureSet.from_json(document) == features
    document["features"][0]["name"] = "renamed"
    with pytest.raises(BadInput, match="fingerprint"):
        FeatureSet.from_json(document)


def test_two_sets_with_a_name_in_common_do_not_add_up():
    with pytest.raises(BadInput, match="both have visits"):
        feature_set(visits=events().count()) + feature_set(visits=events().active_days())


def test_equal_parts_of_expressions_are_tallied_once():
    last = events().count(last=days(7))
    plan = make_plan(feature_set(a=last, b=last / events().count(last=days(14)), c=last - last))
    assert (plan.program.cells, len(plan.program.steps)) == (2, 2)


def test_a_user_without_events_has_a_row_of_nothing():
    features = feature_set(count=events().count(), last=events().days_since_last())
    plan = make_plan(features)
    assert str(of_user(user_events({"ada": []}), plan, cutoff=CUTOFF).tolist()) == "[[0.0, nan]]"


@pytest.mark.parametrize("weeks", [0, -1, 53])
def test_more_weeks_than_are_counted_are_refused(weeks):
    with pytest.raises(BadInput, match="expected 1 to 52"):
        events().peak_week(weeks=weeks)
