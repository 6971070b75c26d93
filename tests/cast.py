"""The cast of the tests: Ada, Bert, Chen and Dalia, and short ways to write down what they did."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from features.user_events import Property, UserEvents
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


def with_texts(events: UserEvents, name: str, texts: Sequence[str | None]) -> UserEvents:
    """The same events with a property, a text each in the order of users and times; none: it came without."""
    different = tuple(dict.fromkeys(text for text in texts if text is not None))
    codes = [-1 if text is None else different.index(text) for text in texts]
    return replace(events, properties={**events.properties, name: Property(np.array(codes, dtype=np.int32), different)})
