"""Features on disk: whole or not there, going on where it was interrupted, the same bits as in memory."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from features import dataset
from features.errors import BadInput, Busy, Damaged, NotReady
from features.feature_set import FeatureSet
from features.ingest import ingest
from features.language import events, feature_set
from features.log import EventLog
from features.manifest import MANIFEST
from features.population import Population
from features.snapshots import build
from features.sources.mapping import Mapping
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import days, utc

CUTOFFS = [utc("2026-03-01"), utc("2026-02-01"), utc("2026-04-01")]
ACTIVE = Population(activity=(), look_back=days(28))
MINE = feature_set(
    visits=events("visit").count(last=days(28)),
    gap=events("purchase").mean(last=days(2)),
    spent=events("purchase").total(),
    fifth=events("purchase").total().fifth_of_population(),
    recent=events().days_since_last().fifth_of_population(),
)
PLAIN = feature_set(visits=events("visit").count(last=days(28)))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """Three thousand events of ninety users in eight buckets."""
    folder = tmp_path_factory.mktemp("shop")
    return EventLog.open(_fill(folder))


def _fill(folder: Path, *, rows: int = 3000) -> Path:
    draws = np.random.default_rng(3)
    lines = ["user_id,time,event,value"]
    for user, day, hour, kind in zip(
        draws.integers(0, 90, rows),
        draws.integers(0, 110, rows),
        draws.integers(0, 24, rows),
        draws.random(rows),
        strict=True,
    ):
        moment = utc("2026-01-01") + days(int(day))
        lines.append(
            f"user-{user},{moment:%Y-%m-%d}T{hour:02}:00:00Z,{'visit' if kind < 0.7 else 'purchase'},{kind:.4f}"
        )
    (folder / "events.csv").write_text("\n".join(lines))
    log = EventLog.create(folder / "events", buckets=8)
    ingest(log, [str(folder / "events.csv")], mapping=Mapping(), quarantine=folder, now=utc("2026-06-01"))
    return folder / "events"


def write(log: EventLog, target: Path, features: FeatureSet = MINE, **other: object) -> dataset.Written:
    told = {"cutoffs": CUTOFFS, "population": ACTIVE, **other}
    return dataset.write(log, features, target=target, **told)  # type: ignore[arg-type] # a test's short way


class Interrupted(EventLog):
    """A log whose reader is interrupted after so many buckets."""

    left = 3

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().read_bucket(bucket, wanted)


def interrupted(log: EventLog, *, after: int) -> EventLog:
    made = Interrupted.open(log.path)
    made.left = after
    return made


@pytest.mark.parametrize("features", [MINE, PLAIN])
def test_what_is_read_back_is_what_would_be_built_to_the_bit(
    log: EventLog, features: FeatureSet, tmp_path: Path
) -> None:
    done = write(log, tmp_path / "rows", features)
    there, expected = dataset.read(tmp_path / "rows"), build(log, features, cutoffs=CUTOFFS, population=ACTIVE)
    assert (done.rows, done.files, done.kept) == (len(expected), 8, 0)
    assert (there.users.tolist(), there.cutoffs.tolist()) == (expected.users.tolist(), expected.cutoffs.tolist())
    assert there.features == features
    np.testing.assert_array_equal(there.matrix, expected.matrix)


@pytest.mark.parametrize("after", [0, 3, 8, 11])
def test_an_interrupted_build_goes_on_where_it_stopped(log: EventLog, after: int, tmp_path: Path) -> None:
    target = tmp_path / "rows"
    with pytest.raises(KeyboardInterrupt):
        write(interrupted(log, after=after), target, workers=1)
    assert not target.exists()
    with pytest.raises(NotReady, match="was interrupted"):
        dataset.read(target)
    counted = interrupted(log, after=16)
    done = write(counted, target)
    assert done.kept == max(0, after - 8)
    assert 16 - counted.left == 16 - after  # type: ignore[attr-defined] # ours
    np.testing.assert_array_equal(
        dataset.read(target).matrix, build(log, MINE, cutoffs=CUTOFFS, population=ACTIVE).matrix
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows"]


def test_a_killed_process_leaves_nothing_half_and_another_goes_on(log: EventLog, tmp_path: Path) -> None:
    program = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        from features import dataset
        from features.language import events, feature_set
        from features.log import EventLog
        from features.population import Population
        from features.windows import days, utc
        class Slow(EventLog):
            def read_bucket(self, bucket, *wanted):
                time.sleep(0.2)
                return super().read_bucket(bucket, *wanted)
        dataset.write(Slow.open(Path({str(log.path)!r})), feature_set(visits=events("visit").count(last=days(28))),
            cutoffs=[utc("2026-03-01")], population=Population((), days(28)), target=Path("rows"), workers=1)
    """)
    started = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path)
    draft = tmp_path / ".rows.unfinished"
    _wait_for(lambda: len(list(draft.glob("bucket-*.parquet"))) >= 2)
    with pytest.raises(Busy, match="another process is building rows"):
        write(log, tmp_path / "rows", PLAIN, cutoffs=CUTOFFS[:1])
    os.kill(started.pid, signal.SIGKILL)
    started.wait()
    assert not (tmp_path / "rows").exists()
    done = write(log, tmp_path / "rows", PLAIN, cutoffs=CUTOFFS[:1])
    assert done.kept >= 2
    assert dataset.read(tmp_path / "rows").cutoffs.tolist() == [1772323200000000] * done.rows


