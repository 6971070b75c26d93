import numpy as np
import pytest

from features.windows import days, shift, span_microseconds, to_microseconds
from tests.renewals import START, Renewals, log_of
from training.silence import ErrorCurves, Gaps, Range, ReturnCurve, draws
from training.silence_counts import Acts, Counted, count

END = 40


def counted(acts_on: dict[str, list[float]], *, end: float = END, moments: tuple[int, ...] = (20,)) -> Counted:
    until = shift(START, days(1) * end)
    return count(
        Acts.of(log_of(acts_on, buckets=1).pieces[0], before=until),
        end=to_microseconds(until),
        followed=int(end),
        moments=np.array([to_microseconds(shift(START, days(moment))) for moment in moments], dtype=np.int64),
        gone_after=span_microseconds(days(10)),
        thresholds=15,
    )


def test_a_gap_counts_once_in_the_one_and_its_user_once_in_the_other() -> None:
    found = Gaps.of(counted({"ada": [0, 2, 4, 6, 8], "bert": [0, 30], "chen": [5]}))
    assert (found.gaps, found.users, found.without) == (5, 2, 1)
    assert found.each_gap[0] == 2
    assert found.each_user == (2, 30, 30, 30, 30)


def test_what_is_shorter_than_a_day_is_one_visit() -> None:
    found = Gaps.of(counted({"ada": [0, 0.2, 0.9, 3.1]}))
    assert (found.gaps, found.short, found.each_gap[0]) == (1, 2, 2)


def test_gaps_of_nobody_are_unknown() -> None:
    found = Gaps.of(counted({"ada": [3]}))
    assert found.gaps == 0
    assert np.isnan(found.each_gap).all()


def test_a_silence_counts_only_as_long_as_it_could_be_seen_to_its_end() -> None:
    found = counted({"ada": [0, 5], "bert": [30, 38.5]}, end=38.9)
    assert np.flatnonzero(found.ended.sum(axis=0)).tolist() == [5]
    still = found.still.sum(axis=0)
    assert {int(day): int(still[day]) for day in np.flatnonzero(still)} == {33: 1, 8: 1}


def test_who_is_lost_from_sight_on_a_day_is_not_at_risk_on_it() -> None:
    acts = {f"user-{place:03d}": [0.0, 3.0] if place < 45 else [0.0] for place in range(60)}
    found = counted({**acts, **{f"late-{place}": [36.5] for place in range(30)}})
    curve = ReturnCurve.of(found, within=5, drawn=draws(seed=0))
    assert curve.at(1).value == pytest.approx(45 / 105)  # the second acts are silences as well, and none of them ends
    assert curve.at(4).value == 0
    assert curve.at(1).low < curve.at(1).value < curve.at(1).high
    assert curve.silences[0] == 135
    assert curve.users[0] == 90
    assert np.isnan(curve.at(40).value)


def test_both_errors_are_counted_for_every_user_who_was_still_there() -> None:
    found = counted(
        {
            "ada": [19, 21],  # silent for 1 day, still there
            "bert": [10, 25],  # silent for 10, still there
            "chen": [18],  # silent for 2, gone
            "dalia": [12, 31],  # silent for 8, and back only when the ten days are over
            "emil": [21, 22],  # not seen yet
        }
    )
    curves = ErrorCurves.of(found, gone_after=10, moments=(START,), drawn=draws(seed=0))
    assert (curves.there, curves.gone) == (2, 2)
    assert curves.buried[[0, 1, 2, 10, 11]].tolist() == [1, 1, 0.5, 0.5, 0]
    assert curves.kept[[0, 2, 3, 8, 9]].tolist() == [0, 0, 0.5, 0.5, 1]
    assert 2 < curves.crossing.value <= 3
    assert curves.covered(5) == 0.5
    assert np.isnan(curves.covered(16))


def test_an_act_at_the_very_moment_is_a_return_and_no_silence_of_nothing() -> None:
    found = counted({"ada": [10, 20], "bert": [12]})  # the moment is day 20
    assert np.flatnonzero(found.back.sum(axis=0)).tolist() == [10]
    assert np.flatnonzero(found.gone.sum(axis=0)).tolist() == [8]


def test_an_event_of_just_the_least_value_counts() -> None:
    events = log_of({"ada": [1, 2], "bert": [3]}, buckets=1).pieces[0]  # every event is worth 10
    before = shift(START, days(END))
    assert len(Acts.of(events, before=before, least_value=10.0).times) == 3
    assert len(Acts.of(events, before=before, least_value=10.5).times) == 0


def test_curves_that_do_not_cross_say_that_the_threshold_lies_beyond() -> None:
    found = counted({"ada": [0, 25], "bert": [1, 24]})
    curves = ErrorCurves.of(found, gone_after=10, moments=(START,), drawn=draws(seed=0))
    assert curves.crossing.value == float("inf")
    assert curves.crossing.to_json() == {"value": None, "low": None, "high": None}


def test_nobody_who_came_back_leaves_the_threshold_unknown() -> None:
    curves = ErrorCurves.of(counted({"ada": [0]}), gone_after=10, moments=(START,), drawn=draws(seed=0))
    assert np.isnan(curves.crossing.value)


def test_an_interval_may_reach_beyond_what_was_seen() -> None:
    found = Range.of(7.0, np.array([5.0, 6.0, 7.0, np.inf, np.nan]))
    assert (found.low, found.high) == (5.0, float("inf"))


@pytest.mark.parametrize("process", [Renewals(), Renewals(mean_gap=3.0, dies=0.05), Renewals(mean_gap=8.0, dies=0.3)])
def test_a_known_process_gives_its_known_curves(process: Renewals) -> None:
    length, gone = 240, 96
    log = log_of(process.days_of(8000, length=length, seed=4), buckets=1)
    until = shift(START, days(length))
    moments = [shift(START, days(day)) for day in range(96, 145, 4)]
    found = count(
        Acts.of(log.pieces[0], before=until),
        end=to_microseconds(until),
        followed=length,
        moments=np.array([to_microseconds(moment) for moment in moments], dtype=np.int64),
        gone_after=span_microseconds(days(gone)),
        thresholds=96,
    )
    drawn = draws(seed=1)
    errors = ErrorCurves.of(found, gone_after=gone, moments=moments, drawn=drawn)
    curve = ReturnCurve.of(found, within=gone, drawn=drawn)
    assert errors.crossing.value == pytest.approx(process.crossing(), rel=0.07)
    assert errors.crossing.low < process.crossing() * 1.02
    assert errors.crossing.high > process.crossing() * 0.98
    assert errors.fewest_errors.low <= process.as_likely_gone() + 1
    assert errors.fewest_errors.high >= process.as_likely_gone() - 1
    assert errors.threshold.value == max(errors.crossing.value, errors.fewest_errors.value)
    for day in (1, 5, 10):
        assert errors.buried[day] == pytest.approx(process.buried(day), abs=0.03)
        assert errors.kept[day] == pytest.approx(process.kept(day), rel=0.1, abs=0.02)
        assert curve.at(day).value == pytest.approx(process.back(day), abs=0.03)
