"""The canary: real users of this log are given events after a cutoff, and no feature of theirs may change.

Each cutoff is computed thrice: from a history that ends there, from the real one with events of every kind injected at
and after the cutoff, and in one walk over all cutoffs, as a training does. A function of one user's events before the
cutoff gives the same bits each time; operators of a user's own are held to it too.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features.feature_set import FeatureSet
from features.plan import Plan, make_plan
from features.snapshots import Bucketed, wanted_by
from features.tally import features_of
from features.user_events import FloatArray, IntArray, Property, UserEvents, Wanted
from features.windows import MICROSECONDS_PER_DAY, span_microseconds, to_microseconds
from models.definition import ChurnDefinition

USERS = 300  # enough that every feature has a value for somebody
MOST_KINDS = 50  # of which events are injected, the first by name
POPULATION = "the population"  # what moves when a later event makes somebody eligible
_LARGE = 1e6  # an amount that no sum could hide

Compute = Callable[[UserEvents, IntArray, IntArray], FloatArray]  # users' places and cutoffs → features


@dataclass(frozen=True, slots=True)
class Canary:
    """How much was tried, and the features that later events changed."""

    users: int
    injected: int
    cutoffs: int
    moved: tuple[str, ...]


def canary(
    log: Bucketed,
    features: FeatureSet,
    definition: ChurnDefinition,
    *,
    cutoffs: Sequence[datetime],
    as_known: bool = False,
    compute: Compute | None = None,
) -> Canary:
    """Features that are not the same when the future is there.

    `compute` is how features are computed, by default as everywhere. With `as_known`, events that happened before a
    cutoff and were received after it are injected as well.
    """
    plan = make_plan(features)
    how = compute or _kernel(plan, as_known=as_known)
    moved: set[str] = set()
    users = injected = 0
    wanted = wanted_by(plan, as_known=as_known, population=definition.population)
    for events in _some_users(log, wanted):
        users += len(events)
        moved |= _moved_in_one_walk(events, features.names, cutoffs, compute=how, as_known=as_known)
        for cutoff in cutoffs:
            after = _with_future(events, cutoff, definition=definition, as_known=as_known)
            injected += len(after.times) - len(events.times)
            moved |= _moved(events, after, features.names, cutoff, compute=how, as_known=as_known)
            moved |= _moved_population(events, after, definition, cutoff, as_known=as_known)
    order = {name: place for place, name in enumerate((*features.names, POPULATION))}
    return Canary(users, injected, len(cutoffs), tuple(sorted(moved, key=order.__getitem__)))


def _kernel(plan: Plan, *, as_known: bool) -> Compute:
    return lambda events, rows, cutoffs: features_of(events, plan, rows=rows, cutoffs=cutoffs, as_known=as_known)


def _some_users(log: Bucketed, wanted: Wanted) -> Iterator[UserEvents]:
    """Users of as few buckets as it takes."""
    missing = USERS
    for bucket in range(log.buckets):
        events = log.read_bucket(bucket, wanted)
        chosen = _first(events, missing)
        missing -= len(chosen)
        if len(chosen):
            yield chosen
        if missing <= 0:
            return


def _first(events: UserEvents, users: int) -> UserEvents:
    users = min(users, len(events))
    end = int(events.offsets[users])
    kept = np.arange(len(events.times)) < end
    return replace(_only(events, kept), user_ids=events.user_ids[:users], offsets=events.offsets[: users + 1])


def _moved_in_one_walk(
    events: UserEvents, names: Sequence[str], cutoffs: Sequence[datetime], *, compute: Compute, as_known: bool
) -> set[str]:
    """Features that say something else in a walk over all cutoffs than where history ends at the cutoff."""
    moments = np.array([to_microseconds(cutoff) for cutoff in cutoffs], dtype=np.int64)
    places = np.arange(len(events), dtype=np.int64)
    walked = compute(events, np.repeat(places, len(moments)), np.tile(moments, len(events)))
    moved: set[str] = set()
    for place, cutoff in enumerate(cutoffs):
        alone = compute(_before(events, cutoff, as_known=as_known), places, np.full(len(events), moments[place]))
        moved |= _different(alone, walked[place :: len(moments)], names)
    return moved


def _moved(
    events: UserEvents,
    after: UserEvents,
    names: Sequence[str],
    cutoff: datetime,
    *,
    compute: Compute,
    as_known: bool,
) -> set[str]:
    places = np.arange(len(events), dtype=np.int64)
    moments = np.full(len(events), to_microseconds(cutoff), dtype=np.int64)
    past = compute(_before(events, cutoff, as_known=as_known), places, moments)
    return _different(past, compute(after, places, moments), names)


def _moved_population(
    events: UserEvents, after: UserEvents, definition: ChurnDefinition, cutoff: datetime, *, as_known: bool
) -> set[str]:
    past = _before(events, cutoff, as_known=as_known)
    same = definition.population.eligible(past, cutoff=cutoff, as_known=as_known) == definition.population.eligible(
        after, cutoff=cutoff, as_known=as_known
    )
    return set() if same.all() else {POPULATION}


def _different(left: FloatArray, right: FloatArray, names: Sequence[str]) -> set[str]:
    same = (left == right) | (np.isnan(left) & np.isnan(right))
    return {names[place] for place in np.flatnonzero(~same.all(axis=0)).tolist()}


def _before(events: UserEvents, cutoff: datetime, *, as_known: bool) -> UserEvents:
    """The history as it was at the cutoff."""
    moment = to_microseconds(cutoff)
    kept = events.times < moment
    if as_known and events.received is not None:
        kept &= events.received < moment
    return _only(events, kept)


def _only(events: UserEvents, kept: NDArray[np.bool_]) -> UserEvents:
    """The events that are kept, of the same users."""
    counts = np.concatenate([[0], np.cumsum(kept)])[events.offsets]
    return replace(
        events,
        offsets=counts.astype(np.int64),
        times=events.times[kept],
        kinds=events.kinds[kept],
        values=events.values[kept],
        received=None if events.received is None else events.received[kept],
        properties={name: Property(each.codes[kept], each.texts) for name, each in events.properties.items()},
    )


def _with_future(events: UserEvents, cutoff: datetime, *, definition: ChurnDefinition, as_known: bool) -> UserEvents:
    """The real history, its own future included, with events of every kind for everybody at and after the cutoff."""
    moment = to_microseconds(cutoff)
    horizon = span_microseconds(definition.lead_time + definition.horizon)
    later = [0, 1, MICROSECONDS_PER_DAY, horizon]
    times, received = [moment + each for each in later], [moment + each for each in later]
    if as_known:  # it happened before, and nobody knew
        times, received = [*times, moment - MICROSECONDS_PER_DAY], [*received, moment]
    kinds = np.arange(min(MOST_KINDS, len(events.kind_names)), dtype=np.int32)
    per_user = len(kinds) * len(times)
    many = per_user * len(events)
    return _merged(
        events,
        owners=np.repeat(np.arange(len(events)), per_user),
        times=np.tile(np.array(times, dtype=np.int64), len(kinds) * len(events)),
        kinds=np.tile(np.repeat(kinds, len(times)), len(events)),
        values=np.where(np.arange(many) % 2 == 0, _LARGE, np.nan),
        received=np.tile(np.array(received, dtype=np.int64), len(kinds) * len(events)),
    )


def _merged(
    events: UserEvents,
    *,
    owners: IntArray,
    times: IntArray,
    kinds: NDArray[np.int32],
    values: FloatArray,
    received: IntArray,
) -> UserEvents:
    """The events with these beside them, each property of theirs one of the texts that there are, or none."""
    mine = np.repeat(np.arange(len(events)), np.diff(events.offsets))
    whose, when = np.concatenate([mine, owners]), np.concatenate([events.times, times])
    order = np.lexsort((when, whose))
    turns = np.arange(len(times))
    properties = {
        name: Property(
            np.concatenate([each.codes, turns % (len(each.texts) + 1) - 1])[order].astype(np.int32), each.texts
        )
        for name, each in events.properties.items()
    }
    return replace(
        events,
        offsets=np.concatenate([[0], np.cumsum(np.bincount(whose, minlength=len(events)))]).astype(np.int64),
        times=when[order],
        kinds=np.concatenate([events.kinds, kinds])[order].astype(np.int32),
        values=np.concatenate([events.values, values])[order],
        received=None if events.received is None else np.concatenate([events.received, received])[order],
        properties=properties,
    )
