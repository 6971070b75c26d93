"""From a feature set to what has to be tallied: selections, edges of windows, slots, and the arithmetic after.

A plan is made once for a feature set and the kinds of a log, and used for every bucket and every request.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.expressions import WINDOWED, Arithmetic, Constant, Expression, OfCutoff, Statistic, Tally
from features.language import FeatureSet

STATISTICS = tuple(Statistic)
DECAY_DAYS = 4096  # beyond eleven years of age a decayed event weighs nothing that a half-life in use would show


@dataclass(frozen=True, slots=True)
class Read:
    """Take one window of one statistic from the tallies: slots `[start, stop)`."""

    start: int
    stop: int
    largest: bool  # the largest of the slots instead of their sum


@dataclass(frozen=True, slots=True)
class Combine:
    """Apply an operator to the results of two earlier steps."""

    operator: str
    left: int
    right: int


Step = Read | Combine | Constant | OfCutoff


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the kernel tallies and how the columns follow from it.

    `slots[statistic, selection]` is the first slot of that tally, -1 where it is not needed; a windowed
    statistic has one slot for each of `len(edges) + 1` spans of age, the others have one.
    """

    selections: tuple[tuple[str, ...], ...]  # kinds of each selection; empty means all
    edges: tuple[int, ...]  # ages in days at which a window starts or ends, ascending
    half_lives: tuple[int, ...]
    slots: NDArray[np.int64]  # statistics (decayed: one for each half-life) x selections
    blank: NDArray[np.float64]  # a row of tallies before the first event
    span_of_day: NDArray[np.int64]  # age in whole days -> index of its span; the last entry stands for all older
    decay: NDArray[np.float64]  # half-lives x DECAY_DAYS weights by age in whole days
    steps: tuple[Step, ...]
    columns: tuple[int, ...]  # the step that yields each feature

    def selections_of(self, kind_names: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For each kind of a log the selections that it counts for, as offsets and indices."""
        chosen = [[i for i, kinds in enumerate(self.selections) if not kinds or name in kinds] for name in kind_names]
        offsets = np.cumsum([0, *map(len, chosen)], dtype=np.int64)
        return offsets, np.array([i for row in chosen for i in row], dtype=np.int64)


def make_plan(features: FeatureSet) -> Plan:
    """The plan of a feature set; equal sub-expressions are computed once."""
    tallies = _tallies(features)
    selections = tuple(sorted({tally.kinds for tally in tallies}))
    edges = tuple(
        sorted({edge for tally in tallies for edge in (tally.ago, tally.ago + tally.last) if tally.last or edge} - {0})
    )
    half_lives = tuple(sorted({tally.half_life for tally in tallies} - {0}))
    slots, blank = _slots(tallies, selections, half_lives, spans=len(edges) + 1)
    steps, columns = _steps(features, selections, edges, half_lives, slots)
    oldest = edges[-1] if edges else 0
    return Plan(
        selections=selections,
        edges=edges,
        half_lives=half_lives,
        slots=slots,
        blank=blank,
        span_of_day=np.searchsorted(np.array(edges, dtype=np.int64), np.arange(oldest + 1), side="right").astype(
            np.int64
        ),
        decay=_decay(half_lives),
        steps=steps,
        columns=columns,
    )


def row_of(tally: Tally, half_lives: tuple[int, ...]) -> int:
    """The row of `Plan.slots` that holds a tally's statistic."""
    if tally.statistic is Statistic.DECAYED:
        return len(STATISTICS) - 1 + half_lives.index(tally.half_life)
    return STATISTICS.index(tally.statistic)


def _tallies(features: FeatureSet) -> list[Tally]:
    found = {part for feature in features for part in feature.expression.parts() if isinstance(part, Tally)}
    return sorted(found, key=lambda tally: (tally.kinds, tally.statistic, tally.last, tally.ago, tally.half_life))


def _slots(
    tallies: Iterable[Tally], selections: tuple[tuple[str, ...], ...], half_lives: tuple[int, ...], *, spans: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    slots = np.full((len(STATISTICS) - 1 + len(half_lives), len(selections)), -1, dtype=np.int64)
    blank: list[float] = []
    for tally in tallies:
        place = row_of(tally, half_lives), selections.index(tally.kinds)
        if slots[place] < 0:
            slots[place] = len(blank)
            blank += [_nothing(tally.statistic)] * (spans if tally.statistic in WINDOWED else 1)
    return slots, np.array(blank, dtype=np.float64)


def _nothing(statistic: Statistic) -> float:
    missing = {Statistic.MAXIMUM, Statistic.LAST, Statistic.FIRST, Statistic.GAP_LONGEST, Statistic.GAP_NEWEST}
    return np.nan if statistic in missing else 0.0


def _decay(half_lives: tuple[int, ...]) -> NDArray[np.float64]:
    ages = np.arange(DECAY_DAYS, dtype=np.float64)
    return np.array([np.exp2(-ages / half_life) for half_life in half_lives], dtype=np.float64).reshape(-1, DECAY_DAYS)


def _steps(
    features: FeatureSet,
    selections: tuple[tuple[str, ...], ...],
    edges: tuple[int, ...],
    half_lives: tuple[int, ...],
    slots: NDArray[np.int64],
) -> tuple[tuple[Step, ...], tuple[int, ...]]:
    place: dict[Step, int] = {}

    def step_of(expression: Expression) -> int:
        match expression:
            case Tally():
                first = int(slots[row_of(expression, half_lives), selections.index(expression.kinds)])
                step: Step = _read(expression, first, edges)
            case Arithmetic(operator, left, right):
                step = Combine(operator, step_of(left), step_of(right))
            case Constant() | OfCutoff():
                step = expression
            case _:
                raise TypeError(f"{expression!r} is not an expression of the language")
        return place.setdefault(step, len(place))

    columns = tuple(step_of(feature.expression) for feature in features)
    return tuple(place), columns


def _read(tally: Tally, first: int, edges: tuple[int, ...]) -> Read:
    if tally.statistic not in WINDOWED:
        return Read(first, first + 1, largest=False)
    start = edges.index(tally.ago) + 1 if tally.ago else 0
    stop = edges.index(tally.ago + tally.last) + 1 if tally.last else len(edges) + 1
    return Read(first + start, first + stop, largest=tally.statistic is Statistic.MAXIMUM)
