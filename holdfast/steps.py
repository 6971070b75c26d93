"""The steps of the line, each over a session: what commands and the demo have in common."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from features import catalog, snapshots
from features.errors import BadInput
from features.ingest import Ingested
from features.ingest import ingest as ingest_files
from features.language import Feature, FeatureSet
from features.log import EventLog
from features.sources.mapping import Mapping
from features.summary import LogSummary
from features.windows import iso
from holdfast import own_features, processors, versions
from holdfast.progress import Report
from holdfast.session import Session
from holdfast.tables import write_table
from models.definition import ChurnDefinition

if TYPE_CHECKING:
    from models.registry import Registry
    from serving.scoring import ScoredPopulation
    from training.fit import TrainSettings
    from training.run import Training
    from training.tracking import Recorded


@dataclass(frozen=True, slots=True)
class Line:
    """A feature in the dictionary; `share` of the users have a value."""

    name: str
    sentence: str
    family: str
    window_days: int | None
    share: float


@dataclass(frozen=True, slots=True)
class Dictionary:
    """The features of a log."""

    fingerprint: str
    cutoff: datetime
    users: int
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A training and where it was recorded."""

    training: "Training"
    recorded: "Recorded"


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A population's scores, the run that they are in (none: only in the file) and the file, if one was asked for."""

    population: "ScoredPopulation"
    run_id: int | None
    file: Path | None


def registry(session: Session) -> "Registry":
    """Where models are registered, and where the champion's bundle is kept on this machine."""
    from models.registry import Registry  # noqa: PLC0415 LightGBM: who only ingests does not wait for it

    session.folder.root.mkdir(parents=True, exist_ok=True)
    return Registry(session.tracking_uri, session.settings.mlflow.model, session.folder.champion)


def ingest(session: Session, sources: Sequence[str], *, stdin: BinaryIO | None = None) -> Ingested:
    """Read files into the event log; raises `Busy` when another process does."""
    with session.folder.alone("ingest", now=session.now), session.progress.stage("Reading events") as report:
        return ingest_files(
            EventLog.create(session.folder.events),
            sources,
            mapping=_mapping(session),
            quarantine=session.folder.quarantine,
            now=session.now,
            on_progress=lambda _file, rows: report(rows, 0),
            stdin=stdin,
        )


def train(session: Session, *, cutoff: datetime | None, promote: bool | None) -> Trained:
    """Learn, test, judge and record a model; raises `Busy` when another process does."""
    log = EventLog.open(session.folder.events)
    with session.folder.alone("training", now=session.now):
        with session.progress.stage("Summing up the log"):
            summary, meant = log.summary(), definition(session)
            check_kinds(meant.activity, summary)
            features = feature_set(session, summary)
        where = registry(session)  # a wrong name or address is refused now, not after the work
        training = _learn(session, log, meant, features, cutoff=cutoff)
        from training.tracking import record  # noqa: PLC0415 matplotlib, not before it is needed

        with session.progress.stage("Recording the run, its pictures and the model in MLflow") as report:
            recorded = record(
                training,
                where,
                artifacts=session.artifacts,
                source=str(session.folder.events),
                promote=promote,
                on_progress=report,
            )
    return Trained(training, recorded)


def score(session: Session, *, cutoff: datetime | None, to: Path | None, keep: bool = True) -> Scored:
    """Score the population, as the run that is served from now on (`keep`) and as a file; raises `Busy` as above."""
    from models import bundle  # noqa: PLC0415 only who scores pays for it
    from models.tiers import TierRule  # noqa: PLC0415 as above
    from serving.scoring import score_population  # noqa: PLC0415 as above

    log = EventLog.open(session.folder.events)
    rule = TierRule(high=session.settings.score.high, medium=session.settings.score.medium)
    with session.folder.alone("scoring", now=session.now):
        with session.progress.stage("Loading the champion"):
            champion = registry(session).champion()
            loaded = bundle.load(champion.folder)
            moment = cutoff or log.summary().end
            check_cutoff(moment, log.summary())
        with session.progress.stage("Scoring everybody, with reasons") as report:
            scored = score_population(
                log,
                loaded,
                cutoff=moment,
                model_version=champion.version,
                tiers=rule,
                workers=threads(session),
                on_progress=lambda what, done, of: report(done, of, what),
            )
        with session.progress.stage("Writing the scores"):
            if to is not None:
                write_table(scored.to_table(), to)
            run_id = _keep(session, scored) if keep else None
    return Scored(scored, run_id, to)


