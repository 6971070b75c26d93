"""What kind of user somebody is, beside the risk: the stage of their life with the product, and their RFM segment."""

import math
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEW_DAYS = 30.0  # the first month decides whether somebody stays, and there is hardly a rhythm to go by


class Stage(StrEnum):
    """Where a user is in their life with the product, judged by their own rhythm."""

    NEW = "new"  # first seen within the last 30 days
    RETURNED = "returned"  # came back lately from a silence as long as the horizon
    ACTIVE = "active"  # silent for no longer than is usual for them
    COOLING = "cooling"  # silent for longer than nine in ten of their own gaps
    SILENT = "silent"  # silent for as long as the horizon already


class Segment(StrEnum):
    """Where a user stands among the others by recency, frequency and money (Hughes 1994), in seven words."""

    BEST = "best"  # recent, and among the most frequent or those who spend most
    LOYAL = "loyal"
    RECENT = "recent"  # seen lately, not yet often
    OCCASIONAL = "occasional"
    SLIPPING = "slipping"  # used to come, less so now
    MUST_KEEP = "must_keep"  # among the most frequent or those who spend most, and away for long
    DORMANT = "dormant"


def stages(
    *,
    tenure: Sequence[float],
    silence: Sequence[float],
    usual: Sequence[float],
    newest_gap: Sequence[float],
    horizon: float,
) -> list[Stage]:
    """A stage a user, from days: since the first event, since the last, nine in ten of the own gaps, the last gap.

    Gaps are missing for who was active on one day only; such a user cools off after half the horizon.

    >>> stages(tenure=[400.], silence=[9.], usual=[7.], newest_gap=[6.], horizon=30.)
    [<Stage.COOLING: 'cooling'>]
    """
    return [_stage(*row, horizon) for row in zip(tenure, silence, usual, newest_gap, strict=True)]


def segments(recency: Floats, frequency: Floats, money: Floats | None = None) -> list[Segment]:
    """A segment a user, from fifths 1 to 5 (5: most recent, most often, most money) within the population.

    Frequency and money count together, by their larger fifth; without money frequency counts alone.

    >>> segments(np.array([5., 1., 1.]), np.array([4., 5., 2.]))
    [<Segment.BEST: 'best'>, <Segment.MUST_KEEP: 'must_keep'>, <Segment.DORMANT: 'dormant'>]
    """
    weight = frequency if money is None else np.fmax(frequency, money)
    recent, middle = recency >= 4, recency == 3  # noqa: PLR2004 - fifths
    heavy, light = weight >= 4, weight <= 2  # noqa: PLR2004 - as above
    chosen = np.select(
        [recent & heavy, recent & light, recent | (middle & heavy), middle, heavy, ~light],
        [Segment.BEST, Segment.RECENT, Segment.LOYAL, Segment.OCCASIONAL, Segment.MUST_KEEP, Segment.SLIPPING],
        Segment.DORMANT,
    )
    return [Segment(str(segment)) for segment in chosen]


def _stage(tenure: float, silence: float, usual: float, newest_gap: float, horizon: float) -> Stage:
    if silence >= horizon:
        return Stage.SILENT
    if tenure <= NEW_DAYS:
        return Stage.NEW
    if silence > (horizon / 2 if math.isnan(usual) else max(usual, 1.0)):
        return Stage.COOLING
    return Stage.RETURNED if newest_gap >= horizon else Stage.ACTIVE
