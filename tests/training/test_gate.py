"""Planted regressions are refused and an honest improvement is accepted, with real small trainings."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from features.errors import BadInput
from features.language import events, feature_set
from features.log import EventLog
from features.windows import days, utc
from models.bundle import Bundle
from models.calibration import Platt
from models.definition import ChurnDefinition
from models.model import ChurnModel
from training.contest import Band, Contender, Contest, Showing
from training.fit import TrainSettings
from training.gate import Rules, Verdict, after_contest, damaged, hold_gate
from training.pace import Pace
from training.paired import compare
from training.run import Training, train

NOW = utc("2026-09-01")
EARLY = utc("2026-07-01")
FORTNIGHT = ChurnDefinition(look_back=days(28), horizon=days(14))
QUICK = TrainSettings(
    trees=40, boosters=1, blends=(0.5,), step_days=7, max_cutoffs=8, test_cutoffs=1, replicates=50, calibration="platt"
)
ANYTHING = events()
RICH = feature_set(
    days_since_last_event=ANYTHING.days_since_last(),
    events_14d=ANYTHING.count(last=days(14)),
    events_56d=ANYTHING.count(last=days(56)),
    active_days_28d=ANYTHING.active_days(last=days(28)),
)
POOR = feature_set(spend_56d=ANYTHING.total(last=days(56)))
LEVEL_CHECKS = {"log_loss", "level", "calibration_error"}
RULES = Rules(replicates=200)
SAME_PACE = (Pace(1e-6, 1e-4), Pace(1e-6, 1e-4))


@pytest.fixture(scope="module")
def market(
    tmp_path_factory: pytest.TempPathFactory, write_log: Callable[..., EventLog], visits: Callable[..., Any]
) -> EventLog:
    """1,200 shoppers over 40 weeks."""
    return write_log(tmp_path_factory.mktemp("market") / "events", visits(users=1200, length=280, seed=3))


@pytest.fixture(scope="module")
def rich(market: EventLog) -> Training:
    """Trained on all that is known."""
    return train(market, FORTNIGHT, RICH, now=NOW, code_version="0", settings=QUICK)


@pytest.fixture(scope="module")
def early(market: EventLog) -> Training:
    """The same in early July, so that the windows of three months are new to it."""
    return train(market, FORTNIGHT, RICH, now=NOW, code_version="0", settings=QUICK, cutoff=EARLY)


@pytest.fixture(scope="module")
def early_poor(market: EventLog) -> Training:
    return train(market, FORTNIGHT, POOR, now=NOW, code_version="0", settings=QUICK, cutoff=EARLY)


@pytest.fixture(scope="module")
def poor(market: EventLog) -> Training:
    return train(market, FORTNIGHT, POOR, now=NOW, code_version="0", settings=QUICK)


def held(market: EventLog, champion: Bundle, challenger: Bundle, *, decision: str = "deploy") -> Verdict:
    """The gate's verdict; what the small training said of its own model is another question."""
    challenger = replace(challenger, facts={**challenger.facts, "decision": decision})
    found = hold_gate(
        market,
        Contender("1", champion),
        Contender("2", challenger),
        summary=market.summary(),
        now=NOW,
        clock=time.perf_counter,
        rules=RULES,
    )
    json.dumps(found.to_json(), allow_nan=False)
    return found


def failed(verdict: Verdict) -> set[str]:
    return {check.name for check in verdict.failed}


def shuffled(training: Training, market: EventLog) -> Bundle:
    """The model that would serve had somebody joined the labels to the wrong users."""
    from training.evidence import read_rows  # noqa: PLC0415 only here

    rows = read_rows(market, training.features, training.split, settings=QUICK).at(training.split.deployed_fit)
    labels = np.random.default_rng(0).permutation(rows.labels)
    model: ChurnModel = clone(training.model).fit(rows.frame, labels)
    model.blend_ = replace(model.blend_, calibrator=training.model.blend_.calibrator)
    return training.bundle.with_model(model)


def off_level(training: Training) -> Bundle:
    """The same model whose probabilities are far too high: twice the odds and more."""
    model = ChurnModel.from_json(training.model.to_json(), training.model.blend_.booster_texts)
    model.blend_ = replace(model.blend_, calibrator=Platt(slope=1.0, intercept=1.0))
    return training.bundle.with_model(model)


def test_the_same_recipe_again_is_accepted(market: EventLog, rich: Training) -> None:
    verdict = held(market, rich.bundle, rich.bundle)
    assert verdict.passed, [check.sentence for check in verdict.failed]
    assert verdict.evidence["champion_shown"] == verdict.evidence["challenger_shown"]


