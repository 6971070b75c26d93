"""Arithmetic on time."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from features.windows import to_columns, to_microseconds


@given(st.lists(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 31), timezones=st.timezones()), max_size=5))
def test_many_instants_at_once_are_each_alone(moments: list[datetime]) -> None:
    assert to_columns(moments).tolist() == [to_microseconds(moment) for moment in moments]
