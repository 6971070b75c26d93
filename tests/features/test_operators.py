"""Each operator beside what one counts by hand: days of July, the cutoff at the midnight that ends the 30th."""

import math

import numpy as np
import pytest

from features.language import events, feature_set
from features.operators import MEMORY, OPERATORS, WEEKS, ActiveDays, known
from features.plan import make_plan
from features.snapshots import of_user
from features.windows import utc
from tests.cast import user_events

CUTOFF = utc("2026-07-31")
WEEKLY = (3, 10, 17, 24)  # days of July, all Fridays
BURST = (1, 2, 3, 30)  # three in a row, then nothing until the day before the cutoff
ONCE = (20,)


def said(name, number, july):
    history = [(f"2026-07-{day:02}T12:00:00Z", "visit", float(day)) for day in july]
    plan = make_plan(feature_set(it=events().days_say(name, number)))
    return of_user(user_events({"ada": history}), plan, cutoff=CUTOFF)[0, 0]


@pytest.mark.parametrize(
    ("name", "number", "july", "expected"),
    [
        ("mean_gap", 0, WEEKLY, 7),
        ("mean_gap", 0, BURST, 29 / 3),
        ("gap_spread", 0, WEEKLY, 0),
        ("gap_spread", 0, (1, 3, 9), 2),  # gaps 2 and 6
        ("longest_gap", 0, BURST, 27),
        ("newest_gap", 0, (1, 3, 9), 6),
        ("newest_gaps", 2, (1, 3, 9, 12), 4.5),
        ("newest_gaps", 9, (1, 3, 9, 12), 11 / 3),  # there are three only
        ("gap_quantile", 0.5, (1, 2, 4, 8, 16), 2),  # gaps 1, 2, 4, 8
        ("gap_quantile", 0.9, (1, 2, 4, 8, 16), 8),
        ("gap_quantile", 0.25, (1, 2, 4, 8, 16), 1),
        ("longer_gaps", 0, (1, 2, 12, 24), 2 / 3),  # silent for 6.5 days; gaps 1, 10, 12
        ("clumpiness", 0, (10, 17, 24), 0),  # the cutoff is 7 days after the 24th: all alike
        ("clumpiness", 0, (1, 2, 30), 1 - (math.log(30) - 28 * math.log(28) / 30) / math.log(3)),
        ("weekday_focus", 0, WEEKLY, 1),
        ("weekday_focus", 0, (6, 7, 8, 9, 10, 11, 12), 0),  # every day of a week
        ("weekday_focus", 0, (3, 10, 17, 18), 1 - (0.75 * math.log(4 / 3) + 0.25 * math.log(4)) / math.log(7)),
        ("current_streak", 0, (26, 28, 29, 30), 3),
        ("current_streak", 0, (28, 29), 0),
        ("longest_streak", 0, BURST, 3),
        ("active_weeks", 3, WEEKLY, 3),  # weeks begin on the 24th, 17th, 10th, and the 3rd is the one before
        ("active_weeks", 4, WEEKLY, 4),
        ("active_weeks", 4, (24, 24, 30, 10), 2),
        ("week_streak", 0, (30, 23, 22, 9), 2),  # 16 days without from the 15th back to the 10th
        ("weekly_slope", 2, (30, 30, 30, 18), 2),  # one, then three
        ("weekly_slope", 3, (30, 30, 30, 18), 1.5),  # none, one, three
        ("peak_week", 4, (30, 30, 18, 17, 20), 3),
        ("peak_week", 1, (30, 30, 18, 17, 20), 2),
        ("weeks_since_peak", 4, (30, 30, 18, 17, 20), 1),
        ("weeks_since_peak", 4, (30, 18), 0),  # of equal ones the newest
        ("early_count", 7, (1, 1, 7, 8, 30), 3),
        ("early_active_days", 7, (1, 1, 7, 8, 30), 2),
        ("early_total", 7, (1, 7, 8, 30), 8),
    ],
)
def test_an_operator_says_what_one_counts_by_hand(name, number, july, expected):
    assert said(name, number, july) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_one_active_day_is_enough_or_the_answer_is_missing(name):
    answer = said(name, 7, ONCE)
    needs_two = OPERATORS[name].family == "cadence" and math.isnan(OPERATORS[name].nothing)
    assert math.isnan(answer) == needs_two, name


def test_gaps_beyond_two_months_are_sorted_too():
    days = np.cumsum([0, 70, 5, 300, 90], dtype=np.int64)
    for share, gap in ((0.25, 5), (0.5, 70), (0.75, 90), (1.0, 300)):
        active = ActiveDays(
            days, np.ones(5), np.ones(5), np.zeros(WEEKS), int(days[-1]) + 1, 1.0, share, 0, np.empty(MEMORY)
        )
        assert known("gap_quantile").function(active) == gap


def test_every_operator_is_tested_by_hand_and_says_what_it_is():
    by_hand = {case[0] for mark in test_an_operator_says_what_one_counts_by_hand.pytestmark for case in mark.args[1]}
    assert by_hand == set(OPERATORS)
    for each in OPERATORS.values():
        assert each.function.__doc__, each.name
        assert each.unit, each.name
        assert each.family in {"cadence", "trend", "lifecycle", "frequency", "money"}, each.name
