"""Rolling origin: what `holdfast train` would have made at many earlier cutoffs, each tested on what came after.

At every origin the recipe is chosen, fitted, calibrated and tested as `training.evidence.examine_rows` does it, with
closed horizons only (Tashman 2000: rolling-origin evaluation). Features are computed once, for all origins together,
and so are the outcomes of a year before, by which the level follows the season where that served earlier cutoffs.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np

from features.errors import BadInput
from features.feature_set import FeatureSet
from features.language import events, feature_set
from features.lateness import EVENT_TIME, Knowledge
from features.user_events import FloatArray
from features.windows import Interval, cutoffs_back_from, days, format_span, iso
from models.definition import ChurnDefinition
from models.model import ChurnModel
from training.backtest_verdict import judge_origins
from training.evidence import FITTING_STEPS, OnStage, TrainingLog, examine_rows, plan_for
from training.fit import Recipe, TrainSettings
from training.level import Level, cutoffs_of_year_ago, read_year_ago
from training.model_age import Ageing, Asked, Timeline, ageing, pairs
from training.over_origins import Trend, figures, of_estimate, together, trend
from training.segments import ACTIVITY, TENURE, VALUE, Fact, Segment, by_segment, levels_off
from training.snapshots import History, TrainingSet, expected_rows, labelled
from training.splits import SHORT_HORIZON, Split, before
from training.trial import Trial
from training.verdict import Verdict

OF_TENURE = feature_set(tenure_of_segment=events().days_since_first())  # read beside the features, not learnt from
TREND_OF = "auc"  # the log loss moves with the share of churners, whatever the model does

GoOn = Callable[[], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """One test cutoff, and the model that a training before it would have made."""

    split: Split
    recipe: Recipe
    calibration: str
    model: ChurnModel
    fit_rows: int
    test: TrainingSet
    trial: Trial
    level: Level  # where the level of its probabilities comes from
    facts: dict[Fact, FloatArray]  # of the test rows, as known at the cutoff

    @property
    def cutoff(self) -> datetime:
        """The test cutoff."""
        return self.split.test[0]

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """What was learnt from, what was decided, and all figures."""
        return {
            "cutoff": iso(self.cutoff),
            "cutoffs": self.split.in_brief(),
            "fit_rows": self.fit_rows,
            "recipe": self.recipe.says(),
            "calibration": self.calibration,
            "level": {"part": self.level.part, "shift": self.level.shift, "because": self.level.because},
            **figures(self.trial),
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An origin that was not tested, and why."""

    cutoff: datetime
    because: str


