"""The features in DuckDB SQL, and the floor: one count and one sum a user over the log's files.

Distinct days make such a query slow, so events become rows of a user and a day, those become rows of a user and a
span between two windows, and a window is a sum over spans. Of cutoffs at one time of day the first step is shared.
"""
# ruff: noqa: S608 - the queries are made of names and numbers of our own

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from benchmarks.features.job import Job, Outcome
from benchmarks.features.subject import GROUPS, KINDS, LOOK_BACK, SAMPLES, WINDOWS, names
from features.windows import MICROSECONDS_PER_DAY as DAY
from features.windows import to_microseconds

_KINDS_WHERE = {"all": "true", **{kind: f"event = '{kind}'" for kind in KINDS}}
_OLDEST = WINDOWS[-1]


def floor(job: Job) -> Iterator[pa.Table]:
    """The count of events and the sum of values of every user."""
    yield _ask(duckdb.connect(), f"select user_id, count(*), sum(value) from {_source(job)} group by user_id")


def from_events(job: Job) -> Iterator[pa.Table]:
    """Each cutoff from the events; cutoffs may be anywhere."""
    connection = duckdb.connect()
    for cutoff in map(to_microseconds, job.cutoffs):
        day = f"(({cutoff} - 1 - time) // {DAY})::smallint"
        yield _ask(
            connection,
            f"""with event as (select user_id, event, value, epoch_us(time) as time from {_source(job)}),
            past as (select * from event where time < {cutoff}),
            daily as (select user_id, {day} as day, {_counts_and_sums()} from past
                where time >= {cutoff - _OLDEST * DAY} group by all),
            {_windows("daily")},
            ever as (select user_id, {_ever(_EVENTS_EVER, cutoff)} from past group by user_id
                having all_last <= {LOOK_BACK.days})
            {_SELECT}""",
        )


def from_days(job: Job) -> Iterator[pa.Table]:
    """The events added up by day once; only for cutoffs at midnight."""
    connection = duckdb.connect()
    connection.execute(
        f"""create temp table whole as with event as
        (select user_id, event, value, epoch_us(time) as time from {_source(job)})
        select user_id, (time // {DAY})::integer as date, {_counts_and_sums()}, {_extremes()} from event group by all"""
    )
    for cutoff in map(to_microseconds, job.cutoffs):
        date = cutoff // DAY
        yield _ask(
            connection,
            f"""with past as (select * from whole where date < {date}),
            daily as (select *, {date} - 1 - date as day from past where date >= {date - _OLDEST}),
            {_windows("daily")},
            ever as (select user_id, {_ever(_DAYS_EVER, cutoff)} from past group by user_id
                having all_last <= {LOOK_BACK.days})
            {_SELECT}""",
        )


def samples(job: Job) -> Outcome:
    """Write the samples of users for those peers that cannot take all; not measured."""
    events = {}
    for peer, ending in SAMPLES.items():
        chosen = f"select user_id, time, event, value from {_source(job)} where user_id like '%{ending}'"
        events[peer] = duckdb.execute(f"copy ({chosen}) to '{job.sample(peer)}'").fetchall()[0][0]
    return Outcome(events)


_SELECT = f"select user_id, {', '.join(names())} from ever join windows using (user_id)"
_EVENTS_EVER = {group: ("value", "time", "time", f" filter (where {where})") for group, where in _KINDS_WHERE.items()}
_DAYS_EVER = {group: (f"largest_{group}", f"newest_{group}", f"oldest_{group}", "") for group in GROUPS}


def _ask(connection: duckdb.DuckDBPyConnection, query: str) -> pa.Table:
    return connection.sql(query).to_arrow_table()


def _source(job: Job) -> str:
    listed = ", ".join(f"'{file}'" for files in job.files for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _counts_and_sums() -> str:
    return ", ".join(
        f"count(*) filter (where {where}) as n_{group}, sum(value) filter (where {where}) as s_{group}"
        for group, where in _KINDS_WHERE.items()
    )


def _extremes() -> str:
    return ", ".join(
        f"max(value) filter (where {where}) as largest_{group}, max(time) filter (where {where}) as newest_{group}, "
        f"min(time) filter (where {where}) as oldest_{group}"
        for group, where in _KINDS_WHERE.items()
    )


def _windows(daily: str) -> str:
    span = " ".join(f"when day < {window} then {place}" for place, window in enumerate(WINDOWS))
    spans = ", ".join(
        f"sum(n_{group}) as n_{group}, sum(s_{group}) as s_{group}, count_if(n_{group} > 0) as d_{group}"
        for group in GROUPS
    )
    windows = ", ".join(
        f"coalesce(sum({letter}_{group}) filter (where span <= {place}), 0)::double as {group}_{what}_{window}d"
        for group in GROUPS
        for place, window in enumerate(WINDOWS)
        for letter, what in (("n", "count"), ("s", "total"), ("d", "active_days"))
    )
    return f"""spans as (select user_id, case {span} end as span, {spans} from {daily} group by all),
            windows as (select user_id, {windows} from spans group by user_id)"""


def _ever(of: dict[str, tuple[str, str, str, str]], cutoff: int) -> str:
    return ", ".join(
        f"max({largest}){where} as {group}_largest, ({cutoff} - max({newest}){where}) / {DAY}.0 as {group}_last, "
        f"({cutoff} - min({oldest}){where}) / {DAY}.0 as {group}_first"
        for group, (largest, newest, oldest, where) in of.items()
    )
