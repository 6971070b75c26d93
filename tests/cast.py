"""The cast of the tests: Ada, Bert, Chen and Dalia, and short ways to write down what they did."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.user_events import UserEvents
from features.windows import to_microseconds, utc

Deed = tuple[str, str, float | None]  # time, event, value


def user_events(deeds: Mapping[str, Sequence[Deed]]) -> UserEvents:
    """The events of these users as the log would hand them out, ties in the order given."""
    users = sorted(deeds, key=lambda user: user.encode())
    sorted_deeds = [sorted(deeds[user], key=lambda deed: utc(deed[0])) for user in users]
    rows = [deed for user_deeds in sorted_deeds for deed in user_deeds]
    names = tuple(sorted({event for _, event, _ in rows}))
    return UserEvents(
        user_ids=tuple(users),
        offsets=np.cumsum([0, *map(len, sorted_deeds)], dtype=np.int64),
        times=np.array([to_microseconds(utc(time)) for time, _, _ in rows], dtype=np.int64),
        kinds=np.array([names.index(event) for _, event, _ in rows], dtype=np.int32),
        kind_names=names,
        values=np.array([np.nan if value is None else value for _, _, value in rows], dtype=np.float64),
    )