@dataclass(frozen=True, eq=False)  # no slots: what follows from the origins is computed once
class Backtest:
    """Everything that the origins came to, the oldest first."""

    definition: ChurnDefinition
    features: FeatureSet
    knowledge: Knowledge
    settings: TrainSettings
    every: timedelta
    origins: tuple[Origin, ...]
    left_out: tuple[LeftOut, ...]
    share: float  # of the users that were drawn, where there were too many rows
    pooled: Trial
    segments: tuple[Segment, ...]
    ageing: Ageing
    log_version: int
    code_version: str

    @property
    def overlapping(self) -> bool:
        """Whether one origin's horizon reaches into the next one's, so that they are not news of their own."""
        return self.every < self.definition.horizon

    @cached_property
    def trend(self) -> Trend | None:
        """The line through the AUC over the origins."""
        values = [origin.trial.ours[TREND_OF].value for origin in self.origins]
        return trend(days_of(self.origins), values, metric=TREND_OF)

    @cached_property
    def verdict(self) -> Verdict:
        """Should models of this recipe be used?"""
        trials = [(iso(origin.cutoff)[:10], origin.trial) for origin in self.origins]
        return judge_origins(
            self.pooled, trials, trend=self.trend, ageing=self.ageing, segments_off=levels_off(self.segments)
        )

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The whole back-test as plain JSON; the same inputs and seed give the same bytes."""
        line = self.trend
        return {
            "definition": self.definition.to_json(),
            "definition_id": self.definition.id,
            "feature_fingerprint": self.features.fingerprint,
            "features": len(self.features),
            "log_version": self.log_version,
            "code_version": self.code_version,
            "as_known": self.knowledge.as_known,
            "as_known_because": self.knowledge.because,
            "every": format_span(self.every),
            "horizons_overlap": self.overlapping,
            "share_of_users": self.share,
            "origins": [origin.to_json() for origin in self.origins],
            "left_out": [{"cutoff": iso(one.cutoff), "because": one.because} for one in self.left_out],
            "pooled": figures(self.pooled),
            "trend": None if line is None else {"metric": line.metric, "per_100_days": of_estimate(line.per_100_days)},
            "segments": [segment.to_json() for segment in self.segments],
            "ageing": self.ageing.to_json(),
            "verdict": self.verdict.to_json(),
            "settings": {
                name: list(value) if isinstance(value, tuple) else value
                for name, value in asdict(self.settings).items()
                if name not in {"workers", "threads", "test_cutoffs"}  # they change no figure
            },
        }


def plan_origins(
    history: History,
    definition: ChurnDefinition,
    *,
    newest: datetime | None = None,
    every: timedelta | None = None,
    most: int | None = None,
    settings: TrainSettings,
) -> tuple[Split, ...]:
    """The split of each origin, oldest first: as many as the history allows, at most the newest `most`.

    `newest` is the last cutoff to test on (default: the last whose horizon is over). `every` is the distance between
    origins: by default the least multiple of the training's step that leaves no two horizons overlapping, so that all
    origins learn from the same grid of cutoffs.
    Raises `BadInput` when the history has no room for one origin.
    """
    if most is not None and most < 1:
        raise BadInput(f"{most} origins were asked for; expected at least 1.")
    step = step_of(definition, settings)
    every = distance(definition, every, step=step)
    split = plan_for(history, definition, cutoff=newest, settings=replace(settings, test_cutoffs=1))
    cutoffs = cutoffs_back_from(split.test[-1], every=every, earliest=history.start)
    splits = [
        before(definition, (cutoff,), start=history.start, step=step, max_cutoffs=settings.max_cutoffs)
        for cutoff in cutoffs
    ]
    possible = tuple(each for each in splits if each.rehearsal)
    return possible[-most:] if most else possible


def step_of(definition: ChurnDefinition, settings: TrainSettings) -> timedelta:
    """The distance between the cutoffs that are learnt from, as a training has it."""
    if settings.step_days is not None:
        return days(settings.step_days)
    return days(2) if definition.horizon <= SHORT_HORIZON else days(7)


def distance(definition: ChurnDefinition, every: timedelta | None, *, step: timedelta) -> timedelta:
    """The distance between origins; raises `BadInput` for one that is no time at all."""
    if every is None:
        return step * -(-definition.horizon // step)
    if every < days(1):
        raise BadInput(f"origins every {format_span(every)}; expected at least a day, for example 30d.")
    return every


def backtest(  # noqa: PLR0913 - what to learn, from what, when, how, and what only the door knows
    log: TrainingLog,
    definition: ChurnDefinition,
    features: FeatureSet,
    *,
    code_version: str,
    newest: datetime | None = None,
    every: timedelta | None = None,
    most: int | None = None,
    history: History | None = None,
    knowledge: Knowledge = EVENT_TIME,
    settings: TrainSettings | None = None,
    go_on: GoOn | None = None,
    on_progress: OnStage | None = None,
) -> Backtest:
    """Every origin tested, all of them together, by segment and by the model's age.

    `go_on` is asked before each origin but the first, which is the newest; when it says no, older ones are left out.
    Raises `BadInput` when there is no room for an origin, or when none of them could be tested.
    """
    settings = settings or TrainSettings()
    tell = on_progress or _tell_nobody
    splits = plan_origins(
        history or log.summary(), definition, newest=newest, every=every, most=most, settings=settings
    )
    read = read_once(log, features, splits, as_known=knowledge.as_known, settings=settings, on_progress=tell)
    origins, left_out = _tested(read, features, splits, settings=settings, go_on=go_on or _always, tell=tell)
    trials = [origin.trial for origin in origins]
    tell("adding up", 0, 2)
    pooled = together(trials, seed=settings.seed, replicates=settings.replicates)
    tell("adding up", 1, 2)
    facts = {fact: np.concatenate([origin.facts[fact] for origin in origins]) for fact in origins[0].facts}
    segments = by_segment(pooled, facts, seed=settings.seed, replicates=settings.replicates)
    tell("adding up", 2, 2)
    return Backtest(
        definition=definition,
        features=features,
        knowledge=knowledge,
        settings=settings,
        every=distance(definition, every, step=step_of(definition, settings)),
        origins=origins,
        left_out=left_out,
        share=read.share,
        pooled=pooled,
        segments=segments,
        ageing=_aged(origins, settings=settings, tell=tell),
        log_version=log.version,
        code_version=code_version,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What was read for all origins: what is learnt from, the tenure of the same rows, and the share of users drawn."""

    rows: TrainingSet
    tenure: TrainingSet
    share: float


