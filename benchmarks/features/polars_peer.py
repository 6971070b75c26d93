"""The benchmark's features written by hand in Polars, in the quickest way that we found.

Distinct days are what makes such a query slow; so events are first added up by user, kind and day of age, after
which active days are counts of rows and every window is a sum with a condition.
"""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.features.subject import KINDS, WINDOWS


def build(path: Path, *, cutoffs: list[datetime], look_back_days: int) -> tuple[list[str], NDArray[np.float64]]:
    """Users and matrix of the last cutoff, after building every cutoff."""
    users: list[str] = []
    matrix: NDArray[np.float64] = np.empty((0, 0))
    for cutoff in cutoffs:
        found = _snapshot(path, cutoff=cutoff, look_back_days=look_back_days)
        users, matrix = found["user_id"].to_list(), found.drop("user_id").to_numpy()
    return users, matrix


def _snapshot(path: Path, *, cutoff: datetime, look_back_days: int) -> pl.DataFrame:
    age = pl.lit(cutoff).cast(pl.Datetime("us", "UTC")) - pl.col("time")
    past = pl.scan_parquet(path).filter(pl.col("time") < cutoff)
    daily = (
        past.with_columns(age=age.dt.total_microseconds())
        .with_columns(day=(pl.col("age") - 1) // 86_400_000_000)
        .group_by("user_id", "event", "day")
        .agg(
            count=pl.len(),
            total=pl.col("value").sum(),
            largest=pl.col("value").max(),
            newest=pl.col("age").min(),
            oldest=pl.col("age").max(),
        )
    )
    days = daily.group_by("user_id", "day").agg(
        count=pl.col("count").sum(),
        total=pl.col("total").sum(),
        largest=pl.col("largest").max(),
        newest=pl.col("newest").min(),
        oldest=pl.col("oldest").max(),
    )
    of_all = days.group_by("user_id").agg(_columns("all", pl.lit(True)))
    of_kinds = daily.group_by("user_id").agg([c for kind in KINDS for c in _columns(kind, pl.col("event") == kind)])
    joined = of_all.join(of_kinds, on="user_id").filter(pl.col("all_last") <= look_back_days)
    return joined.sort("user_id").collect(engine="streaming")


def _columns(name: str, chosen: pl.Expr) -> list[pl.Expr]:
    columns = []
    for window in WINDOWS:
        inside = chosen & (pl.col("day") < window)
        columns += [
            pl.col("count").filter(inside).sum().cast(pl.Float64).alias(f"{name}_count_{window}d"),
            pl.col("total").filter(inside).sum().alias(f"{name}_total_{window}d"),
            inside.sum().cast(pl.Float64).alias(f"{name}_active_days_{window}d"),
        ]
    per_day = timedelta(days=1) / timedelta(microseconds=1)
    return [
        *columns,
        pl.col("largest").filter(chosen).max().alias(f"{name}_largest"),
        (pl.col("newest").filter(chosen).min() / per_day).alias(f"{name}_last"),
        (pl.col("oldest").filter(chosen).max() / per_day).alias(f"{name}_first"),
    ]
