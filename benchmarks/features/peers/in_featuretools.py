"""The features in Featuretools, on a sample of users: written out as definitions, one pass for each window.

It runs in an environment of its own, because Featuretools does not import beside pandas 3.
"""

from collections.abc import Iterator
from datetime import datetime

import featuretools as ft
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from featuretools.primitives import Count, Max, NumUnique, Sum, TimeSinceFirst, TimeSinceLast

from benchmarks.features.job import Job
from benchmarks.features.subject import GROUPS, LOOK_BACK, WINDOWS, names


def from_events(job: Job) -> Iterator[pa.Table]:
    """Each cutoff from the events of the sample; active days are distinct dates, so cutoffs must be at midnight."""
    events = pq.read_table(job.sample("featuretools")).to_pandas()
    events["time"] = events["time"].dt.tz_localize(None)
    events["date"] = events["time"].dt.strftime("%Y-%m-%d").astype("category")
    entities = ft.EntitySet("log")
    entities.add_dataframe(
        events.reset_index(names="row"),
        dataframe_name="events",
        index="row",
        time_index="time",
        logical_types={"event": "Categorical", "date": "Categorical", "user_id": "Categorical", "value": "Double"},
    )
    entities.normalize_dataframe("events", "users", "user_id", make_time_index=False)
    for cutoff in job.cutoffs:
        yield _snapshot(entities, events, cutoff.replace(tzinfo=None))


def _snapshot(entities: ft.EntitySet, events: pd.DataFrame, cutoff: datetime) -> pa.Table:
    recent = events["time"].between(cutoff - LOOK_BACK, cutoff, inclusive="left")
    asked = {
        "entityset": entities,
        "instance_ids": events.loc[recent, "user_id"].unique(),
        "cutoff_time": cutoff,
        "include_cutoff_time": False,
    }
    parts = [ft.calculate_feature_matrix(_ever(entities), **asked)]
    for window in WINDOWS:
        features = _of_window(entities, window)
        found = ft.calculate_feature_matrix(features, training_window=f"{window} days", **asked)
        parts.append(found.astype("float64").fillna(0.0))  # it calls the distinct dates of nothing missing
    found = pd.concat(parts, axis=1)[names()].astype("float64")
    return pa.Table.from_pandas(found.rename_axis("user_id").reset_index(), preserve_index=False)


def _of_window(entities: ft.EntitySet, window: int) -> list[ft.Feature]:
    return [
        _feature(entities, column, primitive, group, f"{group}_{what}_{window}d")
        for group in GROUPS
        for column, primitive, what in (
            ("row", Count, "count"),
            ("value", Sum, "total"),
            ("date", NumUnique, "active_days"),
        )
    ]


def _ever(entities: ft.EntitySet) -> list[ft.Feature]:
    return [
        _feature(entities, column, primitive, group, f"{group}_{what}")
        for group in GROUPS
        for column, primitive, what in (
            ("value", Max, "largest"),
            ("time", TimeSinceLast(unit="days"), "last"),
            ("time", TimeSinceFirst(unit="days"), "first"),
        )
    ]


def _feature(entities: ft.EntitySet, column: str, primitive: type, group: str, name: str) -> ft.Feature:
    where = None if group == "all" else ft.Feature(entities["events"].ww["event"]) == group
    base = ft.Feature(entities["events"].ww[column])
    feature = ft.Feature(base, parent_dataframe_name="users", primitive=primitive, where=where)
    return feature.rename(name)
