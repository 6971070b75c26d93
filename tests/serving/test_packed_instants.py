"""Instants of a request as the kernel's microseconds."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.windows import to_microseconds, utc
from serving.packed_instants import microseconds

FIRST, LAST = (utc(day).replace(tzinfo=None) for day in ("0002-01-01", "9998-12-31"))  # hypothesis adds the zones


@given(st.lists(st.datetimes(FIRST, LAST, timezones=st.timezones()), max_size=20))
def test_many_instants_at_once_are_each_alone(moments: list[datetime]) -> None:
    assert microseconds(moments).tolist() == [to_microseconds(moment) for moment in moments]


@pytest.mark.parametrize("count", [0, 1, 15, 16, 65_535, 65_536])
def test_however_many_there_are(count: int) -> None:
    first = utc("2026-06-01")
    moments = [first + timedelta(microseconds=500_000 * place) for place in range(count)]
    assert microseconds(moments).tolist() == [to_microseconds(first) + 500_000 * place for place in range(count)]
