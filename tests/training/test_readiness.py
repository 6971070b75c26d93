"""What stands in the way of a model is said before it costs time, with what to do."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from benchmarks.leakage import DEFINITION, LENGTH, NOW, START, Deed, Deeds, clean, write
from features.errors import BadInput
from features.lateness import EVENT_TIME, Knowledge
from features.log import EventLog
from features.windows import days, iso, shift
from models.definition import ChurnDefinition
from tests.pages import HOUSE, names, page
from training.evidence import plan_for
from training.fit import TrainSettings
from training.readiness import Planned, Readiness, examine
from training.readiness_facts import log_facts, outcomes
from training.remarks import Level, Remark

MODULES = ("readiness", "readiness_signs", "leakage")
QUICK = TrainSettings(step_days=7, max_cutoffs=8, test_cutoffs=1)
Examine = Callable[..., Readiness]
SHOP = clean(users=600, seed=1)


@pytest.fixture
def examined(tmp_path: Path) -> Examine:
    """The remarks on a log of these events."""

    def look(
        deeds: Deeds,
        *,
        cutoff: datetime | None = None,
        definition: ChurnDefinition = DEFINITION,
        now: datetime = NOW,
        knowledge: Knowledge = EVENT_TIME,
    ) -> Readiness:
        log = write(deeds, tmp_path / "events")
        return examine(log, definition, planned(log, definition, cutoff), now=now, knowledge=knowledge)

    return look


def planned(log: EventLog, definition: ChurnDefinition, cutoff: datetime | None) -> Planned:
    history = log.summary()
    try:
        return Planned(history, plan_for(history, definition, cutoff=cutoff, settings=QUICK), cutoff=cutoff)
    except BadInput as error:
        return Planned(history, None, str(error), cutoff)


def remark(found: Readiness, code: str) -> Remark:
    (one,) = [each for each in found.remarks if each.code == code]
    return one


def codes(found: Readiness) -> list[str]:
    return [each.code for each in found.remarks]


def test_an_ordinary_log_gets_advice_at_most(examined: Examine) -> None:
    found = examined(SHOP)
    assert codes(found) == ["season", "late_data"]
    assert {each.level for each in found.remarks} == {Level.ADVICE}
    found.check()


def test_the_document_is_plain_json(examined: Examine) -> None:
    document = json.loads(json.dumps(examined(SHOP).to_json(), allow_nan=False))
    assert document["remarks"][0]["level"] == "advice"
    assert document["cutoffs"][-1]["users"] > document["cutoffs"][-1]["churners"] > 0


def test_one_stray_late_event_is_named_with_the_cutoff_to_take(examined: Examine) -> None:
    found = examined([*SHOP, Deed("user-0001", LENGTH + 200.5, "visit")])
    one = remark(found, "stray_late")
    assert one.level is Level.ERROR
    assert found.remarks[0] is one
    complete = shift(START, days(LENGTH))
    assert f"--cutoff {iso(shift(complete, -days(14)))[:10]} and score with --cutoff {iso(complete)[:10]}" in one.advice
    with pytest.raises(
        BadInput, match=r"the log's bulk ends on 2026-07-29, but what lies behind it \(1 event up to 2027-02-15\) moves"
    ):
        found.check()


def test_with_a_cutoff_before_it_a_stray_event_is_advice(examined: Examine) -> None:
    cutoff = shift(START, days(LENGTH - 14))
    found = examined([*SHOP, Deed("user-0001", LENGTH + 200.5, "visit")], cutoff=cutoff)
    assert remark(found, "stray_late").level is Level.ADVICE
    assert found.errors == ()


def test_stray_early_events_are_advice(examined: Examine) -> None:
    found = examined([*SHOP, Deed("user-0001", -9000.0, "visit")])
    assert "1 event from 2001-05-12 on, and nothing else before 2026-01-01" in remark(found, "stray_early").found


def test_a_short_history_is_an_error_that_says_what_would_fit(examined: Examine) -> None:
    found = examined([deed for deed in SHOP if deed.day < 50])
    one = remark(found, "history")
    assert one.level is Level.ERROR
    assert "the history is too short to train and test honestly" in one.found
    assert "would fit" in one.advice


def test_days_without_events_are_a_warning_and_named(examined: Examine) -> None:
    found = examined([deed for deed in SHOP if not 100 <= deed.day < 103])
    assert "on 3 days there is (nearly) nothing where events are usual: 2026-04-11 to 2026-04-13 (3 days)" in (
        remark(found, "gaps").found
    )


def test_a_day_of_the_week_on_which_nobody_works_is_no_gap(examined: Examine) -> None:
    found = examined([deed for deed in SHOP if int(deed.day) % 7 != 3])
    assert "gaps" not in codes(found)


def test_a_long_outage_is_a_gap_though_the_weeks_around_are_empty_too(examined: Examine) -> None:
    found = examined([deed for deed in SHOP if not 60 <= deed.day < 130])
    assert "2026-03-02 to 2026-05-10 (70 days)" in remark(found, "gaps").found


def test_kinds_that_begin_or_stop_are_named(examined: Examine) -> None:
    kept = [
        deed
        for deed in SHOP
        if not (deed.kind == "purchase" and deed.day > 150) and not (deed.kind == "complaint" and deed.day < 90)
    ]
    found = examined(kept)
    assert "“purchase” on 2026-05-30" in remark(found, "kinds_stop").found
    assert remark(found, "kinds_stop").level is Level.WARNING
    assert "“complaint” on 2026-04-01" in remark(found, "kinds_begin").found


def test_a_base_rate_that_moves_is_a_warning(examined: Examine) -> None:
    draws = np.random.default_rng(0)
    last = {deed.user: draws.random() < 0.5 for deed in SHOP}
    found = examined([deed for deed in SHOP if deed.day < 196 or last[deed.user]])
    one = remark(found, "base_rate")
    assert one.level is Level.WARNING
    assert "churn after 2026-07-1" in one.found


def test_users_seen_once_are_counted(examined: Examine) -> None:
    draws = np.random.default_rng(0)
    strangers = [Deed(f"once-{number}", float(draws.uniform(0, LENGTH)), "visit") for number in range(6000)]
    one = remark(examined([*SHOP, *strangers]), "seen_once")
    assert one.level is Level.WARNING
    assert "have been seen but once" in one.found


def test_few_users_are_a_warning_and_no_error(examined: Examine) -> None:
    found = examined(clean(users=100, seed=1))
    assert remark(found, "few_users").level is Level.WARNING
    assert found.errors == ()


def test_nobody_who_leaves_is_an_error(examined: Examine) -> None:
    loyal = [Deed(f"user-{user}", day + 0.5, "visit") for user in range(40) for day in range(LENGTH)]
    assert "all 40 users stayed at each of" in remark(examined(loyal), "one_outcome").found


def test_events_that_came_twice_are_found_whatever_their_ids(examined: Examine) -> None:
    deeds = SHOP
    found = examined([*deeds, *deeds[: len(deeds) // 2]])
    one = remark(found, "twins")
    assert one.level is Level.WARNING
    assert one.found.startswith(f"{len(deeds) // 2:,} events")


def test_events_at_one_time_with_other_values_are_no_twins(examined: Examine) -> None:
    deeds = SHOP
    assert "twins" not in codes(examined([*deeds, *(replace(deed, value=-7.0) for deed in deeds)]))


def test_an_import_that_stamped_its_own_time_is_found(examined: Examine) -> None:
    stamped = [Deed(f"user-{number:04d}", 120.37, "visit") for number in range(550)]
    assert "550 events have the very same time, 2026-05-01T08:52:48Z" in (
        remark(examined([*SHOP, *stamped]), "crowd").found
    )


def test_a_kind_that_is_only_dated_is_named(examined: Examine) -> None:
    deeds = [replace(deed, day=float(int(deed.day))) if deed.kind == "purchase" else deed for deed in SHOP]
    assert "“purchase” at 00:00 UTC" in remark(examined(deeds), "dated_kinds").found


def test_a_log_of_dates_is_said_to_be_one(examined: Examine) -> None:
    found = examined([replace(deed, day=float(int(deed.day))) for deed in SHOP])
    assert "day_resolution" in codes(found)
    assert "crowd" not in codes(found)


def test_events_in_the_future_are_a_warning(examined: Examine) -> None:
    found = examined(SHOP, now=shift(START, days(LENGTH - 1)))
    assert remark(found, "future").level is Level.WARNING


def test_a_machine_is_advice_until_the_definition_leaves_it_out(examined: Examine, tmp_path: Path) -> None:
    deeds = [*SHOP, *(Deed("robot", 100 + number / 1500, "visit") for number in range(1200))]
    assert "1 users had more than 1,000 events on a day" in remark(examined(deeds), "machines").found
    without = replace(DEFINITION, most_events_a_day=1000)
    log = EventLog.open(tmp_path / "events")
    again = examine(log, without, planned(log, without, None), now=NOW, knowledge=EVENT_TIME)
    assert "machines" not in codes(again)


def test_the_facts_are_those_of_the_log(tmp_path: Path) -> None:
    deeds = clean(users=60, seed=4)
    log = write(deeds, tmp_path / "events")
    facts = log_facts(log, now=NOW, workers=2)
    assert facts.events == facts.daily.sum() == len(deeds)
    assert facts.users == len({deed.user for deed in deeds})
    assert {kind: int(counts.sum()) for kind, counts in facts.kinds.items()} == {
        kind: sum(deed.kind == kind for deed in deeds) for kind in {deed.kind for deed in deeds}
    }
    assert all(minutes.sum() == facts.kinds[kind].sum() for kind, minutes in facts.minutes.items())
    assert facts.bulk == (facts.first_day, facts.first_day + len(facts.daily) - 1)


def test_the_outcomes_are_those_of_the_training(tmp_path: Path) -> None:
    deeds = clean(users=60, seed=4)
    log = write(deeds, tmp_path / "events")
    cutoff = shift(START, days(120))
    (found,) = outcomes(log, DEFINITION, [cutoff], log_end=log.summary().end).cutoffs
    alive = [deed for deed in deeds if deed.kind in DEFINITION.activity]
    there = {deed.user for deed in alive if 92 <= deed.day < 120}
    stayed = {deed.user for deed in alive if 120 <= deed.day < 134}
    once = [user for user in there if sum(deed.user == user and deed.day < 120 for deed in alive) == 1]
    assert (found.users, found.churners, found.seen_once) == (len(there), len(there - stayed), len(once))


def test_every_remark_and_every_leak_is_listed() -> None:
    sources = {name: (HOUSE / "training" / f"{name}.py").read_text("utf-8") for name in MODULES}
    said = set(re.findall(r'Remark\(\s*"(\w+)"', "".join(sources.values())))
    assert set(names(page("docs/readiness.md").section("Remarks"))) >= said
    leaks = set(re.findall(r'(?:_finding|Finding)\(\s*"(\w+)"', sources["leakage"]))
    assert len(said) > 15
    assert set(names(page("docs/readiness.md").section("Leakage checks"))) == {*leaks, "suspicious_auc", "unusual_lead"}
