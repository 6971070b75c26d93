import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import BadInput, Damaged, NotReady
from features.events import EVENT_SCHEMA
from features.identity import bucket_of
from features.log import EventLog
from features.summary import KindSummary
from features.user_events import UserEvents
from features.windows import to_microseconds, utc

Event = tuple[str, str, str, float | None, str | None]

FIRST_OF_MAY = "2026-05-01T12:00:00Z"
ADA = ("ada", FIRST_OF_MAY, "purchase", 12.5, "a1")
BERT = ("bert", "2026-05-02T12:00:00Z", "login", None, "b1")
CHEN = ("chen", "2026-05-03T12:00:00.5Z", "login", None, "c1")


def events(*rows: Event) -> pa.Table:
    users, times, kinds, values, ids = zip(*rows, strict=True) if rows else ((),) * 5
    return pa.table(
        {
            "user_id": pa.array(users, pa.string()),
            "time": pa.array([to_microseconds(utc(time)) for time in times], pa.timestamp("us", "UTC")),
            "event": pa.array(kinds, pa.string()),
            "value": pa.array(values, pa.float64()),
            "event_id": pa.array(ids, pa.string()),
            "received_at": pa.nulls(len(rows), pa.timestamp("us", "UTC")),
            "properties": pa.array([[]] * len(rows), EVENT_SCHEMA.field("properties").type),
        },
        schema=EVENT_SCHEMA,
    )


def said(found: UserEvents) -> list[tuple[str, int, str, float | None]]:
    rows = []
    for place, user in enumerate(found.user_ids):
        for row in range(found.offsets[place], found.offsets[place + 1]):
            value = None if np.isnan(found.values[row]) else float(found.values[row])
            rows.append((user, int(found.times[row]), found.kind_names[found.kinds[row]], value))
    return rows


def everything(log: EventLog) -> list[tuple[str, int, str, float | None]]:
    return sorted((row for bucket in range(log.buckets) for row in said(log.read_bucket(bucket))), key=str)


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog.create(tmp_path / "events", buckets=3)


def test_what_goes_in_comes_out_sorted_by_user_and_time(log: EventLog) -> None:
    late = ("ada", "2026-05-09T12:00:00Z", "login", None, "a2")
    assert log.append([events(late, BERT), events(ADA)], source="may.csv").accepted == 3
    ada = log.read_user("ada")
    assert said(ada) == [
        ("ada", to_microseconds(utc(FIRST_OF_MAY)), "purchase", 12.5),
        ("ada", to_microseconds(utc("2026-05-09T12:00:00Z")), "login", None),
    ]
    assert ada.kind_names == ("login", "purchase")
    assert len(everything(log)) == 3


def test_an_append_is_one_version_with_a_sorted_file_a_bucket(log: EventLog) -> None:
    log.append([events(ADA), events(BERT), events(CHEN)], source="may.csv")
    assert log.version == 1
    for file in log.path.glob("bucket=*/*.parquet"):
        users = pq.ParquetFile(file).read()["user_id"].to_pylist()
        assert users == sorted(users)
        assert {f"bucket={bucket_of(user, 3)}" for user in users} == {file.parent.name}


def test_the_same_events_again_leave_the_version_as_it_was(log: EventLog) -> None:
    log.append([events(ADA, BERT)], source="may.csv")
    again = log.append([events(BERT), events(ADA)], source="may.csv")
    assert (again.accepted, again.duplicates, again.version) == (0, 2, 1)


def test_honest_twins_in_one_source_count_twice_and_the_source_read_again_not_at_all(log: EventLog) -> None:
    twin = ("ada", FIRST_OF_MAY, "login", None, None)
    batches = [events(twin), events(BERT, twin), events(twin)]
    assert log.append(batches, source="may.csv").accepted == 4
    assert log.append(batches, source="may.csv").duplicates == 4
    assert len(log.read_user("ada").times) == 3


def test_each_source_of_an_append_counts_its_own_twins(log: EventLog) -> None:
    twin = ("ada", FIRST_OF_MAY, "login", None, None)
    appended = log.append_all([[events(twin, twin)], [events(twin)]], source="may")
    assert (appended.accepted, appended.duplicates) == (2, 1)


def test_one_persons_event_id_never_eats_anothers_event(log: EventLog) -> None:
    same_id = [(user, FIRST_OF_MAY, "login", None, "1") for user in ("ada", "bert", "chen", "dalia")]
    assert log.append([events(*same_id)], source="may.csv").accepted == 4


def test_the_first_event_with_an_id_wins(log: EventLog) -> None:
    changed = ("ada", "2026-05-08T12:00:00Z", "refund", 1.0, "a1")
    log.append([events(ADA), events(changed)], source="1.csv")
    log.append([events(changed)], source="2.csv")
    assert said(log.read_user("ada")) == [("ada", to_microseconds(utc(FIRST_OF_MAY)), "purchase", 12.5)]


def test_given_and_derived_ids_live_side_by_side(log: EventLog) -> None:
    unnamed = ("ada", FIRST_OF_MAY, "login", None, None)
    assert log.append([events(ADA, unnamed)], source="may.csv").accepted == 2
    assert log.append([events(unnamed, ADA)], source="may.csv").duplicates == 2


def test_a_user_nobody_has_seen_has_no_events(log: EventLog) -> None:
    log.append([events(ADA)], source="may.csv")
    assert len(log.read_user("ada")) == 1
    assert len(log.read_user("elif")) == 0


