"""The catalogue where only events of enough value are activity."""

from features.catalog import standard
from features.expressions import Chosen, tallies
from features.summary import KindSummary, LogSummary
from features.windows import utc

PURCHASE = KindSummary("purchase", events=9000, users=1000, valued=9000, least=1.0, most=99.0)
VISIT = KindSummary("visit", events=9000, users=1000, valued=0)
LOG = LogSummary(18_000, 1000, utc("2025-01-01"), utc("2026-11-01"), kinds=(PURCHASE, VISIT))


def test_what_is_told_of_activity_is_told_of_events_of_enough_value() -> None:
    features = standard(LOG, activity=("purchase",), least_value=20.0)
    worthy = Chosen(("purchase",), least=20.0)
    for family in ("recency", "cadence", "trend"):
        told = [feature for feature in features if feature.family == family]
        assert any(tally.chosen == worthy for feature in told for tally in tallies(feature.expression)), family
    assert [tally.chosen for tally in tallies(features["days_since_last_event"].expression)] == [worthy]


def test_money_and_single_kinds_still_see_every_event() -> None:
    features = standard(LOG, activity=("purchase",), least_value=20.0)
    everything = Chosen(("purchase",))
    assert [tally.chosen for tally in tallies(features["days_since_last_purchase"].expression)] == [everything]
    spent = [feature for feature in features if feature.family == "money"]
    assert all(tally.chosen != Chosen(("purchase",), least=20.0) for one in spent for tally in tallies(one.expression))


def test_without_a_least_value_the_catalogue_is_the_one_of_old() -> None:
    assert standard(LOG, activity=("purchase",)) == standard(LOG, activity=("purchase",), least_value=0.0)
