"""The features in pandas, bucket by bucket so that they fit in memory.

Events become rows of a user and a day, those become rows of a user and a span between two windows, and a window is
a cumulative sum over spans. Strings stay dictionaries, and keys are whole numbers.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.features.job import Job
from benchmarks.features.subject import GROUPS, LOOK_BACK, WINDOWS, names
from features.windows import MICROSECONDS_PER_DAY as DAY
from features.windows import to_microseconds

_EDGES = np.array(WINDOWS)
_DATES = 1 << 20  # more than there are dates, so that a user and a date make one key
_SPANS = range(len(WINDOWS))


def from_days(job: Job) -> Iterator[pa.Table]:
    """The events added up by day once; only for cutoffs at midnight. A piece is one bucket at one cutoff."""
    for files in job.files:
        users, daily = _daily(files)
        for cutoff in map(to_microseconds, job.cutoffs):
            yield _snapshot(users, daily, cutoff)


def _daily(files: list[str]) -> tuple[pd.Index, pd.DataFrame]:
    texts = ["user_id", "event"]
    table = pq.ParquetDataset(files, partitioning=None, read_dictionary=texts).read(
        ["user_id", "time", "event", "value"]
    )
    events = table.unify_dictionaries().to_pandas()
    time = events["time"].astype("int64")
    columns = {"key": events["user_id"].cat.codes.astype("int64") * _DATES + time // DAY}
    for group in GROUPS:
        chosen = None if group == "all" else events["event"] == group
        columns[f"n_{group}"] = pd.Series(1, index=time.index) if chosen is None else chosen.astype("int64")
        columns[f"s_{group}"] = events["value"] if chosen is None else events["value"].where(chosen)
        columns[f"t_{group}"] = time.astype("float64") if chosen is None else time.where(chosen)  # exact until 2255
    grouped = pd.DataFrame(columns).groupby("key", sort=False)
    sums = grouped[[f"{letter}_{group}" for group in GROUPS for letter in "ns"]].sum()
    largest = grouped[[f"s_{group}" for group in GROUPS]].max().rename(columns=_renamed("s", "largest"))
    newest = grouped[[f"t_{group}" for group in GROUPS]].max().rename(columns=_renamed("t", "newest"))
    oldest = grouped[[f"t_{group}" for group in GROUPS]].min().rename(columns=_renamed("t", "oldest"))
    daily = pd.concat([sums, largest, newest, oldest], axis=1).reset_index()
    daily["user"], daily["date"] = daily["key"] // _DATES, daily["key"] % _DATES
    return events["user_id"].cat.categories, daily


def _renamed(letter: str, name: str) -> dict[str, str]:
    return {f"{letter}_{group}": f"{name}_{group}" for group in GROUPS}


def _snapshot(users: pd.Index, daily: pd.DataFrame, cutoff: int) -> pa.Table:
    past = daily[daily["date"] < cutoff // DAY]
    by_user = past.groupby("user", sort=False)
    latest = by_user[[f"{name}_{group}" for name in ("largest", "newest") for group in GROUPS]].max()
    first = by_user[[f"oldest_{group}" for group in GROUPS]].min()
    latest = latest[latest["newest_all"] >= cutoff - LOOK_BACK.days * DAY]
    columns: dict[str, pd.Series] = {}
    for group in GROUPS:
        columns[f"{group}_largest"] = latest[f"largest_{group}"]
        columns[f"{group}_last"] = (cutoff - latest[f"newest_{group}"]) / DAY
        columns[f"{group}_first"] = (cutoff - first.loc[latest.index, f"oldest_{group}"]) / DAY
    columns |= _windows(past, cutoff, latest.index)
    found = pd.DataFrame(columns)[names()]
    found.insert(0, "user_id", users[found.index])
    return pa.Table.from_pandas(found, preserve_index=False)


def _windows(past: pd.DataFrame, cutoff: int, population: pd.Index) -> dict[str, pd.Series]:
    day = cutoff // DAY - 1 - past["date"]
    recent = past[day < WINDOWS[-1]]
    spans = {"key": recent["user"] * len(WINDOWS) + np.searchsorted(_EDGES, day[recent.index], side="right")}
    for group in GROUPS:
        spans[f"n_{group}"], spans[f"s_{group}"] = recent[f"n_{group}"], recent[f"s_{group}"]
        spans[f"d_{group}"] = (recent[f"n_{group}"] > 0).astype("int64")
    totals = pd.DataFrame(spans).groupby("key", sort=False).sum()
    every = (population.to_numpy()[:, None] * len(WINDOWS) + np.arange(len(WINDOWS))).ravel()
    totals = totals.reindex(every, fill_value=0)
    columns: dict[str, pd.Series] = {}
    for group in GROUPS:
        for letter, what in (("n", "count"), ("s", "total"), ("d", "active_days")):
            wide = totals[f"{letter}_{group}"].to_numpy(dtype="float64").reshape(-1, len(WINDOWS)).cumsum(axis=1)
            columns |= {
                f"{group}_{what}_{WINDOWS[place]}d": pd.Series(wide[:, place], index=population) for place in _SPANS
            }
    return columns
