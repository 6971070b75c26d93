"""Many users' events as columns: what a bucket of the log reads as, and what the kernel walks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
KindArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader needs of each event beside its user, time, kind and value."""

    received: bool = False  # when it became known
    properties: tuple[str, ...] = ()  # names, sorted


NOTHING_MORE = Wanted()


@dataclass(frozen=True, slots=True)
class Property:
    """One property of every event, coded."""

    codes: KindArray  # index into texts, -1: the event came without this property
    texts: tuple[str, ...]  # unique; their order means nothing


@dataclass(frozen=True, slots=True)
class UserEvents:
    """Events of `n` users, sorted by user, then time, then event id.

    Rows `offsets[i]:offsets[i + 1]` belong to `user_ids[i]`. What was not wanted of the log is not here.
    """

    user_ids: tuple[str, ...]  # n, sorted by their UTF-8 bytes, unique
    offsets: IntArray  # n + 1
    times: IntArray  # microseconds since 1970 UTC
    kinds: KindArray  # index into kind_names
    kind_names: tuple[str, ...]
    values: FloatArray  # NaN: the event came without a value
    received: IntArray | None = None  # microseconds since 1970 UTC, its own time where the log does not say
    properties: Mapping[str, Property] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.user_ids)

    def only(self, user_id: str) -> "UserEvents":
        """The same for one user; no users when the id is not here."""
        try:
            place = self.user_ids.index(user_id)
        except ValueError:
            return none(self.kind_names, Wanted(self.received is not None, tuple(self.properties)))
        rows = slice(self.offsets[place], self.offsets[place + 1])
        return UserEvents(
            user_ids=(user_id,),
            offsets=np.array([0, rows.stop - rows.start], dtype=np.int64),
            times=self.times[rows],
            kinds=self.kinds[rows],
            kind_names=self.kind_names,
            values=self.values[rows],
            received=None if self.received is None else self.received[rows],
            properties={name: Property(column.codes[rows], column.texts) for name, column in self.properties.items()},
        )


def one_user(
    user_id: str,
    *,
    times: Sequence[int] | IntArray,
    kinds: Sequence[str],
    values: Sequence[float | None],
    received: Sequence[int] | IntArray | None = None,
    properties: Sequence[Mapping[str, str]] = (),
    wanted: Wanted = NOTHING_MORE,
) -> UserEvents:
    """The events of one user from lists, in any order; events of the same instant stay in the order given.

    Times and `received` (default: the event's own time) are microseconds since 1970 UTC, a missing value is NaN or
    None, and `properties` holds the texts of each event by name. What is not wanted is left out.

    >>> one_user("ada", times=[2, 1], kinds=["b", "a"], values=[1.0, 2.0]).values.tolist()
    [2.0, 1.0]
    """
    moments = np.array(times, dtype=np.int64)
    in_order = bool((moments[1:] >= moments[:-1]).all())
    order = slice(None) if in_order else np.argsort(moments, kind="stable")
    codes = _Codes()
    kind_codes = np.fromiter(map(codes.__getitem__, kinds), np.int32, len(kinds))
    known = moments if received is None else np.array(received, dtype=np.int64)
    return UserEvents(
        user_ids=(user_id,),
        offsets=np.array([0, len(moments)], dtype=np.int64),
        times=moments[order],
        kinds=kind_codes[order],
        kind_names=tuple(codes),
        values=np.array(values, dtype=np.float64)[order],
        received=known[order] if wanted.received else None,
        properties={name: _coded(name, properties, order=order, events=len(moments)) for name in wanted.properties},
    )


def _coded(name: str, properties: Sequence[Mapping[str, str]], *, order: IntArray | slice, events: int) -> Property:
    if not properties:
        return Property(np.full(events, -1, dtype=np.int32), ())
    codes = _Codes()
    told = (each.get(name) for each in properties)
    found = np.array([-1 if text is None else codes[text] for text in told], dtype=np.int32)
    return Property(found[order], tuple(codes))


class _Codes(dict[str, int]):
    """A code for each different text, in order of first appearance."""

    def __missing__(self, text: str) -> int:
        self[text] = len(self)
        return self[text]


def none(kind_names: tuple[str, ...] = (), wanted: Wanted = NOTHING_MORE) -> UserEvents:
    """The events of nobody, with what is wanted of them.

    >>> len(none())
    0
    """
    return UserEvents(
        user_ids=(),
        offsets=np.zeros(1, dtype=np.int64),
        times=np.zeros(0, dtype=np.int64),
        kinds=np.zeros(0, dtype=np.int32),
        kind_names=kind_names,
        values=np.zeros(0, dtype=np.float64),
        received=np.zeros(0, dtype=np.int64) if wanted.received else None,
        properties={name: Property(np.zeros(0, dtype=np.int32), ()) for name in wanted.properties},
    )
