"""Each planted fault is found, and what is only noise is not told."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from features.user_events import NOTHING_MORE, FloatArray, IntArray, UserEvents, Wanted
from features.windows import days, shift, utc
from models.definition import ChurnDefinition
from tests.cast import user_events
from training import estimated, matured, pulse
from training.estimated import estimate, expected_auc
from training.matured import Followed, Recorded, quality
from training.metrics import Estimate
from training.pulse import DAYS, Pulse, look
from training.readiness_facts import CutoffFacts
from training.watch import Finding, Gravity, beyond, watched

END = utc("2026-09-01")


def counts(*, a_day: float = 400.0, seed: int = 0) -> IntArray:
    """Nine weeks of a shop that has twice as much to do at weekends."""
    weekly = np.array([1, 1, 1, 1, 1.2, 2, 2]) * a_day
    return np.random.default_rng(seed).poisson(np.tile(weekly, DAYS // 7))


def seen(daily: dict[str, IntArray], *, value: float = 20.0) -> Pulse:
    noise = np.random.default_rng(1).normal(0, 0.02, DAYS)
    return Pulse(
        start=shift(END, -days(200)),
        end=END,
        last=END,
        daily=daily,
        valued=daily,
        log_values={kind: (np.log(value) + noise) * each for kind, each in daily.items()},
    )


def codes(found: list[Finding], *, least: Gravity = Gravity.ADVICE) -> set[str]:
    return {finding.code for finding in found if finding.gravity >= least}


def told(what: Pulse, *, at: datetime = END, used: tuple[str, ...] = ()) -> set[str]:
    return codes(look(what, at=at, used=used))


@pytest.mark.parametrize("seed", range(5))
def test_a_shop_with_weekends_is_left_in_peace(seed: int) -> None:
    assert told(seen({"visit": counts(seed=seed), "purchase": counts(a_day=30, seed=seed + 50)})) == set()


@pytest.mark.parametrize(("age", "level"), [(1, Gravity.OK), (3, Gravity.WARNING), (9, Gravity.ALARM)])
def test_stale_data_are_told_by_their_age(age: int, level: Gravity) -> None:
    found = {finding.code: finding for finding in look(seen({"visit": counts()}), at=shift(END, days(age)), used=())}
    assert found["fresh" if level is Gravity.OK else "stale"].gravity is level


def test_a_log_that_rests_at_weekends_may_be_as_old_as_its_weekend() -> None:
    resting = counts()
    resting[5::7] = resting[6::7] = 0
    assert told(seen({"visit": resting[::-1]}), at=shift(END, days(3))) == set()


def test_a_day_with_nothing_is_a_gap() -> None:
    broken = counts()
    broken[-3] = 4
    assert "gap" in told(seen({"visit": broken}))


def test_a_kind_that_stops_is_an_alarm_if_the_model_reads_it_and_else_a_warning() -> None:
    stopped = counts(a_day=60)
    stopped[-5:] = 0
    both = seen({"visit": counts(), "purchase": stopped})
    found = [each for each in look(both, at=END, used=("purchase",)) if each.code == "kind_stopped"]
    assert [(each.gravity, each.figures["kind"]) for each in found] == [(Gravity.ALARM, "purchase")]
    found = [each for each in look(both, at=END, used=("visit",)) if each.code == "kind_stopped"]
    assert [each.gravity for each in found] == [Gravity.WARNING]


def test_a_letter_that_goes_out_once_a_week_has_not_stopped_after_six_days() -> None:
    letter = np.zeros(DAYS, dtype=np.int64)
    letter[::7] = 5000
    assert told(seen({"visit": counts(), "letter": letter})) == set()


def test_half_the_events_of_a_day_and_a_source_read_twice_are_told() -> None:
    for factor in (0.4, 2.5):
        odd = counts()
        odd[-1] = int(odd[-1] * factor)
        assert told(seen({"visit": odd})) == {"volume"}


@pytest.mark.parametrize(("factor", "level"), [(1.1, Gravity.OK), (1.5, Gravity.WARNING), (7.0, Gravity.ALARM)])
def test_values_in_another_currency_are_told(factor: float, level: Gravity) -> None:
    what = seen({"purchase": counts()})
    logs = what.log_values["purchase"].copy()
    logs[-7:] += np.log(factor) * what.daily["purchase"][-7:]
    found = look(replace(what, log_values={"purchase": logs}), at=END, used=())
    assert max(each.gravity for each in found) is level


def test_a_new_kind_is_an_advice() -> None:
    new = np.zeros(DAYS, dtype=np.int64)
    new[-3:] = 80
    assert told(seen({"visit": counts(), "visits": new})) == {"kind_new"}


def test_a_log_of_a_week_says_that_it_does_not_know_what_is_usual() -> None:
    short = Pulse(shift(END, -days(7)), END, END, {"visit": counts()[-7:]}, {}, {})
    found = look(replace(short, valued=short.daily, log_values={"visit": np.zeros(7)}), at=END, used=())
    assert {finding.code for finding in found} == {"fresh", "volume_unknown"}


def test_broken_data_are_repaired_before_anything_is_learnt() -> None:
    misfit = Finding("quality", Gravity.ALARM, "worse", "train", retrain=True)
    gap = Finding("gap", Gravity.ALARM, "nothing", "import")
    alone = watched(END, log_end=END, model_version="1", findings=[misfit])
    both = watched(END, log_end=END, model_version="1", findings=[misfit, gap])
    assert (alone.retrain, alone.findings[0].code) == (True, "retrain")
    assert (both.retrain, both.findings[0].gravity) == (False, Gravity.ADVICE)


@given(st.integers(1, 1000))
def test_more_tests_ask_for_more_evidence(tests: int) -> None:
    assert beyond(tests + 1) > beyond(tests) >= beyond(1)


@given(st.lists(st.floats(0.01, 0.99), min_size=2, max_size=40))
def test_the_expected_auc_counts_every_pair_once(chances: list[float]) -> None:
    p = np.array(chances)
    won = sum(
        a * (1 - b) * (1.0 if a > b else 0.5 if a == b else 0.0)
        for i, a in enumerate(p)
        for j, b in enumerate(p)
        if i != j
    )
    pairs = sum(a * (1 - b) for i, a in enumerate(p) for j, b in enumerate(p) if i != j)
    assert expected_auc(p) == pytest.approx(won / pairs)


def test_what_is_estimated_is_what_happens_where_probabilities_are_true() -> None:
    dice = np.random.default_rng(3)
    p = dice.beta(1, 3, 4000)
    happened = dice.random(4000) < p
    found = estimate(p, seed=0)
    assert found.auc.low < roc_auc_score(happened, p) < found.auc.high
    assert found.auc.value == pytest.approx(roc_auc_score(happened, p), abs=0.03)
    assert found.churned_share.low < happened.mean() < found.churned_share.high


def test_users_who_are_hard_to_tell_apart_lower_the_estimate() -> None:
    flat = np.random.default_rng(3).normal(0.3, 0.02, 3000)
    found = list(estimated.findings(estimate(flat, seed=0), {"auc": 0.8}))
    assert [(each.code, each.gravity) for each in found] == [("estimate", Gravity.WARNING)]
    assert "if the probabilities are right" in found[0].found


def followed(
    p: FloatArray, true: FloatArray, *, contacted: FloatArray | None = None, auc: float = 0.8, seed: int = 0
) -> Followed:
    """A run of these probabilities whose users churned with the true ones."""
    dice = np.random.default_rng(seed)
    users = np.array([f"user-{place}" for place in range(len(p))], dtype=object)
    promised = {"auc": auc, "auc_low": auc - 0.02, "auc_high": auc + 0.02}
    run = Recorded(1, "1", "definition", utc("2026-06-01"), users, p, promised)
    asked = np.zeros(len(p), dtype=np.bool_) if contacted is None else contacted.astype(np.bool_)
    return Followed(run, (dice.random(len(p)) < true).astype(np.float64), asked)


def judged(what: Followed) -> dict[str, Finding]:
    return {finding.code: finding for finding in quality([what], seed=0, next_known=None)}


def test_scores_that_were_right_are_fine() -> None:
    p = np.random.default_rng(5).beta(1, 3, 3000)
    found = judged(followed(p, p, auc=expected_auc(p)))
    assert {code: finding.gravity for code, finding in found.items()} == dict.fromkeys(
        ("quality", "log_loss", "level"), Gravity.OK
    )


def test_scores_that_say_nothing_any_more_call_for_a_new_model() -> None:
    p = np.random.default_rng(5).beta(1, 3, 3000)
    found = judged(followed(p, np.random.default_rng(6).permutation(p)))
    assert found["quality"].gravity is Gravity.ALARM
    assert found["quality"].retrain


def test_a_base_rate_that_doubled_shows_in_the_level() -> None:
    p = np.random.default_rng(5).beta(1, 5, 3000)
    found = judged(followed(p, np.minimum(1, 2 * p)))
    assert (found["level"].gravity, found["level"].retrain) == (Gravity.ALARM, True)


def test_a_campaign_that_works_does_not_make_the_model_look_wrong() -> None:
    p = np.random.default_rng(5).beta(1, 3, 4000)
    contacted = np.arange(4000) % 2
    found = judged(followed(p, np.where(contacted == 1, p / 10, p), contacted=contacted.astype(np.float64)))
    assert found["level"].gravity is Gravity.OK
    assert "not contacted" in found["level"].found
    figures = found["quality"].figures
    assert figures["contacted"]["churned_share"] < figures["not_contacted"]["churned_share"]


def test_few_outcomes_judge_nobody() -> None:
    p = np.full(50, 0.5)
    assert set(judged(followed(p, p))) == {"few_labels"}


def test_no_outcome_yet_says_when_there_will_be_one() -> None:
    (found,) = quality([], seed=0, next_known=utc("2026-10-01"))
    assert "the first will be known on 2026-10-01" in found.found


class _OneBucket:
    """A log of some users by hand."""

    buckets = 1

    def __init__(self, deeds: dict[str, list[tuple[str, str, float | None]]]) -> None:
        self._events = user_events(deeds)

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:  # noqa: ARG002 - as the log has it
        return self._events


def test_what_became_of_a_run_is_read_from_the_log() -> None:
    visits = ChurnDefinition(look_back=days(28), horizon=days(14), activity=("visit",))
    log = _OneBucket(
        {
            "ada": [("2026-05-30", "visit", None), ("2026-06-05", "visit", None)],
            "bert": [("2026-05-30", "visit", None), ("2026-06-20", "visit", None)],
            "chen": [("2026-05-20", "visit", None), ("2026-06-02", "mailing", None)],
        }
    )
    users = np.array(["ada", "bert", "chen", "dalia"], dtype=object)
    run = Recorded(1, "1", visits.id, utc("2026-06-01"), users, np.array([0.1, 0.9, 0.8, 0.5]), {})
    (found,) = matured.follow_up(log, visits, [run], log_end=END, treatments=["mailing"])
    assert found.run.users.tolist() == ["ada", "bert", "chen"]  # dalia was erased meanwhile
    assert found.labels.tolist() == [0.0, 1.0, 1.0]
    assert found.contacted.tolist() == [False, False, True]
    assert matured.follow_up(log, visits, [run], log_end=utc("2026-06-10")) == []
    other = replace(run, definition_id="another")
    assert matured.follow_up(log, visits, [other], log_end=END) == []


def test_a_base_rate_that_jumps_is_told_and_one_that_wavers_is_not() -> None:
    def told_of(newest: int) -> Gravity:
        known = [CutoffFacts(utc("2026-06-01"), 1000, churners, 0) for churners in (250, 262, 241, 255)]
        return matured._moved(CutoffFacts(utc("2026-07-01"), 1000, newest, 0), known, trained_on=0.25).gravity

    assert [told_of(newest) for newest in (265, 340, 480)] == [Gravity.OK, Gravity.WARNING, Gravity.ALARM]


def test_an_interval_of_nothing_is_told_as_missing() -> None:
    nobody = Estimate(np.nan, np.nan, np.nan, "nobody")
    assert matured.Group(0, 0.0, nobody, nobody, nobody).to_json()["auc"] is None


def test_the_pulse_counts_back_from_the_end_and_leaves_out_what_is_to_come() -> None:
    log = _OneBucket(
        {
            "ada": [("2026-08-31T12:00:00Z", "visit", 5.0), ("2026-09-03", "visit", None)],
            "bert": [("2026-08-30T23:00:00Z", "visit", None), ("2026-08-30T23:00:00Z", "$profile", None)],
        }
    )
    found = pulse.pulse(log, start=utc("2026-01-01"), last=utc("2026-09-03"), at=END)
    assert {kind: each[-3:].tolist() for kind, each in found.daily.items()} == {"visit": [0, 1, 1]}
    assert found.log_values["visit"][-1] == pytest.approx(np.log(5))
    assert "future" in told(found)
