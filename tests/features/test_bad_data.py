"""Data as real logs have it, through the whole line: a file, the event log, the standard features, a snapshot."""

import csv
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from features.bots import rates
from features.busiest import too_busy
from features.catalog import standard
from features.errors import BadInput
from features.expressions import Additive, Window
from features.feature_set import FeatureSet
from features.ingest import Ingested, ingest
from features.log import EventLog
from features.population import Population
from features.snapshots import Snapshots, build
from features.sources.mapping import Mapping
from features.windows import days, iso, shift, utc

NOW = utc("2026-06-01")
START, CUTOFF = utc("2026-01-01"), utc("2026-05-01")
COUNTED = {Additive.COUNT, Additive.TOTAL, Additive.ACTIVE_DAYS}
Row = tuple[str, str, str, object]


@dataclass(frozen=True)
class Line:
    """What came of a file."""

    log: EventLog
    done: Ingested
    features: FeatureSet
    found: Snapshots

    def of(self, name: str) -> NDArray[np.float64]:
        return self.found.matrix[:, self.found.names.index(name)]

    def row(self, user: str) -> dict[str, float]:
        (place,) = np.flatnonzero(self.found.users == user)
        return dict(zip(self.found.names, self.found.matrix[place].tolist(), strict=True))


def at(day: float) -> str:
    return iso(shift(START, timedelta(days=day)))


def shop(users: int = 12) -> list[Row]:
    """People who visit every other day and buy on every fourth, each from another hour on."""
    return [
        (f"user{user:02}", at(day + user / 24), "purchase" if day % 4 else "visit", 10 + user if day % 4 else "")
        for user in range(users)
        for day in range(user % 5, 118 - 3 * user, 2)
    ]


def written(folder: Path, rows: Iterable[Row], name: str = "events.csv") -> Path:
    path = folder / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("user_id", "time", "event", "value"), *rows])
    return path


def taken(folder: Path, *files: Path, mapping: Mapping | None = None) -> tuple[EventLog, Ingested]:
    log = EventLog.create(folder / "log", buckets=2)
    names = [str(file) for file in files]
    done = ingest(log, names, mapping=mapping or Mapping(), quarantine=folder / "quarantine", now=NOW)
    assert done.read == done.accepted + done.duplicates + done.quarantined
    assert done.quarantined == sum(done.reasons.values())
    return log, done


def line(folder: Path, rows: Iterable[Row] | Path, *, mapping: Mapping | None = None, **said: Sequence[str]) -> Line:
    """The whole line; whatever the data, counts are numbers, nothing is infinite, and the features stay the same."""
    log, done = taken(folder, rows if isinstance(rows, Path) else written(folder, rows), mapping=mapping)
    summary = log.summary()
    assert sum(kind.events for kind in summary.kinds) == summary.events
    activity = tuple(said.get("activity", ()))
    features = standard(summary, activity=activity)
    found = build(log, features, cutoffs=[CUTOFF], population=Population(activity, days(60)))
    again = standard(EventLog.open(log.path).summary(), activity=activity)
    assert features.fingerprint == again.fingerprint == FeatureSet.from_json(features.to_json()).fingerprint
    assert not np.isinf(found.matrix).any()
    assert not np.isnan(found.matrix[:, counts_of(features)]).any()
    for values in found.matrix[:2]:
        assert all(feature.says(value) for feature, value in zip(features, values.tolist(), strict=True))
    return Line(log, done, features, found)


def counts_of(features: FeatureSet) -> list[int]:
    """The columns that count or add up, and are 0 of nothing."""
    told = [feature.expression for feature in features]
    return [place for place, told in enumerate(told) if isinstance(told, Window) and told.what in COUNTED]


def same(one: Line, other: Line) -> bool:
    return one.found.users.tolist() == other.found.users.tolist() and bool(
        np.array_equal(one.found.matrix, other.found.matrix, equal_nan=True)
    )


