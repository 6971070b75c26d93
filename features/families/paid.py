"""Paid time: for how many days more the newest renewal pays, where a definition of churn says what pays."""

from features.expressions import Constant, Described, Expression
from features.families.shape import Named, Shape
from features.language import events
from features.paid import LONGEST_PAID_DAYS, Renewals

LEFT = "paid_days_left"


def columns(shape: Shape) -> list[Named]:
    """The days of paid time left; nothing where nobody said what pays."""
    return [(LEFT, left(shape.renewals))] if shape.renewals is not None else []


def left(renewals: Renewals) -> Described:
    """Days from the cutoff to the end of what the newest renewal paid; below 0 once that is over.

    Grace is left out: it is the same for everybody. Where a renewal says for how many days it pays, an older and longer
    one may cover its user beyond the newest; that is not looked at.
    """
    return _left(renewals).says(
        "{:.0f} day(s) of paid time left",
        zh="已付费时间还剩 {:.0f} 天",
        missing="never paid",
        missing_zh="从未付费",
        unit="days",
    )


def is_left(expression: Expression, renewals: Renewals) -> bool:
    """Whether a feature says just that."""
    return expression == left(renewals).expression


def _left(renewals: Renewals) -> Expression:
    paying = events(*renewals.kinds)
    if renewals.period_days:
        return Constant(float(renewals.period_days)) - paying.days_since_last()
    if renewals.paid_days:
        some = paying.of(renewals.paid_days).at_least(0)
        return some.latest() - some.days_since_last()
    some = paying.until(renewals.paid_until).at_least(-LONGEST_PAID_DAYS)  # one without a date says nothing
    return some.latest() - some.days_since_last()
