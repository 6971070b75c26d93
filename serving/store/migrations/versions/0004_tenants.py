"""Tenants: several brands in one store, each with its own runs, its own current run and its own keys."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """What was there belongs to the tenant without a name."""
    for name in ("runs", "keys"):
        op.add_column(name, sa.Column("tenant", sa.String(100), nullable=False, server_default=""))
    op.add_column("keys", sa.Column("last_used_at", sa.BigInteger))
    run_ids = _current()
    op.drop_table("current_run")
    table = op.create_table(
        "current_run",
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_current_run"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_current_run_run_id"),
    )
    op.bulk_insert(table, [{"tenant": "", "run_id": run_id} for run_id in run_ids])


def downgrade() -> None:
    """The runs and keys of tenants with a name are removed: without their column anybody's key would open them."""
    run_ids = _current("WHERE tenant = ''")
    op.drop_table("current_run")
    others = "SELECT run_id FROM runs WHERE tenant <> ''"
    for name in ("scores", "outside"):
        op.execute(f"DELETE FROM {name} WHERE run_id IN ({others})")  # noqa: S608 - both are constants
    op.execute("DELETE FROM runs WHERE tenant <> ''")
    op.execute("DELETE FROM keys WHERE tenant <> ''")
    op.drop_column("keys", "last_used_at")
    for name in ("keys", "runs"):
        op.drop_column(name, "tenant")
    table = op.create_table(
        "current_run",
        sa.Column("place", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_current_run"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_current_run_run_id"),
        sa.CheckConstraint("place = 1", name="ck_current_run_one_row"),
    )
    op.bulk_insert(table, [{"place": 1, "run_id": run_id} for run_id in run_ids])


def _current(which: str = "") -> list[int]:
    found = op.get_bind().exec_driver_sql(f"SELECT run_id FROM current_run {which}")  # noqa: S608 - as above
    return list(found.scalars())