def test_an_ordinary_shop_goes_through(tmp_path: Path) -> None:
    shown = line(tmp_path, shop())
    assert (shown.done.quarantined, shown.done.duplicates, len(shown.found)) == (0, 0, 12)
    assert len(counts_of(shown.features)) > 30


def test_a_bot_is_reported_and_can_be_told_from_people(tmp_path: Path) -> None:
    bot: list[Row] = [("bot", at(100 + second / 86_400), "visit", "") for second in range(1500)]
    shown = line(tmp_path, [*shop(), *bot])
    found = rates(shown.log, ids=True)
    (busy,) = found.busy
    assert (busy.user_id, busy.busiest_day, iso(busy.day)[:10]) == ("bot", 1500, "2026-04-11")
    assert (found.beyond[0].limit, found.beyond[0].users, found.beyond[0].events) == (1000, 1, 1500)
    beyond = [
        user
        for bucket in range(shown.log.buckets)
        for events in [shown.log.read_bucket(bucket)]
        for user, busy in zip(events.user_ids, too_busy(events, limit=1000, before=CUTOFF), strict=True)
        if busy
    ]
    assert beyond == ["bot"]
    assert shown.row("bot")["events_ever"] == 1500  # reported, not left out


def test_a_user_with_very_many_events_costs_about_as_much_as_many_users_with_few(tmp_path: Path) -> None:
    one, many = crowd(tmp_path, users=1), crowd(tmp_path, users=1000)
    assert (len(one.found), one.row("user0")["events_ever"]) == (1, 100_000)
    assert len(many.found) == 1000
    assert seconds_to_build(one) < 10 * seconds_to_build(many) + 1  # a cost that is square in a user's events: minutes


def seconds_to_build(made: Line) -> float:
    """Of the processor, so that neighbours do not count."""
    begun = time.process_time()
    build(made.log, made.features, cutoffs=[CUTOFF], population=Population((), days(60)))
    return time.process_time() - begun


def crowd(folder: Path, *, users: int) -> Line:
    """The same 100,000 events of one or of many users, as Parquet."""
    file = folder / f"{users}" / "events.parquet"
    file.parent.mkdir()
    draws = np.random.default_rng(7)
    number = 100_000
    seconds = draws.integers(0, 120 * 86_400, number)
    table = {
        "user_id": [f"user{user}" for user in (np.arange(number) % users).tolist()],
        "time": pa.array((int(START.timestamp()) + seconds) * 1_000_000, pa.timestamp("us", "UTC")),
        "event": np.array(["visit", "purchase"])[draws.integers(0, 2, number)],
        "value": draws.uniform(1, 50, number),
    }
    pq.write_table(pa.table(table), file)
    return line(file.parent, file)


def test_an_event_in_1970_and_one_in_2099_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    clean = line(tmp_path / "clean", shop())
    lost: list[Row] = [("user01", "1970-01-01T00:00:00Z", "visit", ""), ("user01", "2099-01-01T00:00:00Z", "visit", "")]
    shown = line(tmp_path, [*lost, *shop()])
    assert shown.done.reasons == {"future_time": 1, "too_old_time": 1}
    assert shown.done.start == clean.done.start
    assert shown.features.fingerprint == clean.features.fingerprint
    assert same(shown, clean)


