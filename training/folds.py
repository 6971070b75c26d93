"""On which earlier windows settings are tried: what is learnt from, what is judged by, and what confirms the winner."""

import zlib
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b

import numpy as np

from features.user_events import FloatArray
from features.windows import iso
from training.fit import TrainSettings, taught, unfitted
from training.snapshots import TrainingSet
from training.splits import Cutoffs, Split

MOST_FOLDS = 3  # each is a fit; older ones tell of another time
FEWEST = 30  # rows of either outcome, to learn from and to judge by


@dataclass(frozen=True, slots=True, eq=False)
class Judge:
    """A fold: what is learnt from and what is judged by; a regression is fitted once for each penalty."""

    older: TrainingSet
    newer: TrainingSet
    says: str
    dates: tuple[str, ...] = ()
    _regressions: dict[float, FloatArray | None] = field(default_factory=dict)

    @property
    def can_judge(self) -> bool:
        """Whether there are enough rows of either outcome on both sides."""
        return all(
            min((rows.labels == 1).sum(), (rows.labels == 0).sum()) >= FEWEST for rows in (self.older, self.newer)
        )

    def losses(self, settings: TrainSettings) -> tuple[dict[float, FloatArray], float]:
        """Each row's log loss under each blend that could be fitted, and the mean number of trees."""
        linear = self._regression(settings) if min(settings.blends) < 1 else None
        weights = settings.blends if linear is not None else (1.0,)
        regression = np.zeros(len(self.newer)) if linear is None else linear
        boosted, trees = self._boosted(settings) if max(weights) > 0 else (np.zeros(len(self.newer)), 0.0)
        return {weight: self._loss(weight * boosted + (1 - weight) * regression) for weight in weights}, trees

    def digest(self) -> str:
        """A hash of all rows: any other value, user, cutoff or outcome gives another."""
        found = blake2b(digest_size=16)
        for rows in (self.older, self.newer):
            found.update("\0".join((*rows.snapshots.names, *rows.users.tolist(), "")).encode())
            for values in (rows.snapshots.matrix, rows.snapshots.cutoffs, rows.labels, rows.halfway):
                found.update(b"" if values is None else np.ascontiguousarray(values).tobytes())
        return found.hexdigest()

    def _loss(self, margins: FloatArray) -> FloatArray:
        return np.asarray(np.logaddexp(0.0, np.where(self.newer.labels == 1, -margins, margins)), dtype=np.float64)

    def _boosted(self, settings: TrainSettings) -> tuple[FloatArray, float]:
        """The boosters' margins, their trees stopped by the rows that are judged by, and how many those are."""
        booster = unfitted(settings, self.older, trees=settings.trees, booster_weight=1.0, dates=self.dates)
        taught(booster, self.older, stopped_by=self.newer)
        return booster.margin(self.newer.frame), float(np.mean(booster.facts_.trees))

    def _regression(self, settings: TrainSettings) -> FloatArray | None:
        """The regression's margins; none where it diverged."""
        if settings.linear_l2 not in self._regressions:
            alone = unfitted(settings, self.older, trees=1, booster_weight=0.0, dates=self.dates)
            taught(alone, self.older)
            margins = alone.margin(self.newer.frame) if alone.blend_.splines else None
            self._regressions[settings.linear_l2] = margins
        return self._regressions[settings.linear_l2]


def folds_of(
    rows: TrainingSet, split: Split, *, seed: int, dates: tuple[str, ...] = ()
) -> tuple[list[Judge], Judge | None]:
    """What a search may choose by, oldest first, and what confirms its winner; nothing, and none, without room.

    Only cutoffs of `stopping` and `validation` are looked at, and what is learnt from was closed before what is judged.
    """
    if not split.validation:
        return [], None
    older, newer = rows.at(split.stopping), rows.at(split.validation)
    confirming = Judge(older, newer, _says(split.validation[0], newer), dates)
    if not confirming.can_judge:
        return [], None
    earlier = _earlier(rows, split, dates=dates)
    return (earlier, confirming) if earlier else _halves(confirming, seed=seed)


def _earlier(rows: TrainingSet, split: Split, *, dates: tuple[str, ...]) -> list[Judge]:
    """Folds within `stopping`, from the newest cutoff back, a horizon apart."""
    found: list[Judge] = []
    known: Cutoffs = split.stopping
    while known and len(found) < MOST_FOLDS:
        judged = known[-1]
        known = tuple(cutoff for cutoff in known if split.definition.horizon_of(cutoff).end <= judged)
        newer = rows.at([judged])
        judge = Judge(rows.at(known), newer, _says(judged, newer), dates)
        if not judge.can_judge:
            break
        found.append(judge)
    return found[::-1]


def _halves(whole: Judge, *, seed: int) -> tuple[list[Judge], Judge | None]:
    """The rows to judge by, drawn into two halves by user."""
    salt = zlib.crc32(f"tuning {seed}".encode())
    first = np.array([zlib.crc32(user.encode(), salt) % 2 == 0 for user in whole.newer.users], dtype=np.bool_)
    pair = [
        Judge(whole.older, whole.newer.where(half), f"{name} of the users at {whole.says}: {half.sum():,}", whole.dates)
        for name, half in (("one half", first), ("the other half", ~first))
    ]
    return ([pair[0]], pair[1]) if all(judge.can_judge for judge in pair) else ([], None)


def _says(cutoff: datetime, newer: TrainingSet) -> str:
    return f"{iso(cutoff)[:10]} ({len(newer):,} rows)"
