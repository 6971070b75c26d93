"""Examples of right and wrong predictions, in words and without ids: what the model was sure of, and what came of it.

The tested model said these things of rows that it had not seen. An example tells what the score's own reasons tell, so
it holds values of one user's features; ids, dates and what profiles say of a person are left out, and a report that
holds examples is for those who may see scores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.expressions import tallies
from features.feature_set import Feature, FeatureSet
from features.kinds import PROFILE
from features.user_events import FloatArray
from models.model import ChurnModel
from models.reasons import explain
from training.snapshots import TrainingSet

SURE_TO_LEAVE = 0.10  # the first tenth of the list: whom a team would look after
SURE_TO_STAY = 0.50  # the last half: whom nobody looks at
SHOWN = 2  # of each kind
LOOKED_AT = 12  # of each kind, to find some that are told differently
REASONS = 3


class Outcome(StrEnum):
    """What was said, and what came of it."""

    LEFT_AS_SAID = "sure to leave, and left"
    STAYED_AS_SAID = "sure to stay, and stayed"
    STAYED_AGAINST = "sure to leave, but stayed"
    LEFT_AGAINST = "sure to stay, but left"


@dataclass(frozen=True, slots=True)
class Example:
    """A user of the test rows, without his name."""

    churn_probability: float
    sentences: tuple[str, ...]

    def says(self) -> str:
        """The example in a sentence.

        >>> Example(0.913, ("last seen 40 days ago", "usually every 3 days")).says()
        'A user who was given 91.3%: last seen 40 days ago; usually every 3 days.'
        """
        return f"A user who was given {self.churn_probability:.1%}: {'; '.join(self.sentences)}."


@dataclass(frozen=True, slots=True)
class Examples:
    """Examples of one outcome, and of how many users they are examples."""

    outcome: Outcome
    users: int  # with this outcome
    of: int  # of whom the same was said
    examples: tuple[Example, ...]

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The examples as plain JSON."""
        told = [{"churn_probability": one.churn_probability, "reasons": list(one.sentences)} for one in self.examples]
        return {"outcome": str(self.outcome), "users": self.users, "of": self.of, "examples": told}


def examples(model: ChurnModel, features: FeatureSet, test: TrainingSet) -> tuple[Examples, ...]:
    """The surest predictions of each outcome on the newest test cutoff's rows, right ones first."""
    margins = model.margin(test.frame)
    probabilities = model.predict_proba(test.frame)[:, 1]
    order = np.argsort(-margins, kind="stable")
    first, last = order[: round(SURE_TO_LEAVE * len(order))], order[len(order) - round(SURE_TO_STAY * len(order)) :]
    groups = (
        (Outcome.LEFT_AS_SAID, first, 1.0),
        (Outcome.STAYED_AS_SAID, last[::-1], 0.0),
        (Outcome.STAYED_AGAINST, first, 0.0),
        (Outcome.LEFT_AGAINST, last[::-1], 1.0),
    )
    return tuple(
        _examples(outcome, model, features, test, sure=sure, came=came, probabilities=probabilities)
        for outcome, sure, came in groups
    )


def _examples(
    outcome: Outcome,
    model: ChurnModel,
    features: FeatureSet,
    test: TrainingSet,
    *,
    sure: NDArray[np.int64],
    came: float,
    probabilities: FloatArray,
) -> Examples:
    """Of those of whom the same was said, surest first, the ones with this outcome."""
    there = sure[test.labels[sure] == came]
    looked_at = there[:LOOKED_AT]
    told = list(_told(model, features, test, looked_at)) if len(looked_at) else []
    found: dict[tuple[str, ...], Example] = {}
    for row, (codes, sentences) in zip(looked_at, told, strict=True):
        if sentences:
            found.setdefault(codes, Example(float(probabilities[row]), sentences))
    return Examples(outcome, len(there), len(sure), tuple(found.values())[:SHOWN])


def _told(
    model: ChurnModel, features: FeatureSet, test: TrainingSet, rows: NDArray[np.int64]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The reasons' codes and sentences of each row; none of them from a profile."""
    everything = len({feature.family for feature in features})
    frame = test.frame.iloc[rows]
    for reasons in explain(model, features, frame, top=everything):
        named = [reason for reason in reasons if not of_profile(features[reason.code.rpartition(".")[2]])][:REASONS]
        yield tuple(reason.code for reason in named), tuple(reason.sentence for reason in named)


def of_profile(feature: Feature) -> bool:
    """Whether a feature tells what a profile says of a person."""
    return any(PROFILE in tally.chosen.kinds for tally in tallies(feature.expression))