def test_an_old_champion_is_asked_as_deployed_and_a_new_challenger_by_its_recipe(
    market: EventLog, rich: Training, early: Training
) -> None:
    verdict = held(market, early.bundle, rich.bundle)
    assert verdict.evidence["champion_shown"] == "as deployed"
    assert verdict.evidence["challenger_shown"].startswith("its recipe")
    assert failed(verdict) <= {"log_loss"}  # 1,200 users cannot show that a per cent is not lost


def test_an_honest_improvement_is_accepted_and_said_to_be_better(
    market: EventLog, rich: Training, poor: Training, early: Training, early_poor: Training
) -> None:
    for champion, challenger in ((poor, rich), (early_poor, early), (early_poor, rich)):
        verdict = held(market, champion.bundle, challenger.bundle)
        assert verdict.passed, [check.sentence for check in verdict.failed]
        loss = next(check for check in verdict.checks if check.name == "log_loss")
        assert loss.figures["difference"]["high"] < 0
        assert loss.sentence.endswith("better.")


def test_fewer_features_are_refused_on_seen_and_on_unseen_windows(
    market: EventLog, rich: Training, poor: Training, early: Training, early_poor: Training
) -> None:
    for champion, challenger in ((rich, poor), (early, early_poor)):
        verdict = held(market, champion.bundle, challenger.bundle)
        assert "log_loss" in failed(verdict)
        assert "recall_at_capacity" in failed(verdict)


def test_shuffled_labels_are_refused_even_where_the_recipe_is_as_good(
    market: EventLog, rich: Training, early: Training
) -> None:
    unseen = held(market, early.bundle, shuffled(early, market))
    assert unseen.evidence["challenger_shown"] == "as deployed"
    assert {"log_loss", "recall_at_capacity"} <= failed(unseen)
    seen = held(market, rich.bundle, shuffled(rich, market))
    assert failed(seen) == {"deployed_model"}
    assert "something is wrong with this version" in seen.failed[0].sentence


def test_a_wrong_level_is_refused_though_the_order_is_the_same(
    market: EventLog, rich: Training, early: Training
) -> None:
    unseen = held(market, early.bundle, off_level(early))
    assert LEVEL_CHECKS <= failed(unseen) <= LEVEL_CHECKS | {"segments"}
    assert failed(held(market, rich.bundle, off_level(rich))) == {"deployed_model"}


def test_models_of_different_definitions_are_not_compared_at_all(market: EventLog, rich: Training) -> None:
    other = replace(rich.bundle, definition=ChurnDefinition(look_back=days(28), horizon=days(21)))
    verdict = held(market, rich.bundle, other)
    assert failed(verdict) == {"definition"}
    assert "not comparable" in verdict.failed[0].sentence
    assert "no event for 21 days" in verdict.failed[0].sentence
    assert verdict.evidence == {}


def test_features_that_the_log_cannot_feed_are_named(market: EventLog, rich: Training) -> None:
    returns = feature_set(**{name: events("return").count() for name in RICH.names})
    facts = {**rich.bundle.facts, "feature_fingerprint": returns.fingerprint}
    verdict = held(market, rich.bundle, replace(rich.bundle, features=returns, facts=facts))
    assert failed(verdict) == {"features_available"}
    assert "the log has no return" in verdict.failed[0].sentence


def test_a_model_that_its_own_training_advised_against_is_refused(market: EventLog, rich: Training) -> None:
    assert failed(held(market, rich.bundle, rich.bundle, decision="do not deploy")) == {"training_verdict"}


def test_without_a_champion_only_the_challenger_itself_is_looked_at(market: EventLog, rich: Training) -> None:
    verdict = hold_gate(
        market,
        None,
        Contender("1", replace(rich.bundle, facts={**rich.bundle.facts, "decision": "deploy"})),
        summary=market.summary(),
        now=NOW,
        clock=time.perf_counter,
        rules=RULES,
    )
    assert verdict.passed
    assert [check.name for check in verdict.checks] == [
        "golden_rows", "fingerprint", "features_available", "training_verdict",
    ]  # fmt: skip


def test_the_verdict_is_one_document_with_every_check(market: EventLog, rich: Training) -> None:
    document = held(market, rich.bundle, rich.bundle).to_json()
    names = [check["name"] for check in document["checks"]]
    assert names == [
        "definition", "golden_rows", "fingerprint", "features_available", "training_verdict", "log_loss",
        "recall_at_capacity", "level", "calibration_error", "segments", "seconds_a_row", "seconds_a_user",
        "deployed_model",
    ]  # fmt: skip
    assert all(check.keys() == {"name", "passed", "sentence", "figures", "margin"} for check in document["checks"])
    assert document["evidence"]["rows"] > document["evidence"]["users"] > 100


