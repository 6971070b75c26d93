"""`holdfast ingest`: files of events into the event log."""

import sys

import click

from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast ingest events.parquet --user-id customer --time ts --event kind --value amount
  holdfast ingest 'exports/2026-*.csv.gz' --timezone Europe/Berlin
  zcat events.ndjson.gz | holdfast ingest - --format ndjson"""

NOTHING_KEPT = 3


@click.command(epilog=EXAMPLE)
@click.argument("sources", nargs=-1, required=True, metavar="FILE...")
@takes("data", "ingest")
def command(session: Session, *, sources: tuple[str, ...]) -> int:
    """Read files, folders, globs or standard input (-) of events into the event log.

    Parquet, CSV and NDJSON (also .gz). All events of a command enter the log together or not at all, and an event
    that comes twice counts once. Rows that break the contract go to quarantine with reason and place.
    """
    with session.progress.stage("Loading the libraries"):
        from holdfast import steps, telling  # noqa: PLC0415 costs seconds, and progress should say so

    done = steps.ingest(session, sources, stdin=sys.stdin.buffer if "-" in sources else None)
    session.emit(telling.ingested_document(done), text=telling.ingested_text(done))
    return NOTHING_KEPT if done.quarantined and not done.accepted + done.duplicates else 0
