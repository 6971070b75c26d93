"""The laws of features for one operator: what every operator has to keep, ours and a user's own.

    from features.operator_laws import check

    def test_my_operator_keeps_the_laws():
        check("shortest_gap")

`check` draws histories from a seed, so that it finds the same today and tomorrow; each law can also be called alone
with a history of one's own, by `tests/laws` with those of Hypothesis.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from features.language import events, feature_set
from features.operators import MEMORY, WEEKS, ActiveDays, known
from features.plan import Plan, make_plan
from features.tally import features_of
from features.user_events import UserEvents
from features.windows import MICROSECONDS_PER_DAY

_DAY = MICROSECONDS_PER_DAY
_CUTOFF = 20_000 * _DAY + 7 * _DAY // 24  # a day in 2024, at seven: days do not begin at midnight
_EARLIER = (0, 1, 2, 9, 28, 140, 365)  # days before it: the cutoffs of one walk
_CLOSE = 1e-9  # rounding may differ between machine code and Python, relative to the largest number in play
_HISTORIES = 40  # per number, of `check`
_WITHOUT_VALUE = 0.2  # of their events

Deed = tuple[int, float]  # microseconds before the cutoff (below 0: after it), value (NaN: none)
Law = Callable[[str, float, Sequence[Deed]], None]


class BrokenLaw(AssertionError):
    """An operator that does not do what every feature must."""


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    number: float

    def answer(self, deeds: Sequence[Deed], *, cutoff: int = _CUTOFF) -> NDArray[np.float64]:
        """What the compiled operator says of one user."""
        return _answers([deeds], _plan(self), rows=[0], cutoffs=[cutoff])

    def same(self, left: NDArray[np.float64], right: NDArray[np.float64], law: str, deeds: Sequence[Deed]) -> None:
        """Raise `BrokenLaw` unless both are the same to the bit."""
        if left.tobytes() != right.tobytes():
            raise BrokenLaw(f"{self.name}({self.number:g}): {law}: {left} became {right} with the events {deeds}")


def check(name: str, *, numbers: Sequence[float] = (1.0, 7.0), seed: int = 0) -> None:
    """Hold an operator to all laws, with some of the numbers that it takes as its parameter.

    Raises `BrokenLaw` with the law and the events that broke it, `BadInput` when no operator has this name.
    """
    known(name)
    random = np.random.default_rng(seed)
    for number in numbers:
        for size in range(_HISTORIES):
            deeds = _drawn(random, size)
            for law in LAWS:
                law(name, number, deeds)


def later_events_change_nothing(name: str, number: float, deeds: Sequence[Deed]) -> None:
    """What happens after the cutoff is not seen."""
    case = _Case(name, number)
    future = [(-1, 5.0), (-3 * _DAY, math.nan)]
    case.same(case.answer(deeds), case.answer([*deeds, *future]), "later events changed it", deeds)


def an_event_at_the_cutoff_is_not_seen(name: str, number: float, deeds: Sequence[Deed]) -> None:
    """The cutoff itself belongs to the future."""
    case = _Case(name, number)
    case.same(case.answer(deeds), case.answer([*deeds, (0, 5.0)]), "an event at the cutoff changed it", deeds)


def many_cutoffs_at_once_are_each_alone(name: str, number: float, deeds: Sequence[Deed]) -> None:
    """A walk over many cutoffs says of each what a walk of its own would."""
    case = _Case(name, number)
    cutoffs = [_CUTOFF - days * _DAY for days in _EARLIER]
    together = _answers([deeds], _plan(case), rows=[0] * len(cutoffs), cutoffs=cutoffs)
    alone = np.concatenate([case.answer(deeds, cutoff=cutoff) for cutoff in cutoffs])
    case.same(alone, together, "other cutoffs changed it", deeds)


def other_users_change_nothing(name: str, number: float, deeds: Sequence[Deed]) -> None:
    """In a batch a user is what he is alone."""
    case = _Case(name, number)
    others = [[(3 * _DAY, 9.0)], [(_DAY // 2, math.nan), (400 * _DAY, -1.0)]]
    batch = _answers([others[0], deeds, others[1]], _plan(case), rows=[0, 1, 2], cutoffs=[_CUTOFF] * 3)
    case.same(case.answer(deeds), batch[1:2], "other users changed it", deeds)


def nothing_is_what_it_says_without_an_active_day(name: str, number: float, deeds: Sequence[Deed]) -> None:
    """Somebody whose events all lie ahead has no active day: the operator is not asked."""
    case = _Case(name, number)
    future = [(-abs(before) - 1, value) for before, value in deeds]
    case.same(np.array([known(name).nothing]), case.answer(future), "without an active day it was not `nothing`", deeds)


def machine_code_says_what_python_says(name: str, number: float, deeds: Sequence[Deed]) -> None:
    """The compiled function is the function as written."""
    seen = sorted((_CUTOFF - before, value) for before, value in deeds if before > 0)
    if not seen:
        return
    said, meant = _Case(name, number).answer(deeds)[0], float(known(name).function(_active_days(seen, number)))
    scale = max(1.0, abs(meant), *(abs(value) for _, value in seen if not math.isnan(value)))
    if not (
        math.isclose(said, meant, rel_tol=_CLOSE, abs_tol=_CLOSE * scale) or (math.isnan(said) and math.isnan(meant))
    ):
        raise BrokenLaw(f"{name}({number:g}): compiled it says {said}, in Python {meant}, with the events {deeds}")


LAWS: tuple[Law, ...] = (
    later_events_change_nothing,
    an_event_at_the_cutoff_is_not_seen,
    many_cutoffs_at_once_are_each_alone,
    other_users_change_nothing,
    nothing_is_what_it_says_without_an_active_day,
    machine_code_says_what_python_says,
)


def _drawn(random: np.random.Generator, size: int) -> list[Deed]:
    """So many events, some on one day, some far apart, a few after the cutoff, some without a value."""
    spread = random.choice([3, 40, 400])
    before = (random.integers(-spread // 10, spread, size) * _DAY + random.integers(0, _DAY, size)).tolist()
    values = np.where(random.random(size) < _WITHOUT_VALUE, np.nan, np.round(random.normal(20, 30, size), 2)).tolist()
    return list(zip(before, values, strict=True))


def _active_days(seen: Sequence[tuple[int, float]], number: float) -> ActiveDays:
    """The days of events in order of time, summed up in plain Python."""
    phase = _CUTOFF % _DAY
    counts: dict[int, float] = {}
    totals: dict[int, float] = {}
    for time, value in seen:
        day = (time - phase) // _DAY
        counts[day] = counts.get(day, 0.0) + 1.0
        totals[day] = totals.get(day, 0.0) + (0.0 if math.isnan(value) else value)
    today = (_CUTOFF - phase) // _DAY
    weeks = np.zeros(WEEKS)
    for day, count in counts.items():
        if (today - 1 - day) // 7 < WEEKS:
            weeks[(today - 1 - day) // 7] += count
    return ActiveDays(
        days=np.array(list(counts), dtype=np.int64),
        counts=np.array(list(counts.values()), dtype=np.float64),
        totals=np.array(list(totals.values()), dtype=np.float64),
        weeks=weeks,
        today=today,
        silence=(_CUTOFF - seen[-1][0]) / _DAY,
        number=number,
        before=0,
        memory=np.full(MEMORY, np.nan),
    )


@lru_cache(maxsize=256)
def _plan(case: _Case) -> Plan:
    return make_plan(feature_set(it=events().days_say(case.name, case.number)))


def _answers(
    users: Sequence[Sequence[Deed]], plan: Plan, *, rows: Sequence[int], cutoffs: Sequence[int]
) -> NDArray[np.float64]:
    """What the operator says of users at cutoffs, by the kernel."""
    histories = [sorted((_CUTOFF - before, value) for before, value in deeds) for deeds in users]
    rows_of_all = [deed for history in histories for deed in history]
    happened = UserEvents(
        user_ids=tuple(f"user {place}" for place in range(len(users))),
        offsets=np.cumsum([0, *map(len, histories)], dtype=np.int64),
        times=np.array([time for time, _ in rows_of_all], dtype=np.int64),
        kinds=np.zeros(len(rows_of_all), dtype=np.int32),
        kind_names=("visit",),
        values=np.array([value for _, value in rows_of_all], dtype=np.float64),
    )
    asked = np.array(rows, dtype=np.int64), np.array(cutoffs, dtype=np.int64)
    return features_of(happened, plan, rows=asked[0], cutoffs=asked[1])[:, 0]
