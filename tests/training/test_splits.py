import re
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.errors import BadInput
from features.windows import days, iso, shift, utc
from models.definition import ChurnDefinition
from training.splits import Cutoffs, Split, plan

MONTH = ChurnDefinition(look_back=days(60), horizon=days(30))
YEAR = {"start": utc("2017-01-01"), "end": utc("2018-01-01")}


def _days(cutoffs: Cutoffs) -> list[str]:
    return [iso(cutoff)[:10] for cutoff in cutoffs]


def test_a_year_of_history_is_split_from_its_end() -> None:
    split = plan(MONTH, **YEAR)
    assert _days(split.test) == ["2017-12-02"]
    assert _days(split.fit)[-2:] == ["2017-10-26", "2017-11-02"]
    assert _days(split.fit)[0] == "2017-03-02"
    assert _days(split.calibration) == ["2017-11-02"]
    assert _days(split.rehearsal)[-1] == "2017-09-28"
    assert _days(split.validation) == ["2017-09-28"]
    assert _days(split.stopping)[-1] == "2017-08-24"


def test_the_deployed_model_moves_on_to_the_newest_outcomes() -> None:
    split = plan(MONTH, **YEAR)
    assert _days(split.deployed_fit)[-1] == "2017-12-02"
    assert set(split.fit) < set(split.deployed_fit)


def test_a_short_horizon_is_looked_at_every_two_days() -> None:
    split = plan(ChurnDefinition(look_back=days(30), horizon=days(14)), start=utc("2004-04-15"), end=utc("2004-10-26"))
    assert split.fit[-1] == shift(split.fit[-2], days(2))


def test_a_long_history_is_bounded_to_the_newest_sixty_cutoffs() -> None:
    split = plan(MONTH, start=utc("2010-01-01"), end=utc("2018-01-01"))
    assert len(split.fit) == 60
    assert _days(split.fit)[-1] == "2017-10-12"


def test_a_long_history_is_tested_on_four_cutoffs_and_a_short_one_on_one() -> None:
    assert _days(plan(MONTH, start=utc("2010-01-01"), end=utc("2018-01-01")).test) == [
        "2017-11-11",
        "2017-11-18",
        "2017-11-25",
        "2017-12-02",
    ]
    assert len(plan(MONTH, **YEAR).test) == 1


def test_several_test_cutoffs_push_calibration_before_the_oldest() -> None:
    split = plan(MONTH, **YEAR, newest=utc("2017-12-01"), test_cutoffs=3)
    assert _days(split.test) == ["2017-11-17", "2017-11-24", "2017-12-01"]
    assert _days(split.calibration) == ["2017-10-18"]


def test_without_room_for_validation_the_trees_are_fixed() -> None:
    split = plan(MONTH, start=utc("2017-01-01"), end=utc("2017-06-10"))
    assert split.stopping == split.validation == ()
    assert split.fit


def test_a_history_that_is_too_short_says_what_would_fit() -> None:
    with pytest.raises(BadInput) as caught:
        plan(MONTH, start=utc("2017-01-01"), end=utc("2017-05-01"))
    assert "120 days from 2017-01-01 to 2017-05-01, expected at least 150" in str(caught.value)
    assert "A look-back of 30d would fit." in str(caught.value)


def test_a_cutoff_whose_outcome_is_not_known_yet_is_refused() -> None:
    with pytest.raises(BadInput, match=r"ends 2018-01-14T00:00:00Z .* no later than 2017-12-02"):
        plan(MONTH, **YEAR, newest=utc("2017-12-15"))


def test_a_split_prints_as_a_timeline() -> None:
    lines = plan(MONTH, **YEAR).says()
    assert [line[:22].strip() for line in lines] == [
        "trees grown on",
        "trees stopped by",
        "rehearsal",
        "calibration",
        "fit",
        "test",
        "deployed: fit",
        "deployed: calibration",
    ]
    assert "2017-03-02 to 2017-11-02" in lines[4]


@given(length=st.integers(6, 400), lead=st.integers(0, 5))
@settings(max_examples=60)
def test_the_definition_that_the_message_proposes_does_fit(length: int, lead: int) -> None:
    wanted = ChurnDefinition(look_back=days(90), lead_time=days(lead), horizon=days(45))
    end = shift(YEAR["start"], days(length))
    advice = _advice(wanted, end)
    assume("would fit" in advice)
    spans = {name: days(int(found)) for name, found in re.findall(r"(look-back|horizon) of (\d+)d", advice)}
    shorter = replace(
        wanted,
        look_back=spans.get("look-back", wanted.look_back),
        horizon=spans.get("horizon", wanted.horizon),
    )
    assert plan(shorter, start=YEAR["start"], end=end).test


def _advice(definition: ChurnDefinition, end: datetime) -> str:
    try:
        plan(definition, start=YEAR["start"], end=end)
    except BadInput as error:
        return str(error)
    return "nothing to propose"


@given(
    look_back=st.integers(1, 120),
    lead=st.integers(0, 14),
    horizon=st.integers(1, 60),
    length=st.integers(10, 900),
    tests=st.integers(1, 4),
)
@settings(max_examples=200)
def test_no_horizon_of_an_earlier_step_reaches_beyond_the_next_steps_cutoff(
    look_back: int, lead: int, horizon: int, length: int, tests: int
) -> None:
    definition = ChurnDefinition(look_back=days(look_back), lead_time=days(lead), horizon=days(horizon))
    start = utc("2020-01-01")
    split = _plan_or_none(definition, length, tests)
    assume(split is not None)
    assert split is not None
    pairs = [(split.rehearsal, split.calibration), (split.fit, split.test)]
    for earlier, later in [*pairs, (split.stopping, split.validation)] if split.stopping else pairs:
        assert split.closes(earlier) <= min(later)
    assert split.validation in ((), split.rehearsal[-1:])
    assert split.closes(split.deployed_fit) == split.closes(split.test)
    assert split.closes(split.all) <= shift(start, days(length))
    assert min(split.all) >= shift(start, definition.look_back)
    assert len(split.deployed_fit) <= 60


def _plan_or_none(definition: ChurnDefinition, length: int, tests: int) -> Split | None:
    start = utc("2020-01-01")
    try:
        return plan(definition, start=start, end=shift(start, days(length)), test_cutoffs=tests)
    except BadInput:
        return None


def test_a_cutoff_before_the_log_is_not_called_a_short_history() -> None:
    with pytest.raises(BadInput, match="the cutoff 2020-01-01T00:00:00Z lies before the log, which begins 2026"):
        plan(MONTH, start=utc("2026-01-01"), end=utc("2026-12-31"), newest=utc("2020-01-01"))
