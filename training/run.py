"""The whole training: cutoffs, labelled snapshots, recipe, fit, calibration, trial, verdict, and the model to deploy.

The figures always come from a model that has seen neither the test rows nor anything after their cutoff. The model
that is deployed is fitted anew by the same recipe on every closed outcome, the test's included, and calibrated on
the two newest rehearsals, the last of which is what the tested model said at the test. So what is registered is
newer than what was tested, and no better tested than its recipe.
"""

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from features.feature_set import FeatureSet
from features.fifths import DatedFifths
from features.lateness import EVENT_TIME, Knowledge
from features.windows import iso
from models.bundle import Bundle
from models.definition import ChurnDefinition
from models.model import ChurnModel
from training import leakage, small
from training.evidence import FITTING_STEPS, Evidence, OnStage, TrainingLog, dates_of, examine, plan_for, tell_nobody
from training.explained import Explained, explain_training
from training.fit import (
    Recipe,
    Rehearsed,
    TrainSettings,
    calibrate,
    fit_model,
)
from training.hazard import LearntCurve, curve_if_asked, model_of
from training.level import Level, follow_deployed
from training.search import Keeping
from training.snapshots import History, TrainingSet
from training.splits import Cutoffs, Split
from training.stability import Stability, stability
from training.step_facts import StepFacts, facts_of_steps
from training.succession import Succession
from training.trial import Trial
from training.tuned import Tuned
from training.verdict import Finding, Verdict, judge

if TYPE_CHECKING:
    from training.readiness import Readiness  # it plans the split, as a training does

GOLDEN_ROWS = 200


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """Everything that a training came to."""

    definition: ChurnDefinition
    features: FeatureSet
    knowledge: Knowledge
    settings: TrainSettings  # that were used: those of the search, where it was asked for and its settings were kept
    split: Split
    steps: dict[str, StepFacts]
    recipe: Recipe
    calibration: str  # the kind of calibrator; "identity" where the margin is believed as it is
    trial: Trial
    verdict: Verdict
    importance: dict[str, float]  # mean absolute log-odds by feature family
    model: ChurnModel  # the one to deploy
    tested_model: ChurnModel  # the one the figures are about
    fifths: DatedFifths | None  # of the newest population; none when no feature is relative to it
    golden: pd.DataFrame  # rows on which a bundle proves that it was loaded as it was saved
    log_version: int
    trained_at: datetime
    code_version: str
    leaks: leakage.Leaks = leakage.NOT_LOOKED
    level: Level = field(default_factory=Level)  # where the level of the probabilities comes from
    stability: Stability = field(default_factory=Stability)  # of the tested model's list
    readiness: "Readiness | None" = None  # what was remarked on the log before
    curve: LearntCurve | None = None  # the risk by day, where it was asked for
    tuned: Tuned | None = None  # the search for better settings, where it was asked for
    explained: Explained | None = None  # what the model does and for whom it is good
    succession: Succession = field(default_factory=Succession)  # beside the champion, where there is one

    @property
    def bundle(self) -> Bundle:
        """The model to deploy with all that it takes to use it."""
        return Bundle.of(self.model, self.features, self.definition, self.facts, self.fifths, model_of(self.curve))

    @property
    def facts(self) -> dict[str, Any]:  # Any: JSON
        """What a bundle should remember of its training, as plain JSON."""
        return {
            "trained_at": iso(self.trained_at),
            "code_version": self.code_version,
            "log_version": self.log_version,
            "learnt_until": iso(self.split.closes(self.split.deployed_fit)),  # later windows are new to the model
            "feature_fingerprint": self.features.fingerprint,
            "definition_id": self.definition.id,
            "as_known": self.knowledge.as_known,
            "as_known_because": self.knowledge.because,
            "decision": str(self.verdict.decision),
            "recipe": self.recipe.says(),
            "calibration": self.calibration,
            "verdict": self.verdict.to_json(),
            "quality": self.trial.quality(),
            "profit": None if self.trial.appraisal is None else self.trial.appraisal.to_json(),
            "stability": self.stability.to_json(),
            "level": self.level.to_json(),
            "baselines": self.trial.baselines(),
            "importance": self.importance,
            "left_out": [one.to_json() for one in self.explained.left_out] if self.explained else [],
            "leakage": self.leaks.to_json(),
            "readiness": None if self.readiness is None else self.readiness.to_json(),
            "risk_curve": self.curve and self.curve.trial.to_json(),
            "tuning": self.tuned and self.tuned.to_json(),
            "rows": {
                f"{name}_{what}": value for name, step in self.steps.items() for what, value in step.known().items()
            },
            "cutoffs": self.split.in_brief(),
            "settings": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self.settings).items()
            },
        }


