"""Churn as time run out: a subscriber has churned when paid time and grace end in the horizon without a renewal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from features.expressions import Chosen
from features.paid import Paid, Renewals
from features.population import Population
from features.user_events import IntArray, UserEvents
from features.windows import format_span, parse_span

if TYPE_CHECKING:
    from models.definition import ChurnDefinition


@dataclass(frozen=True, slots=True)
class Lapse:
    """Gone is whose cover ends in the horizon; the population is who is covered at the cutoff.

    A renewal before the cover ends, or at that very instant, keeps a user.
    """

    renewals: Renewals
    kind: ClassVar[str] = "lapse"
    foretold: ClassVar[bool] = True  # few whose paid time reaches beyond the horizon lapse in it

    @property
    def went(self) -> str:
        """What those who have gone did, in words."""
        return "let their paid time run out within a horizon"

    @property
    def outcome_kinds(self) -> tuple[str, ...]:
        """No event says that somebody has gone: a lapse is a renewal that did not come."""
        return ()

    @property
    def named(self) -> Mapping[str, tuple[str, ...]]:
        """The kinds of event that it names, by their setting."""
        return {"renewal": self.renewals.kinds}

    def among(self, active: Population) -> Population:
        """Who can be lost: whoever has paid, or is in grace."""
        plain = (active.activity, active.look_back, active.most_a_day, active.least_value)
        return Paid(*plain, renewals=self.renewals)

    def back(self, alive: Chosen) -> Chosen:  # noqa: ARG002 - what is activity plays no part
        """What shows that somebody who has gone is there again: a renewal."""
        return Chosen(self.renewals.kinds)

    def churned(
        self,
        events: UserEvents,
        alive: Chosen,  # noqa: ARG002 - what is activity plays no part
        *,
        users: NDArray[np.object_],
        starts: IntArray,
        ends: IntArray,
    ) -> NDArray[np.bool_]:
        """Whose cover ended in their `[start, end)`, whether or not they came back later."""
        return self.renewals.lapses(events).any_within(users, starts=starts, ends=ends)

    def says(self, churn: "ChurnDefinition") -> str:
        """The middle of the sentence: who, and then what."""
        return f"paid by {self.renewals.says()}, then run out without another within {churn.span_in_words}"

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back."""
        said = self.renewals
        pays = {"period_days": said.period_days, "paid_days": said.paid_days, "paid_until": said.paid_until}
        how = {name: value for name, value in pays.items() if value}
        return {"renewal": list(said.kinds), **how, "grace": format_span(said.grace)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The outcome that `to_json` wrote."""
        how = {name: data[name] for name in ("period_days", "paid_days", "paid_until") if name in data}
        return cls(Renewals(tuple(data["renewal"]), **how, grace=parse_span(data["grace"])))
