"""Scoring on Spark: the extra `spark`, loaded only when it is asked for."""

import tempfile
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.dataset as ds

from features.log import EventLog
from features.spark_output import Target
from features.spark_session import open_session
from holdfast import steps
from holdfast.session import Session
from models.tiers import TierRule
from serving.spark import ScoredOnSpark, score_on_spark


def score(session: Session, *, cutoff: datetime | None, to: Target | None, keep: bool) -> steps.Scored:
    """Score the population on Spark, as the run that is served from now on (`keep`) and as a folder of Parquet files.

    Raises `BadInput` when the folder is taken, and `Busy` when another process scores.
    """
    steps.language(session)  # before Java is started, as below
    if to is not None:
        to.check()
    with session.folder.alone("scoring", now=session.now):
        if to is not None:
            return _score(session, to, cutoff=cutoff, keep=keep, file=to.folder)
        with tempfile.TemporaryDirectory(prefix=".scoring-", dir=session.folder.root) as aside:
            return _score(session, Target(Path(aside) / "scores"), cutoff=cutoff, keep=keep, file=None)


def _score(session: Session, target: Target, *, cutoff: datetime | None, keep: bool, file: Path | None) -> steps.Scored:
    log = EventLog.open(session.folder.events)
    rule = TierRule(high=session.settings.score.high, medium=session.settings.score.medium)
    with session.progress.stage("Loading the champion"):
        champion = steps.registry(session).champion()
        summary = log.summary()
        moment = cutoff or summary.end
        steps.check_cutoff(moment, summary)
    with (
        session.progress.stage("Scoring everybody on Spark, with reasons") as report,
        open_session(cores=steps.threads(session)) as spark,
    ):
        scored = score_on_spark(
            log,
            champion,
            cutoff=moment,
            target=target,
            session=spark,
            tiers=rule,
            language=steps.language(session),
            on_progress=lambda what, done, of: report(done, of, what),
        )
    with session.progress.stage("Writing the scores"):
        run_id = steps.keep_run(session, scored.facts, scored.scores(), outside=scored.outside) if keep else None
    return _summed_up(scored, run_id=run_id, file=file)


def _summed_up(scored: ScoredOnSpark, *, run_id: int | None, file: Path | None) -> steps.Scored:
    rows = ds.dataset(scored.files, format="parquet").to_table(columns=["churn_probability", "risk_tier"])
    counts = {each["values"]: each["counts"] for each in pc.value_counts(rows["risk_tier"]).to_pylist()}
    return steps.Scored(
        facts=scored.facts,
        users=len(scored),
        outside=len(scored.outsiders),
        mean_churn_probability=float(rows["churn_probability"].to_numpy().mean()),
        tiers={tier: counts.get(tier, 0) for tier in steps.TIERS},
        run_id=run_id,
        file=file,
    )
