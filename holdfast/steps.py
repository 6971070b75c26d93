"""The steps of the line, each over a session: what commands and the demo have in common."""

import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from features import catalog, snapshots
from features.errors import BadInput
from features.language import Feature, FeatureSet
from features.log import EventLog, LogSummary
from features.windows import iso
from holdfast import own_features, processors
from holdfast.session import Session
from models.definition import ChurnDefinition

OnProgress = Callable[[int, int], None]


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


def definition(session: Session) -> ChurnDefinition:
    """What churn means by the settings."""
    churn = session.settings.churn
    return ChurnDefinition(
        activity=churn.activity, look_back=churn.look_back, lead_time=churn.lead_time, horizon=churn.horizon
    )


def feature_set(session: Session, summary: LogSummary) -> FeatureSet:
    """The user's own feature set, or the standard one for this log."""
    if session.settings.features.file:
        return own_features.load(Path(session.settings.features.file))
    return catalog.standard(summary, activity=session.settings.churn.activity)


def workers(session: Session) -> int:
    """How many threads compute features and trees."""
    return session.settings.train.workers or processors.count()


def check_kinds(meant: ChurnDefinition, summary: LogSummary) -> None:
    """Raise `BadInput` when the definition names a kind of event that the log has not got."""
    known = [kind.name for kind in summary.kinds]
    unknown = [kind for kind in meant.activity if kind not in known]
    if unknown:
        raise BadInput(
            f"the log has no events of kind {', '.join(map(repr, unknown))}; "
            f"expected --activity to name some of {', '.join(map(repr, known[:20]))}."
        )


def check_cutoff(cutoff: datetime, summary: LogSummary) -> None:
    """Raise `BadInput` when nothing, or not everything, is known before the cutoff."""
    if not summary.start < cutoff <= summary.end:
        raise BadInput(
            f"the cutoff {iso(cutoff)} lies outside the log; expected a time after {iso(summary.start)} "
            f"and at most {iso(summary.end)}, the end of the log."
        )


def dictionary(session: Session, *, cutoff: datetime | None, on_progress: OnProgress) -> Dictionary:
    """The features with the share of the population that has a value, as of the cutoff."""
    log = EventLog.open(session.folder.events)
    summary, meant = log.summary(), definition(session)
    check_kinds(meant, summary)
    moment = cutoff or summary.end
    check_cutoff(moment, summary)
    features = feature_set(session, summary)
    rows = snapshots.build(
        log, features, cutoffs=[moment], population=meant.population, workers=workers(session), on_progress=on_progress
    )
    shares = np.mean(~np.isnan(rows.matrix), axis=0) if len(rows) else np.full(len(features), np.nan)
    lines = tuple(_line(feature, float(share)) for feature, share in zip(features, shares, strict=True))
    return Dictionary(features.fingerprint, moment, len(rows), lines)


def _line(feature: Feature, share: float) -> Line:
    return Line(feature.name, _in_general(feature.sentence), feature.family, feature.window_days, share)


def _in_general(sentence: str) -> str:
    """The sentence with an N where a user's own value will stand."""
    pieces = string.Formatter().parse(sentence)
    return "".join(
        literal + ("" if spec is None else "N %" if spec.endswith("%") else "N") for literal, _, spec, _ in pieces
    )
