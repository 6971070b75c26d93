"""The days of paid time left: as the definition of churn reads payments, at each cutoff, and of nothing later."""

import numpy as np
import pytest

from features import catalog
from features.errors import BadInput
from features.expressions_json import from_json, to_json
from features.families.paid import LEFT, is_left, left
from features.formula import formula
from features.language import events, feature_set
from features.paid import Paid, Renewals
from features.plan import make_plan
from features.population import Population
from features.snapshots import of_events, of_user
from features.summary import KindSummary, LogSummary
from features.user_events import UserEvents
from features.windows import days, iso, shift, utc
from tests.cast import user_events, with_texts

UNTIL = Renewals(("renewal",), paid_until="expires")
BY_PLAN = Renewals(("renewal",), paid_days="plan_days")
MONTHLY = Renewals(("renewal",), period_days=30)
EVERYBODY = Population((), days(3650))


def _summary() -> LogSummary:
    kinds = (
        KindSummary("renewal", events=9000, users=1000, valued=9000, large=70.0),
        KindSummary("visit", events=50_000, users=900, valued=0),
    )
    return LogSummary(events=59_000, users=1000, start=utc("2025-01-01"), end=utc("2026-11-01"), kinds=kinds)


def _renewed(*renewals: tuple[str, str | None], name: str = "expires") -> UserEvents:
    found = user_events({"ada": [(time, "renewal", None) for time, _ in renewals]})
    return with_texts(found, name, [text for _, text in renewals])


def _left(renewals: Renewals, found: UserEvents, cutoff: str) -> float:
    features = feature_set(**{LEFT: left(renewals)})
    rows = of_events(found, make_plan(features), features.names, cutoffs=[utc(cutoff)], population=EVERYBODY)
    return float(rows.matrix[0, 0])


def test_the_date_of_the_newest_renewal_says_how_long_is_paid() -> None:
    found = _renewed(("2026-01-01", "2026-02-01"), ("2026-01-20", "2026-06-01T12:00:00Z"))
    assert _left(UNTIL, found, "2026-01-10") == pytest.approx(22)
    assert _left(UNTIL, found, "2026-01-21") == pytest.approx(131.5)
    assert _left(UNTIL, found, "2026-06-03") == pytest.approx(-1.5)


def test_a_renewal_without_a_date_says_nothing() -> None:
    found = _renewed(("2026-01-01", "2026-02-01"), ("2026-01-20", "soon"), ("2026-01-21", None))
    assert _left(UNTIL, found, "2026-01-25") == pytest.approx(7)
    assert np.isnan(_left(UNTIL, _renewed(("2026-01-01", "soon")), "2026-01-25"))


def test_days_and_periods_count_from_the_newest_renewal() -> None:
    found = _renewed(("2026-01-01", "365"), ("2026-01-20", "10"), name="plan_days")
    assert _left(BY_PLAN, found, "2026-01-25") == pytest.approx(5)
    assert _left(MONTHLY, found, "2026-01-25") == pytest.approx(25)


def test_who_is_covered_has_paid_time_left_and_who_is_not_has_none() -> None:
    found = _renewed(("2026-01-01", "2026-02-01"), ("2026-03-01", "2026-04-01"))
    for day in range(1, 100):
        cutoff = iso(shift(utc("2026-01-01"), days(day)))
        covered = bool(Paid((), days(28), renewals=UNTIL).eligible(found, cutoff=utc(cutoff))[0])
        assert covered == (_left(UNTIL, found, cutoff) > 0), cutoff


def test_one_user_alone_says_the_same_to_the_bit() -> None:
    features = feature_set(**{LEFT: left(UNTIL)})
    found = _renewed(("2026-01-01T08:13:21.123457Z", "2026-02-01"), ("2026-01-20", "2026-06-01T12:34:56Z"))
    alone = of_user(found, make_plan(features), cutoff=utc("2026-01-25T01:02:03Z"))
    assert float(np.asarray(alone).ravel()[0]) == _left(UNTIL, found, "2026-01-25T01:02:03Z")


def test_it_is_stored_told_and_recognised() -> None:
    for renewals in (UNTIL, BY_PLAN, MONTHLY):
        expression = left(renewals).expression
        assert from_json(to_json(expression)) == expression
        assert is_left(expression, renewals)
    assert not is_left(left(MONTHLY).expression, UNTIL)
    assert ".until('expires')" in formula(left(UNTIL).expression)
    plain = events("renewal").of("expires").latest()
    assert to_json(plain) == ["latest", [["renewal"], "expires", None, None], []]


def test_a_date_and_a_number_of_one_property_are_two_readings() -> None:
    pay = events("renewal")
    date = pay.until("plan")
    features = feature_set(number=pay.of("plan").latest(), date=date.latest(), again=date.of("plan").latest())
    found = _renewed(("2026-01-01", "2026"), name="plan")
    rows = of_events(found, make_plan(features), features.names, cutoffs=[utc("2026-01-05")], population=EVERYBODY)
    assert rows.matrix[0, 0] == rows.matrix[0, 2] == 2026
    assert np.isnan(rows.matrix[0, 1])


def test_the_catalogue_has_it_where_payments_decide() -> None:
    summary = _summary()
    assert LEFT not in catalog.standard(summary).names
    found = catalog.standard(summary, renewals=UNTIL)
    assert found[LEFT].family == "paid"
    assert found[LEFT].says(3.2) == "3 days of paid time left"
    assert found[LEFT].says(3.2, "zh") == "已付费时间还剩 3 天"


def test_families_and_names_are_left_out() -> None:
    summary = _summary()
    every = catalog.standard(summary)
    fewer = catalog.standard(summary, without=("rhythm", "days_since_first_event"))
    gone = [each.name for each in every if each.family == "rhythm"] + ["days_since_first_event"]
    assert len(gone) > 1
    assert fewer.names == tuple(name for name in every.names if name not in gone)
    assert [fewer[name] for name in fewer.names] == [every[name] for name in fewer.names]
    assert catalog.standard(summary, without=("profile",)).names == every.names  # a family that this log lacks


@pytest.mark.parametrize(
    ("without", "words"),
    [
        (("rythm",), "without 'rythm': there is no such family or feature in the standard set. Did you mean 'rhythm'"),
        (("zzz",), r"Families: .*cadence.*recency"),
        (tuple(catalog.FAMILIES), "nothing is left of the standard set"),
    ],
)
def test_what_cannot_be_left_out_is_told(without: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        catalog.standard(_summary(), without=without)
