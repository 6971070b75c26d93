"""Tonight's batch on Spark: a task scores and explains the users of a bucket, the driver says where each stands."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.errors import Damaged, NotReady
from features.log import EventLog
from features.sentences import Wording
from features.snapshots import Snapshots
from features.spark import OnProgress, with_edges, write_parts, written
from features.spark_job import Batches
from features.spark_output import Part, Target, write_part
from features.spark_work import Work, work_of
from features.windows import iso
from models import bundle as bundles
from models.bundle import Bundle
from models.reasons import Language, Reason, reasons_of
from models.registry import Champion
from models.tiers import TierRule, percentiles
from serving.run_facts import check_fingerprint, run_facts
from serving.scoring import CHUNK_USERS, DEFAULT_TIERS, known_users
from serving.store.records import RunFacts, Score

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TEXTS = ("code", "sentence", "sentence_zh")
_REASON = pa.struct([*((name, pa.string()) for name in _TEXTS), ("contribution", pa.float64())])
_MARGINS = pa.schema(  # what a task writes; who is known and not in the population has no margin
    [
        ("user_id", pa.string()),
        ("margin", pa.float64()),
        ("churn_probability", pa.float64()),
        ("reasons", pa.list_(_REASON)),
    ]
)
SCORE_SCHEMA = pa.schema(
    [
        ("user_id", pa.string()),
        ("cutoff", pa.timestamp("us", "UTC")),
        ("churn_probability", pa.float64()),  # 0 to 1, calibrated
        ("percentile", pa.float64()),  # 0 to 100, 100 most at risk
        ("risk_tier", pa.string()),
        ("margin", pa.float64()),  # log-odds
        ("reasons", pa.list_(_REASON)),  # strongest first
        ("model_version", pa.string()),
        ("definition_id", pa.string()),
    ]
)
_ROWS_A_BATCH = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class ScoredOnSpark:
    """A population's scores in files, and who is known but was not in the population."""

    facts: RunFacts
    files: tuple[Path, ...]  # a bucket each, with the columns of SCORE_SCHEMA
    users: int
    outsiders: pa.ChunkedArray

    def __len__(self) -> int:
        return self.users

    def scores(self) -> Iterator[Score]:
        """One record a user, as `ScoreStore.write_run` takes them, a few thousand in memory at a time."""
        for path in self.files:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(_ROWS_A_BATCH):
                    yield from map(_score, batch.to_pylist())

    @property
    def outside(self) -> Iterator[str]:
        """The known users who were not in the population."""
        return (user.as_py() for user in self.outsiders)


def score_on_spark(
    log: EventLog,
    model: Champion,
    *,
    cutoff: datetime,
    target: Target,
    session: "SparkSession",
    tiers: TierRule = DEFAULT_TIERS,
    language: Language = "en",
    on_progress: OnProgress | None = None,
) -> ScoredOnSpark:
    """Score and explain everybody in the population, as `score_population` does, into a folder or Delta table.

    Executors read the model's folder under the same path. `language` is the one of reasons where nobody asks for
    another. Percentiles and tiers are exact: the driver holds the margins of all, eight bytes a user, and about forty
    while it ranks them.
    Raises `NotReady` when nobody was active, `Damaged` when the bundle is not whole or an executor finds another one;
    then the target is as it was.
    """
    target.check()
    loaded, sums = bundles.load(model.folder), _sums(model.folder)
    check_fingerprint(loaded)
    population = loaded.definition.population
    work = Work.on(log, loaded.features, cutoffs=[cutoff], population=population, as_known=loaded.as_known)
    told = _silent if on_progress is None else on_progress
    with target.draft() as draft:
        work = with_edges(work, session, draft, on_progress=on_progress)
        facts = run_facts(
            loaded,
            cutoff=cutoff,
            model_version=model.version,
            fifths=work.fifths_at(cutoff),
            language=language,
        )
        task = partial(_write, work.to_text(), str(model.folder.absolute()), sums, str(draft))
        found = write_parts(session, task, work.buckets, draft, told=partial(told, "scoring users"))
        margins = [_column(draft / part.name, "margin") for part in found]
        _check_anybody(margins, loaded, cutoff=cutoff)
        parts, outsiders = _ranked(draft, found, margins, tiers=tiers, facts=facts, told=partial(told, "ranking users"))
        described = {"model_version": model.version, "definition": facts.definition_id, "log_version": str(log.version)}
        target.publish(draft, parts, schema=SCORE_SCHEMA, facts=described)
    files = tuple(target.folder / part.name for part in parts)
    return ScoredOnSpark(facts, files, sum(part.rows for part in parts), outsiders)


