"""Brings a database to the schema that this code knows, forward or back."""

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.errors import BadInput, UserError
from serving.store.database import Database

HEAD = "0009"  # the newest file in migrations/versions; a test compares
_MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(database: Database) -> None:
    """Make or migrate the schema where that is needed; told without Alembic, which takes time to import."""
    if database.schema_revision() != HEAD:
        migrate(database)


def migrate(database: Database, *, to: str = HEAD) -> None:
    """Bring the schema forward (or back) to a revision; all steps in one transaction.

    Raises `UserError` when a newer version of Holdfast wrote the store.
    """
    with database.engine.connect().execution_options(writes=True) as connection, connection.begin():
        database.schema_lock(connection)
        found = _revision(connection)
        if found == to:
            return
        if found is not None and found > HEAD:
            raise UserError(
                f"the store has schema {found}, this version of Holdfast knows up to {HEAD}: "
                "a newer version has opened it. Update Holdfast, or point [store] url at another one."
            )
        _run_alembic(connection, found=found, to=to)


def known_revision(text: str) -> str:
    """A revision that this code knows, `base` among them; raises `BadInput` for any other."""
    steps = [path.stem.partition("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py")]
    known = ["base", *sorted(steps)]
    if text not in known:
        raise BadInput(f"{text!r} is no revision of the store; expected one of {', '.join(known)}.")
    return text


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()


def _run_alembic(connection: Connection, *, found: str | None, to: str) -> None:
    from alembic import command  # noqa: PLC0415 (costs a noticeable part of a second; only where a store is new)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    forward = found is None or (to != "base" and found < to)
    (command.upgrade if forward else command.downgrade)(config, to)
