"""The event log: a Delta Lake table whose partitions are buckets of users.

One user lives in one bucket, and a bucket's files are sorted by user, time and event id. An append is one commit over
all buckets. An event counts once however often it arrives: what the log has is left out when a bucket is written, and
what two imports at the same time both brought is left out when it is read. Of two events of a user with one id, the
first to arrive wins.
"""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from features.bucket_files import coded, first_of_each, order_of, taken, user_codes
from features.commit import BUCKETS, TABLE_SCHEMA, commit, commit_rebucketed, file_name, room_on_disk
from features.errors import BadInput, Damaged, NotReady
from features.identity import bucket_of, column
from features.reading import read_entries, read_events, read_events_of, read_rows
from features.rebucket import EVENTS_A_BUCKET, FEWEST, all_rows, buckets_for, is_outgrown, is_small_for
from features.staging import Finished, finish, finished, stage, staging_folder
from features.summary import KindSummary, LogSummary, Tally, add_up, tally
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.vacuum import readable_from, vacuum

__all__ = ["Appended", "EventLog", "KindSummary", "LogSummary"]

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append did: events that are new, events that the log had, and the version it left."""

    accepted: int
    duplicates: int
    version: int


class EventLog:
    """One version of the log; `append` and `compact` move it to the version that they leave."""

    def __init__(
        self, path: Path, *, version: int, buckets: int, files: Sequence[tuple[Path, ...]], rows: int, is_past: bool
    ) -> None:
        """Meant for `create` and `open`; plain data only, so that a process pool can hand it on."""
        self.path = path
        self.version = version
        self.buckets = buckets
        self.rows = rows  # in all files, what two of them have counted twice
        self._files = files
        self._is_past = is_past

    @classmethod
    def create(cls, path: Path, *, buckets: int = FEWEST) -> "EventLog":
        """A new, empty log, or the one that is there (with the buckets that it has)."""
        if not _is_log(path):
            with room_on_disk(path):
                path.mkdir(parents=True, exist_ok=True)
                DeltaTable.create(
                    path,
                    schema=TABLE_SCHEMA,
                    mode="ignore",  # another process may have been quicker
                    partition_by=["bucket"],
                    description="Holdfast event log",
                    configuration={BUCKETS: str(buckets)},
                    raise_if_key_not_exists=False,
                )
        return cls.open(path)

    @classmethod
    def open(cls, path: Path, *, version: int | None = None) -> "EventLog":
        """The newest version, or a past one to read.

        Raises `NotReady` when there is no log, no such version, or none any more.
        """
        if not _is_log(path):
            raise NotReady(f"There is no event log at {path}. Import some events first: holdfast ingest FILE")
        table = _load(path, version)
        buckets = table.metadata().configuration.get(BUCKETS)
        if buckets is None:
            raise Damaged(f"The Delta table at {path} is not an event log of Holdfast: it names no number of buckets.")
        actions = pa.table(table.get_add_actions(flatten=True))
        files = _files_by_bucket(actions, path, int(buckets))
        if version is not None:
            _check_kept(path, version, files)
        return cls(
            path,
            version=table.version(),
            buckets=int(buckets),
            files=files,
            rows=sum(actions["num_records"].to_pylist()),
            is_past=version is not None,
        )

    def append(self, batches: Iterable[pa.Table], *, source: str) -> Appended:
        """Add the events of one source; they are all there or none is. Without anything new the version stays."""
        return self.append_all([batches], source=source)

    def append_all(self, sources: Iterable[Iterable[pa.Table]], *, source: str) -> Appended:
        """Add several sources as one commit; `source` says in the table's history where they came from."""
        self._must_be_newest("append to")
        with room_on_disk(self.path), staging_folder(self.path) as folder:
            buckets = self.buckets
            staged = stage(sources, folder, buckets=buckets)
            self._move_to_newest()
            added = self._finish(staged, folder, self._files)
            commit(self.path, added, note=source, buckets=buckets)
            self._move_to_newest()
        duplicates = sum(each.duplicates for each in added)
        return Appended(sum(each.rows for each in added), duplicates, self.version)

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        """All events of a bucket's users, profiles among them, with what is wanted of them."""
        return read_events(self._files[bucket], wanted)

    def bucket_of(self, user_id: str) -> int:
        """The bucket that a user's events are in, whether there are any or not."""
        return bucket_of(user_id, self.buckets)

    @property
    def files(self) -> Sequence[tuple[Path, ...]]:
        """The Parquet files of each bucket in this version, oldest first."""
        return self._files

    def read_user(self, user_id: str, wanted: Wanted = NOTHING_MORE) -> UserEvents:
        """The events of one user; no users when the log knows none by this id."""
        return read_events_of(user_id, self._files[self.bucket_of(user_id)], wanted)

    def summary(self) -> LogSummary:
        """Counts and span of the whole log, a bucket at a time; `NotReady` when it holds no events."""
        found = add_up(_in_two_threads(self._tally, range(self.buckets)))
        if found is None:
            raise NotReady(f"The event log at {self.path} is empty. Import some events first: holdfast ingest FILE")
        return found

    def make_room(self, events: int) -> None:
        """More buckets, if the log is empty and so many events are on their way; a log with events is compacted."""
        if not self.rows and is_small_for(events, buckets=self.buckets):
            with staging_folder(self.path):
                commit_rebucketed(self.path, [], version=self.version, buckets=buckets_for(events), replaced=[])
            self._move_to_newest()

    def compact(self, *, events_a_bucket: int = EVENTS_A_BUCKET) -> None:
        """One file a bucket, each event once, in more buckets if the log has over four times as many events in each.

        The old files stay for readers of older versions. Raises `Busy` when the log was changed meanwhile in a way
        that cannot be reconciled; then nothing is changed and nothing lost.
        """
        self._must_be_newest("compact")
        self._move_to_newest()
        with room_on_disk(self.path), staging_folder(self.path) as folder:
            if is_outgrown(self.rows, buckets=self.buckets, each=events_a_bucket):
                self._rebucket(buckets_for(self.rows, each=events_a_bucket), folder)
            else:
                self._compact_buckets(folder)
            self._move_to_newest()

    def vacuum(self, older_than: timedelta, now: datetime) -> int:
        """Remove the files that no version of the last `older_than` (a day at least) names; returns how many."""
        return vacuum(self.path, older_than=older_than, now=now)

    def _must_be_newest(self, verb: str) -> None:
        if self._is_past:
            raise BadInput(
                f"The event log was opened at version {self.version}; open it without a version to {verb} it."
            )

    def _move_to_newest(self) -> None:
        newest = EventLog.open(self.path)
        self.version, self.buckets, self.rows, self._files = newest.version, newest.buckets, newest.rows, newest.files

    def _finish(self, staged: Sequence[Path], folder: Path, existing: Sequence[tuple[Path, ...]]) -> list[Finished]:
        def finish_bucket(bucket: int) -> Finished:
            target = folder / file_name(self.version + 1)
            return finish(staged[bucket], bucket=bucket, existing=list(existing[bucket]), target=target)

        return _in_two_threads(finish_bucket, [bucket for bucket, path in enumerate(staged) if path.exists()])

    def _tally(self, bucket: int) -> Tally:
        return tally(self.read_bucket(bucket), read_entries(self._files[bucket]))

    def _compact_buckets(self, folder: Path) -> None:
        many = [bucket for bucket, files in enumerate(self._files) if len(files) > 1]
        merged = [self._compacted(bucket, folder / file_name(self.version)) for bucket in many]
        replaced = [path for bucket in many for path in self._files[bucket]]
        commit(self.path, merged, note="compact", buckets=self.buckets, replaced=replaced)

    def _rebucket(self, buckets: int, folder: Path) -> None:
        staged = stage([all_rows(self._files)], folder, buckets=buckets)
        written = self._finish(staged, folder, [()] * buckets)
        replaced = [path for files in self._files for path in files]
        commit_rebucketed(self.path, written, version=self.version, buckets=buckets, replaced=replaced)

    def _compacted(self, bucket: int, target: Path) -> Finished:
        rows = coded(read_rows(self._files[bucket]).combine_chunks())
        rows = taken(rows, first_of_each(user_codes(rows), column(rows, "event_id")))
        return finished(taken(rows, order_of(rows)), bucket=bucket, target=target)


