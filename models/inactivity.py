"""Churn as silence: a user in the population has churned when no activity falls into the horizon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from features.expressions import Chosen
from features.moments import counted, moments_of
from features.population import Population
from features.user_events import IntArray, UserEvents

if TYPE_CHECKING:
    from models.definition import ChurnDefinition


@dataclass(frozen=True, slots=True)
class Inactivity:
    """Gone is who is not active in the whole horizon; the population is who was active in the look-back."""

    kind: ClassVar[str] = "inactivity"
    foretold: ClassVar[bool] = False

    @property
    def went(self) -> str:
        """What those who have gone did, in words."""
        return "were silent for a whole horizon"

    @property
    def outcome_kinds(self) -> tuple[str, ...]:
        """No event says that somebody has gone."""
        return ()

    @property
    def named(self) -> Mapping[str, tuple[str, ...]]:
        """No kinds beside those of the activity."""
        return {}

    def among(self, active: Population) -> Population:
        """Who can be lost: whoever is active."""
        return active

    def back(self, alive: Chosen) -> Chosen:
        """What shows that somebody who has gone is there again: any activity."""
        return alive

    def churned(
        self, events: UserEvents, alive: Chosen, *, users: NDArray[np.object_], starts: IntArray, ends: IntArray
    ) -> NDArray[np.bool_]:
        """Which users were silent in their whole `[start, end)`."""
        return ~moments_of(events, counted(events, alive)).any_within(users, starts=starts, ends=ends)

    def says(self, churn: "ChurnDefinition") -> str:
        """The middle of the sentence: who, and then what."""
        kinds = (" or ".join(churn.activity) or "event") + churn.worth
        return f"active in the last {churn.look_back.days} days, then no {kinds} for {churn.span_in_words}"

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Nothing of its own."""
        return {}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # noqa: ARG003 - the kinds of definition are read alike; Any: JSON
        """The outcome that `to_json` wrote."""
        return cls()
