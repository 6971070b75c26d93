"""Which families of features earn their place: the same training with each family left out in turn.

Rows are read once; every variant chooses its own recipe on earlier time and is tested on the same test rows and the
same bootstrap draws as the whole catalogue. A family earns its place where leaving it out makes things worse. Whether
to drop one is to be decided on earlier time (the column `validation`), for the test rows are not there to choose by.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from features.feature_set import FeatureSet
from training.evidence import Evidence, examine_rows
from training.fit import TrainSettings
from training.metrics import Estimate, difference
from training.snapshots import TrainingSet
from training.splits import Split

RULES_OF_THUMB = ("recency", "frequency", "money")  # what a spreadsheet would look at


@dataclass(frozen=True, slots=True)
class Variant:
    """A training on fewer features, and what it lost on the whole catalogue: its figure minus the whole one's."""

    name: str
    features: int
    validation: float  # log loss of the chosen blend on earlier time, which no test row has touched
    auc: Estimate
    log_loss: Estimate

    @property
    def says(self) -> str:
        """What the interval allows to say of the log loss on the test rows, in two words."""
        if self.log_loss.low > 0:
            return "worse without"
        return "better without" if self.log_loss.high < 0 else "no difference"


def compare(
    rows: TrainingSet, features: FeatureSet, split: Split, *, settings: TrainSettings
) -> Iterator[tuple[str, Evidence, Variant | None]]:
    """The whole catalogue (no variant), then each family left out, then the rules of thumb alone."""
    whole = examine_rows(rows, features, split, settings=settings)
    yield f"all {len(features)} features", whole, None
    for name, fewer in _variants(features):
        found = examine_rows(rows.of(fewer.names), fewer, split, settings=settings)
        yield name, found, _variant(name, fewer, found, whole=whole)


def _variants(features: FeatureSet) -> Iterator[tuple[str, FeatureSet]]:
    families = dict.fromkeys(feature.family for feature in features)
    for family in families:
        yield f"without {family}", _kept(features, [other for other in families if other != family])
    yield f"{', '.join(RULES_OF_THUMB)} only", _kept(features, RULES_OF_THUMB)


def _kept(features: FeatureSet, families: tuple[str, ...] | list[str]) -> FeatureSet:
    return replace(features, features=tuple(feature for feature in features if feature.family in families))


def _variant(name: str, features: FeatureSet, found: Evidence, *, whole: Evidence) -> Variant:
    return Variant(
        name,
        len(features),
        _validation(found) - _validation(whole),
        auc=difference(found.trial.ours, whole.trial.ours, metric="auc"),
        log_loss=difference(found.trial.ours, whole.trial.ours, metric="log_loss"),
    )


def _validation(found: Evidence) -> float:
    """The log loss of the candidate that was chosen, on validation; missing where the history had no room for one."""
    losses = [loss for name, loss in found.recipe.log_losses.items() if name == found.recipe.blend]
    return losses[0] if losses else float("nan")
