"""Arithmetic on time."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from features.windows import to_columns, to_microseconds, utc

FIRST, LAST = (utc(day).replace(tzinfo=None) for day in ("1970-01-02", "2199-12-31"))  # hypothesis adds the zones


@given(st.lists(st.datetimes(FIRST, LAST, timezones=st.timezones()), max_size=5))
def test_many_instants_at_once_are_each_alone(moments: list[datetime]) -> None:
    assert to_columns(moments).tolist() == [to_microseconds(moment) for moment in moments]
