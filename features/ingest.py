"""Files and tables into the event log: read, check, quarantine what breaks the contract, append the rest at once."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from features.commit import room_on_disk
from features.events import Batch, RawRows, validate
from features.log import Appended, EventLog
from features.quarantine import Quarantine
from features.sources import frames
from features.sources.ahead import ahead
from features.sources.files import SourceFile, find
from features.sources.frames import SourceTable
from features.sources.mapping import Mapping
from features.sources.tabular import read, rows_about

Progress = Callable[[str, int], None]  # the file being read, all rows read so far
THE_CONTRACT = Mapping()  # columns by the names that we have for them


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of the rows: `read = accepted + duplicates + quarantined`."""

    read: int
    accepted: int
    duplicates: int
    quarantined: int
    reasons: dict[str, int]  # code → rows, most first
    quarantine_file: Path | None
    start: datetime | None  # of the first event among those read and kept
    end: datetime | None  # of the last one
    version: int  # of the log afterwards


def ingest(
    log: EventLog,
    sources: Sequence[str],
    *,
    mapping: Mapping,
    quarantine: Path,
    now: datetime,
    on_progress: Progress | None = None,
    stdin: BinaryIO | None = None,
) -> Ingested:
    """Add the events of files, folders, globs or `-` (what `stdin` holds) to the log; on an error none of them.

    Rows that break the contract go to a file in the folder `quarantine`. Each file is a source of its own: twins in
    one file are two events, and a file read twice counts once.
    """
    files = find(sources, format=mapping.format)
    log.make_room(sum(map(rows_about, files)))
    counted = _Counted(on_progress)
    with room_on_disk(quarantine), Quarantine(quarantine, now=now) as refused:
        tables = (_tables(file, mapping, counted, refused, now=now, stdin=stdin) for file in files)
        appended = log.append_all(tables, source=", ".join(file.name for file in files[:5]))
    return counted.ingested(refused, appended)


def ingest_table(
    log: EventLog,
    frame: object,
    *,
    mapping: Mapping = THE_CONTRACT,
    quarantine: Path,
    now: datetime,
    name: str = "the table",
    on_progress: Progress | None = None,
) -> Ingested:
    """Add the events of a DataFrame (pandas, Polars) or an Arrow table to the log, checked as those of files are.

    A named index of pandas is a column like any other. The table is one source: twins in it are two events, and the
    same table added twice counts once. `name` is what it is called in the quarantine and in the log's history.
    """
    table = SourceTable.of(frame, name=name)
    log.make_room(table.rows.num_rows)
    counted = _Counted(on_progress)
    with room_on_disk(quarantine), Quarantine(quarantine, now=now) as refused:
        batches = _kept(_checked(frames.read(table, mapping), mapping, now=now), counted, refused, name=name)
        appended = log.append(batches, source=name)
    return counted.ingested(refused, appended)


class _Counted:
    """How much was read so far, and the span of what is good."""

    def __init__(self, on_progress: Progress | None) -> None:
        self.read = 0
        self.start: datetime | None = None
        self.end: datetime | None = None
        self._on_progress = on_progress

    def add(self, batch: Batch, file: str) -> None:
        self.read += batch.read
        if batch.coded.num_rows:
            span = pc.min_max(batch.coded["time"])
            start, end = span["min"].as_py(), span["max"].as_py()
            self.start = start if self.start is None else min(start, self.start)
            self.end = end if self.end is None else max(end, self.end)
        if self._on_progress is not None:
            self._on_progress(file, self.read)

    def ingested(self, refused: Quarantine, appended: Appended) -> Ingested:
        return Ingested(
            read=self.read,
            accepted=appended.accepted,
            duplicates=appended.duplicates,
            quarantined=refused.rows,
            reasons=dict(sorted(refused.reasons.items(), key=lambda reason: (-reason[1], reason[0]))),
            quarantine_file=refused.path,
            start=self.start,
            end=self.end,
            version=appended.version,
        )


def _tables(
    file: SourceFile, mapping: Mapping, counted: _Counted, refused: Quarantine, *, now: datetime, stdin: BinaryIO | None
) -> Iterator[pa.Table]:
    pieces = read(file, mapping, stdin=stdin)
    may_wait = file.path is None  # a thread that waits for input cannot be stopped
    checked = _checked(pieces if may_wait else ahead(pieces), mapping, now=now)
    batches = checked if may_wait else ahead(checked)  # one is read while one is checked and one spilled
    yield from _kept(batches, counted, refused, name=file.name)


def _kept(batches: Iterable[Batch], counted: _Counted, refused: Quarantine, *, name: str) -> Iterator[pa.Table]:
    for batch in batches:
        refused.add(batch.rejected)
        counted.add(batch, name)
        yield batch.coded


def _checked(pieces: Generator[RawRows], mapping: Mapping, *, now: datetime) -> Iterator[Batch]:
    rule_works = False
    with closing(pieces):
        for raw in pieces:
            batch = validate(raw, rule=mapping.rule, now=now, rule_works=rule_works, profiles=mapping.profiles)
            rule_works = rule_works or batch.coded.num_rows > 0
            yield batch