def train(  # noqa: PLR0913 - what to learn, from what, how, and what only the door knows: time and version
    log: TrainingLog,
    definition: ChurnDefinition,
    features: FeatureSet,
    *,
    now: datetime,
    code_version: str,
    cutoff: datetime | None = None,
    history: History | None = None,
    knowledge: Knowledge = EVENT_TIME,
    readiness: "Readiness | None" = None,
    settings: TrainSettings | None = None,
    keeping: Keeping | None = None,
    on_progress: OnStage | None = None,
) -> Training:
    """A model with the evidence for or against it.

    `cutoff` is the newest cutoff that is tested on (default: the newest whose horizon is over); nothing after its
    horizon is read into a label. `history` is the log's summary, where the caller has it already. `knowledge` says
    whether features see only what had been received before their cutoff; the bundle keeps it, and `readiness`.
    `keeping` is for a search of settings: where its trials are kept, and a clock.
    Raises `BadInput` when the history is too short or holds one outcome only.
    """
    settings = settings or TrainSettings()
    tell = on_progress or tell_nobody
    history = history or log.summary()
    split = plan_for(history, definition, cutoff=cutoff, settings=settings)
    evidence = examine(
        log, features, split, as_known=knowledge.as_known, settings=settings, keeping=keeping, on_progress=tell
    )
    settings = evidence.settings
    rows, newest = evidence.rows, evidence.rows.at(split.test[-1:])
    model = fit_model(rows.at(split.deployed_fit), evidence.recipe, settings=settings, dates=dates_of(features))
    rehearsals = [evidence.rehearsals[-1], Rehearsed.by(evidence.model, newest)]
    calibrate(model, rehearsals, kind=evidence.calibration)
    deployed_shift = follow_deployed(
        log, evidence.level, model, split, features, as_known=knowledge.as_known, settings=settings
    )
    explained = explain_training(
        evidence, model, features, split, settings=settings, dates=dates_of(features), on_progress=tell
    )
    leaks = _leaks(log, evidence, split, features, end=history.end, as_known=knowledge.as_known, settings=settings)
    tell("fitting", FITTING_STEPS, FITTING_STEPS)
    return Training(
        definition=definition,
        features=features,
        knowledge=knowledge,
        settings=settings,
        split=split,
        steps=facts_of_steps(rows, split),
        recipe=evidence.recipe,
        calibration=evidence.calibration,
        trial=evidence.trial,
        verdict=judge(evidence.trial, [*leaks.findings, *_small(rows.at(split.fit), evidence.recipe)]),
        importance=explained.importance.families,
        model=model,
        tested_model=evidence.model,
        fifths=rows.fifths,
        golden=_golden(newest),
        log_version=log.version,
        trained_at=now,
        code_version=code_version,
        leaks=leaks,
        level=replace(evidence.level, deployed_shift=deployed_shift),
        stability=stability(evidence.model, rows, _newest_grid(split), dates=dates_of(features)),
        readiness=readiness,
        curve=curve_if_asked(log, rows, split, evidence.model, settings=settings),
        tuned=evidence.tuned,
        explained=explained,
    )


def _small(fit: TrainingSet, recipe: Recipe) -> list[Finding]:
    few = small.few(fit)
    return [] if few is None else [few.finding(recipe)]


def _leaks(
    log: TrainingLog,
    evidence: Evidence,
    split: Split,
    features: FeatureSet,
    *,
    end: datetime,
    as_known: bool,
    settings: TrainSettings,
) -> leakage.Leaks:
    """All checks: those of the log, and those of the rows that were learnt from and tested on."""
    tested = split.closes(split.test)
    in_log = leakage.in_log(log, split.definition, features, split=split, end=tested, as_known=as_known)
    in_rows = leakage.in_rows(
        evidence.rows,
        features,
        split=split,
        end=end,
        trial=evidence.trial,
        seed=settings.seed,
        threads=settings.threads,
    )
    return leakage.Leaks(in_log.checks + in_rows.checks)


def _newest_grid(split: Split) -> Cutoffs:
    """The cutoffs from the newest that the tested model has learnt from to the newest tested one, oldest first."""
    return tuple(cutoff for cutoff in split.all if cutoff >= split.fit[-1])


def _golden(rows: TrainingSet) -> pd.DataFrame:
    """Rows spread evenly over the newest population."""
    chosen = np.unique(np.linspace(0, len(rows) - 1, GOLDEN_ROWS).astype(int))
    return rows.frame.iloc[chosen].reset_index(drop=True)