def test_the_summary_counts_kinds_users_and_values(log: EventLog) -> None:
    log.append([events(ADA, BERT, CHEN, ("chen", FIRST_OF_MAY, "login", 2.0, "c2"))], source="may.csv")
    found = log.summary()
    assert (found.events, found.users) == (4, 3)
    assert (found.start, found.end) == (utc(FIRST_OF_MAY), utc("2026-05-03T12:00:01Z"))
    assert found.kinds == (
        KindSummary("login", 3, 2, 1, large=2.0, least=2.0, most=2.0),
        KindSummary("purchase", 1, 1, 1, large=12.5, least=12.5, most=12.5),
    )


def test_an_empty_log_has_no_summary(log: EventLog) -> None:
    with pytest.raises(NotReady, match=r"is empty\. Import some events first: holdfast ingest FILE"):
        log.summary()


def test_a_log_that_is_not_there_is_not_ready(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match=r"There is no event log at .*nowhere"):
        EventLog.open(tmp_path / "nowhere")


def test_the_buckets_stay_what_they_were_at_creation(log: EventLog) -> None:
    assert EventLog.create(log.path, buckets=8).buckets == 3


def test_a_past_version_reads_as_it_was_and_cannot_be_written(log: EventLog) -> None:
    log.append([events(ADA)], source="1.csv")
    log.append([events(BERT)], source="2.csv")
    past = EventLog.open(log.path, version=1)
    assert [row[0] for row in everything(past)] == ["ada"]
    with pytest.raises(BadInput, match="opened at version 1; open it without a version to append"):
        past.append([events(CHEN)], source="3.csv")
    with pytest.raises(NotReady, match="has no version 9; expected one up to 2"):
        EventLog.open(log.path, version=9)


def test_a_log_travels_to_another_process(log: EventLog) -> None:
    log.append([events(ADA)], source="1.csv")
    assert everything(pickle.loads(pickle.dumps(log))) == everything(log)  # noqa: S301 - our own bytes


def test_two_appends_at_once_of_the_same_events_count_once(log: EventLog) -> None:
    with ThreadPoolExecutor(4) as pool:
        logs = [EventLog.open(log.path) for _ in range(4)]
        list(pool.map(lambda each: each.append([events(ADA, BERT)], source="may.csv"), logs))
    now = EventLog.open(log.path)
    assert len(everything(now)) == 2
    now.compact()
    assert len(everything(now)) == 2


def test_compacting_leaves_one_file_a_bucket_and_the_same_events(log: EventLog) -> None:
    log.append([events(ADA, BERT)], source="1.csv")
    log.append([events(CHEN, ("ada", FIRST_OF_MAY, "login", None, None))], source="2.csv")
    log.append([events(("bert", FIRST_OF_MAY, "login", None, None))], source="3.csv")
    before, reader = everything(log), EventLog.open(log.path)
    log.compact()
    assert everything(log) == before
    assert {len(files) for files in log.files} <= {0, 1}
    assert everything(reader) == before  # who was reading goes on reading
    assert log.append([events(ADA, BERT, CHEN)], source="4.csv").duplicates == 3
    version = log.version
    log.compact()
    assert log.version == version


def test_a_missing_file_is_damage(log: EventLog) -> None:
    log.append([events(ADA)], source="may.csv")
    for file in log.path.glob("bucket=*/*.parquet"):
        file.unlink()
    with pytest.raises(Damaged, match=r"lacks its file .*parquet\. Restore it from a backup"):
        log.read_user("ada")


def test_a_file_that_is_not_what_it_was_is_damage(log: EventLog) -> None:
    log.append([events(ADA)], source="may.csv")
    for file in log.path.glob("bucket=*/*.parquet"):
        file.write_bytes(b"PAR1 torn")
    with pytest.raises(Damaged, match="cannot be read"):
        log.read_bucket(bucket_of("ada", 3))


def test_an_error_half_way_leaves_the_log_and_the_folder_as_they_were(log: EventLog) -> None:
    def torn() -> Iterator[pa.Table]:
        yield events(ADA)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.append(torn(), source="may.csv")
    assert EventLog.open(log.path).version == 0
    assert [entry.name for entry in (log.path / "_staging").iterdir()] == ["lock"]


SCRIPT = """
    import sys, os, signal, resource
    from pathlib import Path
    sys.path[:0] = [{tests!r}, {house!r}]
    from test_log import ADA, BERT, EventLog, events
    log = EventLog.open(Path({log!r}))
    {action}
"""


def in_a_process(log: EventLog, action: str) -> subprocess.CompletedProcess[str]:
    here = Path(__file__).parent
    script = SCRIPT.format(tests=str(here), house=str(here.parents[1]), log=str(log.path), action=action)
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_what_a_killed_import_leaves_behind_is_removed_by_the_next(log: EventLog) -> None:
    kill = "log.append((events(ADA) if n == 0 else os.kill(os.getpid(), signal.SIGKILL) for n in range(2)), source='x')"
    assert in_a_process(log, kill).returncode == -signal.SIGKILL
    assert len(list((log.path / "_staging").iterdir())) == 2
    assert log.append([events(ADA)], source="may.csv").accepted == 1
    assert [entry.name for entry in (log.path / "_staging").iterdir()] == ["lock"]


def test_a_full_disk_says_what_to_do_and_harms_nothing(log: EventLog) -> None:
    log.append([events(ADA)], source="may.csv")
    few = "resource.setrlimit(resource.RLIMIT_FSIZE, (900, 900)); log.append([events(BERT)] * 50, source='x')"
    ended = in_a_process(log, few)
    assert "UserError: There is no room on the disk" in ended.stderr
    assert "nothing was added and the log is as it was. Free some space" in ended.stderr
    assert [row[0] for row in everything(EventLog.open(log.path))] == ["ada"]
    assert len(list(log.path.glob("bucket=*/*.parquet"))) == 1
