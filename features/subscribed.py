"""Subscribers by their own word: who started or is seen to be there, and has not cancelled since."""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.expressions import Chosen
from features.population import NEVER, Population, newest_of
from features.user_events import UserEvents
from features.windows import shift, to_microseconds


@dataclass(frozen=True, slots=True)
class Subscribed(Population):
    """The users who were active in the look-back, or ever started, and have not cancelled since.

    Who cancelled is back by an event of the `starts` kinds later than the newest cancel; where none are named, by any
    activity later than it. A cancel itself is not later, so that it never counts as activity.
    """

    cancels: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.cancels:
            raise BadInput("no kind of event is named that is a cancel; expected one or more.")

    def members(self, events: UserEvents, *, cutoff: datetime, known_before: datetime | None) -> NDArray[np.bool_]:
        """Which of the `n` users are subscribed at the cutoff."""
        newest = partial(newest_of, events, before=cutoff, known_before=known_before)
        cancelled = newest(Chosen(self.cancels))
        active = newest(self.alive)
        back = newest(Chosen(self.starts)) if self.starts else active
        there = active >= to_microseconds(shift(cutoff, -self.look_back))
        if self.starts:
            there |= back != NEVER
        return np.asarray(there & ((cancelled == NEVER) | (back > cancelled)), dtype=np.bool_)

    def says(self, language: str = "en") -> str:
        """What its members are, in English or Chinese (zh), to be followed by the cutoff."""
        return "截止时订阅中" if language == "zh" else "subscribed at the cutoff"
