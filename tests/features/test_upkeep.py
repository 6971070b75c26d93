import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.commit import commit_rebucketed
from features.errors import BadInput, Busy, Damaged, NotReady
from features.events import EVENT_SCHEMA
from features.identity import bucket_of
from features.log import EventLog
from features.sources.files import find
from features.sources.tabular import rows_about
from features.windows import days, shift, to_microseconds, utc

NOON = to_microseconds(utc("2026-05-01T12:00:00Z"))
USERS = tuple(f"user-{number}" for number in range(40))


def visits(*users: str, minute: int = 0) -> pa.Table:
    nothing = [None] * len(users)
    columns = [users, [NOON + minute * 60_000_000] * len(users), ["visit"] * len(users), *[nothing] * 3]
    properties = [[("channel", "web")]] * len(users)
    return pa.table(dict(zip(EVENT_SCHEMA.names, [*columns, properties], strict=True)), schema=EVENT_SCHEMA)


def everything(log: EventLog) -> list[tuple[str, int]]:
    """Each user's number of events as the buckets have it, if alone they read the same."""
    counts: list[tuple[str, int]] = []
    for bucket in range(log.buckets):
        found = log.read_bucket(bucket)
        counts += zip(found.user_ids, (found.offsets[1:] - found.offsets[:-1]).tolist(), strict=True)
    assert counts == [(user, len(log.read_user(user).times)) for user, _ in counts]
    return sorted(counts)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """Three buckets with two events of each user, in two files each."""
    made = EventLog.create(tmp_path / "events", buckets=3)
    for minute in range(2):
        made.append([visits(*USERS, minute=minute)], source=f"{minute}.csv")
    return made


def test_a_log_that_outgrew_its_buckets_gets_more_when_it_is_compacted(log: EventLog) -> None:
    before, reader = everything(log), EventLog.open(log.path)
    log.compact(events_a_bucket=2)
    assert (reader.buckets, log.buckets) == (3, 64)
    assert everything(log) == before == [(user, 2) for user in sorted(USERS)]
    assert {len(files) for files in log.files} == {0, 1}
    for files in log.files:
        for file in files:
            users = pq.ParquetFile(file).read()["user_id"].to_pylist()
            assert {f"bucket={bucket_of(user, 64)}" for user in users} == {file.parent.name}
    assert everything(reader) == before  # who was reading goes on reading
    assert everything(EventLog.open(log.path, version=reader.version)) == before


def test_a_log_in_other_buckets_is_the_same_log(log: EventLog) -> None:
    log.compact(events_a_bucket=2)
    again = log.append([visits(*USERS)], source="0.csv")
    assert (again.accepted, again.duplicates) == (0, 40)
    assert log.append([visits("ada")], source="1.csv").accepted == 1
    assert len(EventLog.open(log.path).read_user("ada").times) == 1
    log.compact()
    assert log.buckets == 64
    assert log.summary().events == 81


def test_an_append_whose_buckets_are_gone_says_so_and_loses_nothing(log: EventLog) -> None:
    def compacted_meanwhile() -> Iterator[pa.Table]:
        yield visits("ada")
        EventLog.open(log.path).compact(events_a_bucket=2)

    before = everything(log)
    with pytest.raises(Busy, match=r"Another process changed the event log .* Run the command again"):
        EventLog.open(log.path).append(compacted_meanwhile(), source="late.csv")
    assert everything(EventLog.open(log.path)) == before


def test_other_buckets_are_refused_when_the_log_has_moved_on(log: EventLog) -> None:
    with pytest.raises(Busy):
        commit_rebucketed(log.path, [], version=log.version - 1, buckets=64, replaced=[])
    assert EventLog.open(log.path).buckets == 3


def test_an_empty_log_gets_the_buckets_that_a_large_import_needs(tmp_path: Path) -> None:
    log = EventLog.create(tmp_path / "events")
    log.make_room(5_000_000)
    assert log.buckets == 16
    log.make_room(50_000_000)
    assert (log.buckets, EventLog.open(log.path).buckets) == (64, 64)
    log.append([visits("ada")], source="may.csv")
    log.make_room(500_000_000)
    assert log.buckets == 64  # with events in it, that is what compacting is for
    assert len(log.read_user("ada").times) == 1


