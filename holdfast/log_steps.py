"""The steps that fill and keep the event log, each over a session."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import BinaryIO

from features import ingest as into_log
from features.ingest import Ingested
from features.kinds import PROFILE
from features.log import EventLog
from features.sources.mapping import Mapping
from holdfast.session import Session


@dataclass(frozen=True, slots=True)
class Compacted:
    """What became of the log's files; `removed` are those that only old versions needed."""

    files_before: int
    files: int
    removed: int
    buckets: int
    version: int


def ingest(
    session: Session, sources: Sequence[str], *, valid_from: str = "", stdin: BinaryIO | None = None
) -> Ingested:
    """Read files into the event log; raises `Busy` when another process does.

    With `valid_from` they hold profiles, and it names the column that says from when on a row is true.
    """
    with session.folder.alone("ingest", now=session.now), session.progress.stage("Reading events") as report:
        return into_log.ingest(
            EventLog.create(session.folder.events),
            sources,
            mapping=_mapping(session, valid_from),
            quarantine=session.folder.quarantine,
            now=session.now,
            on_progress=lambda _file, rows: report(rows, 0),
            stdin=stdin,
        )


def ingest_table(session: Session, frame: object, *, valid_from: str = "") -> Ingested:
    """Read a DataFrame or an Arrow table into the event log, as a file would be; raises as `ingest`."""
    with session.folder.alone("ingest", now=session.now), session.progress.stage("Reading events") as report:
        return into_log.ingest_table(
            EventLog.create(session.folder.events),
            frame,
            mapping=_mapping(session, valid_from),
            quarantine=session.folder.quarantine,
            now=session.now,
            on_progress=lambda _table, rows: report(rows, 0),
        )


def compact(session: Session, *, keep: timedelta) -> Compacted:
    """Rewrite the log in fewer files and remove what only versions older than `keep` need; raises `Busy` as above."""
    with session.folder.alone("ingest", now=session.now):
        log = EventLog.open(session.folder.events)
        before = sum(map(len, log.files))
        with session.progress.stage("Rewriting the log"):
            log.compact()
        with session.progress.stage("Removing what nobody reads"):
            removed = log.vacuum(keep, session.now)
    return Compacted(before, sum(map(len, log.files)), removed, log.buckets, log.version)


def _mapping(session: Session, valid_from: str) -> Mapping:
    if valid_from:
        return _profiles(session, valid_from)
    said = session.settings.ingest
    return Mapping(
        user_id=said.user_id,
        time=said.time,
        event=said.event,
        value=said.value,
        event_id=said.event_id,
        received_at=said.received_at,
        event_constant=said.event_constant or None,
        timezone=said.timezone or None,
        time_format=said.time_format or None,
        format=said.format or None,
    )


def _profiles(session: Session, valid_from: str) -> Mapping:
    """How profiles are read: all columns but the user and the time are theirs."""
    said = session.settings.ingest
    return Mapping(
        user_id=said.user_id,
        time=valid_from,
        event_constant=PROFILE,
        timezone=said.timezone or None,
        time_format=said.time_format or None,
        format=said.format or None,
    )
