"""Whether probabilities came true on the newest window, and what the watch would have said when it was over.

The tested model's probabilities are taken for a run of scores as it was served at the test cutoff; the watch follows it
up when the horizon is over, with the log as it was then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray
from features.windows import to_microseconds
from training.evidence import Evidence, TrainingLog
from training.matured import Recorded, base_rate, follow_up, quality
from training.metrics import Estimate
from training.splits import Split
from training.watch import Finding

RATIO, ERROR, FEWEST = (0.9, 1.1), 0.02, 2000  # the bars, and the rows from which on they are meant
TOLD = ("level", "base_rate")
_NOTHING_SHOWN: Mapping[str, float] = {}


@dataclass(frozen=True, slots=True)
class Level:
    """The figures of the newest window and what the watch says of it."""

    rows: int
    ratio: Estimate  # predicted ÷ observed
    error: Estimate  # calibration error
    watch: tuple[Finding, ...]

    @property
    def says(self) -> str:
        """Whether the bars are kept."""
        if self.rows < FEWEST:
            return f"fewer than {FEWEST:,} rows: no bar"
        missed = [] if RATIO[0] <= self.ratio.value <= RATIO[1] else ["ratio"]
        missed += [] if self.error.value < ERROR else ["error"]
        return f"missed: {' and '.join(missed)}" if missed else "kept"


def level_of(log: TrainingLog, split: Split, evidence: Evidence) -> Level:
    """The level of the tested model, and the watch's findings when the outcome was known."""
    trial, end = evidence.trial, split.closes(split.test)
    ours = trial.ours
    runs = list(_runs(split, evidence))
    found = [*quality(follow_up(log, split.definition, runs, log_end=end, workers=2), seed=0, next_known=None)]
    summary = log.summary()
    trained_on = float(evidence.rows.at(split.fit).labels.mean())
    found += base_rate(log, split.definition, start=summary.start, log_end=end, trained_on=trained_on, workers=2)
    told = tuple(one for one in found if one.code in TOLD)
    return Level(len(trial.labels), ours["predicted_over_observed"], ours["calibration_error"], told)


def _runs(split: Split, evidence: Evidence) -> Iterator[Recorded]:
    test = evidence.rows.at(split.test)
    said: FloatArray = evidence.trial.probabilities["model"]
    for number, cutoff in enumerate(split.test, start=1):
        here: NDArray[np.bool_] = test.snapshots.cutoffs == to_microseconds(cutoff)
        yield Recorded(number, "1", split.definition.id, cutoff, test.users[here], said[here], _NOTHING_SHOWN)