def _write(work: str, bundle: str, sums: str, draft: str, bucket: int) -> Batches:
    """The task: what the users of a bucket have at stake, and who else is known."""
    told, loaded = work_of(work), _bundle(bundle, sums)
    events = told.read(bucket)
    people = told.snapshots(events)
    outside = sorted(known_users(events, cutoff=told.cutoffs[0], as_known=told.as_known) - set(people.users))
    tables = [_judged(loaded, people), pa.table({"user_id": pa.array(outside, pa.string())})]
    rows = pa.concat_tables(tables, promote_options="default").cast(_MARGINS)
    yield from written(write_part(rows, Path(draft), bucket=bucket))


@lru_cache(maxsize=1)
def _bundle(folder: str, sums: str) -> Bundle:
    """The bundle that the driver has; loaded once in a process that Spark gives one bucket after the other."""
    if _sums(Path(folder)) != sums:
        raise Damaged(
            f"an executor finds another model in {folder} than the driver does. Put the bundle where all of them see "
            "the same, for example beside the event log."
        )
    return bundles.load(Path(folder))


def _sums(folder: Path) -> str:
    path = folder / "sums.json"
    if not path.exists():
        raise NotReady(f"there is no model bundle in {folder}; the driver and all executors read it under that path.")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _judged(bundle: Bundle, people: Snapshots) -> pa.Table:
    starts = range(0, len(people), CHUNK_USERS)
    pieces = [_judged_chunk(bundle, people, start=start) for start in starts]
    return pa.concat_tables([_MARGINS.empty_table(), *pieces])


def _judged_chunk(bundle: Bundle, people: Snapshots, *, start: int) -> pa.Table:
    rows = slice(start, start + CHUNK_USERS)
    matrix = people.matrix[rows]
    judged = bundle.judge(matrix)
    found = reasons_of(bundle.features, matrix, judged.contributions)
    reasons = [[_plain(reason) for reason in each] for each in found]
    columns = [people.users[rows], judged.margins, bundle.blend.probabilities(judged.margins), reasons]
    return pa.table([pa.array(c, field.type) for c, field in zip(columns, _MARGINS, strict=True)], schema=_MARGINS)


def _plain(reason: Reason) -> dict[str, str | float]:
    return {name: getattr(reason, name) for name in (*_TEXTS, "contribution")}


def _column(path: Path, name: str) -> NDArray[np.float64]:
    column = pq.read_table(path, columns=[name])[name].drop_null().to_numpy()
    return np.asarray(column, dtype=np.float64)


def _check_anybody(margins: Sequence[NDArray[np.float64]], bundle: Bundle, *, cutoff: datetime) -> None:
    if not sum(map(len, margins)):
        raise NotReady(
            f"nobody was {bundle.definition.population.says()} {iso(cutoff)}, so there is nobody to score; "
            "choose a cutoff inside the time of the events."
        )


def _ranked(
    draft: Path,
    found: Sequence[Part],
    margins: Sequence[NDArray[np.float64]],
    *,
    tiers: TierRule,
    facts: RunFacts,
    told: Callable[[int, int], None],
) -> tuple[list[Part], pa.ChunkedArray]:
    """The tasks' parts with everybody's place among all, and the users without a margin."""
    everybody = np.concatenate(margins)
    places, cuts = percentiles(everybody), tiers.tiers(everybody)
    parts, outsiders, start = [], list[pa.ChunkedArray](), 0
    for number, (part, own) in enumerate(zip(found, margins, strict=True)):
        rows = pq.read_table(draft / part.name)
        scored = rows.filter(pc.is_valid(rows["margin"]))
        outsiders.append(rows.filter(pc.is_null(rows["margin"]))["user_id"])
        of_part = slice(start, start + len(own))
        table = _with_places(scored, places[of_part], cuts[of_part], facts=facts)
        parts.append(write_part(table, draft, bucket=number))
        (draft / part.name).unlink()
        start += len(own)
        told(number + 1, len(found))
    return parts, pa.chunked_array([chunk for column in outsiders for chunk in column.chunks], pa.string())


def _with_places(rows: pa.Table, places: NDArray[np.float64], cuts: Sequence[str], *, facts: RunFacts) -> pa.Table:
    shared = {"cutoff": facts.cutoff, "model_version": facts.model_version, "definition_id": facts.definition_id}
    columns = {name: rows[name] for name in rows.column_names}
    columns |= {name: pa.repeat(pa.scalar(value), len(rows)) for name, value in shared.items()}
    columns |= {"percentile": pa.array(places), "risk_tier": pa.array(cuts, pa.string())}
    return pa.table({field.name: columns[field.name] for field in SCORE_SCHEMA}).cast(SCORE_SCHEMA)


def _score(row: dict[str, Any]) -> Score:  # Any: what Arrow's columns hold
    reasons = tuple(
        Reason(reason["code"], Wording.whole(reason["sentence"], reason["sentence_zh"]), reason["contribution"])
        for reason in row["reasons"]
    )
    return Score(row["user_id"], row["churn_probability"], row["percentile"], row["risk_tier"], reasons)


def _silent(_what: str, _done: int, _of: int) -> None:
    """Nobody asked for progress."""
