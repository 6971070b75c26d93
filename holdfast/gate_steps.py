"""The steps between champion and challenger: compare, promote, roll back, and read who has been champion."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from features.errors import BadInput, Busy, Damaged, NotReady, UserError
from features.log import EventLog
from features.windows import iso
from holdfast import steps
from holdfast.scores import open_store
from holdfast.session import Session
from models import bundle
from models.champions import Change, How, previous
from models.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from training.contest import Contender
from training.gate import Check, Rules, Verdict, damaged, hold_gate

if TYPE_CHECKING:
    from serving.store import Run

ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)
LONGEST_WAIT_SECONDS = 45.0  # for another process that is writing scores; a rollback should take less than a minute
_PAUSE_SECONDS = 0.2
_LOADING = "Loading the models"


@dataclass(frozen=True, slots=True)
class Promoted:
    """A wish to promote: what the gate said, and the change, if the champion was changed."""

    version: str
    verdict: Verdict
    change: Change | None


@dataclass(frozen=True, slots=True, eq=False)
class RolledBack:
    """A rollback: who serves again instead of whom, and where his scores come from."""

    change: Change
    served: "Run | None"  # the kept run that is served again
    scored: "steps.Scored | None"  # the run that was made because none was kept
    trouble: str  # why neither; empty when there is nothing to say
    seconds: float  # until the champion and, where a run was kept, its scores were back


def compare(session: Session, champion: str, challenger: str) -> Verdict:
    """The gate for B against A, held and not acted on; raises `BadInput` for a version that there is not."""
    registry = steps.registry(session)
    ours, theirs = _version(registry, champion), _version(registry, challenger)
    if ours == theirs:
        raise BadInput(f"{champion} and {challenger} are both version {ours}; expected two different ones.")
    log = EventLog.open(session.folder.events)
    return _verdict(session, log, registry, champion=ours, challenger=theirs)


def promote(session: Session, name: str, *, force: bool, reason: str) -> Promoted:
    """The version as champion if it passes the gate against the one that serves, or whatever the gate says (`force`).

    The verdict is kept with the version either way. Raises `Damaged` for a bundle that fails its own checks, forced
    or not, and `Busy` when another process changes the champion.
    """
    registry = steps.registry(session)
    version, champion = _version(registry, name), registry.champion_version()
    if version == champion:
        raise BadInput(f"version {version} is the champion already.")
    try:
        verdict = _verdict(
            session, EventLog.open(session.folder.events), registry, champion=champion, challenger=version
        )
    except UserError as error:
        if not force:
            raise
        verdict = _not_held(session, version, champion=champion, why=str(error))
    return _settle(session, registry, verdict, force=force, reason=reason)


def contend(session: Session, log: EventLog, version: str) -> Promoted:
    """The gate for a version that has just been trained; a gate that cannot be held has not been passed."""
    registry = steps.registry(session)
    champion = registry.champion_version()
    try:
        verdict = _verdict(session, log, registry, champion=champion, challenger=version)
    except UserError as error:
        verdict = _not_held(session, version, champion=champion, why=str(error))
    return _settle(session, registry, verdict, force=False, reason="")


def rollback(session: Session, *, to: str | None, reason: str, score: bool) -> RolledBack:
    """The champion before, or the former champion `to`, as champion again, with its newest kept scores.

    Where none of its runs is kept everybody is scored with it, if `score` says so. Raises `NotReady` when there was
    no champion before, `BadInput` for a version that never was champion, `Damaged` for a bundle that was changed.
    """
    begin = time.monotonic()
    registry = steps.registry(session)
    with session.folder.alone("promotion", now=session.now):
        version = _former(registry, to)
        with session.progress.stage(f"Bringing back version {version}"):
            registry.promote(version, Change(version, session.now, How.ROLLBACK, reason))
            change = registry.changes()[-1]
            served, trouble = _serve_again(session, version)
    seconds = time.monotonic() - begin
    if served is not None or trouble:
        return RolledBack(change, served, None, trouble, seconds)
    if not score:
        trouble = f"no scores of version {version} are kept, and none were to be made"
        return RolledBack(change, None, None, trouble, seconds)
    try:
        return RolledBack(change, None, steps.score(session, cutoff=None, to=None), "", seconds)
    except UserError as error:
        return RolledBack(
            change, None, None, f"no scores of version {version} are kept, and scoring failed: {error}", seconds
        )


def history(session: Session) -> list[Change]:
    """The changes of the champion, oldest first; raises `NotReady` before the first."""
    found = steps.registry(session).changes()
    if not found:
        raise NotReady("no champion yet: run `holdfast train` first.")
    return found


def _version(registry: Registry, name: str) -> str:
    if not name.isdecimal() and name not in ALIASES:
        raise BadInput(f"{name!r} names no model; expected the number of a version, or {', '.join(ALIASES)}.")
    return registry.version_of(name)


def _verdict(session: Session, log: EventLog, registry: Registry, *, champion: str | None, challenger: str) -> Verdict:
    with session.progress.stage(_LOADING):
        theirs = _contender(registry, challenger)
        if isinstance(theirs, Check):
            return _alone(session, challenger, champion=champion, check=theirs)
        ours = None if champion is None else Contender(champion, bundle.load(registry.bundle(champion)))
        summary = log.summary()
    with session.progress.stage("Comparing on the same windows") as report:
        return hold_gate(
            log,
            ours,
            theirs,
            summary=summary,
            now=session.now,
            clock=time.perf_counter,
            rules=rules(session),
            workers=steps.threads(session),
            on_progress=lambda what, done, of: report(done, of, what),
        )


def rules(session: Session) -> Rules:
    """What the gate asks for by the settings."""
    said = session.settings.gate
    return Rules(
        capacity=said.capacity,
        log_loss_margin=said.log_loss_margin,
        recall_margin=said.recall_margin,
        windows=said.windows,
        segment_users=said.segment_users,
        seed=session.settings.train.seed,
    )


def _contender(registry: Registry, version: str) -> Contender | Check:
    """The challenger, or the check that it failed on being loaded."""
    try:
        return Contender(version, bundle.load(registry.bundle(version)))
    except Damaged as error:
        return damaged(version, str(error))


def _not_held(session: Session, version: str, *, champion: str | None, why: str) -> Verdict:
    return _alone(session, version, champion=champion, check=Check("held", False, f"the gate could not be held: {why}"))


def _alone(session: Session, version: str, *, champion: str | None, check: Check) -> Verdict:
    return Verdict(version, champion, session.now, None, (check,))


def _settle(session: Session, registry: Registry, verdict: Verdict, *, force: bool, reason: str) -> Promoted:
    """The verdict kept with its version, and the champion changed where the verdict or force allow it."""
    version = verdict.challenger
    how = How.FIRST if verdict.champion is None else How.GATE
    if not verdict.passed:
        how = How.FORCED
    with session.folder.alone("promotion", now=session.now):
        if registry.champion_version() != verdict.champion:
            raise Busy("another process has changed the champion meanwhile; compare with the new one: run it again.")
        wanted = verdict.passed or force
        document = verdict.to_json() | {"promoted": wanted, "forced": wanted and not verdict.passed, "reason": reason}
        against = "nobody" if verdict.champion is None else verdict.champion
        moment = iso(verdict.held_at).replace(":", "")
        if wanted:
            registry.promote(version, Change(version, session.now, how, reason))
        registry.keep_verdict(version, document, name=f"{moment}-against-{against}")
        return Promoted(version, verdict, registry.changes()[-1] if wanted else None)


def _former(registry: Registry, to: str | None) -> str:
    """The version to go back to."""
    champion, changes = registry.champion_version(), registry.changes()
    if champion is None:
        raise NotReady("no champion yet: run `holdfast train` first.")
    if to is None:
        found = previous(changes, champion=champion)
        if found is None:
            raise NotReady(
                f"version {champion} is the only champion that there has been; there is nothing to go back to."
            )
        return found
    former = {change.version for change in changes} | {change.before for change in changes} - {""}
    if to == champion:
        raise BadInput(f"version {to} is the champion already.")
    if to not in former:
        known = ", ".join(sorted(former - {champion}, key=int)) or "none"
        raise BadInput(
            f"version {to} has never been champion (former champions: {known}); `holdfast promote` asks the gate."
        )
    return to


def _serve_again(session: Session, version: str) -> "tuple[Run | None, str]":
    """The version's newest kept run, served from now on; or why that could not be tried."""
    with open_store(session) as store:
        try:
            return _when_free(lambda: store.show_again(version, now=session.now)), ""
        except Busy as error:
            return None, str(error)


def _when_free(work: "Callable[[], Run | None]") -> "Run | None":
    """The result, after waiting for a writer to finish: it will not show scores of a champion that has gone."""
    until = time.monotonic() + LONGEST_WAIT_SECONDS
    while True:
        try:
            return work()
        except Busy:
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_SECONDS)


def when(moment: datetime) -> str:
    """The instant to the second, for people."""
    return iso(moment.replace(microsecond=0))
