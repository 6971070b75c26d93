from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.errors import NotReady
from features.events import EVENT_SCHEMA
from features.kinds import PROFILE
from features.log import EventLog
from features.property_counts import PropertySummary
from features.summary import KindSummary
from features.user_events import Property, UserEvents, Wanted
from features.windows import to_microseconds, utc

MAY = to_microseconds(utc("2026-05-01"))
HOUR = 3_600_000_000


def rows(*deeds: tuple[str, int, str, float | None, int | None, dict[str, str]]) -> pa.Table:
    """A table of the contract from user, hour of May, kind, value, hour of receipt and properties."""
    users, hours, kinds, values, received, properties = zip(*deeds, strict=True)
    columns = {
        "user_id": users,
        "time": [MAY + hour * HOUR for hour in hours],
        "event": kinds,
        "value": values,
        "event_id": [None] * len(deeds),
        "received_at": [None if hour is None else MAY + hour * HOUR for hour in received],
        "properties": [list(each.items()) for each in properties],
    }
    return pa.table(columns, schema=EVENT_SCHEMA)


ADA_BUYS = ("ada", 1, "purchase", 12.5, 30, {"store": "north", "channel": "web"})
ADA_LOOKS = ("ada", 2, "visit", None, None, {"channel": "app"})
BERT_LOOKS = ("bert", 1, "visit", None, 1, {})
BERT_BUYS = ("bert", 3, "purchase", -3.0, 4, {"store": "south"})
EVERYTHING = (ADA_BUYS, ADA_LOOKS, BERT_LOOKS, BERT_BUYS)
BOTH = Wanted(received=True, properties=("channel", "store"))


@pytest.fixture(params=["one file", "several files"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> EventLog:
    made = EventLog.create(tmp_path / "events", buckets=1)
    if request.param == "one file":
        made.append([rows(*EVERYTHING)], source="may")
    else:
        for deed in EVERYTHING:
            made.append([rows(deed)], source="may")
    return made


def texts(found: UserEvents, name: str) -> list[str | None]:
    held = found.properties[name]
    return [held.texts[code] if code >= 0 else None for code in held.codes.tolist()]


def hours(found: UserEvents) -> list[int]:
    assert found.received is not None
    return [int(hour) for hour in (found.received - MAY) // HOUR]


def test_what_is_wanted_of_events_is_read_with_them(log: EventLog) -> None:
    found = log.read_bucket(0, BOTH)
    assert texts(found, "channel") == ["web", "app", None, None]
    assert texts(found, "store") == ["north", None, None, "south"]
    assert hours(found) == [30, 2, 1, 4]  # ada's visit says nothing of its receipt: it counts as known at once
    assert found.properties["store"].codes.dtype == np.int32


def test_what_is_not_wanted_is_not_read(log: EventLog) -> None:
    found = log.read_bucket(0)
    assert found.received is None
    assert found.properties == {}


def test_one_user_is_read_with_what_is_wanted_too(log: EventLog) -> None:
    found = log.read_user("bert", BOTH)
    assert texts(found, "store") == [None, "south"]
    assert hours(found) == [1, 4]


def test_a_property_that_no_event_has_is_nowhere(log: EventLog) -> None:
    found = log.read_bucket(0, Wanted(properties=("mood",)))
    assert found.properties["mood"] == Property(found.properties["mood"].codes, ())
    assert found.properties["mood"].codes.tolist() == [-1, -1, -1, -1]


def test_a_bucket_of_several_row_groups_reads_as_one(tmp_path: Path) -> None:
    count = 150_000  # more than two row groups
    many = pa.table(
        {
            "user_id": [f"user-{number // 40:05}" for number in range(count)],
            "time": pa.array(MAY + np.arange(count), pa.timestamp("us", "UTC")),
            "event": [("visit", "login", "call")[number // 60_000] for number in range(count)],
            "value": pa.array(np.arange(count, dtype=np.float64)),
            "event_id": pa.nulls(count, pa.string()),
            "received_at": pa.nulls(count, pa.timestamp("us", "UTC")),
            "properties": [[("page", str(number % 7 + number // 70_000))] for number in range(count)],
        },
        schema=EVENT_SCHEMA,
    )
    log = EventLog.create(tmp_path / "events", buckets=1)
    log.append([many], source="may")
    found = log.read_bucket(0, Wanted(received=True, properties=("page",)))
    assert len(found) == count // 40
    assert np.array_equal(found.offsets, np.arange(0, count + 1, 40))
    assert found.user_ids[::1000] == ("user-00000", "user-01000", "user-02000", "user-03000")
    assert [found.kind_names[kind] for kind in found.kinds[::50_000]] == ["visit", "visit", "login"]
    assert np.array_equal(found.values, np.arange(count))
    assert np.array_equal(found.received, found.times)
    assert texts(found, "page")[::30_000] == [str(row % 7 + row // 70_000) for row in range(0, count, 30_000)]
    one = log.read_user("user-01700", Wanted(properties=("page",)))
    assert one.values.tolist() == list(range(68_000, 68_040))
    assert texts(one, "page") == [str(row % 7) for row in range(68_000, 68_040)]


def test_the_summary_tells_returns_and_what_is_a_large_value(tmp_path: Path) -> None:
    log = EventLog.create(tmp_path / "events", buckets=1)
    log.append([rows(*(("ada", hour, "purchase", hour - 2.0, None, {}) for hour in range(10)))], source="may")
    assert log.summary().kinds == (KindSummary("purchase", 10, 1, 10, negative=2, large=6.0, least=-2.0, most=7.0),)


def test_the_summary_lists_properties_with_their_most_frequent_texts(log: EventLog) -> None:
    log.append([rows(("chen", 1, "visit", None, None, {"channel": "app", "_internal": "x"}))], source="june")
    assert log.summary().properties == (
        PropertySummary("channel", events=3, distinct=2, texts=(("app", 2), ("web", 1))),
        PropertySummary("store", events=2, distinct=2, texts=(("north", 1), ("south", 1))),
    )


def test_texts_are_counted_up_to_ten_thousand_and_twenty_are_named(tmp_path: Path) -> None:
    log = EventLog.create(tmp_path / "events", buckets=2)
    sessions = [(f"user-{number:05}", 1, "visit", None, None, {"session": str(number)}) for number in range(10_050)]
    often = [("ada", hour, "visit", None, None, {"session": "often", "long": "x" * 201}) for hour in range(5)]
    log.append([rows(*sessions, *often)], source="may")
    session, long = log.summary().properties
    assert (session.name, session.events, session.distinct, len(session.texts)) == ("session", 10_055, 10_000, 20)
    assert session.texts[0] == ("often", 5)
    assert long == PropertySummary("long", events=5, distinct=0, texts=())


def test_profiles_are_no_events_in_the_summary(log: EventLog) -> None:
    before = log.summary()
    log.append([rows(("dalia", 900, PROFILE, None, None, {"plan": "free", "age": "31"}))], source="profiles")
    after = log.summary()
    assert (after.events, after.users, after.kinds) == (before.events, before.users, before.kinds)
    assert (after.start, after.end, after.properties) == (before.start, before.end, before.properties)
    assert [each.name for each in after.profile_properties] == ["age", "plan"]
    assert log.read_bucket(0).kind_names == (PROFILE, "purchase", "visit")


def test_a_log_of_profiles_alone_is_empty(tmp_path: Path) -> None:
    log = EventLog.create(tmp_path / "events", buckets=2)
    log.append([rows(("dalia", 1, PROFILE, None, None, {"plan": "free"}))], source="profiles")
    with pytest.raises(NotReady, match="is empty"):
        log.summary()
