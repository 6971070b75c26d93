"""A small shop whose visitors come and go: a log, a training on it, and a champion in a folder."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from features.events import EVENT_SCHEMA
from features.language import events, feature_set
from features.log import EventLog
from features.windows import days, to_microseconds, utc
from models import bundle as bundles
from models.definition import ChurnDefinition
from training.fit import TrainSettings
from training.run import Training

START, TONIGHT = utc("2026-01-01"), utc("2026-07-30")
DEFINITION = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=30, boosters=1, blends=(0.5,), step_days=14, max_cutoffs=8, test_cutoffs=1, replicates=20, calibration="platt"
)
FEATURES = feature_set(
    recency_fifth=events().days_since_last().fifth_of_population().says("{:.0f}th fifth by silence", family="recency"),
    frequency_fifth=events()
    .count(last=days(28))
    .fifth_of_population()
    .says("{:.0f}th fifth by visits", missing="place by visits unknown", family="frequency"),
    spend_56d=events().total(last=days(56)).says("spent {:.0f}", family="money"),
)
Visit = tuple[str, float, float]  # user, days after the start, value


def visits(*, users: int = 300) -> list[Visit]:
    """Each comes at a pace of his own, and some stop for good; emil came once, on the first day."""
    draws, rows = np.random.default_rng(3), [("emil", 0.5, 1.0)]
    for place in range(users):
        pace, day, alive = draws.gamma(2.0, 2.0), draws.uniform(0, 20), draws.exponential(210)
        while day < min(210.0, alive):
            rows.append((f"user-{place:03d}", float(day), 1.0 + int(10 * day) % 7))
            day += draws.exponential(pace) + 0.01
    return rows


def write(folder: Path, rows: Sequence[Visit], *, start: datetime = START) -> EventLog:
    times = [to_microseconds(start) + int(day * 86_400_000_000) for _, day, _ in rows]
    moments = pa.array(times, pa.timestamp("us", "UTC"))
    columns = {
        "user_id": [user for user, *_ in rows],
        "time": moments,
        "event": ["visit"] * len(rows),
        "value": [value for *_, value in rows],
        "event_id": [f"{user} {time}" for (user, *_), time in zip(rows, times, strict=True)],
        "received_at": moments,
        "properties": pa.array([[]] * len(rows), EVENT_SCHEMA.field("properties").type),
    }
    log = EventLog.create(folder, buckets=4)
    log.append([pa.table(columns, schema=EVENT_SCHEMA)], source="test")
    return log


def publish(training: Training, champion: Path, version: str, *, damaged: bool = False) -> None:
    """The training's model as the champion that serving reads, as a promotion leaves it."""
    folder = champion / version
    bundles.save(training.bundle, folder, golden=training.golden)
    if damaged:
        facts = folder / "facts.json"
        facts.write_text(facts.read_text().replace("0", "1", 1))
    draft = champion / ".champion.json"
    draft.write_text(json.dumps({"model": "holdfast", "version": version, "folder": version}))
    draft.replace(champion / "champion.json")
