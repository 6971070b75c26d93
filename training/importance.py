"""What moves the score: contributions by feature and by family, and what is lost where a family is left out.

Contributions say what the model does with a family; refits without it say what the family is worth. They differ where
families tell the same story twice: then the model leans on one, and without it would lean on the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from features.feature_set import FeatureSet
from models.model import ChurnModel
from training.evidence import Evidence
from training.fit import Rehearsed, TrainSettings, calibrate, fit_model
from training.level import follow_at
from training.metrics import Estimate, difference, evaluate
from training.snapshots import TrainingSet
from training.splits import Cutoffs, Split

UNCALIBRATED = "identity"

MOST_ROWS = 1000  # whose contributions are averaged: a mean is known to a few percent there
MOST_FEATURES = 15  # that a report names


@dataclass(frozen=True, slots=True)
class Importance:
    """Mean absolute contributions to the margin (log-odds), largest first."""

    families: dict[str, float]
    features: dict[str, float]  # the strongest only


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The tested model fitted anew without a family: its figures minus those of the whole model, on the test rows."""

    family: str
    features: int  # that were left out
    auc: Estimate
    log_loss: Estimate

    @property
    def says(self) -> str:
        """What the interval of the log loss allows to say."""
        if self.log_loss.low > 0:
            return "worse without it"
        return "better without it" if self.log_loss.high < 0 else "no difference seen"

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The family with both differences and their ends."""
        ends = {"auc": self.auc, "log_loss": self.log_loss}
        found = {f"{name}{end}": value for name, one in ends.items() for end, value in _ends(one).items()}
        return {"family": self.family, "features": self.features, "says": self.says, **found}


def importance(model: ChurnModel, features: FeatureSet, rows: TrainingSet, *, most_rows: int = MOST_ROWS) -> Importance:
    """What features and families add to or take from the margin of these rows, on average.

    Contributions of a family are added before the absolute value is taken, so that features which undo each other
    do not look important.
    """
    sample = rows.frame.iloc[:: max(1, len(rows) // most_rows)]
    contributions = model.contributions(sample)[:, :-1]
    families = np.array([features[name].family for name in features.names])
    by_family = {
        family: float(np.abs(contributions[:, families == family].sum(axis=1)).mean())
        for family in dict.fromkeys(families.tolist())
    }
    each = np.abs(contributions).mean(axis=0)
    strongest = np.argsort(-each, kind="stable")[:MOST_FEATURES]
    return Importance(
        families=dict(sorted(by_family.items(), key=lambda item: (-item[1], item[0]))),
        features={features.names[place]: float(each[place]) for place in strongest if each[place] > 0},
    )


def leave_out(
    evidence: Evidence, split: Split, *, features: FeatureSet, settings: TrainSettings, dates: tuple[str, ...] = ()
) -> Iterator[LeftOut]:
    """Each family left out in turn: the same recipe fitted on the same rows, tested on the same rows and draws.

    A fit a family, and two more where probabilities are calibrated; nothing is chosen anew, so that the difference is
    the family's alone. What is all that the recipe reads cannot be left out.
    """
    whole, test = evidence.trial.ours, evidence.rows.at(split.test)
    if whole["auc"].missing_because:
        return
    for family in dict.fromkeys(feature.family for feature in features):
        kept = tuple(feature.name for feature in features if feature.family != family)
        if not (set(kept) & set(evidence.recipe.only or kept)):
            continue
        model = _without(evidence, split, kept, settings=settings, dates=dates)
        frame = test.of(kept).frame
        found = evaluate(
            test.labels,
            model.predict_proba(frame)[:, 1],
            users=test.users,
            seed=settings.seed,
            ranks=model.margin(frame),
            capacity=evidence.trial.capacity,
            replicates=settings.replicates,
        )
        auc, loss = (difference(found, whole, metric=metric) for metric in ("auc", "log_loss"))
        yield LeftOut(family, len(features) - len(kept), auc, loss)


def _without(
    evidence: Evidence, split: Split, kept: tuple[str, ...], *, settings: TrainSettings, dates: tuple[str, ...]
) -> ChurnModel:
    """The tested model as it would be on these features: fitted, calibrated and levelled by the same recipe."""
    rows, known = evidence.rows.of(kept), tuple(name for name in dates if name in kept)

    def fitted(cutoffs: Cutoffs) -> ChurnModel:
        return fit_model(rows.at(cutoffs), evidence.recipe, settings=settings, dates=known)

    model = fitted(split.fit)
    if evidence.calibration != UNCALIBRATED:
        steps = [(split.stopping, split.validation), (split.rehearsal, split.calibration)]
        rehearsals = [
            Rehearsed.by(fitted(earlier), rows.at(later)) for earlier, later in steps[-len(evidence.rehearsals) :]
        ]
        calibrate(model, rehearsals, kind=evidence.calibration)
    follow_at(evidence.level, model, rows, split, cutoff=split.test[0])
    return model


def _ends(estimate: Estimate) -> dict[str, float]:
    return {"": estimate.value, "_low": estimate.low, "_high": estimate.high}
