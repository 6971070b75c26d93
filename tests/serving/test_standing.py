"""What is told beside a score, from a handful of users' events."""

import numpy as np
import pytest

from features.snapshots import of_events
from features.user_events import Property, UserEvents
from features.windows import days, to_microseconds, utc
from models.definition import ChurnDefinition
from models.segments import Segment, Stage, segments, stages
from serving.house_rules import HouseRules, Worth
from serving.standing import Facts, Standing
from serving.store import Absence

CUTOFF = utc("2026-06-01")
DEFINITION = ChurnDefinition(look_back=days(60), horizon=days(30))
NAN = float("nan")
TEXTS = ("yes", "no")


def people(**told: tuple[list[float], str | None]) -> UserEvents:
    """Users with the days before the cutoff on which they bought for 2.0, and what their profile says of them."""
    times, kinds, values, codes, offsets = [], [], [], [], [0]
    for ages, flag in told.values():
        for age in sorted(ages, reverse=True):
            times.append(to_microseconds(CUTOFF) - round(age * 86_400e6))
            kinds.append(0), values.append(2.0), codes.append(-1)
        if flag is not None:
            times.append(to_microseconds(CUTOFF) - 1)
            kinds.append(1), values.append(NAN), codes.append(TEXTS.index(flag))
        offsets.append(len(times))
    return UserEvents(
        user_ids=tuple(told),
        offsets=np.array(offsets),
        times=np.array(times, dtype=np.int64),
        kinds=np.array(kinds, dtype=np.int32),
        kind_names=("purchase", "$profile"),
        values=np.array(values, dtype=np.float64),
        properties={"flag": Property(np.array(codes, dtype=np.int32), TEXTS)},
    )


def rows_of(facts: Facts, events: UserEvents) -> np.ndarray:
    names, population = facts.features.names, DEFINITION.population
    return of_events(events, facts.plan, names, cutoffs=[CUTOFF], population=population).matrix


CAST = people(
    ada=([1.5, 8.5, 15.5, 50.5], "no"),
    bert=([2.5], "yes"),
    chen=([31.5, 40.5, 45.5, 50.5], None),
    dalia=([1.5, 90.5, 95.5], None),
)


def test_a_stage_is_judged_by_the_own_rhythm() -> None:
    facts = Facts(DEFINITION)
    found = [standing.lifecycle_stage for standing in facts.standings(rows_of(facts, CAST))]
    assert found == [Stage.ACTIVE, Stage.NEW, Stage.SILENT, Stage.RETURNED]


def test_who_opted_out_gets_no_score_and_a_profile_that_says_nothing_forbids_nothing() -> None:
    facts = Facts(DEFINITION, HouseRules(opted_out="flag"))
    assert facts.absences(rows_of(facts, CAST)) == [None, Absence.OPTED_OUT, None, None]


def test_who_may_be_contacted_is_unknown_where_nobody_said() -> None:
    facts = Facts(DEFINITION, HouseRules(no_contact="flag"))
    found = [standing.contactable for standing in facts.standings(rows_of(facts, CAST))]
    assert found == [True, False, None, None]


def test_what_a_user_is_worth_is_said_or_what_was_spent_carried_on() -> None:
    def worths(worth: Worth) -> list[float | None]:
        facts = Facts(DEFINITION, HouseRules(worth=worth))
        return [standing.worth for standing in facts.standings(rows_of(facts, CAST))]

    assert worths(Worth(amount=50.0)) == [50.0] * 4
    assert worths(Worth()) == pytest.approx([8.0 * 30 / 60, 2.0 * 30 / 60, 8.0 * 30 / 60, 2.0 * 30 / 60])
    assert worths(Worth(carried_days=120)) == pytest.approx([16.0, 4.0, 16.0, 4.0])


def test_where_no_event_has_a_value_nothing_is_known_to_be_at_stake() -> None:
    facts, silent = Facts(DEFINITION), people(ada=([1.5, 8.5], None))
    without = UserEvents(**{**_fields(silent), "values": np.full(2, NAN)})
    (found,) = facts.standings(rows_of(facts, without))
    assert found.worth is None


def test_a_user_alone_has_no_segment() -> None:
    facts = Facts(DEFINITION)
    (found,) = facts.standings(rows_of(facts, people(ada=([1.5, 8.5], None))), compared=False)
    assert found == Standing(Stage.NEW, None, 2.0, None)


@pytest.mark.parametrize(
    ("silence", "usual", "newest_gap", "tenure", "expected"),
    [
        (30.0, 7.0, 7.0, 10.0, Stage.SILENT),
        (29.9, 7.0, 7.0, 30.0, Stage.NEW),
        (7.0, 7.0, 7.0, 31.0, Stage.ACTIVE),
        (7.1, 7.0, 7.0, 31.0, Stage.COOLING),
        (1.0, 7.0, 30.0, 31.0, Stage.RETURNED),
        (15.0, NAN, NAN, 31.0, Stage.ACTIVE),
        (15.1, NAN, NAN, 31.0, Stage.COOLING),
        (0.9, 0.2, 1.0, 31.0, Stage.ACTIVE),
    ],
)
def test_stages_change_at_their_edges(
    silence: float, usual: float, newest_gap: float, tenure: float, expected: Stage
) -> None:
    columns = {"silence": silence, "usual": usual, "newest_gap": newest_gap, "tenure": tenure}
    assert stages(**{name: [value] for name, value in columns.items()}, horizon=30.0) == [expected]


def test_every_place_among_the_others_has_a_segment_and_money_can_only_lift_it() -> None:
    recency, frequency, money = (grid.ravel() for grid in np.meshgrid(*[np.arange(1.0, 6.0)] * 3))
    found = segments(recency, frequency, money)
    assert set(found) == set(Segment)
    assert segments(recency, frequency, np.ones_like(money)) == segments(recency, frequency)


def _fields(events: UserEvents) -> dict[str, object]:
    return {name: getattr(events, name) for name in UserEvents.__slots__}
