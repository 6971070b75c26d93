"""The steps around features: describe them, build them, compare them, and look at what disturbs them in a log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from features import bots, dataset, lateness
from features.dictionary import Dictionary, describe
from features.diff import FeatureDiff, diff
from features.errors import BadInput
from features.feature_set import FeatureSet
from features.lateness import Lateness, Moved
from features.log import EventLog
from features.windows import cutoffs_back_from, shift
from holdfast import own_features, steps
from holdfast.definitions import check_definition
from holdfast.session import Session

LOCAL, SPARK = "local", "spark"
_NUMBER = re.compile("[0-9]+")


@dataclass(frozen=True, slots=True)
class Place:
    """Where features are to be written, by which engine, and whether features of another request may be replaced."""

    folder: Path
    engine: str
    overwrite: bool


@dataclass(frozen=True, slots=True)
class Built:
    """A folder of features; `kept` files were there from a build that had been interrupted."""

    folder: Path
    engine: str
    features: FeatureSet
    cutoffs: tuple[datetime, ...]
    as_known: bool
    because: str  # why so
    log_version: int
    rows: int
    files: int
    kept: int


@dataclass(frozen=True, slots=True)
class Late:
    """How late a log's events came, and how far that moves features at a cutoff."""

    found: Lateness
    cutoff: datetime
    moved: tuple[Moved, ...]


def dictionary(session: Session, *, cutoff: datetime | None) -> Dictionary:
    """The features described over the population at the cutoff, by default the end of the log."""
    log = EventLog.open(session.folder.events)
    summary, meant = log.summary(), steps.definition(session)
    check_definition(meant, summary)
    moment = cutoff or summary.end
    steps.check_cutoff(moment, summary)
    features = steps.feature_set(session, summary)
    as_known = steps.known(session, log).as_known
    with session.progress.stage("Computing features") as report:
        return describe(
            log,
            features,
            cutoff=moment,
            population=meant.population,
            as_known=as_known,
            workers=steps.threads(session),
            on_progress=report,
        )


def build(
    session: Session,
    place: Place,
    *,
    cutoffs: Sequence[datetime],
    every: timedelta | None,
    back: int,
    log_version: int | None,
) -> Built:
    """Write features as a folder of Parquet files; the local engine goes on where it was interrupted."""
    log = EventLog.open(session.folder.events, version=log_version)
    with session.progress.stage("Summing up the log"):
        summary, meant = log.summary(), steps.definition(session)
        check_definition(meant, summary)
        features = steps.feature_set(session, summary)
        moments = tuple(_cutoffs(cutoffs or [summary.end], every=every, back=back))
        for moment in moments:
            steps.check_cutoff(moment, summary)
    known = steps.known(session, log)
    on = _on_spark if place.engine == SPARK else _here
    rows, files, kept = on(session, log, features, cutoffs=moments, as_known=known.as_known, to=place)
    because, version = known.because, log.version
    return Built(place.folder, place.engine, features, moments, known.as_known, because, version, rows, files, kept)


def late(session: Session, *, cutoff: datetime | None) -> Late:
    """How late events came, and what it does to features at the cutoff, by default the end of the log."""
    log = EventLog.open(session.folder.events)
    summary, meant = log.summary(), steps.definition(session)
    check_definition(meant, summary)
    moment = cutoff or summary.end
    steps.check_cutoff(moment, summary)
    workers = steps.threads(session)
    with session.progress.stage("Looking at how late events came") as report:
        found = lateness.lateness(log, workers=workers, on_progress=report)
    with session.progress.stage("Computing features twice") as report:
        moved = lateness.moved(
            log,
            steps.feature_set(session, summary),
            cutoff=moment,
            population=meant.population,
            workers=workers,
            on_progress=report,
        )
    return Late(found, moment, moved)


def rates(session: Session, *, limit: int | None, ids: bool) -> bots.Rates:
    """How busy users are on their busiest days, and who is beyond the limit where `ids` are asked for."""
    log = EventLog.open(session.folder.events)
    with session.progress.stage("Counting busy days") as report:
        return bots.rates(log, limit=limit, ids=ids, workers=steps.threads(session), on_progress=report)


def compare(session: Session, before: str, after: str) -> FeatureDiff:
    """What changed from one feature set to another; each is a file, a folder, a model, or `standard`."""
    return diff(_named(session, before), _named(session, after))


def _here(
    session: Session, log: EventLog, features: FeatureSet, *, cutoffs: Sequence[datetime], as_known: bool, to: Place
) -> tuple[int, int, int]:
    with session.progress.stage("Building features") as report:
        done = dataset.write(
            log,
            features,
            cutoffs=cutoffs,
            population=steps.definition(session).population,
            as_known=as_known,
            target=to.folder,
            workers=steps.threads(session),
            overwrite=to.overwrite,
            on_progress=report,
        )
    return done.rows, done.files, done.kept


def _on_spark(
    session: Session, log: EventLog, features: FeatureSet, *, cutoffs: Sequence[datetime], as_known: bool, to: Place
) -> tuple[int, int, int]:
    from features.spark import build_on_spark  # noqa: PLC0415 an extra
    from features.spark_output import Target  # noqa: PLC0415 as above
    from features.spark_session import open_session  # noqa: PLC0415 as above

    target = Target(to.folder, overwrite=to.overwrite)
    target.check()  # before Java is started
    with (
        session.progress.stage("Building features on Spark") as report,
        open_session(cores=steps.threads(session)) as spark,
    ):
        done = build_on_spark(
            log,
            features,
            cutoffs=cutoffs,
            population=steps.definition(session).population,
            as_known=as_known,
            target=target,
            session=spark,
            on_progress=lambda what, done, of: report(done, of, what),
        )
    return done.rows, done.files, 0


def _cutoffs(given: Sequence[datetime], *, every: timedelta | None, back: int) -> Sequence[datetime]:
    """The cutoffs that were given, or so many at regular steps that end at the only one."""
    if every is None:
        return sorted(set(given))
    (newest,) = given
    return cutoffs_back_from(newest, every=every, earliest=shift(newest, -every * (back - 1)))


def _named(session: Session, name: str) -> FeatureSet:
    """The feature set of that name; raises `BadInput` when there is none."""
    if name == "standard":
        return steps.standard(session, EventLog.open(session.folder.events).summary())
    if name == "champion" or _NUMBER.fullmatch(name):
        return _of_model(session, name)
    path = Path(name)
    if path.is_dir():
        return dataset.features_of(path)
    if path.suffix == ".py":
        return own_features.load(path)
    raise BadInput(
        f"{name!r} names no features; expected a Python file, a folder of `holdfast features build`, "
        "standard, champion, or the number of a model, for example 1."
    )


def _of_model(session: Session, name: str) -> FeatureSet:
    """The features that a registered model reads: the champion's, or those of the version of that number."""
    from models import bundle  # noqa: PLC0415 LightGBM, only for who asks for a model

    registry = steps.registry(session)
    folder = registry.champion().folder if name == "champion" else registry.bundle(name)
    return bundle.load(folder).features
