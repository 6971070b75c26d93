"""`holdfast audit`: who read what through the API."""

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from features.errors import BadInput
from features.windows import iso
from holdfast.output import table
from holdfast.session import CutoffType, Session, takes

if TYPE_CHECKING:
    from serving.store.audit import AuditEntry

EXAMPLE = """\b
Example:
  holdfast audit --top 20
  holdfast audit --user ada --since 2026-11-01
  holdfast audit --key crm --to audit.ndjson"""


@click.command(epilog=EXAMPLE)
@click.option("--user", metavar="ID", help="Only answers that told something of this user.")
@click.option("--key", metavar="NAME_OR_PREFIX", help="Only what this key asked.")
@click.option("--since", type=CutoffType(), metavar="TIME", help="From this moment on; ISO 8601.")
@click.option("--until", type=CutoffType(), metavar="TIME", help="Before this moment.")
@click.option(
    "--top", type=click.IntRange(min=1), default=100, show_default=True, metavar="NUMBER", help="So many, newest first."
)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write all to .csv or .ndjson instead.",
)
@takes("data", "store")
def command(
    session: Session,
    *,
    user: str | None,
    key: str | None,
    since: datetime | None,
    until: datetime | None,
    top: int,
    to: Path | None,
) -> None:
    """Say who read what of users through the API: key, address, number of users, run, request id, time.

    The log names no user; --user finds the answers that told something of one. It is kept for [serve] audit_days.
    """
    from holdfast.scores import open_store  # noqa: PLC0415 off the command line's start
    from serving.store.audit import Sought  # noqa: PLC0415 as above

    if to is not None and to.suffix not in (".csv", ".ndjson"):
        raise BadInput(f"{to}: expected a name that ends in .csv or .ndjson.")
    with open_store(session) as store:
        entries = store.audit_entries(Sought(since=since, until=until, user_id=user, key=key))
        if to is not None:
            written = _write(entries, to)
            session.emit({"written": to, "entries": written}, text=f"Wrote {written:,} entries to {to}.")
            return
        listed = list(islice(entries, top))
    session.emit({"entries": [dataclasses.asdict(entry) for entry in listed]}, text=_text(listed))


def _write(entries: "Iterator[AuditEntry]", target: Path) -> int:
    from holdfast.files import replacing  # noqa: PLC0415 off the command line's start
    from serving.lists import csv_lines  # noqa: PLC0415 as above
    from serving.store.audit import AuditEntry  # noqa: PLC0415 as above

    written = 0

    def counted() -> Iterator[dict[str, str | int]]:
        nonlocal written
        for entry in entries:
            written += 1
            yield {**dataclasses.asdict(entry), "at": iso(entry.at), "run_id": entry.run_id or ""}

    columns = [field.name for field in dataclasses.fields(AuditEntry)]
    with replacing(target) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as out:
        if target.suffix == ".csv":
            out.writelines(csv_lines((tuple(row.values()) for row in counted()), columns=columns))
        else:
            out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in counted())
    return written


def _text(listed: "list[AuditEntry]") -> str:
    if not listed:
        return "There is no such entry in the audit."
    rows = [
        [
            iso(entry.at)[:19].replace("T", " "),
            entry.key_name or entry.key_prefix,
            entry.route,
            str(entry.status),
            f"{entry.users:,}",
            str(entry.run_id or "-"),
            entry.request_id,
        ]
        for entry in listed
    ]
    return table(rows, header=["time (UTC)", "key", "address", "status", "users", "run", "request"], right=[3, 4, 5])
