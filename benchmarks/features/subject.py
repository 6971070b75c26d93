"""The features that the benchmark builds, in our language: 96 columns over all events and three kinds."""

from features.expressions import Expression
from features.language import FeatureSet, events, feature_set
from features.windows import days

WINDOWS = (7, 14, 28, 56, 91, 182, 364)
KINDS = ("visit", "purchase", "return")


def features() -> FeatureSet:
    """Counts, totals and active days of seven windows, the largest value, days since the last and the first event."""
    named: dict[str, Expression] = {}
    for name, chosen in {"all": events(), **{kind: events(kind) for kind in KINDS}}.items():
        for window in WINDOWS:
            span = days(window)
            named[f"{name}_count_{window}d"] = chosen.count(last=span)
            named[f"{name}_total_{window}d"] = chosen.total(last=span)
            named[f"{name}_active_days_{window}d"] = chosen.active_days(last=span)
        named[f"{name}_largest"] = chosen.maximum()
        named[f"{name}_last"] = chosen.days_since_last()
        named[f"{name}_first"] = chosen.days_since_first()
    return feature_set(**named)
