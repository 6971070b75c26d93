"""From a feature set to what has to be tallied: selections of events, windows, operators, breadth.

A plan is made once for a feature set and used for every bucket and every request. It is plain numbers: the kernel
(`features.tally`) fills a row of cells by it, and the plan's program (`features.program`) turns cells into columns.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from features.expressions import (
    Additive,
    Age,
    Breadth,
    Chosen,
    Clock,
    End,
    Hours,
    Latest,
    OfDays,
    Tally,
    Variety,
    Window,
    tallies,
)
from features.feature_set import FeatureSet
from features.operators import Operator, known
from features.program import Program, make_program
from features.user_events import Wanted

ADDITIVES = (  # those that are sums over days
    Additive.COUNT,
    Additive.TOTAL,
    Additive.VALUED,
    Additive.DURING,
    Additive.DECAYED_COUNT,
    Additive.DECAYED_TOTAL,
)
ACTIVE_DAYS, MAXIMUM = -1, -2  # in place of an additive: what the active days themselves tell
VARIETIES = tuple(Variety)
EVER = -1  # in place of an edge
HOURS_PER_WEEK = 168
BOUNDS, DAYS, VALUES, HOURS = 1, 2, 4, 8  # what a selection needs: bounds, counts by day, single values, hours

Table = NDArray[np.int64]
Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Measure:
    """What a selection takes for the value of an event: its own value, or a property as a number or as a category."""

    property: str = ""
    among: tuple[str, ...] = ()
    dated: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What the kernel tallies; every table is `[entries, fields]`, and a cell is a place in a row of tallies."""

    choices: tuple[Chosen, ...]  # the events of each selection
    measures: tuple[Measure, ...]  # the first is the event's own value
    dimensions: tuple[str, ...]  # the properties that breadth is counted of; the first is the kind
    selections: Table  # measure, first additive, end of additives, first edge, end of edges
    bounds: NDArray[np.float64]  # of each selection: least, below; NaN where there is none
    looks: NDArray[np.int64]  # of each selection: BOUNDS, DAYS, VALUES and HOURS added up
    additives: Table  # what (place in ADDITIVES), mask (-1: none), half-life in days (0: none)
    edges: NDArray[np.int64]  # ages in days; each selection's from the oldest to 0
    masks: NDArray[np.bool_]  # hours of the week from Monday midnight [masks, 168]
    clocks: tuple[Clock, ...]
    mask_clocks: NDArray[np.int64]  # the clock of each mask
    windows: Table  # additive, newer edge, older edge, cell
    window_ends: NDArray[np.int64]  # where each selection's windows begin, and where the last ends
    ages: Table  # selection, 1 for the oldest event, cell
    calls: Table  # selection, operator, cell
    numbers: NDArray[np.float64]  # the parameter of each call
    operators: tuple[Operator, ...]
    trackers: Table  # selection, dimension
    varieties: Table  # tracker, what (place in VARIETIES), days (0: ever), cell
    latest: Table  # selection, cell
    program: Program

    @property
    def wanted(self) -> Wanted:
        """What must be read of events beside user, time, kind and value."""
        named = {measure.property for measure in self.measures} | set(self.dimensions)
        named |= {clock.told_by for clock in self.clocks}
        return Wanted(properties=tuple(sorted(named - {""})))

    def members(self, kind_names: Sequence[str]) -> NDArray[np.bool_]:
        """For each selection and each kind of a log whether its events are chosen: `[selections, kinds]`."""
        rows = [[chosen.covers(kind) for kind in kind_names] for chosen in self.choices]
        return np.array(rows, dtype=np.bool_).reshape(len(self.choices), len(kind_names))


