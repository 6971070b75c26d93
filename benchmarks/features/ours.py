"""Our side of every measurement: ingest, snapshots of two subjects, one fresh user."""

import json
import time
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa

from benchmarks.features.job import Job, Outcome
from benchmarks.features.subject import END, LOOK_BACK, features
from features.catalog import standard
from features.feature_set import FeatureSet
from features.fifths import Fifths
from features.ingest import ingest
from features.log import EventLog
from features.plan import make_plan
from features.population import Population
from features.snapshots import Snapshots, map_buckets, of_events, of_user, wanted_by
from features.sources.mapping import Mapping
from features.user_events import UserEvents

WORKERS = 2
_CALLS, _WARM_UP = 2_000, 50
_FRESH_EVENTS, _FRESH_USERS = 500, 20
_POPULATION = Population(activity=(), look_back=LOOK_BACK)


def ingest_parquet(job: Job) -> Outcome:
    """The generated Parquet file into a new log."""
    return _ingested(job, "events.parquet", log="log")


def ingest_csv(job: Job) -> Outcome:
    """The first of the same events, as CSV, into a new log."""
    return _ingested(job, "events.csv", log="log-from-csv")


def describe(job: Job) -> Outcome:
    """The log's own files by bucket, and the standard features that follow from its summary; not measured."""
    log = EventLog.open(job.folder / "log")
    catalogue = standard(log.summary())
    (job.folder / "catalogue.json").write_text(json.dumps(catalogue.to_json()), "utf-8")
    files = [[str(path) for path in paths] for paths in log.files]
    size = sum(path.stat().st_size for paths in log.files for path in paths)
    (job.folder / "files.json").write_text(json.dumps(files), "utf-8")
    return Outcome({"files": files, "columns": len(catalogue), "bytes": size})


def hundred(job: Job) -> Outcome:
    """The features that every side builds."""
    return _snapshots(job, features())


def catalogue(job: Job) -> Outcome:
    """The whole standard catalogue."""
    return _snapshots(job, _catalogue(job))


def fresh_calls(job: Job) -> Outcome:
    """Microseconds of each call for one user with 500 events, in a process that is warm."""
    plan, users = make_plan(_catalogue(job)), _fresh_users(job)
    took = []
    for call in range(_WARM_UP + _CALLS):
        events = users[call % len(users)]
        started = time.perf_counter()
        of_user(events, plan, cutoff=END)
        took.append((time.perf_counter() - started) * 1e6)
    warm = np.array(took[_WARM_UP:])
    return Outcome(
        {"median": np.median(warm), "p99": np.quantile(warm, 0.99), "calls": _CALLS, "events": _FRESH_EVENTS}
    )


def fresh_process(job: Job) -> Outcome:
    """Seconds for the very first user of a process: the plan, the log's bucket, the first and the second answer."""
    marks = [time.perf_counter()]
    plan = make_plan(_catalogue(job))
    marks.append(time.perf_counter())
    events = EventLog.open(job.folder / "log").read_user("user-00000009", wanted_by(plan, as_known=False))
    marks.append(time.perf_counter())
    for _ in range(2):
        of_user(events, plan, cutoff=END)
        marks.append(time.perf_counter())
    return Outcome(dict(zip(("plan", "read", "first", "second"), np.diff(marks).tolist(), strict=True)))


def _ingested(job: Job, source: str, *, log: str) -> Outcome:
    told = ingest(
        EventLog.create(job.folder / log),
        [str(job.folder / source)],
        mapping=Mapping(),
        quarantine=job.folder / "quarantine",
        now=END + timedelta(days=1),
    )
    return Outcome({"accepted": told.accepted})


def _snapshots(job: Job, chosen: FeatureSet) -> Outcome:
    """A bucket's rows at all cutoffs, dropped when they are summed; what is relative to the population at the end."""
    plan, outcome = make_plan(chosen), Outcome()

    def of_bucket(events: UserEvents) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        piece = of_events(events, plan, chosen.names, cutoffs=job.cutoffs, population=_POPULATION)
        if job.keep:
            outcome.kept.append(_table(piece))
        return len(piece), piece.matrix.sum(axis=0), piece.cutoffs, piece.matrix[:, plan.program.relative]

    pieces = map_buckets(
        EventLog.open(job.folder / "log"), of_bucket, wanted=wanted_by(plan, as_known=False), workers=WORKERS
    )
    moments, relative = (np.concatenate([piece[place] for piece in pieces]) for place in (2, 3))
    _stand_in_population(moments, relative)
    sums = np.sum([piece[1] for piece in pieces], axis=0)
    outcome.told = {"rows": sum(piece[0] for piece in pieces), "sums": sums.tolist(), "columns": len(chosen)}
    return outcome


def _stand_in_population(moments: np.ndarray, relative: np.ndarray) -> None:
    for cutoff in np.unique(moments):
        rows = relative[moments == cutoff]
        Fifths.among(rows).of(rows)


def _table(piece: Snapshots) -> pa.Table:
    columns = [pa.array(piece.users, pa.string()), *map(pa.array, piece.matrix.T)]
    return pa.Table.from_arrays(columns, names=["user_id", *piece.names])


def _catalogue(job: Job) -> FeatureSet:
    return FeatureSet.from_json(json.loads((job.folder / "catalogue.json").read_text("utf-8")))


def _fresh_users(job: Job) -> list[UserEvents]:
    """The newest 500 events of some users who have so many."""
    log, wanted = EventLog.open(job.folder / "log"), wanted_by(make_plan(_catalogue(job)), as_known=False)
    found: list[UserEvents] = []
    for number in range(10 * _FRESH_USERS):
        events = log.read_user(f"user-{number:08}", wanted)
        if len(events.times) >= _FRESH_EVENTS:
            newest = np.array([len(events.times) - _FRESH_EVENTS, len(events.times)], dtype=np.int64)
            found.append(replace(events, offsets=newest))
        if len(found) == _FRESH_USERS:
            break
    return found
