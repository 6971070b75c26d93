"""The canary: what happens after a cutoff changes nothing, and whatever it does change is named."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.leakage import DEFINITION, FEW, OWN, clean, profile_overwritten, write
from features.language import events, feature_set
from features.log import EventLog
from features.operators import OPERATORS, ActiveDays, operator
from features.plan import make_plan
from features.tally import features_of
from features.user_events import FloatArray, IntArray, UserEvents
from features.windows import MICROSECONDS_PER_DAY, utc
from training.canary import POPULATION, canary

CUTOFFS = [utc("2026-03-01"), utc("2026-05-01"), utc("2026-07-01")]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    return write(profile_overwritten(clean(users=400, seed=5)), tmp_path_factory.mktemp("canary") / "events")


@pytest.mark.parametrize("as_known", [False, True])
def test_features_of_the_language_do_not_see_the_future(log: EventLog, *, as_known: bool) -> None:
    found = canary(log, FEW + OWN, DEFINITION, cutoffs=CUTOFFS, as_known=as_known)
    assert (found.moved, found.users, found.cutoffs) == ((), 300, 3)
    assert found.injected == 300 * 3 * 4 * (5 if as_known else 4)  # kinds, and moments of each


def test_a_computation_that_looks_a_day_ahead_is_caught_with_its_features(log: EventLog) -> None:
    plan = make_plan(FEW)

    def ahead(history: UserEvents, rows: IntArray, cutoffs: IntArray) -> FloatArray:
        return features_of(history, plan, rows=rows, cutoffs=cutoffs + MICROSECONDS_PER_DAY)

    moved = canary(log, FEW, DEFINITION, cutoffs=CUTOFFS, compute=ahead).moved
    assert {"days_since_last_event", "active_days_14d"} <= set(moved)
    assert POPULATION not in moved


def test_an_operator_that_remembers_how_often_it_was_asked_is_caught(log: EventLog) -> None:
    @operator(family="cadence", unit="times")
    def times_asked(active: ActiveDays) -> float:
        """How often it was asked: not a function of events."""
        if active.before == 0:
            active.memory[0] = 0.0
        active.memory[0] += 1.0
        return float(active.memory[0])

    try:
        leaky = feature_set(
            days_since=events().days_since_last().says("{:.0f} days"),
            asked=events().days_say("times_asked").says("asked {:.0f} times"),
        )
        assert canary(log, leaky, DEFINITION, cutoffs=CUTOFFS).moved == ("asked",)
    finally:
        del OPERATORS["times_asked"]


def test_a_small_log_is_tried_whole(tmp_path: Path) -> None:
    log = write(clean(users=20, seed=5), tmp_path / "events")
    found = canary(log, FEW, DEFINITION, cutoffs=CUTOFFS[:1])
    assert found.users == len({user for bucket in range(4) for user in log.read_bucket(bucket).user_ids})
    assert found.moved == ()
    assert np.isfinite(found.injected)
