"""From events and a plan to rows of features: what the kernel needs is laid out once, then walked a part at a time."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from features.clocks import hours_of_week
from features.events import LARGEST_VALUE
from features.kernel import walk
from features.kernel_tables import Asked, Happened
from features.operators import OPERATORS
from features.paid import days_until
from features.plan import Measure, Plan
from features.program import run
from features.user_events import Property, UserEvents
from features.windows import MICROSECONDS_PER_DAY

Rows = NDArray[np.int64]
Array = TypeVar("Array", bound=NDArray[Any])  # of numbers or truths
_ROWS_AT_A_TIME = 512  # their cells stay near the processor
_ALONE = np.zeros(1, dtype=np.int64)


def features_of(
    events: UserEvents, plan: Plan, *, rows: Rows, cutoffs: Rows, as_known: bool = False
) -> NDArray[np.float64]:
    """The features `[len(rows), features]` of users `rows[i]` at `cutoffs[i]` (microseconds since 1970).

    `as_known` leaves out what had not been received before the cutoff; then `events` must say when that was. What is
    relative to the population is still the number that decides the place in it.
    """
    happened, asked = _happened(events, plan, as_known=as_known), _asked(plan)
    matrix = np.empty((len(rows), len(plan.program.columns)), dtype=np.float64)
    for part in _parts(rows, cutoffs):
        cells = np.empty((len(part), plan.program.cells), dtype=np.float64)
        moments = cutoffs[part]
        walk(cells, rows[part], moments, happened, asked)
        run(plan.program, cells, cutoffs=moments, out=matrix, places=part)
    return matrix


def _parts(rows: Rows, cutoffs: Rows) -> list[Rows]:
    """The order in which the kernel walks, in parts of about equal size that keep each user's rows together."""
    if len(rows) == 1:  # a lone row has no time for more
        return [_ALONE]
    order = np.lexsort((cutoffs, cutoffs % MICROSECONDS_PER_DAY, rows))
    users = rows[order]
    ends = np.append(np.flatnonzero(np.diff(users)) + 1, len(users))
    wanted = np.arange(_ROWS_AT_A_TIME, len(users), _ROWS_AT_A_TIME)
    return np.split(order, np.unique(ends[np.searchsorted(ends, wanted)]))


def ready(plan: Plan) -> None:
    """Have everything at hand that a plan needs, so that no request waits for machine code to be loaded.

    Meant for the start of a server; the first answer of a process is otherwise a quarter of a second slower.
    """
    nothing = np.zeros(0, dtype=np.int64)
    properties = {name: Property(nothing.astype(np.int32), ()) for name in plan.wanted.properties}
    somebody = UserEvents(
        ("",), np.zeros(2, dtype=np.int64), nothing, nothing.astype(np.int32), (), np.zeros(0), properties=properties
    )
    features_of(somebody, plan, rows=np.zeros(1, dtype=np.int64), cutoffs=np.zeros(1, dtype=np.int64))


def _happened(events: UserEvents, plan: Plan, *, as_known: bool) -> Happened:
    texts = (len(events.properties[name].texts) for name in plan.dimensions if name)
    return Happened(
        offsets=_frozen(events.offsets),
        times=_frozen(events.times),
        kinds=_frozen(events.kinds),
        received=_frozen(events.received if as_known and events.received is not None else events.times),
        measures=_frozen(_measures(events, plan.measures)),
        hours=_frozen(hours_of_week(events, plan.clocks, as_known=as_known)),
        dimensions=_frozen(_dimensions(events, plan.dimensions)),
        members=_frozen(plan.members(events.kind_names)),
        codes=max(1, len(events.kind_names), *texts),
    )


@lru_cache(maxsize=64)
def _asked(plan: Plan) -> Asked:
    tables = Asked(
        selections=plan.selections,
        bounds=plan.bounds,
        looks=plan.looks,
        additives=plan.additives,
        edges=plan.edges,
        masks=plan.masks,
        mask_clocks=plan.mask_clocks,
        windows=plan.windows,
        window_ends=plan.window_ends,
        ages=plan.ages,
        calls=plan.calls,
        numbers=plan.numbers,
        addresses=np.array([each.address for each in plan.operators], dtype=np.int64),
        nothing=np.array([each.nothing for each in plan.operators], dtype=np.float64),
        trackers=plan.trackers,
        varieties=plan.varieties,
        latest=plan.latest,
    )
    return Asked._make(map(_frozen, tables))


def _frozen(array: Array) -> Array:
    """The same memory, not to be written to: what Arrow hands out is so too, and the kernel takes one type."""
    view = array.view()
    view.flags.writeable = False
    return view


def _measures(events: UserEvents, measures: tuple[Measure, ...]) -> NDArray[np.float64]:
    """What selections take for an event's value: `[measures, events]`."""
    if len(measures) == 1:
        return events.values.reshape(1, -1)
    return np.stack([events.values, *(_measured(events, measure) for measure in measures[1:])])


def _measured(events: UserEvents, measure: Measure) -> NDArray[np.float64]:
    column = events.properties[measure.property]
    if measure.dated:
        return days_until(column, events.times)
    number = _place_in(measure.among) if measure.among else _number
    table = np.array([*(number(text) for text in column.texts), np.nan], dtype=np.float64)
    found: NDArray[np.float64] = table[column.codes]  # the code of nothing, -1, takes the last
    return found


def _place_in(names: tuple[str, ...]) -> Callable[[str], float]:
    places = {name: float(place) for place, name in enumerate(names)}
    return lambda text: places.get(text, float(len(names)))


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return np.nan
    return number if abs(number) <= LARGEST_VALUE else np.nan


def _dimensions(events: UserEvents, dimensions: tuple[str, ...]) -> NDArray[np.int32]:
    """What breadth is counted of, coded: `[dimensions, events]`, -1 where an event has none."""
    if len(dimensions) == 1:
        return events.kinds.reshape(1, -1)
    return np.stack([events.kinds, *(events.properties[name].codes for name in dimensions[1:])])


if __name__ == "__main__":  # `make setup` calls it, so that the machine code is there before anybody waits for it
    for each in OPERATORS.values():
        _ = each.address