def read_once(
    log: TrainingLog,
    features: FeatureSet,
    splits: Sequence[Split],
    *,
    as_known: bool = False,
    settings: TrainSettings,
    on_progress: OnStage | None = None,
) -> Read:
    """Features, labels and tenure at the cutoffs of all origins.

    Who is tested on is everybody, unless all tested rows together were more than `max_rows`: then all cutoffs are
    thinned alike to twice as many rows, so that memory has a bound whatever the number of origins.
    """
    tell = on_progress or _tell_nobody
    definition = splits[-1].definition
    tested = sorted({cutoff for split in splits for cutoff in (*split.test, *split.calibration)})
    needed = sorted({cutoff for split in splits for cutoff in (*split.rehearsal, *split.fit, *split.test)})
    everybody = expected_rows(log, definition.population, cutoffs=tested, as_known=as_known) <= settings.max_rows
    most = settings.max_rows if everybody else 2 * settings.max_rows
    expected = 0 if everybody else expected_rows(log, definition.population, cutoffs=needed, as_known=as_known)
    rows = labelled(
        log,
        features + OF_TENURE,
        definition,
        needed,
        log_end=splits[-1].closes(splits[-1].test),
        as_known=as_known,
        whole=tested if everybody else (),
        max_rows=most,
        seed=settings.seed,
        workers=settings.workers,
        on_progress=lambda done, total: tell("reading history", done, total),
    )
    past = _year_ago(log, splits, as_known=as_known, settings=settings)
    learnt_from = replace(rows.of(features.names), year_ago=past)
    return Read(learnt_from, rows.of(OF_TENURE.names), min(1.0, most / max(1, expected)))


def _year_ago(
    log: TrainingLog, splits: Sequence[Split], *, as_known: bool, settings: TrainSettings
) -> TrainingSet | None:
    """What became of the populations a year before whatever any origin asks the season for."""
    cutoffs = sorted({cutoff for split in splits for cutoff in cutoffs_of_year_ago(split)})
    log_end = splits[-1].closes(splits[-1].test)
    return read_year_ago(log, splits[-1], tuple(cutoffs), log_end=log_end, as_known=as_known, settings=settings)


def days_of(origins: Sequence[Origin]) -> list[float]:
    """Days from the first origin to each."""
    first = origins[0].cutoff
    return [Interval(first, origin.cutoff).days for origin in origins]


def _tested(
    read: Read,
    features: FeatureSet,
    splits: Sequence[Split],
    *,
    settings: TrainSettings,
    go_on: GoOn,
    tell: OnStage,
) -> tuple[tuple[Origin, ...], tuple[LeftOut, ...]]:
    """The origins, tested from the newest back, so that a budget leaves out the oldest."""
    total = len(splits) * FITTING_STEPS
    origins: list[Origin] = []
    left_out: list[LeftOut] = []
    for place, split in enumerate(reversed(splits)):
        if place and not go_on():
            late = "the time allowed was over"
            left_out += [LeftOut(each.test[0], late) for each in splits[: len(splits) - place]]
            break
        so_far = place * FITTING_STEPS
        try:
            origins.append(_origin(read, features, split, settings=settings, tell=_within(tell, so_far, total)))
        except BadInput as error:  # one origin of many: it is left out, and the report says why
            left_out.append(LeftOut(split.test[0], str(error)))
    if not origins:
        raise BadInput(f"no origin could be tested: {left_out[0].because}")
    return tuple(reversed(origins)), tuple(sorted(left_out, key=lambda one: one.cutoff))


def _origin(read: Read, features: FeatureSet, split: Split, *, settings: TrainSettings, tell: OnStage) -> Origin:
    evidence = examine_rows(read.rows, features, split, settings=settings, on_progress=tell)
    test, tenure = read.rows.at(split.test), read.tenure.at(split.test).snapshots.matrix[:, 0]
    return Origin(
        split,
        evidence.recipe,
        evidence.calibration,
        evidence.model,
        fit_rows=len(read.rows.at(split.fit)),
        test=test,
        trial=evidence.trial,
        level=evidence.level,
        facts={TENURE: tenure, ACTIVITY: test.facts.frequency, VALUE: test.facts.monetary},
    )


def _within(tell: OnStage, so_far: int, total: int) -> OnStage:
    """Progress of one origin as progress of all."""
    return lambda _, done, __: tell("testing origins", so_far + done, total)


def _aged(origins: Sequence[Origin], *, settings: TrainSettings, tell: OnStage) -> Ageing:
    """Every model asked about the test rows of every later origin."""
    asked: Asked = {}
    wanted = list(pairs(len(origins)))
    for place, (old, fresh) in enumerate(wanted):
        tell("asking older models", place, len(wanted))
        frame = origins[fresh].test.frame
        asked[old, fresh] = (origins[old].model.predict_proba(frame)[:, 1], origins[old].model.margin(frame))
    known = Timeline(
        days_of(origins), [origin.trial for origin in origins], [len(origin.split.fit) for origin in origins]
    )
    found = ageing(known, asked, seed=settings.seed, replicates=settings.replicates) if asked else Ageing(())
    tell("asking older models", len(wanted), len(wanted))
    return found


def _always() -> bool:
    return True


def _tell_nobody(stage: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""
