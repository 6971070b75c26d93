"""A generated event log with the skew of real ones: few heavy users, many light ones, a few common kinds."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.windows import to_microseconds, utc

START = utc("2025-01-01")
END = utc("2026-01-01")
KINDS = (
    "visit",
    "search",
    "purchase",
    "return",
    "message",
    "login",
    "share",
    "review",
    "ticket",
    "coupon",
    "call",
    "survey",
)
_VALUED = ("purchase", "return", "coupon")


def write_events(path: Path, *, events: int, users: int, seed: int = 0) -> None:
    """Write `events` rows of `users` Zipf-distributed users over one year to a Parquet file, in no order."""
    random = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, users + 1) ** 0.7
    user = random.choice(users, size=events, p=weight / weight.sum())
    common = 1.0 / np.arange(1, len(KINDS) + 1)
    kind = random.choice(len(KINDS), size=events, p=common / common.sum())
    year = to_microseconds(END) - to_microseconds(START)
    left_at = random.uniform(0.2, 1.3, size=users)[user]  # a share of the users goes silent during the year
    moment = to_microseconds(START) + (random.random(events) * np.minimum(left_at, 1.0) * year).astype(np.int64)
    value = np.round(random.lognormal(3.0, 1.0, size=events), 2)
    names = pa.array([f"user-{number:07}" for number in range(users)])
    table = pa.table(
        {
            "user_id": names.take(pa.array(user)),
            "time": pa.array(moment - moment % 1_000_000, pa.timestamp("us", tz="UTC")),
            "event": pa.array(KINDS).take(pa.array(kind)),
            "value": pa.array(value, mask=~np.isin(kind, [KINDS.index(name) for name in _VALUED])),
        }
    )
    pq.write_table(table, path)
