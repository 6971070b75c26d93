"""The rules of the gate one by one, on figures by hand: what decides is the end of an interval, not its middle."""

from dataclasses import replace

import numpy as np
import pytest

from features.windows import utc
from training.contest import Band, Contest, Showing
from training.gate import CALIBRATION_ERROR, Check, Rules, after_contest
from training.metrics import Estimate, log_losses
from training.pace import Pace, _in_turns
from training.paired import Compared, OfSegment, Pair, compare

NOW = utc("2026-09-01")
RULES = Rules(replicates=200)
SAME_PACE = (Pace(1e-6, 1e-4), Pace(1e-6, 1e-4))
SHOWN = Showing(True, np.full(10, 0.5), np.zeros(10), np.full(10, 0.5), np.zeros((1, 1)))
CONTEST = Contest((NOW,), NOW, np.array(["ada"] * 10, dtype=object), np.zeros(10), {}, SHOWN, SHOWN, 0)
BAND = Band("value", 0.0, 9.0)


def estimate(value: float, low: float | None = None, high: float | None = None) -> Estimate:
    return Estimate(value, value if low is None else low, value if high is None else high)


def compared(champion: float, difference: Estimate, *, challenger: Estimate | None = None) -> Compared:
    theirs = challenger or estimate(champion + difference.value)
    return Compared(estimate(champion), theirs, difference)


SOUND = Pair(
    log_loss=compared(0.5, estimate(0.0, -0.005, 0.005)),
    recall=compared(0.4, estimate(0.0, -0.01, 0.01)),
    level=compared(1.0, estimate(0.0), challenger=estimate(1.0, 0.95, 1.05)),
    calibration_error=compared(0.01, estimate(0.0)),
    auc=compared(0.8, estimate(0.0)),
    segments=(OfSegment(BAND, 500, 0.5, 0.5, -0.02, 0.02),),
    deployed_log_loss=estimate(-0.01, -0.02, 0.0),
    deployed_level=estimate(1.0, 0.95, 1.05),
)
BY_RECIPE = replace(CONTEST, challenger=replace(SHOWN, as_deployed=False))


def failed(pair: Pair, *, contest: Contest = CONTEST) -> set[str]:
    found: list[Check] = after_contest(contest, pair, pace=SAME_PACE, rules=RULES)
    return {check.name for check in found if not check.passed}


def test_what_is_no_worse_passes() -> None:
    assert failed(SOUND) == set()
    assert failed(SOUND, contest=BY_RECIPE) == set()


@pytest.mark.parametrize(("high", "passes"), [(0.0099, True), (0.0101, False)])
def test_the_upper_end_of_the_loss_has_to_lie_below_the_margin(high: float, passes: bool) -> None:
    pair = replace(SOUND, log_loss=compared(0.5, estimate(0.001, -0.01, high)))  # the margin is 2 % of .5
    assert failed(pair) == (set() if passes else {"log_loss"})


@pytest.mark.parametrize(("low", "passes"), [(-0.019, True), (-0.021, False)])
def test_the_lower_end_of_the_recall_has_to_lie_above_the_margin(low: float, passes: bool) -> None:
    pair = replace(SOUND, recall=compared(0.4, estimate(-0.001, low, 0.02)))  # the margin is 5 % of .4
    assert failed(pair) == (set() if passes else {"recall_at_capacity"})


@pytest.mark.parametrize(
    ("champion", "challenger", "passes"),
    [
        (1.0, estimate(1.15, 1.08, 1.22), True),  # the interval reaches into .9 to 1.1
        (1.0, estimate(1.25, 1.15, 1.35), False),
        (1.26, estimate(1.25, 1.15, 1.35), True),  # no further from 1 than the champion
        (0.80, estimate(1.26, 1.15, 1.35), True),  # as far on the other side, in logs
        (0.85, estimate(1.26, 1.15, 1.35), False),
        (1.0, estimate(0.75, 0.70, 0.88), False),
        (1.0, Estimate(np.nan, np.nan, np.nan, "nobody churned"), False),
    ],
)
def test_a_level_is_right_or_no_further_off_than_the_champions(
    champion: float, challenger: Estimate, passes: bool
) -> None:
    pair = replace(SOUND, level=compared(champion, estimate(0.0), challenger=challenger))
    assert failed(pair) == (set() if passes else {"level"})


@pytest.mark.parametrize(
    ("champion", "error", "passes"),
    [
        (0.01, estimate(0.03, CALIBRATION_ERROR - 0.001, 0.05), True),
        (0.01, estimate(0.04, 0.03, 0.05), False),
        (0.036, estimate(0.04, 0.03, 0.05), True),
    ],
)
def test_probabilities_may_be_off_by_a_little_or_as_much_as_the_champions(
    champion: float, error: Estimate, passes: bool
) -> None:
    pair = replace(SOUND, calibration_error=compared(champion, estimate(0.0), challenger=error))
    assert failed(pair) == (set() if passes else {"calibration_error"})