def test_a_bundle_that_cannot_be_loaded_has_failed_its_golden_rows() -> None:
    check = damaged("4", "booster-0.txt was changed")
    assert (check.name, check.passed) == ("golden_rows", False)


def synthetic(*, worse_in: int = -1, users: int = 3000) -> Contest:
    """Three segments of equal size; the challenger is the champion, but for one segment where it knows nothing."""
    draws = np.random.default_rng(5)
    risk = draws.uniform(0.05, 0.95, users)
    labels = (draws.uniform(size=users) < risk).astype(float)
    segment = np.arange(users) % 3
    other = np.where(segment == worse_in, 0.5, risk)
    champion = Showing(True, risk, risk, risk, np.zeros((1, 1)))
    names = np.array([f"user-{place}" for place in range(users)], dtype=object)
    segments = {Band("tenure (days)", float(place), float(place)): segment == place for place in range(3)}
    challenger = replace(champion, probabilities=other, margins=other, deployed=other)
    return Contest((NOW,), NOW, names, labels, segments, champion, challenger, 0)


def of_contest(contest: Contest, pace: tuple[Pace, Pace] = SAME_PACE) -> set[str]:
    pair = compare(contest, capacity=0.1, fewest_users=200, seed=0, replicates=200)
    return {check.name for check in after_contest(contest, pair, pace=pace, rules=RULES) if not check.passed}


def test_a_challenger_that_is_worse_in_one_segment_is_refused_and_the_segment_is_named() -> None:
    contest = synthetic(worse_in=1)
    pair = compare(contest, capacity=0.1, fewest_users=200, seed=0, replicates=200)
    check = next(one for one in after_contest(contest, pair, pace=SAME_PACE, rules=RULES) if one.name == "segments")
    assert not check.passed
    assert "tenure (days) 1 to 1" in check.sentence
    assert "2 to 2" not in check.sentence
    assert of_contest(synthetic()) == set()


def test_a_segment_of_few_users_is_not_judged() -> None:
    contest = synthetic(worse_in=1)
    pair = compare(contest, capacity=0.1, fewest_users=1001, seed=0, replicates=50)
    assert pair.segments == ()


def test_a_slow_model_is_refused_unless_it_is_quick_enough_anyway() -> None:
    contest = synthetic()
    assert of_contest(contest, (Pace(40e-6, 6e-3), Pace(90e-6, 13e-3))) == {"seconds_a_row", "seconds_a_user"}
    assert of_contest(contest, (Pace(40e-6, 6e-3), Pace(70e-6, 11e-3))) == set()
    assert of_contest(contest, (Pace(1e-6, 1e-4), Pace(40e-6, 9e-3))) == set()


def test_few_users_show_nothing_and_that_is_said() -> None:
    contest = synthetic(users=90)
    draws = np.random.default_rng(1)
    noisy = np.clip(contest.challenger.probabilities + draws.normal(0, 0.1, 90), 0.01, 0.99)
    other = replace(contest, challenger=replace(contest.challenger, probabilities=noisy, margins=noisy))
    pair = compare(other, capacity=0.1, fewest_users=200, seed=0, replicates=200)
    check = after_contest(other, pair, pace=SAME_PACE, rules=RULES)[0]
    assert not check.passed
    assert "it is not shown that it is not worse" in check.sentence


@pytest.mark.parametrize("capacity", [0.05, 0.1, 0.2])
def test_recall_at_capacity_is_that_of_the_report(capacity: float) -> None:
    from training.metrics import evaluate  # noqa: PLC0415 only here

    contest = synthetic(worse_in=2)
    pair = compare(contest, capacity=capacity, fewest_users=200, seed=0, replicates=50)
    told = evaluate(
        contest.labels,
        contest.challenger.probabilities,
        users=contest.users,
        seed=0,
        ranks=contest.challenger.margins,
        replicates=50,
    )
    assert pair.recall.challenger.value == pytest.approx(told[f"recall_at_{capacity * 100:.0f}"].value)


@pytest.mark.parametrize(
    ("rule", "value"), [("capacity", 0.0), ("capacity", 1.5), ("windows", 0), ("recall_margin", -1)]
)
def test_a_rule_outside_its_range_is_refused_before_the_work(rule: str, value: float) -> None:
    with pytest.raises(BadInput, match=rf"\[gate\] {rule} is"):
        Rules(**{rule: value})  # type: ignore[arg-type] # the windows are a whole number
