"""Risk by day: what a bundle's hazard model says of users, in step with their `churn_probability`.

With an inactivity definition the event is the return: the curve is the probability that a user is still silent after
so many days, it falls, and the median is when half of users like him are back. With a cancel or a lapse the event is
the loss: the curve is the probability of being gone by that day, it rises, and the median is when half are gone. Either
way the value at the definition's horizon is the very `churn_probability` of the score.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from features.errors import NotReady
from features.windows import days as whole_days
from models.bundle import Bundle
from models.columns import Matrix, matrix_of
from models.hazard import LOSS, RETURN, Floats, HazardModel, anchored, at_days, risk

SHOWN_DAYS = (1, 3, 7, 14, 28, 56, 91, 182, 364)
_HALF = float(np.log(0.5))


def shown_days(bundle: Bundle) -> tuple[int, ...]:
    """The days that a curve is usually asked for: up to the longest that was learnt, the horizon among them."""
    longest = _hazard(bundle).days[-1]
    return tuple(sorted({*(day for day in SHOWN_DAYS if day <= longest), longest, _horizon(bundle)}))


def risk_curve(bundle: Bundle, frame: Any, *, days: Sequence[float] = ()) -> pd.DataFrame:  # Any: as models read
    """The risk of each row of features by day (columns): falling towards, or rising to, who has gone by then.

    `days` count from the cutoff plus the lead time, grow, and reach no further than the longest that was learnt; none
    given: `shown_days`. The column of the horizon is `churn_probability` to the bit.
    Raises `NotReady` when the bundle has no hazard model and `BadInput` for other days.
    """
    hazard, asked = _hazard(bundle), tuple(days) or shown_days(bundle)
    matrix = matrix_of(frame, hazard.names)
    churned = _churn_probability(bundle, matrix)
    found = risk(at_days(_curves(bundle, matrix, churned), hazard.days, asked), event=hazard.event)
    found = _met(found, asked, churned, horizon=_horizon(bundle), rises=hazard.event == LOSS)
    index = frame.index if isinstance(frame, pd.DataFrame) else None
    return pd.DataFrame(found, columns=pd.Index(asked, name="days"), index=index)


def median_days(bundle: Bundle, frame: Any) -> Floats:  # Any: as models read
    """The day by which the event has come to half of users like each row; NaN where it is later than was learnt.

    The event is the return with an inactivity definition, else the loss.
    """
    hazard = _hazard(bundle)
    matrix = matrix_of(frame, hazard.names)
    curves = _curves(bundle, matrix, _churn_probability(bundle, matrix))
    known = np.column_stack([np.zeros(len(curves)), curves])
    after = (known > _HALF).sum(axis=1)  # the first border at or below one half
    reached = after < known.shape[1]
    borders, after, rows = np.array([0.0, *hazard.days]), np.where(reached, after, 1), np.arange(len(known))
    high, low = known[rows, after - 1], known[rows, after]
    part = np.divide(high - _HALF, high - low, out=np.ones(len(known)), where=high > low)
    return np.where(reached, borders[after - 1] + part * (borders[after] - borders[after - 1]), np.nan)


def _hazard(bundle: Bundle) -> HazardModel:
    if bundle.hazard is None:
        raise NotReady(
            "the model has no risk curve: it was trained without one. "
            "Set `risk_curve = true` under [train] and run `holdfast train`."
        )
    return bundle.hazard


def _horizon(bundle: Bundle) -> int:
    return int(bundle.definition.horizon / whole_days(1))


def _churn_probability(bundle: Bundle, matrix: Matrix) -> Floats:
    return bundle.blend.probabilities(bundle.judge(matrix).margins)


def _curves(bundle: Bundle, matrix: Matrix, churned: Floats) -> Floats:
    """Log survival at the interval ends, in step with the classifier."""
    hazard = _hazard(bundle)
    curves = hazard.log_survival(matrix, threads=bundle.threads)
    at_horizon = at_days(curves, hazard.days, (_horizon(bundle),))[:, 0]
    return anchored(curves, at_horizon, not_come=churned if hazard.event == RETURN else 1 - churned)


def _met(found: Floats, asked: Sequence[float], churned: Floats, *, horizon: int, rises: bool) -> Floats:
    """The curves with the classifier's own bits at the horizon: a power and back may lose the last one."""
    days, value = np.array(asked), churned[:, None]
    below, above = np.minimum(found, value), np.maximum(found, value)
    before, after = (below, above) if rises else (above, below)
    return np.where(days < horizon, before, np.where(days > horizon, after, value))
