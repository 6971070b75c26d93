import numpy as np
import pyarrow as pa
import pytest

from features.catalog import standard
from features.events import EVENT_SCHEMA
from features.feature_set import FeatureSet
from features.language import events, feature_set
from features.log import EventLog
from features.plan import make_plan
from features.population import Population
from features.snapshots import build, map_buckets, of_user
from features.windows import days, to_microseconds, utc

CUTOFFS = [utc("2026-03-01"), utc("2026-04-01"), utc("2026-05-01")]
ACTIVE = Population(activity=(), look_back=days(28))


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    """Two thousand events of sixty users over four months, in two imports."""
    draws = np.random.default_rng(7)
    made = EventLog.create(tmp_path_factory.mktemp("shop") / "events", buckets=4)
    start = to_microseconds(utc("2026-01-01"))
    for _ in range(2):
        table = pa.table(
            {
                "user_id": [f"user-{number:02}" for number in draws.integers(0, 60, 1000)],
                "time": pa.array(start + draws.integers(0, 120 * 86_400, 1000) * 1_000_000, pa.timestamp("us", "UTC")),
                "event": draws.choice(["visit", "purchase", "return"], 1000).tolist(),
                "value": pa.array(draws.normal(20, 5, 1000), mask=draws.random(1000) < 0.3),
            }
        )
        missing = [name for name in EVENT_SCHEMA.names if name not in table.column_names]
        for name in missing:
            table = table.append_column(name, pa.nulls(1000, EVENT_SCHEMA.field(name).type))
        made.append([table.select(EVENT_SCHEMA.names).cast(EVENT_SCHEMA)], source="test")
    return made


def test_a_snapshot_from_the_log_equals_each_user_alone_to_the_bit(log: EventLog) -> None:
    features = FeatureSet(tuple(each for each in standard(log.summary()) if each.unit != "fifth"))
    plan = make_plan(features)
    found = build(log, features, cutoffs=CUTOFFS, population=ACTIVE, workers=2)
    assert len(found) > 100
    for place in range(0, len(found), 7):
        cutoff = next(cutoff for cutoff in CUTOFFS if to_microseconds(cutoff) == found.cutoffs[place])
        alone = of_user(log.read_user(found.users[place]), plan, cutoff=cutoff)
        assert alone.tobytes() == found.matrix[place].tobytes()


def test_the_number_of_workers_changes_nothing(log: EventLog) -> None:
    features = standard(log.summary())
    one, two = (build(log, features, cutoffs=CUTOFFS, population=ACTIVE, workers=count) for count in (1, 2))
    assert one.users.tolist() == two.users.tolist()
    assert one.matrix.tobytes() == two.matrix.tobytes()


def test_rows_are_sorted_by_cutoff_then_bucket_then_user(log: EventLog) -> None:
    found = build(log, feature_set(count=events().count()), cutoffs=CUTOFFS[::-1], population=ACTIVE)
    places = [(cutoff, log.bucket_of(user), user) for cutoff, user in zip(found.cutoffs, found.users, strict=True)]
    assert places == sorted(places)


def test_nobody_in_the_population_is_an_empty_snapshot_with_all_columns(log: EventLog) -> None:
    nobody = Population(activity=("telegram",), look_back=days(28))
    found = build(log, feature_set(count=events().count()), cutoffs=CUTOFFS, population=nobody)
    assert len(found) == 0
    assert found.matrix.shape == (0, 1)
    assert list(found.to_pandas().columns) == ["count"]


def test_a_snapshot_is_a_frame_or_a_table_with_users_and_cutoffs(log: EventLog) -> None:
    found = build(log, feature_set(count=events().count()), cutoffs=CUTOFFS, population=ACTIVE)
    frame, table = found.to_pandas(), found.to_arrow()
    assert frame.index.names == ["user_id", "cutoff"]
    assert str(frame.index.get_level_values("cutoff").max()) == "2026-05-01 00:00:00+00:00"
    assert table.column_names == ["user_id", "cutoff", "count"]
    assert table["count"].to_pylist() == frame["count"].tolist()
    assert len(found.at(CUTOFFS[0])) == (table["cutoff"].to_numpy() == np.datetime64("2026-03-01")).sum()


def test_progress_counts_the_buckets(log: EventLog) -> None:
    told: list[tuple[int, int]] = []
    build(
        log,
        feature_set(count=events().count()),
        cutoffs=CUTOFFS,
        population=ACTIVE,
        on_progress=lambda *at: told.append(at),
    )
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_what_goes_wrong_in_a_bucket_is_not_swallowed(log: EventLog) -> None:
    def stumble(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        map_buckets(log, stumble, workers=2)
