"""Drift: planted moves are told with their names; age, seasons and chance are not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.language import FeatureSet
from features.log import EventLog
from features.user_events import UserEvents
from features.windows import days, shift, utc
from models.bundle import Bundle
from models.definition import ChurnDefinition
from tests.cast import user_events
from training.drift import Drift, Move, _from, _holm, _move, drift, findings
from training.fit import TrainSettings
from training.run import train
from training.stability import Shift, population_shift
from training.watch import Gravity

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=30, boosters=1, blends=(0.5,), step_days=7, max_cutoffs=6, test_cutoffs=1, replicates=50, calibration="platt"
)
START = utc("2026-01-01")
LEARNT, LENGTH = 200, 300  # days of history at the training, and now
Rows = list[tuple[str, float]]


def _visits(*, twice_from: float = np.inf, seed: int = 4) -> Rows:
    """Users who arrive evenly, from long before the log begins, and leave; from some day on all come twice as often."""
    draws = np.random.default_rng(seed)
    rows = []
    for place in range(1500):
        day, pace = draws.uniform(-400, LENGTH), draws.gamma(2.0, 2.0)
        gone = day + draws.exponential(150)
        while day < min(LENGTH, gone):
            if day >= 0:
                rows.append((f"user-{place:04d}", float(day)))
            day += draws.exponential(pace / (2 if day >= twice_from else 1)) + 0.01
    return rows


@pytest.fixture(scope="module")
def learnt(
    tmp_path_factory: pytest.TempPathFactory, write_log: Callable[[Path, Rows], EventLog], few_features: FeatureSet
) -> Bundle:
    rows = [row for row in _visits() if row[1] < LEARNT]
    log = write_log(tmp_path_factory.mktemp("learnt") / "events", rows)
    return train(log, FORTNIGHT, few_features, now=utc("2026-12-01"), code_version="x", settings=QUICK).bundle


def _looked(log: EventLog, bundle: Bundle) -> Drift:
    found = drift(log, bundle, start=START, now=shift(START, days(LENGTH - 1)), seed=0)
    assert found is not None
    return found


def test_where_nothing_moves_nothing_is_told(
    tmp_path: Path, write_log: Callable[[Path, Rows], EventLog], learnt: Bundle
) -> None:
    found = _looked(write_log(tmp_path / "still", _visits()), learnt)
    assert [finding.gravity for finding in findings(found)] == [Gravity.OK, Gravity.OK]
    assert found.scores.shift.before > 300


def test_users_who_come_twice_as_often_are_told_by_feature_and_by_score(
    tmp_path: Path, write_log: Callable[[Path, Rows], EventLog], learnt: Bundle
) -> None:
    found = _looked(write_log(tmp_path / "twice", _visits(twice_from=LEARNT)), learnt)
    told = {move.shift.name for move in found.features if move.told}
    assert "events_14d" in told
    of_scores, of_features = findings(found)
    assert (of_features.code, of_features.gravity) == ("feature_drift", Gravity.WARNING)
    assert set(of_features.figures) == told
    assert of_scores.retrain is found.scores.told is True
    ranked = [move.shift.index * move.weight for move in found.features]
    assert ranked == sorted(ranked, reverse=True)


def test_right_after_a_training_there_is_no_drift_yet(
    tmp_path: Path, write_log: Callable[[Path, Rows], EventLog], learnt: Bundle
) -> None:
    log = write_log(tmp_path / "early", [row for row in _visits() if row[1] < LEARNT])
    assert drift(log, learnt, start=START, now=shift(START, days(LEARNT - 15)), seed=0) is None
    (found,) = findings(None)
    assert (found.code, found.gravity) == ("no_drift_yet", Gravity.OK)
    unknown = replace(learnt, facts={name: what for name, what in learnt.facts.items() if name != "learnt_until"})
    assert drift(log, unknown, start=START, now=shift(START, days(LEARNT)), seed=0) is None


def _a_move(index: float, *, noise: float = 0.01, usual: float | None = None, chance: float = 0.0) -> Move:
    return Move(Shift("visits", index, 0.01, 10, 1000, 1000), noise, usual, 0.2, chance, 0.2)


@pytest.mark.parametrize(
    ("move", "told"),
    [
        (_a_move(0.3), True),
        (_a_move(0.2), False),  # too little to matter
        (_a_move(0.3, noise=0.4), False),  # as few rows would show without a move
        (_a_move(0.3, chance=0.06), False),  # one of so many features shows as much by chance
        (_a_move(0.5, usual=0.3), False),  # it moves as much in any such span
        (_a_move(0.7, usual=0.3), True),
    ],
)
def test_a_move_is_told_if_it_matters_and_is_neither_noise_nor_usual(move: Move, told: bool) -> None:
    assert move.told is told


def test_a_move_is_measured_from_the_training_to_now_and_compared_with_the_span_before() -> None:
    draws = np.random.default_rng(0)
    earlier, before, now = (draws.normal(mean, 1, 800) for mean in (-0.5, 0.0, 2.0))
    found = _move("visits", [earlier, before, now], (0.5, 0.001), weight=0.3, tests=7)
    assert found.shift.index == population_shift("visits", before, now).index
    assert found.usual == population_shift("visits", earlier, before).index
    assert _move("visits", [before, now], (0.5, 0.001), weight=0.3, tests=1).usual is None
    assert found.noise > found.shift.noise  # the point that seven features stay below together


def test_chances_are_corrected_for_being_so_many() -> None:
    found = _holm([(0.1, 0.01), (0.2, 0.04), (0.3, 0.03), (0.4, 0.9)])
    assert [distance for distance, _ in found] == [0.1, 0.2, 0.3, 0.4]
    assert [chance for _, chance in found] == pytest.approx([0.04, 0.09, 0.09, 0.9])


def test_only_features_that_weigh_something_are_a_warning() -> None:
    scores = replace(_a_move(0.0), weight=1.0)
    light = replace(_a_move(0.6), weight=0.01)
    for features, gravity in (((light,), Gravity.ADVICE), ((light, _a_move(0.6)), Gravity.WARNING)):
        _, found = findings(Drift(START, shift(START, days(30)), scores, features))
        assert found.gravity is gravity


def test_all_sides_are_shown_as_much_history_and_what_is_ours_stays() -> None:
    found = user_events(
        {
            "ada": [("2025-12-01", "$profile", None), ("2025-12-31", "visit", 1.0), ("2026-01-01", "visit", 2.0)],
            "bert": [("2025-12-31", "visit", 3.0)],
        }
    )
    kept: UserEvents = _from(found, START)
    assert kept.user_ids == ("ada", "bert")
    assert kept.offsets.tolist() == [0, 2, 2]
    assert [kept.kind_names[kind] for kind in kept.kinds] == ["$profile", "visit"]
    assert kept.values[1] == 2.0
