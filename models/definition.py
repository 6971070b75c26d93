"""What churn means: data, not code, so that it can be hashed and travels with every model and score."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from features.errors import BadInput
from features.population import Population
from features.windows import Interval, days, format_span, parse_span


@dataclass(frozen=True, slots=True)
class ChurnDefinition:
    """A user in the population has churned when no activity falls in the horizon.

    `activity` names the kinds of event that count as being alive; empty means all.

    >>> ChurnDefinition(look_back=days(60), horizon=days(30)).says()
    'Churned: active in the last 60 days, then no event for 30 days.'
    """

    activity: tuple[str, ...] = ()
    look_back: timedelta = timedelta(days=60)
    lead_time: timedelta = timedelta(0)
    horizon: timedelta = timedelta(days=30)
    most_events_a_day: int = 0  # who ever had more on a day is taken for a machine; 0: nobody is

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
        object.__setattr__(self, "activity", tuple(sorted(set(self.activity))))

    @property
    def population(self) -> Population:
        """Who is eligible at a cutoff: whoever was active in the look-back, machines left out."""
        return Population(activity=self.activity, look_back=self.look_back, most_a_day=self.most_events_a_day)

    @property
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

    def says(self) -> str:
        """The definition as one sentence."""
        kinds = " or ".join(self.activity) if self.activity else "event"
        after = f" after the next {self.lead_time.days} days" if self.lead_time else ""
        return (
            f"Churned: active in the last {self.look_back.days} days, "
            f"then no {kinds} for {self.horizon.days} days{after}.{self._machines()}"
        )

    def _machines(self) -> str:
        limit = self.most_events_a_day
        return f" Left out: who ever had more than {limit:,} events on a day." if limit else ""

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back."""
        return {
            "kind": "inactivity",
            "activity": list(self.activity),
            "look_back": format_span(self.look_back),
            "lead_time": format_span(self.lead_time),
            "horizon": format_span(self.horizon),
            **({"most_events_a_day": self.most_events_a_day} if self.most_events_a_day else {}),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The definition that `to_json` wrote."""
        if data.get("kind") != "inactivity":
            raise BadInput(f"a churn definition of kind {data.get('kind')!r}; this version knows 'inactivity'.")
        return cls(
            activity=tuple(data["activity"]),
            look_back=parse_span(data["look_back"]),
            lead_time=parse_span(data["lead_time"]),
            horizon=parse_span(data["horizon"]),
            most_events_a_day=int(data.get("most_events_a_day", 0)),
        )
