"""The features that every side builds: 96 columns over all events and three kinds. Plain names here, ours below."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from features.language import FeatureSet

START, END = datetime(2024, 1, 2, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)  # of the log: two years of whole days
WINDOWS = (7, 14, 28, 56, 91, 182, 364)  # days, ascending
KINDS = ("visit", "purchase", "return")
GROUPS = ("all", *KINDS)
LOOK_BACK = timedelta(days=91)  # the population of a cutoff: users with an event so long before it
STEP = timedelta(days=28)  # from one cutoff to the next
SAMPLES = {"featuretools": "37", "tsfresh": "037"}  # the users whose number ends so: 1 % and 0.1 %


def names() -> list[str]:
    """The columns, in the order of all sides."""
    return [
        name
        for group in GROUPS
        for name in (
            *(f"{group}_{what}_{window}d" for window in WINDOWS for what in ("count", "total", "active_days")),
            *(f"{group}_{what}" for what in ("largest", "last", "first")),
        )
    ]


def cutoffs(count: int) -> list[datetime]:
    """So many cutoffs up to the end of the log, oldest first; all at midnight."""
    return [END - STEP * back for back in range(count)][::-1]


def features() -> "FeatureSet":
    """The same in our language."""
    from features.expressions import Expression
    from features.language import events, feature_set
    from features.windows import days

    named: dict[str, Expression] = {}
    for group in GROUPS:
        chosen = events() if group == "all" else events(group)
        for window in WINDOWS:
            span = days(window)
            named[f"{group}_count_{window}d"] = chosen.count(last=span)
            named[f"{group}_total_{window}d"] = chosen.total(last=span)
            named[f"{group}_active_days_{window}d"] = chosen.active_days(last=span)
        named[f"{group}_largest"] = chosen.maximum()
        named[f"{group}_last"] = chosen.days_since_last()
        named[f"{group}_first"] = chosen.days_since_first()
    return feature_set(**named)
