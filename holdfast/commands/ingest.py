"""`holdfast ingest`: files of events into the event log."""

import sys

import click

from holdfast.session import Session, takes

EXAMPLE = """\b
Example:
  holdfast ingest events.parquet --user-id customer --time ts --event kind --value amount
  holdfast ingest 'exports/2026-*.csv.gz' --timezone Europe/Berlin
  zcat events.ndjson.gz | holdfast ingest - --format ndjson
  holdfast ingest --profiles customers.csv --user-id customer --valid-from since"""

NOTHING_KEPT = 3


@click.command(epilog=EXAMPLE)
@click.argument("sources", nargs=-1, required=True, metavar="FILE...")
@click.option("--profiles", is_flag=True, help="The files hold what is known about users, not events.")
@click.option(
    "--valid-from",
    metavar="COLUMN",
    help="Of profiles: the column with the time from which on a row is true [default: valid_from].",
)
@takes("data", "ingest")
def command(session: Session, *, sources: tuple[str, ...], profiles: bool, valid_from: str | None) -> int:
    """Read files, folders, globs or standard input (-) of events into the event log.

    Parquet, CSV and NDJSON (also .gz). All events of a command enter the log together or not at all, and an event
    that comes twice counts once. Rows that break the contract go to quarantine with reason and place.

    With --profiles the files hold users' profiles: a user, a time from which on the row is true, and any columns, such
    as plan or country. Features read the row that held at their cutoff.
    """
    if valid_from is not None and not profiles:
        raise click.UsageError("--valid-from is for --profiles; the time of events is --time.")
    with session.progress.stage("Loading the libraries"):
        from holdfast import log_steps, telling  # noqa: PLC0415 costs seconds, and progress should say so

    since = valid_from or "valid_from" if profiles else ""
    done = log_steps.ingest(session, sources, valid_from=since, stdin=sys.stdin.buffer if "-" in sources else None)
    what = "profiles" if profiles else "events"
    session.emit(telling.ingested_document(done), text=telling.ingested_text(done, what=what))
    return NOTHING_KEPT if done.quarantined and not done.accepted + done.duplicates else 0
