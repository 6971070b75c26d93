"""Runs of scores that the watch keeps until it is known who left: the store forgets them long before.

A file a run in `watch/` of the data folder: user and probability as Parquet, what the run was in the file's metadata.
One run a week is kept of each version, until its horizon is over and it has been followed up.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.windows import days, iso, utc
from holdfast.files import replacing
from models.definition import ChurnDefinition
from serving.store import ScoreStore
from serving.store.records import Run, StoredScore
from training.matured import MOST_RUNS, Recorded

EVERY = days(7)  # runs of consecutive days have nearly the same users and outcomes
_PAGE = 10_000
_KEY = b"holdfast_run"


def remember(store: ScoreStore, run: Run, folder: Path) -> Path | None:
    """The file that the run is kept in; none where a run of the same version and week is kept already."""
    for known in recorded(folder):
        near = abs(run.facts.cutoff - known.cutoff) < EVERY and known.definition_id == run.facts.definition_id
        if known.model_version == run.facts.model_version and near:
            return None
    folder.mkdir(parents=True, exist_ok=True)
    scores = list(_all(store))
    if not scores or scores[0].run.run_id != run.run_id:
        return None  # a newer run has taken its place meanwhile; the next look keeps that one
    table = pa.table(
        {
            "user_id": pa.array([score.user_id for score in scores], pa.string()),
            "churn_probability": pa.array([score.churn_probability for score in scores], pa.float64()),
        }
    )
    target = folder / f"run-{run.run_id:06d}.parquet"
    with replacing(target) as unfinished:
        pq.write_table(table.replace_schema_metadata({_KEY: json.dumps(_facts(run))}), unfinished)
    return target


def recorded(folder: Path) -> list[Recorded]:
    """The runs that are kept, by cutoff."""
    found = [_read(file) for file in sorted(folder.glob("run-*.parquet"))]
    return sorted(found, key=lambda run: run.cutoff)


def forget(folder: Path, definition: ChurnDefinition, *, log_end: datetime) -> None:
    """Remove the runs whose horizon has long been over: all but those that are still followed up."""
    over = [run for run in recorded(folder) if definition.horizon_of(run.cutoff).end <= log_end]
    for run in over[:-MOST_RUNS]:
        (folder / f"run-{run.run_id:06d}.parquet").unlink(missing_ok=True)


def current_probabilities(store: ScoreStore) -> Sequence[float]:
    """The probabilities of the run that is served now."""
    return [score.churn_probability for score in _all(store)]


def _all(store: ScoreStore) -> Iterator[StoredScore]:
    """All scores of the current run, page by page, most at risk first."""
    page = store.at_risk(limit=_PAGE)
    while page is not None:
        yield from page.scores
        page = None if page.next is None else store.at_risk(after=page.next, limit=_PAGE)


def _facts(run: Run) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "model_version": run.facts.model_version,
        "definition_id": run.facts.definition_id,
        "cutoff": iso(run.facts.cutoff),
        "promised": promised(run),
    }


def promised(run: Run) -> dict[str, float]:
    """The figures that were shown at the training of the run's model, with `_low` and `_high`."""
    figures: dict[str, float] = {}
    for each in run.facts.model.get("quality", []):
        for key, end in (("value", ""), ("low", "_low"), ("high", "_high")):
            if each[key] is not None:
                figures[each["metric"] + end] = each[key]
    return figures


def _read(file: Path) -> Recorded:
    table = pq.read_table(file)
    facts = json.loads((table.schema.metadata or {})[_KEY])
    return Recorded(
        run_id=facts["run_id"],
        model_version=facts["model_version"],
        definition_id=facts["definition_id"],
        cutoff=utc(facts["cutoff"]),
        users=np.array(table["user_id"].to_pylist(), dtype=object),
        probabilities=table["churn_probability"].to_numpy(),
        promised=facts["promised"],
    )
