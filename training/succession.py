"""What changed against the champion: meaning, features, recipe, figures where both can be asked honestly, and the list.

Figures are compared on the test rows only where churn means the same to both and the champion had learnt from no
outcome that reaches into them; elsewhere `holdfast compare` holds one recipe against the other. Scores need no
outcome: there the two models that are, or would be, deployed are asked about the newest test cutoff's users.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from features.feature_set import FeatureSet
from features.formula import formula
from features.snapshots import Bucketed
from features.windows import iso
from models.tiers import Tier, TierRule
from training.contest import Contender
from training.metrics import Estimate, difference, evaluate
from training.snapshots import TrainingSet, labelled
from training.stability import rank_correlation

if TYPE_CHECKING:
    from training.run import Training

TIERS: tuple[Tier, ...] = ("high", "medium", "low")
COMPARED = ("auc", "pr_auc", "log_loss", "brier", "predicted_over_observed", "recall_at_capacity")
_OF_THE_MACHINE = ("workers", "threads")  # settings that change no figure


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that was otherwise, in words."""

    what: str
    before: str
    now: str


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric of both on the same test rows, and the new one's minus the champion's, paired."""

    metric: str
    before: Estimate
    now: Estimate
    difference: Estimate


@dataclass(frozen=True, slots=True)
class Moved:
    """How the two lists differ for the same users at one moment."""

    at: str
    users: int
    mean_before: float
    mean_now: float
    correlation: float  # Spearman's, with the ends of its interval; NaN where an order says nothing
    low: float
    high: float
    tiers: tuple[tuple[int, int, int], ...]  # users by tier before (rows) and now (columns): high, medium, low

    @property
    def changed(self) -> int:
        """Users in another tier than before."""
        return self.users - sum(self.tiers[place][place] for place in range(len(TIERS)))


@dataclass(frozen=True, slots=True, eq=False)
class Succession:
    """The new model beside the champion; without a `version` there is none, and `because` says why nothing is told."""

    version: str = ""
    because: str = "there is no champion yet: nothing to compare with."
    differences: tuple[Difference, ...] = ()
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    redefined: tuple[str, ...] = ()  # of the same name, and another meaning
    figures: tuple[Figure, ...] = ()
    not_compared: str = ""  # why there are no figures
    rows: int = 0  # behind the figures
    moved: Moved | None = None
    importance: tuple[tuple[str, float, float], ...] = ()  # family, before and now; NaN where it was not there

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON; what is missing is null."""
        if not self.version:
            return {"champion": None, "because": self.because}
        return {
            "champion": self.version,
            "differences": [{"what": one.what, "before": one.before, "now": one.now} for one in self.differences],
            "features": {"added": self.added, "dropped": self.dropped, "redefined": self.redefined},
            "not_compared": self.not_compared or None,
            "figures": {one.metric: _figure(one) for one in self.figures},
            "moved": None if self.moved is None else _moved_json(self.moved),
        }


def succession(
    log: Bucketed, training: "Training", champion: Contender, *, tiers: TierRule | None = None, workers: int = 1
) -> Succession:
    """Everything that differs between a new training and the champion that it may take the place of."""
    old, new = champion.bundle.features, training.features
    theirs, ours = _both(log, training, champion, workers=workers)
    why_not = _why_not(training, champion)
    return Succession(
        version=champion.version,
        because="",
        differences=tuple(_differences(training, champion)),
        added=tuple(name for name in new.names if name not in old.names),
        dropped=tuple(name for name in old.names if name not in new.names),
        redefined=tuple(name for name in new.names if name in old.names and not _alike(new, old, name)),
        figures=() if why_not else tuple(_figures(training, champion, theirs=theirs, ours=ours)),
        not_compared=why_not,
        rows=0 if why_not else len(ours),
        moved=_moved(training, champion, theirs=theirs, ours=ours, tiers=tiers or TierRule()),
        importance=tuple(_importance(training.importance, champion.bundle.facts.get("importance", {}))),
    )


def _both(log: Bucketed, training: "Training", champion: Contender, *, workers: int) -> tuple[TrainingSet, TrainingSet]:
    """The same test rows with the champion's features and with the new ones."""

    def read(features: FeatureSet, *, as_known: bool) -> TrainingSet:
        test = training.split.test
        return labelled(
            log,
            features,
            training.definition,
            test,
            log_end=training.split.closes(test),
            as_known=as_known,
            whole=test,
            workers=workers,
        ).at(test)

    ours = read(training.features, as_known=training.knowledge.as_known)
    bundle = champion.bundle
    if (bundle.features.fingerprint, bundle.as_known) == (training.features.fingerprint, training.knowledge.as_known):
        return ours, ours
    theirs = read(bundle.features, as_known=bundle.as_known)
    first, second = _shared(theirs, ours)
    return theirs.where(first), ours.where(second)


