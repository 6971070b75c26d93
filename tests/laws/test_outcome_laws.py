"""Laws of every definition of churn: who is in the population, what the label is, and what neither may look at.

Times are whole days since 1970, so that events, ends and cutoffs often fall on one instant. The oracles are loops.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.paid import Renewals
from features.user_events import Property, UserEvents
from features.windows import MICROSECONDS_PER_DAY as DAY
from features.windows import days, from_microseconds, iso
from models.cancel import Cancel
from models.definition import ChurnDefinition
from models.lapse import Lapse
from training.labels import churned

USERS = ("ada", "bert", "chen", "dalia", "emil")
KINDS = ("$profile", "cancel", "renewal", "start", "visit")
LENGTH = 100  # days of a history
LATE = 400  # a day by which every horizon is over


@dataclass(frozen=True)
class Deed:
    """An event as the oracles see it."""

    day: int
    kind: str
    value: float
    known: int  # the day when it was received
    plan: float  # days; NaN where it does not say
    until: float  # day; as above


def histories(seed: int) -> list[list[Deed]]:
    draws = np.random.default_rng(seed)
    found = []
    for _ in USERS:
        times = np.sort(draws.integers(0, LENGTH, draws.integers(0, 9))).tolist()
        found.append([_deed(draws, day) for day in times])
    return found


def _deed(draws: np.random.Generator, day: int) -> Deed:
    return Deed(
        day,
        str(draws.choice(KINDS)),
        float(draws.choice([np.nan, 1.0, 5.0, 9.0])),
        day + int(draws.choice([0, 1, 20])),
        float(draws.choice([np.nan, 0.0, 7.0, 30.0])),
        float(draws.choice([np.nan, day - 10, day, day + 5, day + 40])),
    )


def as_events(users: Sequence[Sequence[Deed]]) -> UserEvents:
    deeds = [deed for user in users for deed in user]
    return UserEvents(
        user_ids=USERS,
        offsets=np.cumsum([0, *map(len, users)], dtype=np.int64),
        times=np.array([deed.day * DAY for deed in deeds], dtype=np.int64),
        kinds=np.array([KINDS.index(deed.kind) for deed in deeds], dtype=np.int32),
        kind_names=KINDS,
        values=np.array([deed.value for deed in deeds], dtype=np.float64),
        received=np.array([deed.known * DAY for deed in deeds], dtype=np.int64),
        properties={
            "plan": _property(["" if math.isnan(deed.plan) else f"{deed.plan:g}" for deed in deeds]),
            "until": _property(["" if math.isnan(deed.until) else _date(deed.until) for deed in deeds]),
        },
    )


def _date(day: float) -> str:
    return iso(from_microseconds(int(day) * DAY))[:10]


def _property(texts: Sequence[str]) -> Property:
    """Where the oracles see nothing there is no text, or one that cannot be read."""
    different = tuple(dict.fromkeys(("soon", *filter(None, texts))))
    codes = [different.index(text) if text else -(place % 2) for place, text in enumerate(texts)]
    return Property(np.array(codes, dtype=np.int32), different)


# the oracles: what each kind of definition means, for one user


def counts(deed: Deed, definition: ChurnDefinition) -> bool:
    chosen = deed.kind in definition.activity if definition.activity else deed.kind != "$profile"
    return chosen and (not definition.least_value or deed.value >= definition.least_value)


def is_active(past: Sequence[Deed], definition: ChurnDefinition, cutoff: int) -> bool:
    return any(counts(deed, definition) and deed.day >= cutoff - definition.look_back.days for deed in past)


def is_subscribed(past: Sequence[Deed], definition: ChurnDefinition, cutoff: int) -> bool:
    assert isinstance(definition.outcome, Cancel)
    starts = definition.outcome.starts
    alive = [deed for deed in past if counts(deed, definition) and deed.kind != "cancel"]
    back = [deed for deed in past if deed.kind in starts] if starts else alive
    there = any(deed.day >= cutoff - definition.look_back.days for deed in alive) or bool(starts and back)
    cancels = [deed.day for deed in past if deed.kind == "cancel"]
    return there and (not cancels or any(deed.day > max(cancels) for deed in back))


def covered_until(past: Sequence[Deed], renewals: Renewals) -> float:
    """By these events, all of them before now."""
    grace = renewals.grace.days
    if renewals.paid_until:
        said = [deed for deed in past if deed.kind == "renewal" and not math.isnan(deed.until)]
        newest = max((deed.day for deed in said), default=0)
        return max((deed.until + grace for deed in said if deed.day == newest), default=-math.inf)
    paid = [(deed.day, renewals.period_days or deed.plan) for deed in past if deed.kind == "renewal"]
    return max((day + length + grace for day, length in paid if not math.isnan(length)), default=-math.inf)


def is_covered(past: Sequence[Deed], definition: ChurnDefinition, cutoff: int) -> bool:
    assert isinstance(definition.outcome, Lapse)
    return covered_until(past, definition.outcome.renewals) > cutoff


def has_lapsed(deeds: Sequence[Deed], renewals: Renewals, day: int) -> bool:
    """Whether a user was covered until the day and is not on it."""
    before = [deed for deed in deeds if deed.day < day]
    there = [deed for deed in deeds if deed.day <= day]
    return covered_until(before, renewals) >= day and covered_until(there, renewals) <= day


def gone(deeds: Sequence[Deed], definition: ChurnDefinition, start: int, end: int) -> bool:
    outcome = definition.outcome
    if isinstance(outcome, Cancel):
        return any(deed.kind == "cancel" and start <= deed.day < end for deed in deeds)
    if isinstance(outcome, Lapse):
        return any(has_lapsed(deeds, outcome.renewals, day) for day in range(start, end))
    return not any(counts(deed, definition) and start <= deed.day < end for deed in deeds)


Oracle = Callable[[Sequence[Deed], ChurnDefinition, int], bool]
ORACLES: dict[str, Oracle] = {"inactivity": is_active, "cancel": is_subscribed, "lapse": is_covered}

outcomes = st.one_of(
    st.just(ChurnDefinition().outcome),
    st.builds(Cancel, st.just(("cancel",)), st.sampled_from([(), ("start",)])),
    st.builds(
        lambda how, grace: Lapse(Renewals(("renewal",), **how, grace=days(grace))),
        st.sampled_from([{"period_days": 7}, {"period_days": 30}, {"paid_days": "plan"}, {"paid_until": "until"}]),
        st.integers(0, 9),
    ),
)
definitions = st.builds(
    lambda outcome, activity, look_back, lead, horizon, least: ChurnDefinition(
        activity,
        look_back=days(look_back),
        lead_time=days(lead),
        horizon=days(horizon),
        least_value=least,
        outcome=outcome,
    ),
    outcomes,
    st.sampled_from([(), ("visit",), ("renewal", "visit")]),
    st.integers(1, 60),
    st.integers(0, 10),
    st.integers(1, 40),
    st.sampled_from([0.0, 5.0]),
)
seeds = st.integers(0, 100_000)
cutoffs = st.integers(1, LENGTH)


def eligible(events: UserEvents, definition: ChurnDefinition, cutoff: int, *, as_known: bool = False) -> list[bool]:
    moment = from_microseconds(cutoff * DAY)
    return definition.population.eligible(events, cutoff=moment, as_known=as_known).tolist()


def labels(events: UserEvents, definition: ChurnDefinition, cutoff: int, *, log_end: int = LATE) -> np.ndarray:
    users = np.array(USERS, dtype=object)
    moments = np.full(len(users), cutoff * DAY, dtype=np.int64)
    return churned(events, definition, users=users, cutoffs=moments, log_end=from_microseconds(log_end * DAY))


@given(seeds, definitions, cutoffs, st.booleans())
@settings(max_examples=120)
def test_the_population_is_what_a_plain_loop_finds(
    seed: int, definition: ChurnDefinition, cutoff: int, as_known: bool
) -> None:
    users = histories(seed)
    oracle = ORACLES[definition.to_json()["kind"]]
    past = [[d for d in deeds if d.day < cutoff and (not as_known or d.known < cutoff)] for deeds in users]
    expected = [oracle(deeds, definition, cutoff) for deeds in past]
    assert eligible(as_events(users), definition, cutoff, as_known=as_known) == expected


@given(seeds, definitions, cutoffs)
@settings(max_examples=120)
def test_a_label_is_what_a_plain_loop_finds(seed: int, definition: ChurnDefinition, cutoff: int) -> None:
    users = histories(seed)
    start = cutoff + definition.lead_time.days
    expected = [float(gone(deeds, definition, start, start + definition.horizon.days)) for deeds in users]
    assert labels(as_events(users), definition, cutoff).tolist() == expected


@given(seeds, seeds, definitions, cutoffs, st.booleans())
@settings(max_examples=80)
def test_nothing_from_the_cutoff_on_changes_the_population(
    seed: int, other: int, definition: ChurnDefinition, cutoff: int, as_known: bool
) -> None:
    users = histories(seed)
    changed = spliced(users, histories(other), at=cutoff)
    found = eligible(as_events(users), definition, cutoff, as_known=as_known)
    assert found == eligible(as_events(changed), definition, cutoff, as_known=as_known)


@given(seeds, seeds, definitions, cutoffs)
@settings(max_examples=80)
def test_nothing_from_the_end_of_the_horizon_on_changes_a_label(
    seed: int, other: int, definition: ChurnDefinition, cutoff: int
) -> None:
    users = histories(seed)
    end = cutoff + definition.lead_time.days + definition.horizon.days
    changed = spliced(users, histories(other), at=end)
    np.testing.assert_array_equal(
        labels(as_events(users), definition, cutoff), labels(as_events(changed), definition, cutoff)
    )


def spliced(users: list[list[Deed]], others: list[list[Deed]], *, at: int) -> list[list[Deed]]:
    """The past of the ones and the future of the others."""
    pairs = zip(users, others, strict=True)
    return [[d for d in mine if d.day < at] + [d for d in theirs if d.day >= at] for mine, theirs in pairs]


@given(seeds, definitions, cutoffs, st.integers(-3, 3))
@settings(max_examples=60)
def test_a_label_is_missing_exactly_where_the_log_ends_before_the_horizon(
    seed: int, definition: ChurnDefinition, cutoff: int, short: int
) -> None:
    end = cutoff + definition.lead_time.days + definition.horizon.days
    found = labels(as_events(histories(seed)), definition, cutoff, log_end=end - short)
    assert np.isnan(found).tolist() == [short > 0] * len(USERS)


@given(seeds, st.sampled_from([0, 7]), cutoffs)
@settings(max_examples=60)
def test_who_renews_before_the_cover_ends_is_kept(seed: int, grace: int, cutoff: int) -> None:
    """By a renewal at the very end that pays beyond the horizon."""
    renewals = Renewals(("renewal",), paid_until="until", grace=days(grace))
    past = [[deed for deed in deeds if deed.day < cutoff] for deeds in histories(seed)]
    ends = [covered_until(deeds, renewals) for deeds in past]
    kept = [deeds + renewals_at(end, cutoff) for deeds, end in zip(past, ends, strict=True)]
    found = labels(as_events(kept), ChurnDefinition(horizon=days(20), outcome=Lapse(renewals)), cutoff)
    assert not any(label for label, end in zip(found, ends, strict=True) if end > cutoff)


def renewals_at(end: float, cutoff: int) -> list[Deed]:
    return [Deed(int(end), "renewal", np.nan, int(end), np.nan, end + 1000)] if end > cutoff else []


@pytest.mark.parametrize("least", [0.0, 5.0])
def test_events_without_a_value_count_where_no_value_is_asked_for(least: float) -> None:
    events = as_events(histories(7))
    worthless = replace(events, values=np.full(len(events.values), np.nan))
    assert any(eligible(worthless, ChurnDefinition(least_value=least), 60)) == (least == 0.0)