@pytest.mark.parametrize(
    ("segment", "passes"),
    [
        (OfSegment(BAND, 500, 0.5, 0.53, -0.001, 0.06), True),  # it may be chance
        (OfSegment(BAND, 500, 0.5, 0.52, 0.001, 0.04), True),  # it is not, and is too little to matter
        (OfSegment(BAND, 500, 0.5, 0.53, 0.001, 0.06), False),
    ],
)
def test_a_segment_has_to_be_surely_and_clearly_worse(segment: OfSegment, passes: bool) -> None:
    assert failed(replace(SOUND, segments=(segment,))) == (set() if passes else {"segments"})


@pytest.mark.parametrize(
    ("loss", "level", "passes"),
    [
        (estimate(0.02, 0.01, 0.03), estimate(1.0), False),  # worse on rows that it has learnt from
        (estimate(0.004, 0.001, 0.007), estimate(1.0), True),  # by less than matters
        (estimate(0.02, -0.01, 0.05), estimate(1.0), True),  # by chance
        (estimate(-0.01, -0.02, 0.0), estimate(1.5, 1.4, 1.6), False),
    ],
)
def test_a_deployed_model_that_is_worse_than_its_recipe_is_broken(
    loss: Estimate, level: Estimate, passes: bool
) -> None:
    pair = replace(SOUND, deployed_log_loss=loss, deployed_level=level)
    assert failed(pair, contest=BY_RECIPE) == (set() if passes else {"deployed_model"})
    assert failed(pair) == set()  # as it is deployed it was asked already


def test_a_pace_is_the_quickest_turn_after_one_that_does_not_count() -> None:
    turns: list[str] = []
    seconds = iter([0.0, 5.0, 10.0, 11.0, 20.0, 22.0, 30.0, 39.0])
    works = [lambda: turns.append("ours"), lambda: turns.append("theirs")]
    assert _in_turns(works, 2, lambda: next(seconds)) == [2.0, 1.0]
    assert turns == ["ours", "theirs"] * 3


def _two_rows_a_user(*, worse: bool = True) -> Contest:
    """300 users at two windows each; the challenger knows nothing, and what is deployed as his knows a little."""
    draws = np.random.default_rng(5)
    risk = np.repeat(draws.uniform(0.05, 0.95, 300), 2)
    labels = (draws.uniform(size=600) < risk).astype(float)
    users = np.repeat(np.array([f"user-{place}" for place in range(300)], dtype=object), 2)
    other = np.full(600, labels.mean()) if worse else risk
    champion = Showing(True, risk, risk, risk, np.zeros((1, 1)))
    challenger = Showing(True, other, draws.uniform(size=600), 0.5 * other + 0.5 * risk, np.zeros((1, 1)))
    segments = {Band("value", float(part), float(part)): np.arange(600) // 200 == part for part in range(3)}
    return Contest((NOW,), NOW, users, labels, segments, champion, challenger, 0)


def test_segments_are_of_users_and_not_of_rows() -> None:
    contest = _two_rows_a_user()
    assert compare(contest, capacity=0.1, fewest_users=101, seed=0, replicates=20).segments == ()
    found = compare(contest, capacity=0.1, fewest_users=100, seed=0, replicates=20).segments
    assert [segment.users for segment in found] == [100, 100, 100]


def test_intervals_of_segments_hold_for_all_of_them_at_once() -> None:
    contest = _two_rows_a_user()
    first = next(iter(contest.segments))
    alone = replace(contest, segments={first: contest.segments[first]})
    (one,) = compare(alone, capacity=0.1, fewest_users=10, seed=0, replicates=200).segments
    three = compare(contest, capacity=0.1, fewest_users=10, seed=0, replicates=200).segments[0]
    assert three.high - three.low == pytest.approx((one.high - one.low) * 2.394 / 1.960, rel=1e-3)
    assert (three.low + three.high) / 2 == pytest.approx(three.difference)


def test_differences_are_the_challengers_minus_the_champions() -> None:
    contest = _two_rows_a_user()
    pair = compare(contest, capacity=0.1, fewest_users=10, seed=0, replicates=200)
    assert pair.log_loss.difference.low > 0
    assert pair.recall.difference.high < 0
    assert pair.recall.difference.value == pytest.approx(pair.recall.challenger.value - pair.recall.champion.value)
    shown, deployed = (
        log_losses(contest.labels, each).mean()
        for each in (contest.challenger.probabilities, contest.challenger.deployed)
    )
    assert pair.deployed_log_loss.value == pytest.approx(deployed - shown)
