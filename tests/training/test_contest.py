"""Which windows are honest, and what is asked about them."""

from dataclasses import replace

import numpy as np
import pytest

from features.errors import BadInput
from features.log import EventLog
from features.windows import days, iso, shift, utc
from models.bundle import Bundle
from models.definition import ChurnDefinition
from training.contest import Contender, bands, hold_contest, refitted, windows_of
from training.evidence import read_rows
from training.fit import TrainSettings
from training.run import Training

WEEK = days(7)


def contender(bundle: Bundle, version: str = "1", *, learnt_until: str | None = None) -> Contender:
    facts = bundle.facts if learnt_until is None else {**bundle.facts, "learnt_until": learnt_until}
    return Contender(version, replace(bundle, facts=facts))


def test_a_training_says_until_when_it_has_learnt(shop: EventLog, training: Training) -> None:
    newest = training.split.test[-1]
    assert contender(training.bundle).learnt_until == training.definition.horizon_of(newest).end
    assert contender(training.bundle).learnt_until == shop.summary().end


def test_windows_are_those_that_neither_has_seen(shop: EventLog, training: Training) -> None:
    end = shop.summary().end
    old = contender(training.bundle, learnt_until=iso(shift(end, -days(60))))
    newer = contender(training.bundle, learnt_until=iso(shift(end, -days(30))))
    windows = windows_of(training.definition, shop.summary(), contenders=(old, newer), step=WEEK, most=4)
    closed = shift(end, -training.definition.horizon)
    assert windows == (shift(closed, -days(14)), shift(closed, -days(7)), closed)
    assert min(windows) >= shift(end, -days(30))
    assert old.may_be_asked(windows)
    assert newer.may_be_asked(windows)


def test_a_model_may_not_be_asked_about_a_horizon_that_it_has_learnt_a_day_of(training: Training) -> None:
    seen = contender(training.bundle, learnt_until="2026-05-02")
    assert seen.may_be_asked([utc("2026-05-02")])
    assert not seen.may_be_asked([utc("2026-05-01"), utc("2026-05-08")])


def test_without_an_unseen_window_the_newest_closed_ones_are_taken(shop: EventLog, training: Training) -> None:
    pair = (contender(training.bundle), contender(training.bundle))
    windows = windows_of(training.definition, shop.summary(), contenders=pair, step=WEEK, most=4)
    assert (len(windows), windows[-1]) == (4, training.split.test[-1])


def test_a_bundle_that_does_not_say_what_it_learnt_from_is_taken_to_have_seen_everything(training: Training) -> None:
    facts = {name: value for name, value in training.bundle.facts.items() if name != "learnt_until"}
    assert not Contender("1", replace(training.bundle, facts=facts)).may_be_asked([utc("2030-01-01")])


def test_a_seen_window_is_answered_by_the_recipe_fitted_before_it(shop: EventLog, training: Training) -> None:
    pair = contender(training.bundle, "1"), contender(training.bundle, "2")
    contest = hold_contest(shop, *pair, history=shop.summary(), most_windows=1)
    assert not contest.champion.as_deployed
    np.testing.assert_array_equal(contest.champion.probabilities, contest.challenger.probabilities)
    tested = training.trial.probabilities["model"]
    assert len(tested) == len(contest.labels)
    assert np.corrcoef(contest.challenger.probabilities, tested)[0, 1] > 0.99  # the recipe that its training tested
    assert (contest.challenger.deployed != contest.challenger.probabilities).any()


def test_a_recipe_is_fitted_anew_on_what_had_come_halfway_as_well(shop: EventLog, training: Training) -> None:
    rows = read_rows(shop, training.bundle.features, training.split, settings=TrainSettings(max_rows=2000))
    assert refitted(training.bundle, rows, training.split).facts_.halfway == 1
    assert refitted(training.bundle, replace(rows, halfway=None), training.split).facts_.halfway == 0


def test_an_older_champion_is_asked_as_deployed_and_the_newer_challenger_by_its_recipe(
    shop: EventLog, training: Training
) -> None:
    old = contender(training.bundle, "1", learnt_until="2026-02-01")
    contest = hold_contest(shop, old, contender(training.bundle, "2"), history=shop.summary(), most_windows=2)
    assert (contest.champion.as_deployed, contest.challenger.as_deployed, contest.unseen) == (True, False, False)
    np.testing.assert_array_equal(contest.champion.probabilities, contest.challenger.deployed)
    assert contest.left_out == 0


def test_rows_that_one_alone_would_score_are_left_out_and_counted(shop: EventLog, training: Training) -> None:
    """The one reads what was known, and to the other everything was: here nothing came late, so none are left out."""
    known = replace(training.bundle, facts={**training.bundle.facts, "as_known": True, "learnt_until": "2026-02-01"})
    pair = contender(training.bundle, learnt_until="2026-02-01"), Contender("2", known)
    contest = hold_contest(shop, *pair, history=shop.summary())
    assert contest.left_out == 0
    np.testing.assert_allclose(contest.champion.probabilities, contest.challenger.probabilities)


def test_a_history_without_room_for_a_recipe_is_refused(shop: EventLog, training: Training) -> None:
    long = replace(training.bundle, definition=ChurnDefinition(look_back=days(28), horizon=days(90)))
    with pytest.raises(BadInput, match="too short"):
        hold_contest(shop, contender(long), contender(long, "2"), history=shop.summary())


def test_segments_are_thirds_and_what_everybody_shares_is_none() -> None:
    fact = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, np.nan])
    found = bands("tenure (days)", fact)
    assert [band.name for band in found] == ["tenure (days) 1 to 2", "tenure (days) 3 to 4", "tenure (days) 5 to 6"]
    assert sum(there.sum() for there in found.values()) == 6
    assert bands("value", np.zeros(5)) == {}
    assert bands("value", np.full(5, np.nan)) == {}
