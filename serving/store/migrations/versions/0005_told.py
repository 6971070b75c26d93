"""What a score tells besides: reasons in Chinese, what moved it, the value at risk, stage, segment, consent."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_TEXTS = ("reasons_zh", "changes", "changes_zh")


def upgrade() -> None:
    """Add the columns; of the runs before them nothing is known, and their reasons stay in their one language."""
    op.add_column("runs", sa.Column("previous_run_id", sa.Integer))
    op.add_column("runs", sa.Column("summary", sa.Text, nullable=False, server_default="[]"))
    op.add_column("runs", sa.Column("language", sa.String(2), nullable=False, server_default="en"))
    for name in _TEXTS:
        op.add_column("scores", sa.Column(name, sa.Text, nullable=False, server_default="[]"))
    op.add_column("scores", sa.Column("value_at_risk", sa.Float(53)))
    op.add_column("scores", sa.Column("lifecycle_stage", sa.String(20)))
    op.add_column("scores", sa.Column("segment", sa.String(20)))
    op.add_column("scores", sa.Column("contactable", sa.SmallInteger))
    default = "user_outside_population"
    op.add_column("outside", sa.Column("why", sa.String(40), nullable=False, server_default=default))


def downgrade() -> None:
    """Drop them."""
    op.drop_column("outside", "why")
    for name in ("contactable", "segment", "lifecycle_stage", "value_at_risk", *reversed(_TEXTS)):
        op.drop_column("scores", name)
    for name in ("language", "summary", "previous_run_id"):
        op.drop_column("runs", name)
