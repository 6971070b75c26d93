"""The step before learning: is the log fit to learn from, and does anything in it know the outcome?"""

from dataclasses import dataclass
from datetime import datetime

from features.errors import BadInput
from features.lateness import Knowledge
from features.log import EventLog
from features.summary import LogSummary
from holdfast import steps
from holdfast.definitions import check_definition
from holdfast.session import Session
from models.definition import ChurnDefinition
from training import leakage
from training.evidence import plan_for
from training.leakage import Leaks
from training.readiness import Planned, Readiness, examine


@dataclass(frozen=True, slots=True)
class Checked:
    """What was remarked on a log, and the leakage checks that need no model (none: the history is too short)."""

    definition: ChurnDefinition
    log_version: int
    readiness: Readiness
    leaks: Leaks

    @property
    def fit(self) -> bool:
        """Whether nothing has to be mended before a training."""
        return not self.readiness.errors and not self.leaks.findings


def check(session: Session, *, cutoff: datetime | None) -> Checked:
    """Look at the log as a training would read it, and learn nothing."""
    log = EventLog.open(session.folder.events)
    with session.progress.stage("Summing up the log"):
        summary, meant = log.summary(), steps.definition(session)
        check_definition(meant, summary)
        features = steps.feature_set(session, summary)
    known = steps.known(session, log)
    planned = _planned(session, summary, meant, cutoff=cutoff)
    ready = _examined(session, log, meant, planned, known=known)
    leaks = leakage.NOT_LOOKED
    if planned.split is not None:
        with session.progress.stage("Looking for leaks"):
            leaks = leakage.in_log(
                log,
                meant,
                features,
                split=planned.split,
                end=planned.split.closes(planned.split.test),
                as_known=known.as_known,
            )
    return Checked(meant, log.version, ready, leaks)


def readiness(
    session: Session,
    log: EventLog,
    summary: LogSummary,
    meant: ChurnDefinition,
    *,
    known: Knowledge,
    cutoff: datetime | None,
) -> Readiness:
    """The remarks on a log that is about to be learnt from."""
    return _examined(session, log, meant, _planned(session, summary, meant, cutoff=cutoff), known=known)


def _planned(session: Session, summary: LogSummary, meant: ChurnDefinition, *, cutoff: datetime | None) -> Planned:
    try:
        split = plan_for(summary, meant, cutoff=cutoff, settings=steps.train_settings(session))
    except BadInput as error:  # one remark among others, which may say why
        return Planned(summary, None, str(error), cutoff)
    return Planned(summary, split, cutoff=cutoff)


def _examined(
    session: Session, log: EventLog, meant: ChurnDefinition, planned: Planned, *, known: Knowledge
) -> Readiness:
    with session.progress.stage("Checking whether the log is fit to learn from"):
        return examine(log, meant, planned, now=session.now, knowledge=known, workers=steps.threads(session))
