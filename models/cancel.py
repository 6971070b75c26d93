"""Churn as a word: a subscriber has churned when an event that cancels falls into the horizon."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.expressions import Chosen
from features.moments import counted, moments_of
from features.population import Population
from features.subscribed import Subscribed
from features.user_events import IntArray, UserEvents

if TYPE_CHECKING:
    from models.definition import ChurnDefinition


@dataclass(frozen=True, slots=True)
class Cancel:
    """Gone is who cancels in the horizon; the population is who is subscribed at the cutoff.

    `kinds` are the events that cancel and `starts`, where there are any, those that begin a subscription: without them
    any activity shows that somebody who cancelled is back.
    """

    kinds: tuple[str, ...]
    starts: tuple[str, ...] = ()
    kind: ClassVar[str] = "cancel"
    foretold: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("kinds", "starts"):
            object.__setattr__(self, name, tuple(sorted(set(getattr(self, name)))))
        if not self.kinds:
            raise BadInput('no kind of event is named that cancels; expected for example cancel = ["cancel"].')
        if both := sorted({*self.kinds} & {*self.starts}):
            raise BadInput(f"{', '.join(map(repr, both))} is to cancel and to start; expected one of the two.")

    @property
    def went(self) -> str:
        """What those who have gone did, in words."""
        return "cancelled within a horizon"

    @property
    def outcome_kinds(self) -> tuple[str, ...]:
        """The kinds of event that say that somebody has gone."""
        return self.kinds

    @property
    def named(self) -> Mapping[str, tuple[str, ...]]:
        """The kinds of event that it names, by their setting."""
        return {"cancel": self.kinds, "starts": self.starts}

    def among(self, active: Population) -> Population:
        """Who can be lost: subscribers."""
        return Subscribed(
            active.activity,
            active.look_back,
            active.most_a_day,
            active.least_value,
            cancels=self.kinds,
            starts=self.starts,
        )

    def back(self, alive: Chosen) -> Chosen:
        """What shows that somebody who has gone is there again: a new start, or any activity where none is named."""
        return Chosen(self.starts) if self.starts else alive

    def churned(
        self,
        events: UserEvents,
        alive: Chosen,  # noqa: ARG002 - what is activity plays no part
        *,
        users: NDArray[np.object_],
        starts: IntArray,
        ends: IntArray,
    ) -> NDArray[np.bool_]:
        """Which users cancelled in their `[start, end)`, whether or not they came back."""
        return moments_of(events, counted(events, Chosen(self.kinds))).any_within(users, starts=starts, ends=ends)

    def says(self, churn: "ChurnDefinition") -> str:
        """The middle of the sentence: who, and then what."""
        started = f"started ({' or '.join(self.starts)}) or " if self.starts else ""
        who = f"{started}active in the last {churn.look_back.days} days, not cancelled since"
        return f"{who}, then {' or '.join(self.kinds)} within {churn.span_in_words}"

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back."""
        return {"cancel": list(self.kinds), "starts": list(self.starts)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The outcome that `to_json` wrote."""
        return cls(tuple(data["cancel"]), tuple(data["starts"]))
