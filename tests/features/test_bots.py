"""Users beyond a plausible rate."""

from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.bots import Beyond, rates
from features.busiest import busiest, too_busy
from features.snapshots import Bucketed
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import iso, utc
from tests.cast import user_events


@dataclass(frozen=True)
class InMemory(Bucketed):
    """A log of buckets in memory."""

    parts: tuple[UserEvents, ...]

    @property
    def buckets(self) -> int:
        return len(self.parts)

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:  # noqa: ARG002 all is here
        return self.parts[bucket]


def visits(day: str, count: int, kind: str = "visit") -> list[tuple[str, str, float | None]]:
    return [
        (f"{day}T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}", kind, None)
        for second in range(count)
    ]


LOG = InMemory(
    (
        user_events({"ada": visits("2026-05-01", 3), "bert": visits("2026-05-01", 1) + visits("2026-05-09", 1500)}),
        user_events({}),
        user_events(
            {"chen": visits("2026-05-02", 5) + visits("2026-05-03", 5), "dalia": visits("2026-05-01", 400, "$profile")}
        ),
    )
)


def test_a_user_beyond_a_plausible_rate_is_counted_and_not_named() -> None:
    found = rates(LOG, workers=2)
    assert (found.users, found.events) == (3, 3 + 1501 + 10)
    assert found.beyond == (Beyond(1000, 1, 1501), Beyond(15000, 0, 0))
    assert dict(found.quantiles) == {0.5: 5, 0.9: 1500, 0.99: 1500, 0.999: 1500, 1.0: 1500}
    assert found.busy == ()


def test_names_are_told_when_asked_for_busiest_first() -> None:
    found = rates(LOG, limit=4, ids=True)
    assert [(one.user_id, one.busiest_day, iso(one.day), one.events) for one in found.busy] == [
        ("bert", 1500, "2026-05-09T00:00:00Z", 1501),
        ("chen", 5, "2026-05-02T00:00:00Z", 10),
    ]
    assert Beyond(4, 2, 1511) in found.beyond


def test_an_empty_log_has_no_rates() -> None:
    found = rates(InMemory((user_events({}),)))
    assert (found.users, found.events, found.quantiles) == (0, 0, ())


def test_progress_counts_the_second_reading() -> None:
    told: list[tuple[int, int]] = []
    rates(LOG, ids=True, on_progress=lambda done, of: told.append((done, of)))
    assert told == [(done, 6) for done in range(1, 7)]


def test_only_days_before_the_moment_count() -> None:
    (bucket, _, _) = LOG.parts
    assert too_busy(bucket, limit=1000, before=utc("2026-05-09")).tolist() == [False, False]
    assert too_busy(bucket, limit=1000, before=utc("2026-05-10")).tolist() == [False, True]
    assert too_busy(bucket, limit=1500, before=utc("2026-05-10")).tolist() == [False, False]


def test_an_event_at_the_moment_is_not_seen() -> None:
    events = user_events({"ada": visits("2026-05-09", 2)})  # at midnight and a second later
    assert too_busy(events, limit=1, before=utc("2026-05-09T00:00:01")).tolist() == [False]
    assert too_busy(events, limit=1, before=utc("2026-05-09T00:00:02")).tolist() == [True]


def test_what_had_not_been_received_is_not_seen_where_that_is_asked_for() -> None:
    events = user_events({"ada": visits("2026-05-09", 2)})
    late = replace(events, received=events.times + 86_400_000_000)
    moment = utc("2026-05-10")
    assert too_busy(late, limit=1, before=moment).tolist() == [True]
    assert too_busy(late, limit=1, before=moment, known_before=moment).tolist() == [False]
    assert too_busy(late, limit=1, before=moment, known_before=utc("2026-05-12")).tolist() == [True]


@given(
    st.dictionaries(
        st.sampled_from(["ada", "bert", "chen"]),
        st.lists(st.tuples(st.integers(1, 5), st.sampled_from(["visit", "$profile"])), max_size=12),
    )
)
def test_the_busiest_day_is_what_counting_by_hand_finds(log: dict[str, list[tuple[int, str]]]) -> None:
    deeds = {user: [(f"2026-05-{day:02}", kind, None) for day, kind in history] for user, history in log.items()}
    events = user_events(deeds)
    found = busiest(events)
    for place, user in enumerate(events.user_ids):
        days = [day for day, kind in log[user] if kind == "visit"]
        assert found.events[place] == len(days)
        assert found.counts[place] == max((days.count(day) for day in days), default=0)
        if days:
            first = min(day for day in days if days.count(day) == found.counts[place])
            assert found.days[place] == np.datetime64(f"2026-05-{first:02}").astype(int)