def test_how_many_rows_a_file_holds_is_known_before_it_is_read(tmp_path: Path) -> None:
    pq.write_table(visits(*USERS), tmp_path / "1.parquet")
    (tmp_path / "2.csv").write_bytes(b"x" * 6400)
    (tmp_path / "3.csv.gz").write_bytes(b"x" * 640)
    assert [rows_about(file) for file in find([str(tmp_path)], format=None)] == [40, 100, 60]


def test_reading_goes_on_while_the_log_is_compacted(log: EventLog) -> None:
    before = everything(log)
    with ThreadPoolExecutor(2) as pool:
        for events_a_bucket in (1_000_000, 2):
            reader = EventLog.open(log.path)
            compacting = pool.submit(EventLog.open(log.path).compact, events_a_bucket=events_a_bucket)
            seen = [everything(reader), everything(reader)]
            compacting.result()
            assert seen == [before, before]
            assert everything(reader) == before
            assert everything(EventLog.open(log.path)) == before


def test_appending_while_the_log_is_compacted_works_or_is_busy_and_loses_nothing(log: EventLog) -> None:
    def append(minute: int) -> int:
        for _ in range(50):
            try:
                return EventLog.open(log.path).append([visits("ada", minute=minute)], source="ada.csv").accepted
            except Busy:
                continue
        return 0

    with ThreadPoolExecutor(2) as pool:
        appended = pool.map(append, range(12))
        for events_a_bucket in (1_000_000, 2, 1):
            try:
                EventLog.open(log.path).compact(events_a_bucket=events_a_bucket)
            except Busy:
                continue
        assert list(appended) == [1] * 12
    now = EventLog.open(log.path)
    assert len(now.read_user("ada").times) == 12
    assert now.summary().events == 92


def in_days(count: float) -> datetime:
    return shift(datetime.now(UTC), days(1) * count)


def test_files_that_no_version_of_the_last_week_names_are_removed(log: EventLog) -> None:
    before = everything(log)
    log.compact()
    left_behind = log.path / "bucket=0" / "left-behind.parquet"
    left_behind.write_bytes(b"PAR1")
    files = set(log.path.glob("bucket=*/*.parquet"))
    assert log.vacuum(days(7), now=in_days(6)) == 0
    assert log.vacuum(days(7), now=in_days(8)) == 7  # two of each bucket, and what a crash left behind
    assert set(log.path.glob("bucket=*/*.parquet")) == {file for each in log.files for file in each} < files
    assert everything(EventLog.open(log.path)) == before
    assert log.vacuum(days(7), now=in_days(8)) == 0


def test_versions_of_the_last_days_stay_readable(log: EventLog) -> None:
    before = everything(log)
    log.compact(events_a_bucket=2)
    assert log.vacuum(days(2), now=in_days(1.5)) == 0
    assert everything(EventLog.open(log.path, version=2)) == before


def test_a_version_that_was_cleaned_up_says_from_which_one_on_the_log_can_be_read(log: EventLog) -> None:
    log.compact(events_a_bucket=2)
    log.append([visits("ada", minute=5)], source="ada.csv")
    log.compact()
    log.append([visits("bert", minute=5)], source="bert.csv")
    log.vacuum(days(1), now=in_days(2))
    for version in (1, 2, 4):
        with pytest.raises(NotReady, match=rf"Version {version} .* cleaned up .* a version from 5 to 6, or none"):
            EventLog.open(log.path, version=version)
    assert EventLog.open(log.path, version=5).summary().events == 81
    next(file for files in log.files for file in files).unlink()
    with pytest.raises(Damaged, match="lacks its file"):  # lost, not cleaned up
        everything(EventLog.open(log.path, version=6))


def test_a_file_of_a_young_version_stays_however_old_it_is_itself(log: EventLog) -> None:
    log.compact()
    files = set(log.path.glob("bucket=*/*.parquet"))
    for file in files:
        os.utime(file, (0, 0))
    assert log.vacuum(days(7), now=in_days(6)) == 0
    assert set(log.path.glob("bucket=*/*.parquet")) == files


def test_less_than_a_day_is_refused(log: EventLog) -> None:
    with pytest.raises(BadInput, match=r"too short: readers and imports may still need those files; expected 1d"):
        log.vacuum(days(1) / 2, now=in_days(0))
