"""The steps of the line, each over a session: what commands and the demo have in common."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from features import catalog
from features.errors import BadInput, Busy
from features.expressions import Clock
from features.feature_set import FeatureSet
from features.kinds import is_reserved
from features.lateness import Knowledge, knowledge
from features.log import EventLog
from features.plan import make_plan
from features.summary import LogSummary
from features.windows import iso
from holdfast import own_features, processors, versions
from holdfast.definitions import check_definition, check_kinds, definition_of, renewals_of
from holdfast.house_rules import house_rules
from holdfast.scores import open_store
from holdfast.session import Session
from holdfast.tables import write_table
from models.definition import ChurnDefinition

if TYPE_CHECKING:
    from holdfast.gate_steps import Promoted
    from models.reasons import Language
    from models.registry import Registry
    from serving.store.records import Absence, RunFacts, Score
    from training.fit import TrainSettings
    from training.profit import Costs
    from training.readiness import Readiness
    from training.run import Training
    from training.tracking import Recorded

TIERS = ("high", "medium", "low")


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A training and where it was recorded."""

    training: "Training"
    recorded: "Recorded"
    contest: "Promoted | None" = None  # what came of it against the champion; none: there was no contest
    page: Path | None = None  # the report that was written

    @property
    def promoted(self) -> bool:
        """Whether its model serves from now on."""
        return self.recorded.promoted or (self.contest is not None and self.contest.change is not None)


@dataclass(frozen=True, slots=True)
class Scored:
    """Who was scored, the run that the scores are in (none: only in the file) and the file, if one was asked for."""

    facts: "RunFacts"
    users: int
    outside: int  # known users who were not in the population
    mean_churn_probability: float
    tiers: dict[str, int]  # users of each
    run_id: int | None
    file: Path | None


def registry(session: Session) -> "Registry":
    """Where models are registered, and where the champion's bundle is kept on this machine."""
    from models.registry import Registry  # noqa: PLC0415 LightGBM: who only ingests does not wait for it

    session.folder.own.mkdir(parents=True, exist_ok=True)
    return Registry(session.tracking_uri, session.model_name, session.folder.champion)


def train(
    session: Session,
    *,
    cutoff: datetime | None,
    promote: bool | None,
    features: FeatureSet | None = None,
    report: Path | None = None,
) -> Trained:
    """Learn, test, judge and record a model, and write its page; raises `Busy` when another process does.

    The features are by default those of the settings, the page goes into the data folder unless `report` names a file.
    """
    from holdfast.report_steps import beside_champion, check_target, write_report  # noqa: PLC0415 it imports this

    check_target(report)
    page = report or session.folder.report
    log = EventLog.open(session.folder.events)
    with session.folder.alone("training", now=session.now):
        with session.progress.stage("Summing up the log"):
            summary, meant = log.summary(), definition(session)
            check_definition(meant, summary)
            chosen = feature_set(session, summary) if features is None else features
        where = registry(session)  # a wrong name or address is refused now, not after the work
        what_is_known = known(session, log)
        from holdfast.check_steps import readiness  # noqa: PLC0415 it learns what is meant from this module

        ready = readiness(session, log, summary, meant, known=what_is_known, cutoff=cutoff)
        ready.check()
        training = _learn(session, log, meant, chosen, known=what_is_known, ready=ready, cutoff=cutoff)
        training = beside_champion(session, log, training, where)
        files = write_report(session, training, page)
        from training.tracking import record  # noqa: PLC0415 who only ingests does not wait for it

        with session.progress.stage("Recording the run, its pictures and the model in MLflow") as tell:
            recorded = record(
                training,
                where,
                artifacts=session.artifacts,
                source=str(session.folder.events),
                promote=promote,
                files=files,
                on_progress=tell,
            )
        if promote is None and training.verdict.may_be_promoted and not recorded.promoted:
            from holdfast.gate_steps import contend  # noqa: PLC0415 it imports this module

            return Trained(training, recorded, contend(session, log, recorded.version), page)
    return Trained(training, recorded, page=page)


def score(session: Session, *, cutoff: datetime | None, to: Path | None, keep: bool = True) -> Scored:
    """Score the population, as the run that is served from now on (`keep`) and as a file; raises `Busy` as above."""
    from models import bundle  # noqa: PLC0415 only who scores pays for it
    from models.tiers import TierRule  # noqa: PLC0415 as above
    from serving.scoring import score_population  # noqa: PLC0415 as above

    log = EventLog.open(session.folder.events)
    rule = TierRule(high=session.settings.score.high, medium=session.settings.score.medium)
    _ = language(session)  # a wrong word is refused now, not after the work
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
                rules=house_rules(session),
                since=last_run(session),
                language=language(session),
                workers=threads(session),
                on_progress=lambda what, done, of: report(done, of, what),
            )
        with session.progress.stage("Writing the scores"):
            if to is not None:
                write_table(scored.to_table(), to)
            run_id = keep_run(session, scored.facts, scored.scores(), outside=scored.outside) if keep else None
    counts = Counter[str](scored.risk_tier)
    return Scored(
        facts=scored.facts,
        users=len(scored),
        outside=len(scored.outside),
        mean_churn_probability=float(scored.churn_probability.mean()),
        tiers={tier: counts[tier] for tier in TIERS},
        run_id=run_id,
        file=to,
    )


def last_run(session: Session) -> "RunFacts | None":
    """The facts of the run that is served now; none before the first."""
    with open_store(session) as store:
        run = store.current_run()
    return None if run is None else run.facts


