"""Every planted leak is caught and named; on clean data the checks are silent."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.leakage import DEFINITION, PLANTS, clean, learnt
from features.language import events, feature_set
from features.paid import Renewals
from features.user_events import UserEvents
from features.windows import days, iso, shift, utc
from models.definition import ChurnDefinition
from models.lapse import Lapse
from tests.renewals import InMemory
from training import leakage
from training.endings import endings
from training.fit import TrainSettings
from training.leakage import auc, both_sides, open_horizons, shuffled_control, spread
from training.report import report
from training.run import Training
from training.snapshots import TrainingSet
from training.verdict import Decision, judge

EventsOf = Callable[[dict[str, list[tuple[str, str]]]], UserEvents]
QUICK = TrainSettings(
    trees=30, boosters=1, blends=(0.5,), step_days=7, max_cutoffs=8, test_cutoffs=1, replicates=100, calibration="platt"
)


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Training:
    return learnt(clean(seed=3), tmp_path_factory.mktemp("honest") / "events", few=True, settings=QUICK)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory, honest: Training) -> TrainingSet:
    from benchmarks.leakage import FEW, write  # noqa: PLC0415
    from training.evidence import read_rows  # noqa: PLC0415

    log = write(clean(seed=3), tmp_path_factory.mktemp("rows") / "events")
    return read_rows(log, FEW, honest.split, settings=QUICK)


def codes(checks: leakage.Leaks) -> set[str]:
    return {finding.code for finding in checks.findings}


def test_clean_data_are_met_with_silence(honest: Training) -> None:
    assert honest.leaks.findings == ()
    assert {check.name for check in honest.leaks.checks} == {
        "canary",
        "kinds of the end",
        "open horizons",
        "users in both sides",
        "shuffled control",
        "single features",
    }
    assert "canary                    clean  300 users" in report(honest)


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_leak_is_caught_and_forbids(name: str, tmp_path: Path) -> None:
    plant, code = PLANTS[name]
    training = learnt(plant(clean(seed=3)), tmp_path / "events", few=True, settings=QUICK)
    assert code in codes(training.leaks)
    assert training.verdict.decision is Decision.DO_NOT
    assert code in {finding.code for finding in training.verdict.findings}


def test_the_feature_that_leaks_is_named_with_its_sentence(tmp_path: Path) -> None:
    plant, _ = PLANTS["future duplicated"]
    training = learnt(plant(clean(seed=3)), tmp_path / "events", few=True, settings=QUICK)
    (found,) = [one for one in training.leaks.findings if one.code == "feature_too_good"]
    assert "synced_14d (“N synced events in 14 days”, AUC" in found.sentence


def test_a_kind_of_the_end_names_the_features_that_read_it(tmp_path: Path) -> None:
    plant, _ = PLANTS["cancelled"]
    training = learnt(plant(clean(seed=3)), tmp_path / "events", few=True, settings=QUICK)
    (found,) = [one for one in training.leaks.findings if one.code == "kind_of_the_end"]
    assert found.sentence.startswith("after “cancel” 100% of ")
    assert "cancels read it: leave it out" in found.sentence


def test_rows_of_the_test_among_those_learnt_from_are_noticed(rows: TrainingSet, honest: Training) -> None:
    wrong = replace(honest.split, fit=(*honest.split.fit, *honest.split.test))
    assert {one.code for one in both_sides(rows, wrong).found} == {"both_sides"}
    (found,) = shuffled_control(rows, wrong).found
    assert found.code == "control_learns"
    assert found.decision is Decision.DO_NOT


def test_a_horizon_that_reaches_into_the_test_is_noticed(rows: TrainingSet, honest: Training) -> None:
    split = honest.split
    wrong = replace(split, fit=(*split.fit, shift(split.test[0], -days(7))))
    (found,) = both_sides(rows, wrong).found
    assert found.code == "both_sides"
    assert "users are learnt from at" in found.sentence


def test_a_row_that_is_there_twice_is_noticed(rows: TrainingSet, honest: Training) -> None:
    second_for_first = np.arange(len(rows)).clip(1)
    twice = replace(rows, snapshots=rows.snapshots.rows(second_for_first))
    assert [one.code for one in both_sides(twice, honest.split).found] == ["row_twice"]


def test_a_label_whose_horizon_is_open_is_noticed(rows: TrainingSet, honest: Training) -> None:
    closed = honest.split.closes(honest.split.test)
    assert open_horizons(rows, DEFINITION, end=closed).found == ()
    (found,) = open_horizons(rows, DEFINITION, end=shift(closed, -days(1))).found
    assert found.code == "open_horizon"
    assert "Take an earlier --cutoff" in found.sentence


def test_with_outcomes_dealt_out_anew_nothing_is_learnt(rows: TrainingSet, honest: Training) -> None:
    assert all(shuffled_control(rows, honest.split, seed=seed).found == () for seed in range(10))


def test_what_was_found_beside_the_trial_decides_the_verdict(honest: Training) -> None:
    found = leakage.Finding("feature_too_good", "x.", Decision.DO_NOT)
    assert judge(honest.trial, [found]).decision is Decision.DO_NOT


def test_an_auc_of_ranks_is_that_of_all_pairs() -> None:
    draws = np.random.default_rng(0)
    scores, labels = np.round(draws.normal(size=200), 1), (draws.random(200) < 0.3).astype(float)
    pairs = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    assert auc(scores, labels) == pytest.approx(float(((pairs > 0) + (pairs == 0) / 2).mean()))


def test_the_error_of_an_auc_is_what_fresh_rows_show() -> None:
    draws = np.random.default_rng(0)
    labels = (np.arange(400) < 100).astype(float)
    found = [auc(draws.normal(labels * 1.2), labels) for _ in range(400)]
    assert float(np.std(found)) == pytest.approx(spread(float(np.mean(found)), labels), rel=0.15)


MONTHS = ChurnDefinition(look_back=days(28), horizon=days(28), outcome=Lapse(Renewals(("renewal",), period_days=30)))
NO_FEATURES = feature_set(silence=events().days_since_last())


def _payers(*, off: bool) -> dict[str, list[tuple[str, str]]]:
    """A hundred users who pay every 30 days, half of them for good; the others switch it off a day before the end."""
    begin = utc("2026-01-01")
    found = {}
    for place in range(100):
        months = 8 if place % 2 else 2
        deeds = [(shift(begin, days(30 * month)), "renewal") for month in range(months)]
        deeds += [(shift(begin, days(30 * month + 3)), "visit") for month in range(months)]
        if off and months == 2:
            deeds.append((shift(begin, days(58)), "switched_off"))
        found[f"user-{place:03d}"] = [(iso(moment), kind) for moment, kind in deeds]
    return found


def test_a_kind_that_announces_the_lapse_is_found_by_what_the_definition_calls_gone(events_of: EventsOf) -> None:
    log = InMemory([events_of(_payers(off=True))])
    (found,) = endings(log, MONTHS, NO_FEATURES, end=utc("2026-09-01")).found
    assert (found.kind, found.users, found.gone_share) == ("switched_off", 50, 1.0)
    assert "100% of 50 users let their paid time run out within a horizon" in found.says()


def test_silence_is_nothing_to_a_definition_by_payment(events_of: EventsOf) -> None:
    assert endings(InMemory([events_of(_payers(off=False))]), MONTHS, NO_FEATURES, end=utc("2026-09-01")).found == ()


def test_an_event_of_too_small_a_value_is_no_return(events_of: EventsOf) -> None:
    """After “bye” a mail comes, which is activity only as long as its value does not matter."""
    begin = utc("2026-01-01")
    users = {
        f"user-{place:03d}": [
            *((iso(shift(begin, days(day))), "visit") for day in range(0, 200 if place % 2 else 100, 5)),
            *([] if place % 2 else [(iso(shift(begin, days(99))), "bye"), (iso(shift(begin, days(110))), "mail")]),
        ]
        for place in range(120)
    }
    found = events_of(users)
    worth = np.where(found.kinds == found.kind_names.index("visit"), 5.0, 1.0)
    log = InMemory([replace(found, values=worth)])
    plain = ChurnDefinition(look_back=days(28), horizon=days(28))
    for meant, kinds in ((plain, ["mail"]), (replace(plain, least_value=2.0), ["bye", "mail"])):
        found_kinds = [one.kind for one in endings(log, meant, NO_FEATURES, end=utc("2026-07-01")).found]
        assert found_kinds == kinds