def test_a_finished_folder_is_left_as_it_is(log: EventLog, tmp_path: Path) -> None:
    write(log, tmp_path / "rows", PLAIN)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()}
    assert write(log, tmp_path / "rows", PLAIN).kept == 8
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "rows").iterdir()} == before


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"cutoffs": CUTOFFS[:2]}, "cutoffs: "),
        ({"population": Population((), days(7))}, "population: "),
        ({"as_known": True}, "as_known: False, asked for True"),
    ],
)
def test_another_request_into_the_same_folder_is_refused(
    log: EventLog, other: dict[str, object], named: str, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(interrupted(log, after=2), tmp_path / "rows", PLAIN, workers=1)
    with pytest.raises(BadInput, match=f"an interrupted build of another request .{named}"):
        write(log, tmp_path / "rows", PLAIN, **other)
    write(log, tmp_path / "rows", PLAIN)
    with pytest.raises(BadInput, match=f"holds a build of another request .{named}.* Choose another folder"):
        write(log, tmp_path / "rows", PLAIN, **other)


def test_a_log_that_grew_is_another_request(tmp_path: Path) -> None:
    log = EventLog.open(_fill(tmp_path, rows=200))
    write(log, tmp_path / "rows", PLAIN)
    (tmp_path / "more.csv").write_text("user_id,time,event\nada,2026-02-01T00:00:00Z,visit\n")
    ingest(log, [str(tmp_path / "more.csv")], mapping=Mapping(), quarantine=tmp_path, now=utc("2026-06-01"))
    with pytest.raises(BadInput, match="log_version: 1, asked for 2"):
        write(log, tmp_path / "rows", PLAIN)
    assert write(EventLog.open(log.path, version=1), tmp_path / "rows", PLAIN).kept == 8


def test_overwriting_replaces_another_request_once_the_new_features_are_there(log: EventLog, tmp_path: Path) -> None:
    target = tmp_path / "rows"
    write(log, target, PLAIN)
    with pytest.raises(KeyboardInterrupt):
        write(interrupted(log, after=2), target, overwrite=True, workers=1)
    assert dataset.read(target).features == PLAIN
    with pytest.raises(KeyboardInterrupt):  # what was interrupted is of another request, and may go
        write(interrupted(log, after=2), target, cutoffs=CUTOFFS[:1], overwrite=True, workers=1)
    assert write(log, target, overwrite=True).kept == 0
    assert dataset.read(target).features == MINE
    before = {path.name: path.stat().st_mtime_ns for path in target.iterdir()}
    assert write(log, target, overwrite=True).kept == 8
    assert {path.name: path.stat().st_mtime_ns for path in target.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["rows"]


def test_overwriting_mends_what_is_damaged_and_leaves_alone_what_holds_no_features(
    log: EventLog, tmp_path: Path
) -> None:
    write(log, tmp_path / "rows", PLAIN)
    (tmp_path / "rows" / "bucket-00003.parquet").unlink()
    write(log, tmp_path / "rows", PLAIN, overwrite=True)
    assert len(dataset.read(tmp_path / "rows")) > 0
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "ada.txt").write_text("dear ada")
    with pytest.raises(BadInput, match="is no folder of features"):
        write(log, tmp_path / "letters", PLAIN, overwrite=True)
    assert (tmp_path / "letters" / "ada.txt").read_text() == "dear ada"


def test_a_folder_of_somebody_else_is_left_alone(log: EventLog, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "notes.txt").write_text("mine")
    with pytest.raises(BadInput, match="exists and is no folder of features"):
        write(log, tmp_path / "rows", PLAIN)
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["notes.txt"]


def test_an_empty_folder_is_taken(log: EventLog, tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    assert write(log, tmp_path / "rows", PLAIN).files == 8


def test_a_file_of_an_interrupted_build_that_was_cut_is_built_again(log: EventLog, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(interrupted(log, after=3), tmp_path / "rows", PLAIN, workers=1)
    first = min((tmp_path / ".rows.unfinished").glob("bucket-*.parquet"))
    first.write_bytes(first.read_bytes()[:-40])
    assert write(log, tmp_path / "rows", PLAIN).kept == 2
    assert len(dataset.read(tmp_path / "rows")) == len(build(log, PLAIN, cutoffs=CUTOFFS, population=ACTIVE))


def test_a_file_of_an_interrupted_build_that_belongs_elsewhere_is_built_again(log: EventLog, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        write(interrupted(log, after=1), tmp_path / "rows", PLAIN, workers=1)
    (first,) = (tmp_path / ".rows.unfinished").glob("bucket-*.parquet")
    first.rename(first.with_name("bucket-00007.parquet"))
    assert write(log, tmp_path / "rows", PLAIN).kept == 0
    expected = build(log, PLAIN, cutoffs=CUTOFFS, population=ACTIVE)
    assert dataset.read(tmp_path / "rows").users.tolist() == expected.users.tolist()


def test_a_changed_or_missing_file_is_noticed(log: EventLog, tmp_path: Path) -> None:
    write(log, tmp_path / "rows", PLAIN)
    path = tmp_path / "rows" / "bucket-00003.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole + b"x")
    with pytest.raises(Damaged, match=r"bucket-00003.parquet is of .* bytes, not"):
        dataset.read(tmp_path / "rows")
    path.write_bytes(whole[:-4] + b"xxxx")
    with pytest.raises(Damaged, match="cannot be read"):
        dataset.read(tmp_path / "rows")
    path.unlink()
    with pytest.raises(Damaged, match="is missing"):
        dataset.open_dataset(tmp_path / "rows")


def test_a_broken_manifest_is_damage_and_one_of_the_future_too(log: EventLog, tmp_path: Path) -> None:
    write(log, tmp_path / "rows", PLAIN)
    manifest = tmp_path / "rows" / MANIFEST
    told = json.loads(manifest.read_text())
    assert told["complete"] is True
    manifest.write_text("{")
    with pytest.raises(Damaged, match="not the manifest it should be"):
        dataset.read(tmp_path / "rows")
    manifest.write_text(json.dumps({**told, "format": 99}))
    with pytest.raises(Damaged, match="of format 99, this version reads 1"):
        dataset.read(tmp_path / "rows")


def test_any_reader_of_parquet_reads_the_folder(log: EventLog, tmp_path: Path) -> None:
    done = write(log, tmp_path / "rows")
    table = pq.read_table(tmp_path / "rows")
    assert table.column_names == ["user_id", "cutoff", *MINE.names]
    assert table.num_rows == done.rows == dataset.open_dataset(tmp_path / "rows").count_rows()
    assert table["gap"].null_count > 0


def test_no_cutoffs_are_refused_and_nobody_is_an_empty_build(log: EventLog, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no cutoff"):
        write(log, tmp_path / "rows", cutoffs=[])
    done = write(log, tmp_path / "rows", cutoffs=[utc("2020-01-01")])
    assert done.rows == len(dataset.read(tmp_path / "rows")) == 0


def test_progress_counts_both_passes(log: EventLog, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    write(log, tmp_path / "rows", on_progress=lambda done, of: told.append((done, of)))
    assert told == [(done, 16) for done in range(1, 17)]


def _wait_for(happened: Callable[[], bool], *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def test_the_manifest_says_what_was_asked_for(log: EventLog, tmp_path: Path) -> None:
    write(log, tmp_path / "rows")
    told = json.loads((tmp_path / "rows" / MANIFEST).read_text())
    assert told["request"]["features"] == MINE.fingerprint
    assert told["request"]["log_version"] == log.version
    assert [datetime.fromisoformat(each) for each in told["request"]["cutoffs"]] == sorted(CUTOFFS)
    assert FeatureSet.from_json(told["features"]) == MINE
