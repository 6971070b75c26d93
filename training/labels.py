"""What then happened: churned, stayed, or not known yet because the horizon is not over."""

from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.user_events import FloatArray, IntArray, UserEvents
from features.windows import days, from_microseconds, to_microseconds
from models.definition import ChurnDefinition
from models.inactivity import Inactivity


def churned(
    events: UserEvents,
    definition: ChurnDefinition,
    *,
    users: NDArray[np.object_],
    cutoffs: IntArray,
    log_end: datetime,
) -> FloatArray:
    """Per user and cutoff 1.0 (churned by the definition), 0.0 (stayed) or NaN (the horizon ends after the log).

    What decides lies in `[cutoff + lead_time, cutoff + lead_time + horizon)`: a user who was active in the lead time
    alone has churned, and one who cancelled or lapsed in it has not (he had gone already). An outcome that is known
    before the horizon is over is NaN too: labels of which only those of one kind are known early would lie.
    `cutoffs` are microseconds since 1970 UTC, one for each of `users`.
    """
    starts, ends = horizons(definition, cutoffs=cutoffs)
    gone = definition.churned(events, users=users, starts=starts, ends=ends).astype(np.float64)
    return np.where(ends <= to_microseconds(log_end), gone, np.nan)


def horizons(definition: ChurnDefinition, *, cutoffs: IntArray) -> tuple[IntArray, IntArray]:
    """Start and end of each cutoff's horizon, in microseconds since 1970 UTC."""
    distinct, place = np.unique(cutoffs, return_inverse=True)
    spans = [definition.horizon_of(from_microseconds(cutoff)) for cutoff in distinct]
    starts = np.array([to_microseconds(span.start) for span in spans], dtype=np.int64)
    ends = np.array([to_microseconds(span.end) for span in spans], dtype=np.int64)
    return starts[place], ends[place]


def halfway(definition: ChurnDefinition) -> ChurnDefinition | None:
    """The definition with half of the horizon, where churn is silence; none for outcomes that are events.

    Of the silent more are away by then, so that there is more to learn from; of those who cancel or lapse fewer.
    """
    if definition.outcome.kind != Inactivity.kind or definition.horizon < 2 * days(1):
        return None
    return replace(definition, horizon=definition.horizon / 2)
