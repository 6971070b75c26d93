"""Laws of features: the past alone decides, and a user's features are the same however computed."""

import json
from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from features.catalog import standard
from features.fifths import DatedFifths
from features.language import events, feature_set
from features.plan import make_plan
from features.population import Population
from features.snapshots import fifths_of, in_population, of_events, of_user
from features.summary import summarise
from features.tally import ready
from features.user_events import UserEvents
from features.windows import days, iso, utc
from tests.cast import user_events

CUTOFF = utc("2026-06-01")
KINDS = ("visit", "purchase", "return")

deeds = st.tuples(
    st.timedeltas(min_value=timedelta(days=-500), max_value=timedelta(days=60)).map(lambda age: iso(CUTOFF + age)),
    st.sampled_from(KINDS),
    st.none() | st.floats(min_value=-1e6, max_value=1e6, allow_subnormal=False),
)
histories = st.lists(deeds, max_size=30)
logs = st.dictionaries(st.sampled_from(["ada", "bert", "chen", "dalia", "emil"]), histories, min_size=1)


def the_standard_set():
    spread = user_events({"ada": [("2024-01-01", kind, 1.0) for kind in KINDS] + [("2026-06-01", "visit", 2.0)]})
    return standard(summarise([spread]), activity=("visit", "purchase"))


FEATURES = the_standard_set()
PLAN = make_plan(FEATURES)
ready(PLAN)


def before(history, cutoff):
    return [deed for deed in history if utc(deed[0]) < cutoff]


def same_bits(left, right):
    return np.asarray(left).tobytes() == np.asarray(right).tobytes()


@given(histories)
def test_later_events_change_no_feature(history):
    with_future = of_user(user_events({"ada": history}), PLAN, cutoff=CUTOFF)
    without = of_user(user_events({"ada": before(history, CUTOFF)}), PLAN, cutoff=CUTOFF)
    # The kinds of the past alone may be numbered otherwise; the bits must not care.
    assert same_bits(with_future, without)


@given(histories, st.sampled_from(KINDS))
def test_an_event_at_the_cutoff_is_not_seen(history, kind):
    at_cutoff = [*history, (iso(CUTOFF), kind, 1.0)]
    assert same_bits(
        of_user(user_events({"ada": history}), PLAN, cutoff=CUTOFF),
        of_user(user_events({"ada": at_cutoff}), PLAN, cutoff=CUTOFF),
    )


@given(logs)
def test_a_batch_equals_single_users_to_the_bit(log):
    everybody = user_events(log)
    population = Population(activity=(), look_back=days(1000))
    cutoffs = [CUTOFF, CUTOFF - days(30)]
    raw = of_events(everybody, PLAN, FEATURES.names, cutoffs=cutoffs, population=population)
    batch = in_population(raw, PLAN)
    for cutoff in cutoffs:
        fifths = kept(fifths_of(raw, PLAN, cutoff=cutoff, fingerprint=FEATURES.fingerprint))
        rows = batch.at(cutoff)
        for user, row in zip(rows.users, rows.matrix, strict=True):
            assert same_bits(row, of_user(everybody.only(user), PLAN, cutoff=cutoff, fifths=fifths)[0])


def kept(dated):
    """The fifths as they come back from where they were kept."""
    return DatedFifths.from_json(json.loads(json.dumps(dated.to_json(), allow_nan=False))).fifths


@given(logs)
def test_the_population_is_whoever_was_active_in_the_look_back(log):
    population = Population(activity=("visit",), look_back=days(28))
    chosen = of_events(user_events(log), PLAN, FEATURES.names, cutoffs=[CUTOFF], population=population)
    active = {
        user
        for user, history in log.items()
        if any(kind == "visit" and CUTOFF - days(28) <= utc(time) < CUTOFF for time, kind, _ in history)
    }
    assert set(chosen.users) == active


@given(histories, st.integers(1, 100), st.integers(0, 100))
def test_the_kernel_agrees_with_counting_by_hand(history, last, ago):
    features = feature_set(
        count=events("visit").count(last=days(last), ago=days(ago)),
        active=events("visit").active_days(last=days(last), ago=days(ago)),
        maximum=events("visit", "purchase").maximum(last=days(last), ago=days(ago)),
        night=events().night_share(),
    )
    end, start = CUTOFF - days(ago), CUTOFF - days(ago) - days(last)
    inside = [(utc(time), kind, value) for time, kind, value in history if start <= utc(time) < end]
    visits = [time for time, kind, _ in inside if kind == "visit"]
    amounts = [value for _, kind, value in inside if kind != "return" and value is not None]
    past = [utc(time) for time, _, _ in before(history, CUTOFF)]
    by_hand = [
        len(visits),
        len({-((time - CUTOFF) // days(1)) for time in visits}),
        max(amounts, default=np.nan),
        sum(time.hour < 6 for time in past) / len(past) if past else np.nan,
    ]
    found = of_user(user_events({"ada": history}), make_plan(features), cutoff=CUTOFF)[0]
    np.testing.assert_array_equal(found, by_hand)


@given(histories)
def test_events_of_other_users_change_no_feature(history):
    alone = of_user(user_events({"bert": history}), PLAN, cutoff=CUTOFF)
    crowd = user_events(
        {"ada": [("2026-05-31", "visit", 9.0)], "bert": history, "chen": [("2026-05-01", "return", -1.0)]}
    )
    assert same_bits(alone, of_user(crowd.only("bert"), PLAN, cutoff=CUTOFF))


@given(histories)
def test_read_only_and_shared_memory_is_walked_and_left_as_it_was(history):
    original = user_events({"ada": history})
    frozen = UserEvents(*(_frozen(getattr(original, name)) for name in UserEvents.__slots__))
    of_user(frozen, PLAN, cutoff=CUTOFF)
    assert same_bits(original.times, frozen.times)


def _frozen(column):
    if isinstance(column, np.ndarray):
        column = column.copy()
        column.flags.writeable = False
    return column
