"""Clocks: the hour of the week by the company's zone and by the one that a user's profile names."""

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.catalog import standard
from features.clocks import hours_of_week
from features.errors import BadInput
from features.expressions import Clock
from features.kinds import PROFILE
from features.language import events, feature_set
from features.plan import make_plan
from features.snapshots import of_user
from features.summary import KindSummary, LogSummary
from features.user_events import Property, UserEvents
from features.windows import days, from_microseconds, to_microseconds, utc

ZONES = ("UTC", "Europe/London", "Asia/Shanghai", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia")
moments = st.integers(to_microseconds(utc("1991-01-01")), to_microseconds(utc("2090-01-01"))).map(from_microseconds)


def one_user(*deeds, received=None):
    """A user who did something, or whose profile named a zone, at these moments."""
    texts = tuple(dict.fromkeys(zone for _, zone in deeds if zone is not None))
    times = np.array([to_microseconds(moment) for moment, _ in deeds], dtype=np.int64)
    return UserEvents(
        user_ids=("ada",),
        offsets=np.array([0, len(deeds)], dtype=np.int64),
        times=times,
        kinds=np.array([zone is None for _, zone in deeds], dtype=np.int32),
        kind_names=(PROFILE, "visit"),
        values=np.full(len(deeds), np.nan),
        received=times if received is None else np.array([to_microseconds(each) for each in received], dtype=np.int64),
        properties={
            "zone": Property(np.array([-1 if z is None else texts.index(z) for _, z in deeds], dtype=np.int32), texts)
        },
    )


def told(moment, zone):
    local = moment.astimezone(ZoneInfo(zone))
    return local.weekday() * 24 + local.hour


# the first look at a zone reads a century of its changes
@given(times=st.lists(moments, min_size=1, max_size=20), zones=st.lists(st.sampled_from(ZONES), min_size=1, max_size=3))
def test_the_hour_is_what_the_standard_library_says(times, zones):
    deeds = one_user(*((moment, None) for moment in sorted(times)))
    hours = hours_of_week(deeds, [Clock(zone) for zone in zones])
    asked = [from_microseconds(int(time)) for time in deeds.times]
    assert hours.tolist() == [[told(moment, zone) for moment in asked] for zone in zones]


# the first look at a zone reads a century of its changes
@given(
    times=st.lists(st.tuples(moments, st.sampled_from([None, None, "nowhere", *ZONES])), min_size=1, max_size=20),
    delays=st.lists(st.integers(0, 4000), min_size=20, max_size=20),
    as_known=st.booleans(),
)
def test_a_users_zone_is_the_newest_that_his_profile_had_named_by_then(times, delays, as_known):
    deeds = sorted(times, key=lambda deed: deed[0])
    received = [moment + days(delay) for (moment, _), delay in zip(deeds, delays, strict=False)]
    hours = hours_of_week(one_user(*deeds, received=received), [Clock("Asia/Tokyo", "zone")], as_known=as_known)
    for hour, (moment, _) in zip(hours[0], deeds, strict=True):
        named = [
            zone
            for (since, zone), at in zip(deeds, received, strict=True)
            if zone is not None and since <= moment and (at <= moment or not as_known)
        ]
        assert hour == told(moment, named[-1] if named and named[-1] != "nowhere" else "Asia/Tokyo")


def test_a_move_changes_the_hours_from_then_on():
    at_one = [utc(f"2026-03-{day:02}T01:00:00Z") for day in (1, 2, 3, 4)]
    moved = utc("2026-03-02T12:00:00Z")
    deeds = one_user(
        (at_one[0], None), (at_one[1], None), (moved, "America/New_York"), *((m, None) for m in at_one[2:])
    )
    features = feature_set(
        nights=events().night_share(user_timezone="zone").says("{:.0%} at night"),
        company=events().night_share().says("{:.0%} at night in Greenwich"),
    )
    row = of_user(deeds, make_plan(features), cutoff=utc("2026-03-05"))
    assert row.tolist() == [[0.5, 1.0]]  # one in the morning in Greenwich is the evening before in New York


def test_a_zone_that_does_not_exist_is_refused_where_it_is_written():
    with pytest.raises(BadInput, match="is not a time zone"):
        events().night_share(timezone="Mars/Olympus")


def test_a_property_that_no_profile_has_cannot_tell_the_zone():
    visits = KindSummary("visit", events=100, users=10, valued=0)
    summary = LogSummary(events=100, users=10, start=utc("2025-01-01"), end=utc("2026-01-01"), kinds=(visits,))
    with pytest.raises(BadInput, match="no profile has the property 'zone'"):
        standard(summary, clock=Clock("UTC", told_by="zone"))
