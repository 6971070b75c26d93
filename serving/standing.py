"""What is told of a user beside the score: stage, segment, the value at risk, and whether anybody may use it.

The facts behind it are features like the model's, computed in the same pass over the log and as point-in-time.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.expressions import Chosen
from features.feature_set import FeatureSet
from features.fifths import Fifths
from features.language import Selection, feature_set, profile
from features.plan import Plan, make_plan
from features.windows import days
from models.definition import ChurnDefinition
from models.segments import Segment, Stage, segments, stages
from serving.house_rules import NO_RULES, HouseRules
from serving.store.records import Absence

Floats = NDArray[np.float64]
YES = ("true", "True", "TRUE", "1", "1.0", "yes", "Yes", "y", "是")  # how files write that something is so


@dataclass(frozen=True, slots=True)
class Standing:
    """What is told of one user."""

    lifecycle_stage: Stage
    segment: Segment | None  # None: nobody to compare with
    worth: float | None  # in the log's currency; None where no event carries a value
    contactable: bool | None  # None: nobody said


@dataclass(frozen=True)
class Facts:
    """Which facts a definition and the house rules call for; rows of them are turned into standings."""

    definition: ChurnDefinition
    rules: HouseRules = NO_RULES

    @cached_property
    def features(self) -> FeatureSet:
        """The columns."""
        churn = self.definition
        alive = Selection(Chosen(churn.activity, least=churn.least_value or None))
        window = days(max(churn.look_back // days(1), 1))
        told = {
            "tenure": alive.days_since_first(),
            "silence": alive.days_since_last(),
            "usual": alive.gap_quantile(0.9),
            "newest_gap": alive.newest_gap(),
            "frequency": alive.active_days(last=window),
            "spent": alive.total(last=window),
            "valued": alive.valued(last=window),
        }
        flags = {"opted_out": self.rules.opted_out, "no_contact": self.rules.no_contact}
        return feature_set(**told, **{name: profile(column).among(*YES) for name, column in flags.items() if column})

    @cached_property
    def plan(self) -> Plan:
        """How they are computed."""
        return make_plan(self.features)

    def absences(self, rows: Floats) -> list[Absence | None]:
        """Why each user is not to be scored; None for who is."""
        least = self.rules.least_history / days(1)
        return [
            Absence.OPTED_OUT if out == 1 else Absence.TOO_LITTLE_HISTORY if tenure < least else None
            for out, tenure in zip(self._flag(rows, "opted_out"), self._numbers(rows, "tenure"), strict=True)
        ]

    def standings(self, rows: Floats, *, compared: bool = True) -> Iterator[Standing]:
        """A standing a row; `compared` says that the rows are a population, among which users have a segment."""
        horizon = self.definition.horizon / days(1)
        names = ("tenure", "silence", "usual", "newest_gap")
        lived = stages(**{name: self._numbers(rows, name) for name in names}, horizon=horizon)
        found = self._segments(rows) if compared else [None] * len(rows)
        told = self._flag(rows, "no_contact")
        for stage, segment, worth, no in zip(lived, found, self._worth(rows), told, strict=True):
            yield Standing(stage, segment, worth, None if no is None else no == 0)

    def _segments(self, rows: Floats) -> list[Segment]:
        valued = self._has_values(rows)
        columns = [-self._column(rows, "silence"), self._column(rows, "frequency"), self._column(rows, "spent")]
        values = np.column_stack(columns[: 3 if valued else 2])
        return segments(*Fifths.among(values).of(values).T)

    def _worth(self, rows: Floats) -> list[float | None]:
        if self.rules.worth.amount:
            return [self.rules.worth.amount] * len(rows)
        if not self._has_values(rows):
            return [None] * len(rows)
        carried = self.rules.worth.carried_days or self.definition.horizon / days(1)
        share = carried / (self.definition.look_back / days(1))
        return [max(spent * share, 0.0) for spent in self._numbers(rows, "spent")]

    def _has_values(self, rows: Floats) -> bool:
        return any(valued > 0 for valued in self._numbers(rows, "valued"))

    def _flag(self, rows: Floats, name: str) -> list[int | None]:
        """1 where a profile says yes, 0 where it says anything else, None where it says nothing."""
        if name not in self._places:
            return [None] * len(rows)
        return [None if math.isnan(code) else int(code < len(YES)) for code in self._numbers(rows, name)]

    def _numbers(self, rows: Floats, name: str) -> list[float]:
        """A column; not as an array, because a row alone has no time for a dozen of them."""
        numbers: list[float] = self._column(rows, name).tolist()
        return numbers

    def _column(self, rows: Floats, name: str) -> Floats:
        column: Floats = rows[:, self._places[name]]
        return column

    @cached_property
    def _places(self) -> dict[str, int]:
        return {name: place for place, name in enumerate(self.features.names)}
