"""Whatever comes in, in whatever order and however often: each event has one effect."""

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import BadInput
from features.events import EVENT_SCHEMA
from features.ingest import Ingested, ingest
from features.log import EventLog
from features.sources.lines import records
from features.sources.mapping import Mapping
from features.user_events import UserEvents
from features.windows import iso, utc

NOW = utc("2026-06-01")
MAY = 1_777_593_600_000_000  # 2026-05-01 in microseconds
FEW = settings(max_examples=25)

users = st.sampled_from(["ada", "bert", "chen", "dalia", "élodie"])
kinds = st.sampled_from(["login", "purchase", "cancel"])
values = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))
named_events = st.lists(
    st.tuples(users, st.integers(0, 3), kinds, values, st.integers(0, 10**9).map(str)),
    unique_by=lambda event: event[::4],
)


def table(events: list[tuple[str, int, str, float | None, str | None]]) -> pa.Table:
    columns = list(zip(*events, strict=True)) or [()] * 5
    return pa.table(
        {
            "user_id": pa.array(columns[0], pa.string()),
            "time": pa.array([MAY + time for time in columns[1]], pa.timestamp("us", "UTC")),
            "event": pa.array(columns[2], pa.string()),
            "value": pa.array(columns[3], pa.float64()),
            "event_id": pa.array(columns[4], pa.string()),
            "received_at": pa.nulls(len(events), pa.timestamp("us", "UTC")),
            "properties": pa.array([[]] * len(events), EVENT_SCHEMA.field("properties").type),
        },
        schema=EVENT_SCHEMA,
    )


def same(one: UserEvents, other: UserEvents) -> bool:
    return (
        (one.user_ids, one.kind_names) == (other.user_ids, other.kind_names)
        and all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("offsets", "times", "kinds"))
        and one.values.tobytes() == other.values.tobytes()
    )


@FEW
@given(named_events, st.randoms(use_true_random=False), st.lists(st.integers(0, 40), max_size=3), st.booleans())
def test_neither_the_order_of_arrival_nor_the_number_of_imports_changes_anything(events, random, cuts, compacted):  # type: ignore[no-untyped-def] # the types are the strategies'
    with tempfile.TemporaryDirectory() as folder:
        at_once, in_parts = (EventLog.create(Path(folder) / name, buckets=2) for name in ("one", "other"))
        at_once.append([table(events)], source="all.csv")
        shuffled = random.sample(events, len(events))
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), None], strict=True):
            in_parts.append([table(shuffled[start:end])], source="part.csv")
        if compacted:
            in_parts.compact()
        assert all(same(at_once.read_bucket(bucket), in_parts.read_bucket(bucket)) for bucket in range(2))
        for user in {event[0] for event in events}:
            bucket = at_once.read_bucket(at_once.bucket_of(user)).only(user)
            alone = in_parts.read_user(user)
            assert np.array_equal(bucket.times, alone.times)
            assert bucket.values.tobytes() == alone.values.tobytes()


rows = st.one_of(
    st.builds("{},{},{},{}".format, users, st.just("2026-05-01T12:00:00Z"), kinds, st.sampled_from(["", "1", "2.5"])),
    st.builds(
        "{},{},{},{}".format,
        st.sampled_from(["ada", "", '"bert, jr"', "\x01"]),
        st.sampled_from(
            ["2026-05-01T12:00:00Z", "", "20260501", "0", "1767225600", "1970-01-01T00:00:00Z", "x", "2030-01-01"]
        ),
        st.sampled_from(["login", ""]),
        st.sampled_from(["1", "NaN", "inf", "x", "1,5", '"a\nb"']),
    ),
    st.sampled_from(["", "torn", '"open', ",,,,,,"]),
)


def taken(log: EventLog, lines: list[str]) -> Ingested:
    folder = log.path.parent
    (folder / "events.csv").write_text("\n".join(["user_id,time,event,value", *lines]), encoding="utf-8")
    return ingest(log, [str(folder / "events.csv")], mapping=Mapping(), quarantine=folder / "quarantine", now=NOW)


@FEW
@given(st.lists(rows, max_size=30))
def test_counts_add_up_and_a_file_read_again_changes_nothing(lines: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog.create(Path(folder) / "log", buckets=2)
        try:
            first = taken(log, ["ada,2026-05-01T12:00:00Z,login,", *lines])
        except BadInput:
            return
        assert first.read == first.accepted + first.duplicates + first.quarantined
        assert first.duplicates == 0
        if first.quarantine_file:
            kept = [json.loads(line) for line in first.quarantine_file.read_text(encoding="utf-8").splitlines()]
            assert len(kept) == first.quarantined == sum(first.reasons.values())
        before = [log.read_bucket(bucket) for bucket in range(2)]
        again = taken(log, ["ada,2026-05-01T12:00:00Z,login,", *lines])
        assert (again.read, again.accepted, again.duplicates) == (first.read, 0, first.accepted)
        assert again.version == first.version
        assert all(same(log.read_bucket(bucket), events) for bucket, events in enumerate(before))


times = st.one_of(
    st.text(max_size=30),
    st.integers(-(10**19), 10**19).map(str),
    st.dates().map(str),
    st.datetimes().map(str),
    st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    st.floats().map(str),
)


@FEW
@given(st.lists(times, min_size=1, max_size=20), st.sampled_from([None, "UTC", "Europe/London"]))
def test_no_time_before_1990_no_bare_number_and_no_future_gets_in(texts: list[str], timezone: str | None) -> None:
    with tempfile.TemporaryDirectory() as folder:
        log = EventLog.create(Path(folder) / "log", buckets=1)
        lines = [{"user_id": "ada", "event": "login", "time": text} for text in ["2026-05-01T12:00:00Z", *texts]]
        file = Path(folder) / "events.ndjson"
        file.write_bytes(b"\n".join(json.dumps(line).encode() for line in lines))
        result = ingest(log, [str(file)], mapping=Mapping(timezone=timezone), quarantine=Path(folder) / "q", now=NOW)
        assert result.read == len(lines) == result.accepted + result.quarantined
        assert result.start is not None
        assert result.end is not None
        assert iso(result.start) >= "1990-01-01"
        assert result.end <= utc("2026-06-02")
        assert log.read_user("ada").times.min() >= 631_152_000_000_000  # 1990
        assert result.quarantined >= sum(text.strip().lstrip("+-").isdecimal() for text in texts)


pieces = st.sampled_from(["a", ",", '"', "\n", '""', "\r\n", ',"x"', "é", "\r", '\n"y\nz",1\n'])


@FEW
@given(st.lists(pieces, max_size=30).map("".join), st.integers(1, 20))
def test_where_a_block_of_text_ends_changes_no_record_and_loses_no_byte(text: str, block_size: int) -> None:
    content = f"h,i\n{text}".encode()
    whole, in_blocks = (
        list(records(io.BytesIO(content), name="events.csv", quoted=True, block_size=size))
        for size in (1000, block_size)
    )
    found = [
        [row for each in blocks for row in zip(each.lines.tolist(), each.fields.tolist(), strict=True)]
        for blocks in (whole, in_blocks)
    ]
    assert found[0] == found[1]
    assert b"".join(each.text.tobytes() for each in in_blocks) == content