def test_a_stray_event_of_long_ago_makes_windows_longer_and_moves_nobody_else(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    clean = line(tmp_path / "clean", shop())
    shown = line(tmp_path, [*shop(), ("user01", "1999-01-01T00:00:00Z", "visit", "")])
    assert "events_364d" in shown.features.names
    assert "events_364d" not in clean.features.names
    ordinary = [name for name in clean.features.names if not name.endswith("_fifth") and name in shown.features.names]
    for name in ordinary:
        assert np.array_equal(shown.row("user02")[name], clean.row("user02")[name], equal_nan=True), name


def test_days_without_an_hour_are_refused_until_a_time_zone_is_named(tmp_path: Path) -> None:
    rows = [(user, when[:10], kind, value) for user, when, kind, value in shop()]
    with pytest.raises(BadInput, match=r"'2026-01-01', has no offset from UTC; expected one, .* --timezone"):
        taken(tmp_path, written(tmp_path, rows))


@pytest.mark.parametrize(("zone", "active"), [("UTC", 13), ("Asia/Shanghai", 12)])  # there, 3 April begins on the 2nd
def test_days_without_an_hour_count_as_days(zone: str, active: int, tmp_path: Path) -> None:
    rows = [(user, when[:10], kind, value) for user, when, kind, value in shop()]
    shown = line(tmp_path, rows, mapping=Mapping(timezone=zone))
    assert shown.done.accepted == len(rows)
    ada = shown.row("user00")  # every other day until 27 April
    assert ada["active_days_28d"] == active
    assert ada["median_gap_days"] == ada["longest_gap_days"] == 2
    assert ada["gap_spread_days"] == 0
    assert "weekend_share_ever" in ada
    assert not any(name.startswith(("night_share", "morning_share", "rhythm_change")) for name in ada)


@pytest.mark.parametrize(("hour", "has_hours"), [("00", False), ("05", True)])
def test_dates_in_a_zone_that_changes_its_clocks_are_no_hours(hour: str, has_hours: bool, tmp_path: Path) -> None:
    rows = [(user, f"{when[:10]}T00:00:00", kind, value) for user, when, kind, value in shop()]
    rows.append(("user00", f"2026-02-01T{hour}:00:00", "visit", ""))
    shown = line(tmp_path, rows, mapping=Mapping(timezone="Europe/Berlin"))
    assert shown.log.summary().has_hours is has_hours
    assert ("night_share_ever" in shown.features.names) is has_hours


def test_weekly_ticks_have_an_even_rhythm(tmp_path: Path) -> None:
    ticks: list[Row] = [(f"user{user}", at(7 * week + 0.5), "tick", "") for user in range(5) for week in range(17)]
    row = line(tmp_path, ticks).row("user3")
    assert row["mean_gap_days"] == row["longest_gap_days"] == 7
    assert (row["gap_spread_days"], row["events_28d"], row["events_7d"]) == (0, 3, 0)  # 7.5, 14.5 and 21.5 days old
    assert row["silence_to_median_gap"] == pytest.approx(7.5 / 7)
    assert row["current_streak_weeks"] == 0  # the week that ends at the cutoff has no tick yet


def test_a_log_without_values_has_no_columns_of_money(tmp_path: Path) -> None:
    shown = line(tmp_path, [(user, when, kind, "") for user, when, kind, _ in shop()])
    assert {feature.family for feature in shown.features} >= {"recency", "frequency", "cadence"}
    assert "money" not in {feature.family for feature in shown.features}


def test_what_was_given_back_is_spend_below_zero_and_a_share_of_what_was_bought(tmp_path: Path) -> None:
    back: list[Row] = [("user00", at(110 + day / 10), "purchase", -5) for day in range(4)]
    shown = line(tmp_path, [*shop(), *back])
    ada = shown.row("user00")
    assert ada["returned_share_ever"] == pytest.approx(20 / (ada["amount_ever"] + 20))
    assert shown.row("user01")["returned_share_ever"] == 0
    assert np.isnan(shown.row("user01")["days_since_last_return"])


def test_refunds_that_eat_up_all_spend_leave_no_infinite_ratio(tmp_path: Path) -> None:
    even = [("even", at(100 + day), "purchase", amount) for day, amount in enumerate((0.1, 0.2, -0.3))]
    only = [("only", at(100 + day), "purchase", -5) for day in range(3)]
    shown = line(tmp_path, [*shop(), *even, *only])
    assert shown.row("even")["amount_ever"] == pytest.approx(0, abs=1e-12)
    assert shown.row("even")["returned_share_ever"] == pytest.approx(1)
    assert shown.row("only")["amount_ever"] == -15
    assert np.isnan(shown.row("only")["returned_share_ever"])  # of nothing bought
    assert np.abs(np.nan_to_num(shown.found.matrix)).max() < 100_000  # the day of the cutoff is beyond 20,000


def test_thousands_of_kinds_are_told_together(tmp_path: Path) -> None:
    draws = iter(np.random.default_rng(7).integers(0, 5000, 4 * len(shop())).tolist())
    pages: list[Row] = [(user, when, f"page {next(draws)}", "") for user, when, _, _ in shop() * 4]
    shown = line(tmp_path, pages)
    assert len(shown.log.summary().kinds) > 1000
    assert len(shown.features) < 150
    assert sum(shown.of("events_ever")) == sum(kind.events for kind in shown.log.summary().kinds)


ODD = (
    "ada lovelace", "  ada", "ada", "🙂👩‍👩‍👧", "x" * 300, "字" * 300, 'a "quoted", comma', "a/b?c#d%20", "null", "NaN",
    "O'Brien; --", "007", "7", "é", "e\u0301",
)  # fmt: skip


def test_ids_are_kept_as_they_are(tmp_path: Path) -> None:
    shown = line(tmp_path, [*shop(), *((user, at(100), "visit", "") for user in ODD)])
    assert shown.done.quarantined == 0
    assert {user for user in shown.found.users if not user.startswith("user")} == set(ODD)
    for user in ODD:
        assert shown.row(user)["events_ever"] == 1
        assert shown.log.read_user(user).user_ids == (user,)


def test_an_empty_id_and_one_that_is_no_id_go_to_quarantine(tmp_path: Path) -> None:
    bad = ["", "   ", "\u200b\u2060", "x" * 1001, "nu\x00l", "tab\there", "new\nline"]
    shown = line(tmp_path, [*shop(), *((user, at(100), "visit", "") for user in bad)])
    assert shown.done.reasons == {"bad_user_id": 3, "missing_user_id": 3, "long_user_id": 1}
    assert len(shown.found) == 12


def test_an_unsorted_log_says_the_same_as_a_sorted_one(tmp_path: Path) -> None:
    (tmp_path / "sorted").mkdir()
    inorder = line(tmp_path / "sorted", shop())
    rows = shop()
    shuffled = line(tmp_path, [rows[place] for place in np.random.default_rng(7).permutation(len(rows))])
    assert shuffled.features == inorder.features
    assert same(shuffled, inorder)


def test_a_file_sent_twice_and_once_more_in_part_counts_once(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    clean = line(tmp_path / "clean", shop())
    whole = written(tmp_path, shop())
    log, first = taken(tmp_path, whole, written(tmp_path, shop()[:50], "part.csv"))
    assert (first.accepted, first.duplicates) == (len(shop()), 50)
    again = line(tmp_path, whole)
    assert (again.done.accepted, again.done.duplicates) == (0, len(shop()))
    assert log.path == again.log.path
    assert same(again, clean)


def test_a_log_of_one_user_has_features(tmp_path: Path) -> None:
    shown = line(tmp_path, [row for row in shop() if row[0] == "user00"])
    assert shown.found.users.tolist() == ["user00"]
    assert shown.row("user00")["recency_fifth"] == 1


def test_a_log_of_one_event_has_features(tmp_path: Path) -> None:
    row = line(tmp_path, [("ada", at(118), "visit", "")]).row("ada")
    assert row["days_since_last_event"] == pytest.approx(2)
    assert np.isnan(row["mean_gap_days"])
    assert row["events_ever"] == 1


def test_zero_users_after_filters_are_an_empty_snapshot_with_all_columns(tmp_path: Path) -> None:
    early = [row for row in shop() if row[1] < at(30)]
    shown = line(tmp_path, [*early, ("ada", at(118), "visit", "")], activity=("purchase",))
    assert (len(shown.found), shown.found.matrix.shape) == (0, (0, len(shown.features)))
    assert shown.found.to_pandas().shape == (0, len(shown.features))
    assert shown.found.to_arrow().num_rows == 0
