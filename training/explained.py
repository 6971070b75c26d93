"""Everything that explains a training beside its figures: what moves the score, how, for whom, and examples."""

from dataclasses import dataclass, replace

from features.feature_set import FeatureSet
from features.user_events import FloatArray
from models.model import ChurnModel
from training.dependence import MOST_FEATURES, Dependence, dependence
from training.evidence import Evidence, OnStage, tell_nobody
from training.examples import Examples, examples
from training.fit import TrainSettings
from training.importance import Importance, LeftOut, importance, leave_out
from training.segments import ACTIVITY, TENURE, VALUE, Fact, Segment, by_segment
from training.snapshots import TrainingSet
from training.splits import Split
from training.trial import OURS, Trial

TENURE_FEATURE = "days_since_first_event"  # of the standard catalogue; a set of one's own may not have it
BESIDE = "logistic_regression"  # the baseline that segments are held against: it saw the same features


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What the deployed model does, and what the tested one did well and badly."""

    importance: Importance  # of the deployed model
    left_out: tuple[LeftOut, ...]  # refits of the tested model; none where they were not asked for
    dependence: tuple[Dependence, ...]  # of the deployed model
    examples: tuple[Examples, ...]  # of the tested model
    segments: tuple[Segment, ...]  # of the test rows


def explain_training(
    evidence: Evidence,
    deployed: ChurnModel,
    features: FeatureSet,
    split: Split,
    *,
    settings: TrainSettings,
    dates: tuple[str, ...] = (),
    on_progress: OnStage = tell_nobody,
) -> Explained:
    """All of it; refits without a family only where `settings.drop_families` asks for them, for they are dear.

    `dates` names features of the cutoff itself, which no user has otherwise than another: nothing depends on them
    among the users of one cutoff.
    """
    newest = evidence.rows.at(split.test[-1:])
    weights = importance(deployed, features, newest)
    strongest = [name for name in weights.features if name not in dates][:MOST_FEATURES]
    families = len(weights.families)
    left_out = []
    if settings.drop_families:
        on_progress("leaving families out", 0, families)
        for one in leave_out(evidence, split, features=features, settings=settings, dates=dates):
            left_out.append(one)
            on_progress("leaving families out", len(left_out), families)
    return Explained(
        importance=weights,
        left_out=tuple(left_out),
        dependence=dependence(deployed, features, newest, names=strongest),
        examples=examples(evidence.model, features, newest),
        segments=_segments(evidence, split, settings=settings),
    )


def _segments(evidence: Evidence, split: Split, *, settings: TrainSettings) -> tuple[Segment, ...]:
    if evidence.trial.ours["auc"].missing_because:
        return ()
    test = evidence.rows.at(split.test)
    facts = {**_tenure(test), ACTIVITY: test.facts.frequency, VALUE: test.facts.monetary}
    return by_segment(_pair(evidence.trial), facts, seed=settings.seed, replicates=settings.replicates)


def _tenure(test: TrainingSet) -> dict[Fact, FloatArray]:
    names = test.snapshots.names
    return {TENURE: test.snapshots.matrix[:, names.index(TENURE_FEATURE)]} if TENURE_FEATURE in names else {}


def _pair(trial: Trial) -> Trial:
    """The trial with the model and one baseline."""
    chosen = [name for name in (OURS, BESIDE) if name in trial.evaluations]
    return replace(
        trial,
        probabilities={name: trial.probabilities[name] for name in chosen},
        scores={name: trial.scores[name] for name in chosen},
        evaluations={name: trial.evaluations[name] for name in chosen},
    )
