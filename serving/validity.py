"""Until when a score may be believed."""

from datetime import datetime
from typing import TYPE_CHECKING

from features.windows import days

if TYPE_CHECKING:
    from models.definition import ChurnDefinition  # Numba: the service tells dates without it

SHORTEST_VALIDITY = days(7)


def valid_until(definition: "ChurnDefinition", *, cutoff: datetime) -> datetime:
    """Until when a score may be acted on: the start of the horizon, but seven days at least, and its end at most.

    The lead time is the time there is to act. Where it is short, a week of further events is what makes a score old.

    >>> from features.windows import iso, utc
    >>> from models.definition import ChurnDefinition
    >>> iso(valid_until(ChurnDefinition(lead_time=days(14)), cutoff=utc("2026-06-01")))
    '2026-06-15T00:00:00Z'
    >>> iso(valid_until(ChurnDefinition(lead_time=days(0)), cutoff=utc("2026-06-01")))
    '2026-06-08T00:00:00Z'
    """
    horizon = definition.horizon_of(cutoff)
    return min(horizon.end, max(horizon.start, cutoff + SHORTEST_VALIDITY))
