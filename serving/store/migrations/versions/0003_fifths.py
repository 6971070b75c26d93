"""Fifths: where those of the population that was scored end, for users who are scored alone afterwards."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; of the runs before they are not known."""
    op.add_column("runs", sa.Column("fifths", sa.Text))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("runs", "fifths")
