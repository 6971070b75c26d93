"""The steps of `holdfast watch` and `holdfast cycle`: look at the log, the scores and the model, and act on it."""

import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from http.client import HTTPException
from pathlib import Path

import numpy as np

from features.errors import BadInput, NotReady, UserError
from features.families.roles import Roles, assign
from features.ingest import Ingested
from features.log import EventLog
from features.pool import OnProgress
from features.summary import LogSummary
from features.windows import days, iso
from holdfast import log_steps, remembered, steps
from holdfast.files import replacing
from holdfast.output import to_json
from holdfast.scores import open_store
from holdfast.session import Session
from models import bundle
from serving.store import ScoreStore
from serving.store.records import Run
from training import drift, estimated, matured, pulse
from training.watch import Finding, Gravity, Watched, watched

PAGE, DOCUMENT, REPORT = "watch.html", "watch.json", "watch.txt"
WEBHOOK_SECONDS = 10  # for a chat server to answer; the findings are told on the command line anyway


class Retrain(StrEnum):
    """When `holdfast cycle` trains a challenger."""

    AUTO = "auto"  # where the watch calls for it
    NEVER = "never"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    at: datetime | None = None
    to: Path | None = None
    prometheus: Path | None = None
    webhook: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Looked:
    """A look, what it counted, what was written, and why the webhook was not reached."""

    watched: Watched
    seen: pulse.Pulse
    files: tuple[Path, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Cycle:
    """A whole round; what was not done is missing."""

    ingested: Ingested | None
    scored: steps.Scored | None
    looked: Looked | None
    trained: "steps.Trained | None"
    scored_again: steps.Scored | None  # with the model that has just become champion
    trouble: str  # why a training that was wanted did not come about


@dataclass(frozen=True, slots=True, eq=False)
class _Served:
    """The champion and its log."""

    version: str
    loaded: bundle.Bundle
    log: EventLog
    summary: LogSummary
    end: datetime


def watch(session: Session, asked: Asked) -> Looked:
    """Look at everything, write what was asked for; raises `NotReady` without a log. It works without a model too."""
    check_webhook(asked.webhook)
    at = asked.at or session.now
    log = EventLog.open(session.folder.events)
    summary = log.summary()
    if at <= summary.start:
        raise BadInput(f"--at {iso(at)} lies before the log; expected a time after {iso(summary.start)}.")
    with session.folder.alone("watch", now=session.now):
        champion = _champion(session, log, summary, at=at)
        with session.progress.stage("Counting what came in") as report:
            seen = pulse.pulse(
                log, start=summary.start, last=summary.end, at=at, workers=steps.threads(session), on_progress=report
            )
        findings = pulse.look(seen, at=at, used=_used(champion))
        findings.extend(_of_model(session, champion, at=at))
    version = None if champion is None else champion.version
    found = watched(at, log_end=summary.end, model_version=version, findings=findings)
    looked = Looked(found, seen)
    return Looked(found, seen, _write(looked, asked), _send(found, asked.webhook))


def cycle(session: Session, sources: Sequence[str], *, retrain: Retrain, asked: Asked) -> Cycle:
    """Ingest, score, watch and, if called for, train; a new model becomes champion only through the gate.

    Without a champion there is nothing to score: then a model is trained first, unless that is never to be done.
    """
    check_webhook(asked.webhook)
    ingested = log_steps.ingest(session, sources) if sources else None
    trained, trouble = None, ""
    first = steps.registry(session).champion_version() is None
    if first and retrain is not Retrain.NEVER:
        trained, trouble = _train(session)
        if trained is None or not trained.promoted:
            return Cycle(ingested, None, watch(session, asked), trained, None, trouble)
    scored = steps.score(session, cutoff=None, to=None)
    looked = watch(session, asked)
    if first or not (retrain is Retrain.ALWAYS or (retrain is Retrain.AUTO and looked.watched.retrain)):
        return Cycle(ingested, scored, looked, trained, None, trouble)
    trained, trouble = _train(session)
    again = steps.score(session, cutoff=None, to=None) if trained is not None and trained.promoted else None
    return Cycle(ingested, scored, looked, trained, again, trouble)


def check_webhook(address: str | None) -> None:
    """Raise `BadInput` for what is no address of the web, before any work is done."""
    if address is not None and not address.startswith(("https://", "http://")):
        raise BadInput(f"--webhook {address!r}; expected an address that begins with https:// or http://.")


def _train(session: Session) -> "tuple[steps.Trained | None, str]":
    """A challenger, held against the champion by the gate; what prevents it is told and stops nothing else."""
    try:
        return steps.train(session, cutoff=None, promote=None), ""
    except UserError as error:
        return None, str(error)


def _champion(session: Session, log: EventLog, summary: LogSummary, *, at: datetime) -> _Served | None:
    registry = steps.registry(session)
    try:
        with session.progress.stage("Loading the champion"):
            champion = registry.champion()
    except NotReady:
        return None
    return _Served(champion.version, bundle.load(champion.folder), log, summary, min(at, summary.end))


def _used(champion: _Served | None) -> frozenset[str]:
    """The kinds that the model or its definition names; none where any kind counts as activity."""
    if champion is None or not champion.loaded.definition.activity:
        return frozenset()
    return frozenset(champion.loaded.features.kinds) | frozenset(champion.loaded.definition.activity)


def _of_model(session: Session, champion: _Served | None, *, at: datetime) -> Iterator[Finding]:
    if champion is None:
        yield Finding(
            "no_model", Gravity.ADVICE, "there is no champion, so only the log was looked at", "run holdfast train"
        )
        return
    workers, seed = steps.threads(session), session.settings.train.seed
    with open_store(session) as store:
        yield from _of_scores(session, store, champion, at=at)
    with session.progress.stage("Looking at what became of earlier scores") as report:
        yield from _of_outcomes(session, champion, report=report)
        rows = champion.loaded.facts.get("rows", {})
        yield from matured.base_rate(
            champion.log,
            champion.loaded.definition,
            start=champion.summary.start,
            log_end=champion.end,
            trained_on=rows.get("deployed_fit_churned_share"),
            workers=workers,
        )
    with session.progress.stage("Comparing users with those learnt from") as report:
        found = drift.drift(
            champion.log,
            champion.loaded,
            start=champion.summary.start,
            now=champion.end,
            seed=seed,
            workers=workers,
            on_progress=report,
        )
    yield from drift.findings(found)


def _of_scores(session: Session, store: ScoreStore, champion: _Served, *, at: datetime) -> Iterator[Finding]:
    """Whether the scores that are served may still be acted on, and how good they will be if they are right."""
    run = store.current_run()
    if run is None:
        yield Finding("no_scores", Gravity.ADVICE, "there are no scores yet", "run holdfast score")
        return
    remembered.remember(store, run, _folder(session))
    yield _validity(run, champion, at=at)
    probabilities = np.array(remembered.current_probabilities(store), dtype=np.float64)
    found = estimated.estimate(probabilities, seed=session.settings.train.seed)
    yield from estimated.findings(found, remembered.promised(run))


def _validity(run: Run, champion: _Served, *, at: datetime) -> Finding:
    late = (at - run.facts.valid_until) / days(1)
    told = f"run {run.run_id} is of version {run.facts.model_version}, as of {iso(run.facts.cutoff)}"
    figures = {"run_id": run.run_id, "valid_until": iso(run.facts.valid_until)}
    if late > 0:
        return Finding(
            "scores_old",
            Gravity.WARNING,
            f"{told}; its scores may be acted on until {iso(run.facts.valid_until)[:10]}",
            "run holdfast score, or see why it does not run",
            figures,
        )
    if run.facts.model_version != champion.version:
        return Finding(
            "scores_of_another",
            Gravity.ADVICE,
            f"{told}, but the champion is version {champion.version}",
            "run holdfast score",
            figures,
        )
    return Finding("scores", Gravity.OK, told, "", figures)


def _of_outcomes(session: Session, champion: _Served, *, report: OnProgress) -> Iterator[Finding]:
    meant, folder = champion.loaded.definition, _folder(session)
    runs = remembered.recorded(folder)
    followed = matured.follow_up(
        champion.log,
        meant,
        runs,
        log_end=champion.end,
        treatments=_treatments(session, champion.summary),
        workers=steps.threads(session),
        on_progress=report,
    )
    seed = session.settings.train.seed
    yield from matured.quality(followed, seed=seed, next_known=matured.next_known(meant, runs))
    remembered.forget(folder, meant, log_end=champion.end)


def _treatments(session: Session, summary: LogSummary) -> tuple[str, ...]:
    """The kinds that tell of a contact, as the standard features take them."""
    said = session.settings.features
    named = Roles(said.service, said.treatments, said.redemptions, said.returns)
    return assign([kind.name for kind in summary.kinds], named, activity=session.settings.churn.activity).treatments


def _folder(session: Session) -> Path:
    return session.folder.watch


def _write(looked: Looked, asked: Asked) -> tuple[Path, ...]:
    from holdfast import watch_telling  # noqa: PLC0415 - it learns what a look is from this module

    texts: dict[Path, str] = {}
    if asked.to is not None:
        asked.to.mkdir(parents=True, exist_ok=True)
        texts[asked.to / DOCUMENT] = to_json(looked.watched.to_json())
        texts[asked.to / REPORT] = watch_telling.watched_text(looked)
        texts[asked.to / PAGE] = watch_telling.page(looked)
    if asked.prometheus is not None:
        texts[asked.prometheus] = watch_telling.metrics(looked.watched)
    for file, text in texts.items():
        with replacing(file) as unfinished:
            unfinished.write_text(f"{text}\n", "utf-8")
    return tuple(texts)


def _send(found: Watched, address: str | None) -> str:
    """Post the findings; why that failed, or nothing."""
    if address is None:
        return ""
    request = urllib.request.Request(  # noqa: S310 - checked to be of the web
        address,
        data=to_json(found.to_json()).encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=WEBHOOK_SECONDS):  # noqa: S310 - as above
            return ""
    except (urllib.error.URLError, HTTPException, OSError, ValueError) as error:
        return f"the webhook was not reached: {error}"
