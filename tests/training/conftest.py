from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.events import EVENT_SCHEMA
from features.language import FeatureSet, events, feature_set
from features.log import EventLog
from features.user_events import UserEvents
from features.windows import days, to_microseconds, utc
from models.definition import ChurnDefinition
from training.fit import TrainSettings
from training.run import Training, train

History = dict[str, list[tuple[str, str]]]
FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=40, boosters=2, blends=(0.5,), step_days=7, max_cutoffs=8, test_cutoffs=1, replicates=100, calibration="platt"
)


@pytest.fixture
def events_of() -> Callable[[History], UserEvents]:
    """Events written by hand: {user: [(date, kind), …]}."""
    return _events_of


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """A log of 500 shoppers over 30 weeks: each comes at a pace of his own, and some stop for good."""
    return _write(tmp_path_factory.mktemp("shop") / "events", _visits(users=500, length=210, seed=1))


@pytest.fixture(scope="session")
def few_features() -> FeatureSet:
    anything = events()
    return feature_set(
        days_since_last_event=anything.days_since_last().says("last seen {:.0f} days ago"),
        events_14d=anything.count(last=days(14)).says("{:.0f} events in 14 days"),
        events_56d=anything.count(last=days(56)).says("{:.0f} events in 56 days"),
        active_days_28d=anything.active_days(last=days(28)).says("active on {:.0f} of 28 days"),
        spend_56d=anything.total(last=days(56)).says("{:.0f} spent in 56 days"),
    )


@pytest.fixture(scope="session")
def training(shop: EventLog, few_features: FeatureSet) -> Training:
    return train(shop, FORTNIGHT, few_features, now=utc("2026-09-01"), code_version="0.1.0", settings=QUICK)


@pytest.fixture(scope="session")
def write_log() -> Callable[[Path, list[tuple[str, float]]], EventLog]:
    """A log of visits (user, days after 2026-01-01) in a new folder."""
    return _write


@pytest.fixture(scope="session")
def visits() -> Callable[..., list[tuple[str, float]]]:
    return _visits


def _visits(*, users: int, length: int, seed: int) -> list[tuple[str, float]]:
    draws = np.random.default_rng(seed)
    rows = []
    for place in range(users):
        pace, day, alive = draws.gamma(2.0, 2.0), draws.uniform(0, 20), draws.exponential(length)
        while day < min(length, alive):
            rows.append((f"user-{place:03d}", float(day)))
            day += draws.exponential(pace) + 0.01
    return rows


def _write(folder: Path, rows: list[tuple[str, float]]) -> EventLog:
    start = to_microseconds(utc("2026-01-01"))
    times = [start + int(day * 86_400_000_000) for _, day in rows]
    table = pa.table(
        {
            "user_id": [user for user, _ in rows],
            "time": pa.array(times, pa.timestamp("us", "UTC")),
            "event": ["visit"] * len(rows),
            "value": [1.0 + int(10 * day) % 7 for _, day in rows],
            "event_id": [f"{user} {time}" for (user, _), time in zip(rows, times, strict=True)],
            "received_at": pa.array(times, pa.timestamp("us", "UTC")),
            "properties": pa.array([[]] * len(rows), EVENT_SCHEMA.field("properties").type),
        },
        schema=EVENT_SCHEMA,
    )
    log = EventLog.create(folder, buckets=4)
    log.append([table], source="test")
    return log


def _events_of(history: History) -> UserEvents:
    users = tuple(sorted(history))
    kinds = tuple(sorted({kind for rows in history.values() for _, kind in rows}))
    rows = [sorted((to_microseconds(utc(when)), kinds.index(kind)) for when, kind in history[user]) for user in users]
    flat = [row for user_rows in rows for row in user_rows]
    return UserEvents(
        user_ids=users,
        offsets=np.cumsum([0, *map(len, rows)], dtype=np.int64),
        times=np.array([time for time, _ in flat], dtype=np.int64),
        kinds=np.array([kind for _, kind in flat], dtype=np.int32),
        kind_names=kinds,
        values=np.full(len(flat), np.nan),
    )
