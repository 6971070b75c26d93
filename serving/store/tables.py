"""The schema: the same on SQLite and PostgreSQL; instants are microseconds since 1970 UTC.

The tables as they are now; `migrations/` says how they came about, and a test compares the two.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
)

# Ids are ordered by their code points on both databases, so that a cursor of one means the same on the other.
_UserId = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
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
    Column("tenant", String(100), nullable=False, server_default=""),  # the brand whose users these are
    Column("previous_run_id", Integer),  # the run that was current before; it may be gone
    Column("summary", Text, nullable=False, server_default="[]"),  # JSON: users, risk and value of each group
    Column("language", String(2), nullable=False, server_default="en"),  # of reasons, where nobody asks for another
    Column("phrases", Text, nullable=False, server_default="[]"),  # JSON; reasons and changes are kept as their numbers
    Column("previous_cutoff", BigInteger),  # of the run that was current before, which need not be kept any more
    Column("previous_model_version", String(200)),
    sqlite_autoincrement=True,  # an id is never given twice, so that an old cursor cannot mean a new run
)

current_run = Table(
    "current_run",
    metadata,
    Column("tenant", String(100), primary_key=True),
    Column("run_id", Integer, ForeignKey("runs.run_id"), nullable=False),
)

scores = Table(
    "scores",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.run_id"), primary_key=True, autoincrement=False),
    Column("user_id", _UserId, primary_key=True),
    Column("churn_probability", Float(53), nullable=False),
    Column("percentile", Float(53), nullable=False),
    Column("risk_tier", String(10), nullable=False),
    Column("reasons", Text, nullable=False),  # lines, see `phrases`
    Column("changes", Text, nullable=False, server_default="[]"),  # what moved the score since the run before
    Column("value_at_risk", Float(53)),
    Column("lifecycle_stage", String(20)),
    Column("segment", String(20)),
    Column("contactable", SmallInteger),  # 1 yes, 0 no, null where nobody said
    Column("previous_churn_probability", Float(53)),  # in the run before: a lookup reads one row and not two
    sqlite_with_rowid=False,  # the table is its own index: one descent for a lookup, one copy of the id
)
Index("ix_scores_at_risk", scores.c.run_id, scores.c.churn_probability.desc(), scores.c.user_id, scores.c.risk_tier)

outside = Table(
    "outside",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.run_id"), primary_key=True, autoincrement=False),
    Column("user_id", _UserId, primary_key=True),
    Column("why", String(40), nullable=False, server_default="user_outside_population"),  # a code of the API
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
    Column("tenant", String(100), nullable=False, server_default=""),
    Column("last_used_at", BigInteger),
)

audit = Table(
    "audit",
    metadata,
    Column("entry_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("tenant", String(100), nullable=False),
    Column("key_prefix", String(32), nullable=False),
    Column("route", String(200), nullable=False),  # method and pattern: a path would hold a user's id
    Column("status", SmallInteger, nullable=False),
    Column("users", Integer, nullable=False),  # how many the answer told something of
    Column("seen", LargeBinary, nullable=False),  # their fingerprints, see `audit`
    Column("run_id", Integer),
    Column("request_id", String(64), nullable=False),
)

replays = Table(
    "replays",
    metadata,
    Column("tenant", String(100), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("route", String(200), nullable=False),
    Column("holder", String(32), nullable=False),  # the request that answers
    Column("held_until", BigInteger, nullable=False),  # after that it is taken for dead
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("fingerprint", String(64)),  # of what was sent
    Column("status", SmallInteger),  # null while it is answered
    Column("headers", Text),  # JSON
    Column("body", LargeBinary),
)

secrets = Table(
    "secrets", metadata, Column("name", String(40), primary_key=True), Column("value", String(200), nullable=False)
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("webhook_id", String(40), primary_key=True),
    Column("tenant", String(100), nullable=False),
    Column("url", Text, nullable=False),
    Column("events", Text, nullable=False),  # names, with spaces between
    Column("secret", String(100), nullable=False),  # in the clear: it has to sign
    Column("old_secret", String(100)),  # signs too, until it was rotated away
    Column("old_secret_until", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("gone_at", BigInteger),  # when the receiver said 410; nothing is sent to it any more
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("message_id", String(40), primary_key=True),
    Column("webhook_id", String(40), ForeignKey("webhooks.webhook_id"), nullable=False),
    Column("event", String(40), nullable=False),
    Column("run_id", Integer),
    Column("created_at", BigInteger, nullable=False),
    Column("body", Text),  # JSON; null while it is to be made of the run, and for what was done long ago
    Column("state", String(10), nullable=False),  # see `deliveries`
    Column("attempts", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),  # not before; while it is held, when its holder is taken for dead
    Column("give_up_at", BigInteger, nullable=False),
    Column("holder", String(32)),  # the deliverer that has it in hand
    Column("done_at", BigInteger),
    Column("last_status", SmallInteger),
    Column("last_error", String(200)),
)
Index("ix_deliveries_due_at", deliveries.c.state, deliveries.c.due_at)

jobs = Table(
    "jobs",
    metadata,
    Column("job_id", String(40), primary_key=True),
    Column("tenant", String(100), nullable=False),
    Column("state", String(10), nullable=False),  # see `jobs`
    Column("asked", Text, nullable=False),  # JSON: format, cutoff, reasons
    Column("created_at", BigInteger, nullable=False),
    Column("finished_at", BigInteger),
    Column("users", Integer, nullable=False, server_default="0"),  # that were read so far
    Column("scored", Integer, nullable=False, server_default="0"),
    Column("missing", Integer, nullable=False, server_default="0"),  # without a score, each with its reason
    Column("refused", Integer, nullable=False, server_default="0"),  # not understood
    Column("model_version", String(200)),
    Column("trouble", String(500)),  # why it failed
    Column("holder", String(32)),  # the worker that has it in hand
    Column("held_until", BigInteger, nullable=False, server_default="0"),  # after that it is taken for dead
)
Index("ix_jobs_state", jobs.c.state, jobs.c.created_at)