def _in_two_threads(function: Callable[[int], Result], buckets: Iterable[int]) -> list[Result]:
    """The function's results in order: Arrow, NumPy and Numba let go of the interpreter for most of it."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        futures = [pool.submit(function, bucket) for bucket in buckets]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _is_log(path: Path) -> bool:
    return (path / "_delta_log").is_dir() and DeltaTable.is_deltatable(str(path))


def _load(path: Path, version: int | None) -> DeltaTable:
    try:
        return DeltaTable(path, version=version)
    except TableNotFoundError:
        raise NotReady(f"There is no event log at {path}. Import some events first: holdfast ingest FILE") from None
    except DeltaError as error:
        if version is None:
            found = str(error).splitlines()[0]  # the rest is where in its own code the library noticed
            raise Damaged(f"The event log at {path} cannot be opened ({found}). Restore it from a backup.") from error
        raise NotReady(
            f"The event log at {path} has no version {version}; expected one up to {_newest(path)}."
        ) from None


def _check_kept(path: Path, version: int, files: Iterable[tuple[Path, ...]]) -> None:
    """Raise `NotReady` when files of a past version were removed because no newer one needs them."""
    if all(file.exists() for bucket in files for file in bucket):
        return
    first = readable_from(path, version)
    if first is not None:
        raise NotReady(
            f"Version {version} of the event log at {path} cannot be read any more: its files were cleaned up when the "
            f"log was compacted. Take a version from {first} to {_newest(path)}, or none for the newest; `holdfast "
            "compact --keep` says how long past versions stay."
        )


def _newest(path: Path) -> int:
    return int(DeltaTable(path).version())


def _files_by_bucket(actions: pa.Table, path: Path, buckets: int) -> tuple[tuple[Path, ...], ...]:
    """Each bucket's files, oldest first: their names begin with the version that they were written for."""
    files: list[list[Path]] = [[] for _ in range(buckets)]
    for name, bucket in zip(actions["path"].to_pylist(), actions["partition.bucket"].to_pylist(), strict=True):
        files[bucket].append(path / name)
    return tuple(tuple(sorted(each)) for each in files)
