"""How late a log's events were received, whether that can be believed, and how far it moves features."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from features.errors import BadInput
from features.events import EVENT_SCHEMA
from features.language import events, feature_set
from features.lateness import Lateness, default_as_known, knowledge, lateness, moved
from features.log import EventLog
from features.population import Population
from features.snapshots import build
from features.windows import days, utc

Row = tuple[str, str, timedelta | None]  # user, time, delay; without a delay nobody knows when it was received
MakeLog = Callable[[Sequence[Row]], EventLog]
SECONDS, HOURS = timedelta(seconds=30), timedelta(hours=5)
ANYBODY = Population(activity=(), look_back=days(60))
VISITS = feature_set(
    visits_28d=events().count(last=days(28)),
    days_since_last=events().days_since_last(),
    visits_91d=events().count(last=days(91)),
    visits_fifth=events().count(last=days(28)).fifth_of_population(),
)


@pytest.fixture
def make_log(tmp_path: Path) -> MakeLog:
    def make(rows: Sequence[Row], *, kind: str = "visit") -> EventLog:
        moments = [utc(time) for _, time, _ in rows]
        received = [
            None if delay is None else moment + delay for moment, (_, _, delay) in zip(moments, rows, strict=True)
        ]
        known = {
            "user_id": [user for user, _, _ in rows],
            "time": moments,
            "event": [kind] * len(rows),
            "event_id": [f"{kind} {place}" for place in range(len(rows))],
            "received_at": received,
        }
        columns = {name: known.get(name, [None] * len(rows)) for name in EVENT_SCHEMA.names}
        log = EventLog.create(tmp_path / "events", buckets=4)
        log.append([pa.table(columns, schema=EVENT_SCHEMA)], source="test")
        return log

    return make


def daily(user: str, delay: timedelta | None, *, times: int = 100) -> list[Row]:
    return [(user, f"2026-03-{1 + place % 28:02d}T{place % 24:02d}:00", delay) for place in range(times)]


def test_a_log_that_is_told_at_once_is_read_as_known(make_log: MakeLog) -> None:
    found = lateness(make_log([*daily("ada", SECONDS, times=190), *daily("bert", HOURS, times=10)]), workers=2)
    assert (found.events, found.saying, found.early, found.backfilled) == (200, 200, 0, 0)
    assert (found.delays["under a minute"], found.delays["under a day"]) == (190, 10)
    assert default_as_known(found)
    assert (
        found.because
        == "100.0% of the events say when they were received, 0.0% before they happened and 0.0% in a backfill."
    )


def test_delays_are_found_within_their_accuracy(make_log: MakeLog) -> None:
    waits = [timedelta(minutes=place) for place in range(1, 101)]
    found = lateness(make_log([(f"user-{place}", "2026-03-01", wait) for place, wait in enumerate(waits)]))
    for share, minutes in ((found.days_50, 50), (found.days_90, 90), (found.days_99, 99)):
        assert share * 1440 == pytest.approx(minutes, rel=0.05)
    assert found.days_most * 1440 == pytest.approx(100)


def test_events_that_do_not_say_when_they_came_are_no_ground_to_stand_on(make_log: MakeLog) -> None:
    found = lateness(make_log([*daily("ada", SECONDS, times=98), *daily("bert", None, times=2)]))
    assert not found.trustworthy
    assert found.because == "only 98.0% of the events say when they were received; expected 99%."


def test_profiles_do_not_count(make_log: MakeLog) -> None:
    make_log(daily("ada", SECONDS))
    log = make_log(daily("ada", None), kind="$profile")  # type: ignore[call-arg] # the fixture's function takes it
    found = lateness(log)
    assert (found.events, found.saying) == (100, 100)


def test_events_received_before_they_happened_make_a_clock_doubtful(make_log: MakeLog) -> None:
    found = lateness(make_log([*daily("ada", SECONDS, times=98), *daily("bert", -HOURS, times=2)]))
    assert found.early == 2
    assert found.because == "2.0% of the events were received before they happened; expected 1%."


def test_a_history_that_was_imported_in_one_go_is_not_to_be_trusted(make_log: MakeLog) -> None:
    imported = utc("2026-04-15T12:00")
    old = [("ada", time, imported - utc(time)) for _, time, _ in daily("ada", None, times=150)]
    found = lateness(make_log([*old, *daily("bert", SECONDS, times=50)]))
    assert found.bulk == 150
    assert found.backfilled == 150
    assert "backfilled" in found.because


def test_what_is_four_weeks_late_is_a_backfill_however_it_trickled_in(make_log: MakeLog) -> None:
    rows = [(f"user-{place}", "2026-01-01", days(40 + place)) for place in range(60)]
    found = lateness(make_log([*rows, *daily("bert", SECONDS, times=40)]))
    assert (found.bulk, found.backfilled, found.trustworthy) == (0, 60, False)


def test_a_log_without_times_of_receipt_has_no_delays(make_log: MakeLog) -> None:
    found = lateness(make_log(daily("ada", None)))
    assert np.isnan([found.days_50, found.days_most]).all()
    assert found.says()[-1].startswith("the times of receipt are not to be trusted: only 0.0%")


def test_the_figures_can_be_read(make_log: MakeLog) -> None:
    said = "\n".join(lateness(make_log([*daily("ada", SECONDS, times=99), *daily("bert", HOURS, times=1)])).says())
    assert re.search(r"99 % within 3\d\.\d seconds, all within 5 hours", said)
    assert "to be trusted" in said


@pytest.mark.parametrize(("wanted", "expected"), [("auto", True), ("yes", True), ("no", False)])
def test_the_choice_is_the_settings_or_the_logs(make_log: MakeLog, wanted: str, expected: bool) -> None:
    found = knowledge(make_log(daily("ada", SECONDS)), wanted)
    assert found.as_known is expected
    assert found.because.endswith(".")


def test_another_word_is_refused(make_log: MakeLog) -> None:
    with pytest.raises(BadInput, match="'perhaps'; expected auto, yes or no"):
        knowledge(make_log(daily("ada", SECONDS)), "perhaps")


def late_log(make_log: MakeLog) -> EventLog:
    """Forty visitors of whom ten had their newest visit told a week late."""
    rows: list[Row] = []
    for user in range(40):
        rows += [(f"user-{user:02d}", f"2026-02-{1 + (user + step) % 20:02d}", SECONDS) for step in range(user % 7 + 1)]
        rows.append((f"user-{user:02d}", f"2026-02-2{4 + user % 3}", days(7) if user < 10 else SECONDS))
    return make_log(rows)


def test_features_move_by_what_came_late(make_log: MakeLog) -> None:
    log, cutoff = late_log(make_log), utc("2026-03-01")
    found = {one.name: one for one in moved(log, VISITS, cutoff=cutoff, population=ANYBODY, workers=2)}
    assert found["visits_28d"].share == found["visits_91d"].share == 0.25
    happened = build(log, VISITS, cutoffs=[cutoff], population=ANYBODY).matrix
    known = build(log, VISITS, cutoffs=[cutoff], population=ANYBODY, as_known=True).matrix
    expected = np.abs(happened - known).mean(axis=0) / happened.std(axis=0)
    share = (happened != known).mean(axis=0)
    for place, name in enumerate(VISITS.names):
        assert found[name].deviations == pytest.approx(expected[place]), name
        assert found[name].share == share[place], name


def test_the_feature_that_moves_most_comes_first(make_log: MakeLog) -> None:
    found = moved(late_log(make_log), VISITS, cutoff=utc("2026-03-01"), population=ANYBODY)
    assert found[0].name == "days_since_last"
    assert [one.deviations for one in found] == sorted((one.deviations for one in found), reverse=True)


def test_what_moves_but_never_varies_comes_before_all(make_log: MakeLog) -> None:
    rows = [(f"user-{user}", "2026-02-20", SECONDS) for user in range(9)]
    rows += [(f"user-{user}", "2026-02-25", days(9) if user == 3 else SECONDS) for user in range(9)]
    found = moved(make_log(rows), VISITS, cutoff=utc("2026-03-01"), population=ANYBODY)
    assert np.isnan(found[0].deviations)
    assert found[0].share == pytest.approx(1 / 9)


def test_who_was_not_known_yet_has_moved_too(make_log: MakeLog) -> None:
    log = make_log([("ada", "2026-02-20", days(30)), ("bert", "2026-02-10", SECONDS), ("chen", "2026-02-01", SECONDS)])
    found = {one.name: one for one in moved(log, VISITS, cutoff=utc("2026-03-01"), population=ANYBODY)}
    assert found["days_since_last"].share == 1 / 3
    assert found["days_since_last"].deviations == 0.0  # she has no value to compare with


def test_nothing_moves_in_a_log_without_delays(make_log: MakeLog) -> None:
    found = moved(make_log(daily("ada", None)), VISITS, cutoff=utc("2026-03-20"), population=ANYBODY)
    assert {one.share for one in found} == {0.0}


def test_nobody_in_the_population_moves_nothing(make_log: MakeLog) -> None:
    found = moved(make_log(daily("ada", SECONDS)), VISITS, cutoff=utc("2020-01-01"), population=ANYBODY)
    assert [one.share for one in found] == [0.0] * len(VISITS)


def test_an_empty_log_is_not_to_be_trusted(tmp_path: Path) -> None:
    found = lateness(EventLog.create(tmp_path / "empty"))
    assert isinstance(found, Lateness)
    assert found.because == "there are no events."
