"""`holdfast store`: what the score store holds, its schema, and moving it to another database."""

from typing import TYPE_CHECKING

import click

from holdfast.output import table
from holdfast.session import Session, takes

if TYPE_CHECKING:
    from serving.store.copying import Inventory

EXAMPLE = """\b
Example:
  holdfast store info
  holdfast store migrate
  holdfast store copy sqlite:///holdfast-data/store.db postgresql://holdfast@db.example.com/holdfast"""


@click.group(epilog=EXAMPLE)
def command() -> None:
    """Look at the score store, migrate its schema, or copy it to another database."""


@command.command(
    epilog="""\b
Example:
  holdfast store info --json"""
)
@takes("data", "store")
def info(session: Session) -> None:
    """Say where the store is, which schema it has, and how many rows each table holds."""
    from serving.store import schema  # noqa: PLC0415 SQLAlchemy, only for who needs it
    from serving.store.copying import inventory  # noqa: PLC0415 as above
    from serving.store.database import open_database  # noqa: PLC0415 as above
    from serving.store.trouble import told_apart  # noqa: PLC0415 as above

    database = open_database(session.store_url)
    try:
        with told_apart(database):
            found = inventory(database)
    finally:
        database.close()
    if found.revision is None:
        text = f"{found.name}: there is no store yet; `holdfast score` makes it."
    else:
        state = "as this version needs it" if found.revision == schema.HEAD else f"this version needs {schema.HEAD}"
        text = f"{found.name}: schema {found.revision}, {state}; {_megabytes(found)}\n\n{_rows(found)}"
    session.emit({**_document(found), "expected_revision": schema.HEAD}, text=text)


@command.command(
    epilog="""\b
Example:
  holdfast store migrate
  holdfast store migrate --to 0005"""
)
@click.option("--to", metavar="REVISION", help="Schema to go to, forward or back [default: this version's].")
@takes("data", "store")
def migrate(session: Session, *, to: str | None) -> None:
    """Bring the schema of the store to this version's, or to another revision, in one transaction.

    Every command does that by itself where a schema is older. Going back is for an older version of Holdfast; it
    removes what only newer schemas can hold. Stop the services first: they need the schema of their version.
    """
    from serving.store import schema  # noqa: PLC0415 as above
    from serving.store.database import open_database  # noqa: PLC0415 as above
    from serving.store.trouble import told_apart  # noqa: PLC0415 as above

    wanted = schema.HEAD if to is None else schema.known_revision(to)
    database = open_database(session.store_url)
    try:
        with told_apart(database):
            database.prepare()
            before = database.schema_revision()
            schema.migrate(database, to=wanted)
    finally:
        database.close()
    document = {"store": database.name, "revision_before": before, "revision": wanted}
    changed = f"from schema {before or 'none'} to {wanted}" if before != wanted else f"has schema {wanted} already"
    session.emit(document, text=f"{database.name}: {changed}.")


@command.command(
    epilog="""\b
Example:
  holdfast store copy sqlite:///holdfast-data/store.db postgresql://holdfast@db.example.com/holdfast"""
)
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@takes("data")
def copy(session: Session, *, source: str, target: str) -> None:
    """Copy all runs, scores, keys and everything else to an empty database; all of it or nothing.

    Rows are counted on both sides. A run of scores that is being written at the same time makes it wait or refuse.
    Name the new address in [store] url afterwards. A password is better in PGPASSWORD or ~/.pgpass than in an address.
    """
    from serving.store.copying import copy_store  # noqa: PLC0415 as above

    with session.progress.stage("Copying the store"):
        found = copy_store(source, target)
    text = f"Copied to {found.name}, {_megabytes(found)}\n\n{_rows(found)}"
    session.emit(_document(found), text=text)


def _document(found: "Inventory") -> dict[str, object]:
    return {
        "store": found.name,
        "revision": found.revision,
        "size_bytes": found.size_bytes,
        "rows": dict(found.rows),
    }


def _rows(found: "Inventory") -> str:
    return table([[name, f"{rows:,}"] for name, rows in sorted(found.rows.items())], header=["table", "rows"])


def _megabytes(found: "Inventory") -> str:
    return f"{found.size_bytes / 1e6:,.1f} MB."
