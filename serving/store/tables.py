"""The schema: the same on SQLite and PostgreSQL; instants are microseconds since 1970 UTC.

The tables as they are now; `migrations/` says how they came about, and a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Integer, primary_key=True),
    Column("complete", SmallInteger, nullable=False, server_default="0"),
    Column("scored_at", BigInteger, nullable=False),
    Column("cutoff", BigInteger, nullable=False),
    Column("horizon_start", BigInteger, nullable=False),
    Column("horizon_end", BigInteger, nullable=False),
    Column("valid_until", BigInteger, nullable=False),
    Column("model_version", String(200), nullable=False),
    Column("definition_id", String(200), nullable=False),
    Column("model", Text, nullable=False),
    Column("users", Integer, nullable=False, server_default="0"),
    Column("outside", Integer, nullable=False, server_default="0"),
    Column("fifths", Text),  # JSON; users who are scored alone until the next run are placed by them
    sqlite_autoincrement=True,  # an id is never given twice, so that an old cursor cannot mean a new run
)

current_run = Table(
    "current_run",
    metadata,
    Column("place", SmallInteger, primary_key=True, autoincrement=False),
    Column("run_id", Integer, ForeignKey("runs.run_id"), nullable=False),
    CheckConstraint("place = 1", name="one_row"),
)

scores = Table(
    "scores",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.run_id"), primary_key=True, autoincrement=False),
    Column("user_id", Text, primary_key=True),
    Column("churn_probability", Float(53), nullable=False),
    Column("percentile", Float(53), nullable=False),
    Column("risk_tier", String(10), nullable=False),
    Column("reasons", Text, nullable=False),
    sqlite_with_rowid=False,  # the table is its own index: one descent for a lookup, one copy of the id
)
Index("ix_scores_at_risk", scores.c.run_id, scores.c.churn_probability.desc(), scores.c.user_id, scores.c.risk_tier)

outside = Table(
    "outside",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.run_id"), primary_key=True, autoincrement=False),
    Column("user_id", Text, primary_key=True),
    sqlite_with_rowid=False,
)

keys = Table(
    "keys",
    metadata,
    Column("prefix", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("scopes", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
)
