from collections.abc import Callable

import numpy as np
import pytest

from features.user_events import UserEvents
from features.windows import to_microseconds, utc

History = dict[str, list[tuple[str, str]]]


@pytest.fixture
def events_of() -> Callable[[History], UserEvents]:
    """Events written by hand: {user: [(date, kind), …]}."""
    return _events_of


def _events_of(history: History) -> UserEvents:
    users = tuple(sorted(history))
    kinds = tuple(sorted({kind for rows in history.values() for _, kind in rows}))
    rows = [sorted((to_microseconds(utc(when)), kinds.index(kind)) for when, kind in history[user]) for user in users]
    flat = [row for user_rows in rows for row in user_rows]
    return UserEvents(
        user_ids=users,
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        times=np.array([time for time, _ in flat], dtype=np.int64),
        kinds=np.array([kind for _, kind in flat], dtype=np.int32),
        kind_names=kinds,
        values=np.full(len(flat), np.nan),
    )
