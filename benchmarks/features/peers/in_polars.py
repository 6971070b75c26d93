"""The features in Polars, lazily and with the streaming engine.

Distinct days make such a query slow, so events become rows of a user and a day, those become rows of a user and a
span between two windows, and a window is a sum over spans. Of cutoffs at one time of day the first step is shared.
"""

from collections.abc import Iterator

import polars as pl
import pyarrow as pa
from polars import col

from benchmarks.features.job import Job
from benchmarks.features.subject import GROUPS, KINDS, LOOK_BACK, WINDOWS, names
from features.windows import MICROSECONDS_PER_DAY as DAY
from features.windows import to_microseconds

_OLDEST = WINDOWS[-1]


def from_events(job: Job) -> Iterator[pa.Table]:
    """Each cutoff from the events; cutoffs may be anywhere."""
    for cutoff in map(to_microseconds, job.cutoffs):
        past = _events(job).filter(col("time") < cutoff)
        day = ((cutoff - 1 - col("time")) // DAY).cast(pl.Int16)
        daily = past.with_columns(day=day).filter(col("day") < _OLDEST).group_by("user_id", "day").agg(_sums())
        ever = past.group_by("user_id").agg(_extremes())
        yield _joined(daily, ever, cutoff)


def from_days(job: Job) -> Iterator[pa.Table]:
    """The events added up by day once; only for cutoffs at midnight."""
    date = (col("time") // DAY).cast(pl.Int32)
    whole = _events(job).with_columns(date=date).group_by("user_id", "date").agg(*_sums(), *_extremes())
    coded = whole.collect(engine="streaming").with_columns(user=col("user_id").cast(pl.Categorical).to_physical())
    users = coded.select("user", "user_id").unique("user")
    coded = coded.drop("user_id").rename({"user": "user_id"}).sort("user_id", "date")
    for cutoff in map(to_microseconds, job.cutoffs):
        past = coded.lazy().filter(col("date") < cutoff // DAY)
        daily = past.with_columns(day=cutoff // DAY - 1 - col("date")).filter(col("day") < _OLDEST)
        ever = past.group_by("user_id").agg(
            [col(f"{what}_{group}").max() for group in GROUPS for what in ("largest", "newest")]
            + [col(f"oldest_{group}").min() for group in GROUPS]
        )
        found = pl.DataFrame(_joined(daily, ever, cutoff)).rename({"user_id": "user"})
        yield found.join(users, on="user").select("user_id", *names()).to_arrow()


def _events(job: Job) -> pl.LazyFrame:
    read = pl.scan_parquet([file for files in job.files for file in files], hive_partitioning=False)
    everything = read.select("user_id", "event", "value", col("time").dt.epoch("us"))
    return everything.with_columns(
        pl.lit(1, dtype=pl.Int32).alias("n_all"),
        col("value").alias("s_all"),
        col("time").alias("t_all"),
        *((col("event") == kind).cast(pl.Int32).alias(f"n_{kind}") for kind in KINDS),
        *(pl.when(col("event") == kind).then("value").alias(f"s_{kind}") for kind in KINDS),
        *(pl.when(col("event") == kind).then("time").alias(f"t_{kind}") for kind in KINDS),
    )


def _sums() -> list[pl.Expr]:
    return [col(f"{letter}_{group}").sum() for group in GROUPS for letter in "ns"]


def _extremes() -> list[pl.Expr]:
    return [
        extreme
        for group in GROUPS
        for extreme in (
            col(f"s_{group}").max().alias(f"largest_{group}"),
            col(f"t_{group}").max().alias(f"newest_{group}"),
            col(f"t_{group}").min().alias(f"oldest_{group}"),
        )
    ]


def _joined(daily: pl.LazyFrame, ever: pl.LazyFrame, cutoff: int) -> pa.Table:
    of_span = [
        total
        for group in GROUPS
        for total in (
            col(f"n_{group}").sum(),
            col(f"s_{group}").sum(),
            (col(f"n_{group}") > 0).sum().alias(f"d_{group}"),
        )
    ]
    windows = (
        daily.with_columns(span=_span()).group_by("user_id", "span").agg(of_span).group_by("user_id").agg(_windows())
    )
    known = ever.select(
        "user_id",
        *(col(f"largest_{group}").alias(f"{group}_largest") for group in GROUPS),
        *(((cutoff - col(f"newest_{group}")) / DAY).alias(f"{group}_last") for group in GROUPS),
        *(((cutoff - col(f"oldest_{group}")) / DAY).alias(f"{group}_first") for group in GROUPS),
    )
    population = known.filter(col("all_last") <= LOOK_BACK.days)
    return population.join(windows, on="user_id").select("user_id", *names()).collect(engine="streaming").to_arrow()


def _span() -> pl.Expr:
    span = pl.lit(len(WINDOWS), dtype=pl.Int8)
    for place, window in reversed(list(enumerate(WINDOWS))):
        span = pl.when(col("day") < window).then(pl.lit(place, dtype=pl.Int8)).otherwise(span)
    return span


def _windows() -> list[pl.Expr]:
    return [
        col(f"{letter}_{group}").filter(col("span") <= place).sum().cast(pl.Float64).alias(f"{group}_{what}_{window}d")
        for group in GROUPS
        for place, window in enumerate(WINDOWS)
        for letter, what in (("n", "count"), ("s", "total"), ("d", "active_days"))
    ]
