"""Score runs: runs, the pointer to the current one, scores, known users outside the population."""

import sqlalchemy as sa
from alembic import op

USER_ID = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")  # ordered by code points everywhere

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the four tables."""
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.Column("complete", sa.SmallInteger, nullable=False, server_default="0"),
        sa.Column("scored_at", sa.BigInteger, nullable=False),
        sa.Column("cutoff", sa.BigInteger, nullable=False),
        sa.Column("horizon_start", sa.BigInteger, nullable=False),
        sa.Column("horizon_end", sa.BigInteger, nullable=False),
        sa.Column("valid_until", sa.BigInteger, nullable=False),
        sa.Column("model_version", sa.String(200), nullable=False),
        sa.Column("definition_id", sa.String(200), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("users", sa.Integer, nullable=False, server_default="0"),
        sa.Column("outside", sa.Integer, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "current_run",
        sa.Column("place", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("run_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("place", name="pk_current_run"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_current_run_run_id"),
        sa.CheckConstraint("place = 1", name="ck_current_run_one_row"),
    )
    op.create_table(
        "scores",
        sa.Column("run_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("user_id", USER_ID, nullable=False),
        sa.Column("churn_probability", sa.Float(53), nullable=False),
        sa.Column("percentile", sa.Float(53), nullable=False),
        sa.Column("risk_tier", sa.String(10), nullable=False),
        sa.Column("reasons", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "user_id", name="pk_scores"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_scores_run_id"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_scores_at_risk", "scores", ["run_id", sa.text("churn_probability DESC"), "user_id", "risk_tier"]
    )
    op.create_table(
        "outside",
        sa.Column("run_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("user_id", USER_ID, nullable=False),
        sa.PrimaryKeyConstraint("run_id", "user_id", name="pk_outside"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_outside_run_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("outside")
    op.drop_index("ix_scores_at_risk", "scores")
    op.drop_table("scores")
    op.drop_table("current_run")
    op.drop_table("runs")
