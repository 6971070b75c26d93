"""The summary of a shop's log in which every family of the catalogue has something to say, and its features."""

import numpy as np

from features.catalog import standard
from features.expressions import Clock
from features.plan import make_plan
from features.property_counts import PropertySummary
from features.snapshots import of_user
from features.summary import KindSummary, LogSummary
from features.user_events import Property, UserEvents
from features.windows import utc
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