def definition(session: Session) -> ChurnDefinition:
    """What churn means by the settings."""
    churn = session.settings.churn
    return ChurnDefinition(
        activity=churn.activity, look_back=churn.look_back, lead_time=churn.lead_time, horizon=churn.horizon
    )


def feature_set(session: Session, summary: LogSummary) -> FeatureSet:
    """The user's own feature set, or the standard one for this log."""
    if session.settings.features.file:
        own = own_features.load(Path(session.settings.features.file))
        check_kinds(own.kinds, summary, said_by=session.settings.features.file)
        return own
    return catalog.standard(summary, activity=session.settings.churn.activity)


def threads(session: Session) -> int:
    """How many threads compute features and trees."""
    return session.settings.compute.threads or processors.count()


def check_kinds(named: Collection[str], summary: LogSummary, *, said_by: str = "--activity") -> None:
    """Raise `BadInput` when the definition or a feature names a kind of event that the log has not got."""
    known = [kind.name for kind in summary.kinds]
    unknown = sorted(kind for kind in named if kind not in known)
    if unknown:
        raise BadInput(
            f"the log has no events of kind {', '.join(map(repr, unknown))}; "
            f"expected {said_by} to name some of {', '.join(map(repr, known[:20]))}."
        )


def check_cutoff(cutoff: datetime, summary: LogSummary) -> None:
    """Raise `BadInput` when nothing, or not everything, is known before the cutoff."""
    if not summary.start < cutoff <= summary.end:
        raise BadInput(
            f"the cutoff {iso(cutoff)} lies outside the log; expected a time after {iso(summary.start)} "
            f"and at most {iso(summary.end)}, the end of the log."
        )


def dictionary(session: Session, *, cutoff: datetime | None, on_progress: Report) -> Dictionary:
    """The features with the share of the population that has a value, as of the cutoff."""
    log = EventLog.open(session.folder.events)
    summary, meant = log.summary(), definition(session)
    check_kinds(meant.activity, summary)
    moment = cutoff or summary.end
    check_cutoff(moment, summary)
    features = feature_set(session, summary)
    rows = snapshots.build(
        log, features, cutoffs=[moment], population=meant.population, workers=threads(session), on_progress=on_progress
    )
    shares = np.mean(~np.isnan(rows.matrix), axis=0) if len(rows) else np.full(len(features), np.nan)
    lines = tuple(_line(feature, float(share)) for feature, share in zip(features, shares, strict=True))
    return Dictionary(features.fingerprint, moment, len(rows), lines)


def _mapping(session: Session) -> Mapping:
    said = session.settings.ingest
    return Mapping(
        user_id=said.user_id,
        time=said.time,
        event=said.event,
        value=said.value,
        event_id=said.event_id,
        received_at=said.received_at,
        event_constant=said.event_constant or None,
        timezone=said.timezone or None,
        time_format=said.time_format or None,
        format=said.format or None,
    )


def _learn(
    session: Session, log: EventLog, meant: ChurnDefinition, features: FeatureSet, *, cutoff: datetime | None
) -> "Training":
    from training.run import train as learn  # noqa: PLC0415 who only ingests does not wait for LightGBM

    with session.progress.stage("Learning and testing") as report:
        return learn(
            log,
            meant,
            features,
            now=session.now,
            code_version=versions.code_version(),
            cutoff=cutoff,
            settings=_train_settings(session),
            on_progress=lambda what, done, total: report(done, total, what),
        )


def _train_settings(session: Session) -> "TrainSettings":
    from training.fit import TrainSettings  # noqa: PLC0415 as above

    said = session.settings.train
    return TrainSettings(
        seed=said.seed,
        workers=threads(session),
        threads=threads(session),
        step_days=said.step_days or None,
        max_cutoffs=said.max_cutoffs,
        test_cutoffs=said.test_cutoffs,
        max_rows=said.max_rows,
        replicates=said.replicates,
        trees=said.trees,
        leaves=said.leaves,
        learning_rate=said.learning_rate,
        rows_per_leaf=said.rows_per_leaf,
    )


def _keep(session: Session, scored: "ScoredPopulation") -> int:
    from serving.store import ScoreStore  # noqa: PLC0415 SQLAlchemy, only for who needs it

    store = ScoreStore.open(session.store_url)
    try:
        return store.write_run(scored.facts, scored.scores(), now=session.now, outside=scored.outside)
    finally:
        store.close()


def _line(feature: Feature, share: float) -> Line:
    return Line(feature.name, feature.pattern, feature.family, feature.window_days, share)
