"""Training as known: features, population and rules see what had been received; labels are what really happened."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.events import EVENT_SCHEMA
from features.language import events, feature_set, profile
from features.lateness import Knowledge
from features.log import EventLog
from features.windows import days, utc
from models.definition import ChurnDefinition
from serving.scoring import score_population
from training.fit import TrainSettings
from training.report import report
from training.run import train
from training.snapshots import TrainingSet, labelled

FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
FEATURES = feature_set(
    days_since_last_event=events().days_since_last(),
    events_28d=events().count(last=days(28)),
    events_fifth=events().count(last=days(28)).fifth_of_population(),
    plan=profile("plan").among("free", "pro"),
)
CUTOFFS = [utc("2026-03-01"), utc("2026-04-01"), utc("2026-05-01")]
Row = tuple[str, str, float, float]  # user, kind, day of the year, days until it was received


def visits(*, users: int = 300, seed: int = 5) -> list[Row]:
    """Visitors at a pace of their own, a quarter of whose visits are told a week late; everybody has a plan."""
    draws = np.random.default_rng(seed)
    rows: list[Row] = []
    for place in range(users):
        user, day, alive = f"user-{place:03d}", draws.uniform(0, 10), draws.exponential(200)
        rows.append((user, "$profile", 0.0, 0.0))
        while day < min(180.0, alive):
            rows.append((user, "visit", day, 7.0 if draws.random() < 0.25 else 0.001))
            day += draws.exponential(12.0) + 0.01
    return rows


def write(folder: Path, rows: Sequence[Row], *, buckets: int = 4) -> EventLog:
    start = utc("2026-01-01")
    table = pa.table(
        {
            "user_id": [user for user, *_ in rows],
            "time": [start + timedelta(days=day) for _, _, day, _ in rows],
            "event": [kind for _, kind, _, _ in rows],
            "value": [None] * len(rows),
            "event_id": [f"{user} {kind} {day}" for user, kind, day, _ in rows],
            "received_at": [start + timedelta(days=day + delay) for _, _, day, delay in rows],
            "properties": [[("plan", "pro")] if kind == "$profile" else [] for _, kind, _, _ in rows],
        },
        schema=EVENT_SCHEMA,
    )
    log = EventLog.create(folder, buckets=buckets)
    log.append([table], source="test")
    return log


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    return write(tmp_path_factory.mktemp("late") / "events", visits())


def read(log: EventLog, *, as_known: bool) -> TrainingSet:
    return labelled(log, FEATURES, FORTNIGHT, CUTOFFS, log_end=utc("2026-06-29"), as_known=as_known)


def test_what_came_late_is_not_there_yet(log: EventLog, tmp_path: Path) -> None:
    found, cutoff = read(log, as_known=True).at(CUTOFFS[1:2]), 90.0  # 1 April
    received = write(tmp_path / "received", [row for row in visits() if row[2] + row[3] < cutoff])
    expected = labelled(received, FEATURES, FORTNIGHT, CUTOFFS[1:2], log_end=utc("2026-06-29"))
    assert found.users.tolist() == expected.users.tolist()
    np.testing.assert_array_equal(found.snapshots.matrix, expected.snapshots.matrix)
    for fact in ("recency_days", "frequency", "monetary"):
        np.testing.assert_array_equal(getattr(found.facts, fact), getattr(expected.facts, fact), fact)


def test_labels_are_what_really_happened(log: EventLog) -> None:
    happened, known = read(log, as_known=False), read(log, as_known=True)
    truth = dict(zip(keys(happened), happened.labels, strict=True))
    assert 0 < len(known) < len(happened)
    assert [truth[key] for key in keys(known)] == known.labels.tolist()


def keys(rows: TrainingSet) -> list[tuple[str, int]]:
    return list(zip(rows.users.tolist(), rows.snapshots.cutoffs.tolist(), strict=True))


def test_a_profile_is_neither_activity_nor_an_outcome(tmp_path: Path) -> None:
    log = write(
        tmp_path / "events",
        [("ada", "visit", 50.0, 0.0), ("ada", "$profile", 65.0, 0.0), ("bert", "$profile", 50.0, 0.0)],
        buckets=1,
    )
    rows = labelled(log, FEATURES, FORTNIGHT, CUTOFFS[:1], log_end=utc("2026-06-01"))
    assert rows.users.tolist() == ["ada"]
    assert rows.labels.tolist() == [1.0]  # her profile changed in the horizon: she has gone all the same
    assert rows.facts.frequency.tolist() == [1.0]


def test_places_in_the_population_are_counted_over_all_buckets(log: EventLog) -> None:
    rows = read(log, as_known=False).at(CUTOFFS[:1])
    counts, fifths = rows.snapshots.matrix[:, 1], rows.snapshots.matrix[:, 2]
    assert fifths[counts == counts.max()].tolist() == [5.0] * int((counts == counts.max()).sum())
    assert 0.1 < np.mean(fifths == 1.0) < 0.4


def test_the_bundle_remembers_and_scoring_does_as_it_says(log: EventLog) -> None:
    quick = TrainSettings(
        trees=20, boosters=1, blends=(0.5,), step_days=14, max_cutoffs=4, test_cutoffs=1, replicates=20
    )
    learnt = train(
        log,
        FORTNIGHT,
        FEATURES,
        now=utc("2026-09-01"),
        code_version="0.1.0",
        knowledge=Knowledge(as_known=True, because="the settings say yes."),
        settings=quick,
    )
    assert (learnt.facts["as_known"], learnt.facts["as_known_because"]) == (True, "the settings say yes.")
    assert "what had been received before each cutoff: the settings say yes." in report(learnt)
    assert learnt.model.categorical == ("plan",)
    scored = score_population(log, learnt.bundle, cutoff=CUTOFFS[1], model_version="1")
    expected = read(log, as_known=True).at(CUTOFFS[1:2])
    assert sorted(scored.user_ids) == sorted(expected.users)
    assert set(scored.outside).isdisjoint(expected.users)
    order = np.argsort(expected.users)
    np.testing.assert_array_equal(
        scored.churn_probability[np.argsort(scored.user_ids)],
        learnt.model.predict_proba(expected.frame)[order, 1],
    )
