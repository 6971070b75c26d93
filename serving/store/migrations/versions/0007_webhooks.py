"""Addresses that are told of new runs (`webhooks`), and what is on its way to them (`deliveries`)."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Two tables, empty."""
    op.create_table(
        "webhooks",
        sa.Column("webhook_id", sa.String(40), nullable=False),
        sa.Column("tenant", sa.String(100), nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.Text, nullable=False),
        sa.Column("secret", sa.String(100), nullable=False),
        sa.Column("old_secret", sa.String(100)),
        sa.Column("old_secret_until", sa.BigInteger),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("gone_at", sa.BigInteger),
        sa.PrimaryKeyConstraint("webhook_id", name="pk_webhooks"),
    )
    op.create_table(
        "deliveries",
        sa.Column("message_id", sa.String(40), nullable=False),
        sa.Column("webhook_id", sa.String(40), nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("run_id", sa.Integer),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("give_up_at", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(32)),
        sa.Column("done_at", sa.BigInteger),
        sa.Column("last_status", sa.SmallInteger),
        sa.Column("last_error", sa.String(200)),
        sa.PrimaryKeyConstraint("message_id", name="pk_deliveries"),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.webhook_id"], name="fk_deliveries_webhook_id"),
    )
    op.create_index("ix_deliveries_due_at", "deliveries", ["state", "due_at"])


def downgrade() -> None:
    """Drop them, with what was not delivered yet."""
    for name in ("deliveries", "webhooks"):
        op.drop_table(name)