def keep_run(
    session: Session,
    facts: "RunFacts",
    scores: "Iterable[Score]",
    *,
    outside: "Mapping[str, Absence] | Iterable[str]",
) -> int:
    """The number of the run that is served from now on; raises `Busy` when its model is not champion any more."""
    from models.registry import champion_pointer  # noqa: PLC0415 as below

    def still_champion() -> None:
        champion = champion_pointer(session.folder.champion).version
        if champion != facts.model_version:
            raise Busy(
                f"version {champion} became champion while version {facts.model_version} was scoring; these scores are "
                "not kept. Run `holdfast score` again."
            )

    with open_store(session) as store:
        return store.write_run(
            facts,
            scores,
            now=session.now,
            outside=outside,
            keep_runs=session.settings.score.keep_runs,
            confirm=still_champion,
        )


def definition(session: Session) -> ChurnDefinition:
    """What churn means by the settings."""
    return definition_of(session.settings.churn)


def feature_set(session: Session, summary: LogSummary) -> FeatureSet:
    """The user's own feature set, or the standard one for this log."""
    if session.settings.features.file:
        if session.settings.features.without:
            raise BadInput("[features] without is for the standard set; a file of your own says itself what is in it.")
        own = own_features.load(Path(session.settings.features.file))
        file = session.settings.features.file
        check_kinds([kind for kind in own.kinds if not is_reserved(kind)], summary, said_by=file)
        _check_properties(own, summary, said_by=file)
        return own
    return standard(session, summary)


def standard(session: Session, summary: LogSummary) -> FeatureSet:
    """The standard features for this log, with the kinds in the roles that the settings give them."""
    said = session.settings.features
    return catalog.standard(
        summary,
        activity=session.settings.churn.activity,
        least_value=session.settings.churn.least_value,
        clock=Clock(said.timezone, said.user_timezone),
        service=said.service,
        treatments=said.treatments,
        redemptions=said.redemptions,
        returns=said.returns,
        properties=said.properties or None,
        renewals=renewals_of(definition(session)),
        without=said.without,
    )


def language(session: Session) -> "Language":
    """The language of reasons; raises `BadInput` for another than the two there are."""
    said = session.settings.score.language
    if said not in {"en", "zh"}:
        raise BadInput(f"[score] language is {said!r}; expected en or zh.")
    return "zh" if said == "zh" else "en"


def known(session: Session, log: EventLog) -> Knowledge:
    """Whether features are to read only what had been received before a cutoff, and why."""
    with session.progress.stage("Looking at how late events came") as report:
        return knowledge(log, session.settings.features.as_known, workers=threads(session), on_progress=report)


def threads(session: Session) -> int:
    """How many threads compute features and trees."""
    return session.settings.compute.threads or processors.count()


def _check_properties(features: FeatureSet, summary: LogSummary, *, said_by: str) -> None:
    known = [each.name for each in (*summary.properties, *summary.profile_properties)]
    counted = [name for name in make_plan(features).wanted.properties if not name.startswith("_")]
    unknown = sorted(set(counted) - set(known))
    if unknown:
        found = f"expected {said_by} to name some of {', '.join(map(repr, known[:20]))}" if known else "it has none"
        raise BadInput(f"the log has no property or profile column {', '.join(map(repr, unknown))}; {found}.")


def check_cutoff(cutoff: datetime, summary: LogSummary) -> None:
    """Raise `BadInput` when nothing, or not everything, is known before the cutoff."""
    if not summary.start < cutoff <= summary.end:
        raise BadInput(
            f"the cutoff {iso(cutoff)} lies outside the log; expected a time after {iso(summary.start)} "
            f"and at most {iso(summary.end)}, the end of the log."
        )


def _learn(
    session: Session,
    log: EventLog,
    meant: ChurnDefinition,
    features: FeatureSet,
    *,
    known: Knowledge,
    ready: "Readiness",
    cutoff: datetime | None,
) -> "Training":
    from training.run import train as learn  # noqa: PLC0415 who only ingests does not wait for LightGBM
    from training.search import Keeping  # noqa: PLC0415 as above

    with session.progress.stage("Learning and testing") as report:
        return learn(
            log,
            meant,
            features,
            now=session.now,
            code_version=versions.code_version(),
            cutoff=cutoff,
            knowledge=known,
            readiness=ready,
            settings=train_settings(session),
            keeping=Keeping(session.folder.tuning_url, time.perf_counter),
            on_progress=lambda what, done, total: report(done, total, what),
        )


def train_settings(session: Session) -> "TrainSettings":
    """How a model is to be learnt by the settings."""
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
        column_share=said.column_share,
        row_share=said.row_share,
        l2=said.l2,
        linear_l2=said.linear_l2,
        risk_rises_with=said.risk_rises_with,
        risk_falls_with=said.risk_falls_with,
        tune_trials=said.tune_trials,
        tune_seconds=said.tune_seconds,
        risk_curve=said.risk_curve,
        drop_families=said.drop_families,
        capacity=session.settings.gate.capacity,
        contacts=session.settings.costs.contacts,
        costs=_costs(session),
    )


def _costs(session: Session) -> "Costs":
    """The costs of a campaign where the settings say what a kept user is worth, else the paper's defaults."""
    from training.profit import PAPER, Costs  # noqa: PLC0415 as above

    said = session.settings.costs
    if not (said.value or said.value_days):
        return PAPER
    if said.value and said.value_days:
        raise BadInput(
            "[costs] says both value and value_days; expected one of them: a value, or where to take it from."
        )
    return Costs(
        value=said.value,
        contact=said.contact,
        incentive=said.incentive,
        success_rate=said.success_rate,
        value_days=said.value_days,
        given=True,
    )