def _shared(first: TrainingSet, second: TrainingSet) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the rows that both hold: populations differ where one knows only what had been received."""
    keys = [
        np.array([f"{cutoff} {user}" for cutoff, user in zip(rows.snapshots.cutoffs, rows.users, strict=True)])
        for rows in (first, second)
    ]
    return np.isin(keys[0], keys[1]), np.isin(keys[1], keys[0])


def _why_not(training: "Training", champion: Contender) -> str:
    """Why figures of both on the test rows would not be honest; empty where they are."""
    if champion.bundle.definition.id != training.definition.id:
        return "churn means something else to the two, so their figures are of different things."
    if not champion.may_be_asked(training.split.test):
        until = champion.learnt_until
        known = "its bundle does not say until when" if until is None else f"until {iso(until)}"
        return (
            f"version {champion.version} has learnt from outcomes that reach into the test ({known}), which would "
            "flatter it. `holdfast compare champion challenger` holds recipe against recipe on the same windows."
        )
    return ""


def _figures(training: "Training", champion: Contender, *, theirs: TrainingSet, ours: TrainingSet) -> Iterator[Figure]:
    sides = ((champion.bundle.model, theirs), (training.tested_model, ours))
    before, now = (
        evaluate(
            rows.labels,
            model.predict_proba(rows.frame)[:, 1],
            users=rows.users,
            seed=training.settings.seed,
            ranks=model.margin(rows.frame),
            capacity=training.trial.capacity,
            replicates=training.settings.replicates,
        )
        for model, rows in sides
    )
    for metric in COMPARED:
        yield Figure(metric, before[metric], now[metric], difference(now, before, metric=metric))


def _moved(
    training: "Training", champion: Contender, *, theirs: TrainingSet, ours: TrainingSet, tiers: TierRule
) -> Moved | None:
    """The deployed models on the newest test cutoff's users."""
    newest = training.split.test[-1:]
    first, second = theirs.at(newest).frame, ours.at(newest).frame
    if not len(second):
        return None
    models = ((champion.bundle.model, first), (training.model, second))
    said = [model.predict_proba(frame)[:, 1] for model, frame in models]
    margins = [model.margin(frame) for model, frame in models]
    correlation, low, high = rank_correlation(*margins)
    before, now = (tiers.tiers(each) for each in margins)
    table = tuple(_row(before, now, tier) for tier in TIERS)
    means = [float(each.mean()) for each in said]
    return Moved(iso(newest[0]), len(second), means[0], means[1], correlation, low, high, table)


def _row(before: list[Tier], now: list[Tier], tier: Tier) -> tuple[int, int, int]:
    there = [after for first, after in zip(before, now, strict=True) if first == tier]
    high, medium, low = (there.count(each) for each in TIERS)
    return high, medium, low


def _differences(training: "Training", champion: Contender) -> Iterator[Difference]:
    """Everything of the two trainings' facts that a reader would ask about, where it differs."""
    facts, ours = champion.bundle.facts, training.facts
    pairs = {
        "what churn means": (champion.bundle.definition.says(), training.definition.says()),
        "features": (_counted(champion.bundle.features), _counted(training.features)),
        "trained at": (facts.get("trained_at"), ours["trained_at"]),
        "log version": (facts.get("log_version"), ours["log_version"]),
        "code version": (facts.get("code_version"), ours["code_version"]),
        "learnt from, cutoffs": (facts.get("cutoffs", {}).get("deployed_fit"), ours["cutoffs"]["deployed_fit"]),
        "outcomes known until": (facts.get("learnt_until"), ours["learnt_until"]),
        "features read only what had been received": (champion.bundle.as_known, training.knowledge.as_known),
        "recipe": (facts.get("recipe"), ours["recipe"]),
        "calibration": (facts.get("calibration"), ours["calibration"]),
        "verdict": (facts.get("decision"), ours["decision"]),
    }
    settings, now = facts.get("settings", {}), ours["settings"]
    for name in now:
        if name not in _OF_THE_MACHINE and name in settings:
            pairs[f"setting {name}"] = (settings[name], now[name])
    for what, (before, after) in pairs.items():
        if before != after:
            yield Difference(what, "not said" if before is None else str(before), str(after))


def _counted(features: FeatureSet) -> str:
    return f"{len(features)} ({features.fingerprint})"


def _alike(first: FeatureSet, second: FeatureSet, name: str) -> bool:
    return formula(first[name].expression) == formula(second[name].expression)


def _importance(now: dict[str, float], before: dict[str, float]) -> Iterator[tuple[str, float, float]]:
    for family in sorted({*now, *before}, key=lambda one: -now.get(one, 0.0)):
        yield family, before.get(family, float("nan")), now.get(family, float("nan"))


def _figure(figure: Figure) -> dict[str, float | None]:
    parts = {"before": figure.before, "now": figure.now, "difference": figure.difference}
    return {
        f"{name}{end}": None if np.isnan(value) else value
        for name, one in parts.items()
        for end, value in (("", one.value), ("_low", one.low), ("_high", one.high))
    }


def _moved_json(moved: Moved) -> dict[str, Any]:  # Any: JSON
    return {
        "at": moved.at,
        "users": moved.users,
        "mean_before": moved.mean_before,
        "mean_now": moved.mean_now,
        "rank_correlation": None if np.isnan(moved.correlation) else moved.correlation,
        "tier_changed": moved.changed,
        "tiers": {
            f"{before}_to_{now}": moved.tiers[row][column]
            for row, before in enumerate(TIERS)
            for column, now in enumerate(TIERS)
        },
    }
