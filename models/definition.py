"""What churn means: data, not code, so that it can be hashed and travels with every model and score.

A definition is who counts as active, three spans, and an outcome. The outcomes are one small class each, in a module
of their own: `models.inactivity`, `models.cancel` and `models.lapse`.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.expressions import Chosen
from features.population import Population
from features.user_events import IntArray, UserEvents
from features.windows import Interval, days, format_span, parse_span
from models.cancel import Cancel
from models.inactivity import Inactivity
from models.lapse import Lapse


class Outcome(Protocol):
    """What it means to have gone."""

    @property
    def kind(self) -> str:
        """Its name in settings and in JSON."""

    @property
    def foretold(self) -> bool:
        """Whether dates that are known at the cutoff tell most of it, so that a model may be as good as they are."""

    @property
    def went(self) -> str:
        """What those who have gone did, in words: `were silent for a whole horizon`."""

    @property
    def outcome_kinds(self) -> tuple[str, ...]:
        """The kinds of event that say that somebody has gone; none where it is an event that does not come."""

    @property
    def named(self) -> Mapping[str, tuple[str, ...]]:
        """The kinds of event that it names beside those of the activity, by their setting."""

    def among(self, active: Population) -> Population:
        """Who can be lost, given who is active."""

    def back(self, alive: Chosen) -> Chosen:
        """What shows that somebody who has gone is there again, given what is activity."""

    def churned(
        self, events: UserEvents, alive: Chosen, *, users: NDArray[np.object_], starts: IntArray, ends: IntArray
    ) -> NDArray[np.bool_]:
        """Which users have gone by what happened in their `[start, end)`, which must be over."""

    def says(self, churn: "ChurnDefinition") -> str:
        """The middle of the sentence: who, and then what."""

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """What it has of its own as plain JSON."""


OUTCOMES: dict[str, type[Inactivity] | type[Cancel] | type[Lapse]] = {
    outcome.kind: outcome for outcome in (Inactivity, Cancel, Lapse)
}

SILENCE = Inactivity()


@dataclass(frozen=True)
class ChurnDefinition:
    """Who can be lost at a cutoff, and what it means to have gone in the horizon; by default to be silent in it.

    `activity` names the kinds of event that count as being alive; empty means all.

    >>> ChurnDefinition(look_back=days(60), horizon=days(30)).says()
    'Churned: active in the last 60 days, then no event for 30 days.'
    >>> ChurnDefinition(outcome=Cancel(("cancel",))).says()
    'Churned: active in the last 60 days, not cancelled since, then cancel within 30 days.'
    """

    activity: tuple[str, ...] = ()
    look_back: timedelta = timedelta(days=60)
    lead_time: timedelta = timedelta(0)
    horizon: timedelta = timedelta(days=30)
    most_events_a_day: int = 0  # who ever had more on a day is taken for a machine; 0: nobody is
    least_value: float = 0.0  # an event of smaller value, or of none, is no activity; 0: every event is
    outcome: Outcome = SILENCE

    def __post_init__(self) -> None:
        if self.look_back < days(1) or self.horizon < days(1):
            raise BadInput(
                f"look-back {format_span(self.look_back)} and horizon {format_span(self.horizon)}: "
                "expected at least one day each, for example 60d and 30d."
            )
        if self.lead_time < days(0):
            raise BadInput("the lead time is negative; expected 0d or more.")
        if self.most_events_a_day < 0:
            raise BadInput(
                "the most events a day are fewer than none; expected a number such as 1000, or 0 for no limit."
            )
        if not 0 <= self.least_value < math.inf:
            raise BadInput(f"a least value of {self.least_value:g}; expected a number above 0, or 0 for no limit.")
        object.__setattr__(self, "activity", tuple(sorted(set(self.activity))))
        if both := sorted({*self.activity} & {*self.outcome_kinds}):
            raise BadInput(
                f"{', '.join(map(repr, both))} is named as activity and as what says that somebody has gone; "
                "expected one of the two."
            )

    @property
    def active(self) -> Population:
        """Who was active in the look-back, machines left out."""
        return Population(self.activity, self.look_back, self.most_events_a_day, self.least_value)

    @property
    def population(self) -> Population:
        """Who is eligible at a cutoff: whoever can be lost, machines left out."""
        return self.outcome.among(self.active)

    @property
    def outcome_kinds(self) -> tuple[str, ...]:
        """The kinds of event that say that somebody has gone; none where it is an event that does not come."""
        return self.outcome.outcome_kinds

    @property
    def named_kinds(self) -> dict[str, tuple[str, ...]]:
        """All kinds of event that it names, by their setting."""
        return {"activity": self.activity, **self.outcome.named}

    @property
    def back(self) -> Chosen:
        """The events that show that somebody who has gone is there again."""
        return self.outcome.back(self.active.alive)

    @cached_property
    def id(self) -> str:
        """A name that changes whenever the meaning does.

        >>> ChurnDefinition(activity=("return", "purchase")).id == ChurnDefinition(activity=("purchase", "return")).id
        True
        """
        canonical = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return "churn-" + hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def horizon_of(self, cutoff: datetime) -> Interval:
        """The span `[cutoff + lead_time, cutoff + lead_time + horizon)` in which churn is looked for."""
        start = cutoff + self.lead_time
        return Interval(start, start + self.horizon)

    def churned(
        self, events: UserEvents, *, users: NDArray[np.object_], starts: IntArray, ends: IntArray
    ) -> NDArray[np.bool_]:
        """Which users have gone by what happened in their `[start, end)`, which must be over."""
        return self.outcome.churned(events, self.active.alive, users=users, starts=starts, ends=ends)

    def says(self) -> str:
        """The definition as one sentence."""
        return f"Churned: {self.outcome.says(self)}.{self._machines()}"

    @property
    def span_in_words(self) -> str:
        """The horizon, after the lead time where there is one."""
        after = f" after the next {self.lead_time.days} days" if self.lead_time else ""
        return f"{self.horizon.days} days{after}"

    @property
    def worth(self) -> str:
        """What an event must be worth to be activity; empty where it need not be worth anything."""
        return f" of at least {self.least_value:g}" if self.least_value else ""

    def _machines(self) -> str:
        limit = self.most_events_a_day
        return f" Left out: who ever had more than {limit:,} events on a day." if limit else ""

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back."""
        return {
            "kind": self.outcome.kind,
            "activity": list(self.activity),
            "look_back": format_span(self.look_back),
            "lead_time": format_span(self.lead_time),
            "horizon": format_span(self.horizon),
            **({"most_events_a_day": self.most_events_a_day} if self.most_events_a_day else {}),
            **({"least_value": self.least_value} if self.least_value else {}),
            **self.outcome.to_json(),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The definition that `to_json` wrote."""
        kind = data.get("kind")
        if kind not in OUTCOMES:
            raise BadInput(f"a churn definition of kind {kind!r}; this version knows {', '.join(map(repr, OUTCOMES))}.")
        return cls(
            activity=tuple(data["activity"]),
            look_back=parse_span(data["look_back"]),
            lead_time=parse_span(data["lead_time"]),
            horizon=parse_span(data["horizon"]),
            most_events_a_day=int(data.get("most_events_a_day", 0)),
            least_value=float(data.get("least_value", 0.0)),
            outcome=OUTCOMES[kind].from_json(data),
        )