def make_plan(features: FeatureSet) -> Plan:
    """The plan of a feature set; equal sub-expressions are computed once.

    Raises `BadInput` when it names an operator that is not known here.
    """
    found = _unique(tally for feature in features for tally in tallies(feature.expression))
    cells = {tally: cell for cell, tally in enumerate(found)}
    readings = _unique((tally.chosen, _measure(tally)) for tally in found)
    measures = _unique([Measure(), *(measure for _, measure in readings)])
    masks = _unique(window.during for window in found if isinstance(window, Window) and window.during is not None)
    clocks = _unique(hours.clock for hours in masks)
    place = {tally: readings.index((tally.chosen, _measure(tally))) for tally in found}
    selections = [_Selection([tally for tally in found if place[tally] == s], masks) for s in range(len(readings))]
    additives = np.cumsum([0, *(len(each.additives) for each in selections)])
    edges = np.cumsum([0, *(len(each.edges) for each in selections)])
    breadths = [tally for tally in found if isinstance(tally, Breadth)]
    dimensions = _unique(["", *(tally.by for tally in breadths)])
    trackers = _unique((place[tally], dimensions.index(tally.by)) for tally in breadths)
    calls = [tally for tally in found if isinstance(tally, OfDays)]
    operators = _unique(tally.operator for tally in calls)
    return Plan(
        choices=tuple(chosen for chosen, _ in readings),
        measures=measures,
        dimensions=dimensions,
        selections=_table(
            [
                (measures.index(measure), *additives[s : s + 2], *edges[s : s + 2])
                for s, (_, measure) in enumerate(readings)
            ],
            fields=5,
        ),
        bounds=np.array([_bounds(chosen) for chosen, _ in readings], dtype=np.float64).reshape(-1, 2),
        looks=np.array([each.looks for each in selections], dtype=np.int64),
        additives=_table([entry for each in selections for entry in each.additives], fields=3),
        edges=np.array([edge for each in selections for edge in each.edges], dtype=np.int64),
        masks=np.array([_mask(hours) for hours in masks], dtype=np.bool_).reshape(-1, HOURS_PER_WEEK),
        clocks=clocks,
        mask_clocks=np.array([clocks.index(hours.clock) for hours in masks], dtype=np.int64),
        windows=_table(
            [
                (*window, cells[tally])
                for s, each in enumerate(selections)
                for tally, window in each.windows(first_edge=int(edges[s]))
            ],
            fields=4,
        ),
        window_ends=np.cumsum([0, *(each.window_count for each in selections)], dtype=np.int64),
        ages=_table(
            [(place[tally], tally.end is End.FIRST, cells[tally]) for tally in found if isinstance(tally, Age)],
            fields=3,
        ),
        calls=_table([(place[tally], operators.index(tally.operator), cells[tally]) for tally in calls], fields=3),
        numbers=np.array([tally.number for tally in calls], dtype=np.float64),
        operators=tuple(known(name) for name in operators),
        trackers=_table(trackers, fields=2),
        varieties=_table(
            [
                (
                    trackers.index((place[tally], dimensions.index(tally.by))),
                    VARIETIES.index(tally.what),
                    tally.last,
                    cells[tally],
                )
                for tally in breadths
            ],
            fields=4,
        ),
        latest=_table([(place[tally], cells[tally]) for tally in found if isinstance(tally, Latest)], fields=2),
        program=make_program([feature.expression for feature in features], cells),
    )


class _Selection:
    """What is summed up of one selection's events, and over which windows."""

    def __init__(self, found: Sequence[Tally], masks: Sequence[Hours]) -> None:
        self._windows = [tally for tally in found if isinstance(tally, Window)]
        self._masks = masks
        self.additives = _unique(self._additive(window) for window in self._windows if window.what in ADDITIVES)
        ages = {window.ago for window in self._windows} | {_oldest(window) for window in self._windows if window.last}
        self.edges = sorted(ages | {0}, reverse=True)  # 0 is always the last: all that the cutoff has seen

        values = any(isinstance(each, Latest) or getattr(each, "what", None) is Additive.MAXIMUM for each in found)
        self.looks = (
            BOUNDS * any(each.chosen.bounded for each in found)
            + DAYS * any(isinstance(each, OfDays) for each in found)
            + VALUES * values
            + HOURS * any(window.during is not None for window in self._windows)
        )

    @property
    def window_count(self) -> int:
        """How many windows there are."""
        return len(self._windows)

    def windows(self, *, first_edge: int) -> Iterable[tuple[Window, tuple[int, int, int]]]:
        """Each window with its additive, newer edge and older edge."""
        for window in self._windows:
            newer = first_edge + self.edges.index(window.ago)
            older = first_edge + self.edges.index(_oldest(window)) if window.last else EVER
            yield window, (self._place(window), newer, older)

    def _place(self, window: Window) -> int:
        if window.what is Additive.ACTIVE_DAYS:
            return ACTIVE_DAYS
        return MAXIMUM if window.what is Additive.MAXIMUM else self.additives.index(self._additive(window))

    def _additive(self, window: Window) -> tuple[int, int, int]:
        mask = -1 if window.during is None else self._masks.index(window.during)
        return ADDITIVES.index(window.what), mask, window.half_life


def _oldest(window: Window) -> int:
    return window.ago + window.last


def _measure(tally: Tally) -> Measure:
    return Measure(tally.chosen.measure, tally.among if isinstance(tally, Latest) else (), tally.chosen.dated)


def _bounds(chosen: Chosen) -> tuple[float, float]:
    return (
        np.nan if chosen.least is None else chosen.least,
        np.nan if chosen.below is None else chosen.below,
    )


def _mask(hours: Hours) -> NDArray[np.bool_]:
    mask = np.zeros((7, 24), dtype=np.bool_)
    mask[slice(*hours.weekdays), slice(*hours.hours)] = True
    return mask.reshape(HOURS_PER_WEEK)


def _unique(things: Iterable[Thing]) -> tuple[Thing, ...]:
    return tuple(dict.fromkeys(things))


def _table(rows: Sequence[tuple[int, ...]], *, fields: int) -> Table:
    return np.array(rows, dtype=np.int64).reshape(len(rows), fields)
