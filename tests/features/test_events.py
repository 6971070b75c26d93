import json

import numpy as np
import pyarrow as pa
import pytest

from features.errors import BadInput
from features.events import EVENT_SCHEMA, Batch, RawRows, validate
from features.instants import TimeRule
from features.windows import iso, utc

NOW = utc("2026-06-01")
NOON = "2026-05-01T12:00:00Z"


def checked(*, rule: TimeRule | None = None, **columns: object) -> Batch:
    rows = max(len(column) for column in columns.values())
    given = {"user_id": ["ada"] * rows, "time": [NOON] * rows, "event": ["purchase"] * rows} | columns
    arrays = {name: column if isinstance(column, pa.Array) else pa.array(column) for name, column in given.items()}
    raw = RawRows("events.csv", "line", np.arange(rows) + 2, arrays, None, pa.table(arrays))
    return validate(raw, rule=rule or TimeRule(), now=NOW)


def only_rejection(batch: Batch) -> tuple[str, str]:
    assert batch.rejected.num_rows == 1
    row = batch.rejected.to_pylist()[0]
    return row["code"], f"{row['place']}: {row['reason']}"


def times(batch: Batch) -> list[str]:
    return [iso(moment) for moment in batch.good["time"].to_pylist()]


def test_a_good_row_comes_out_in_the_form_of_the_contract() -> None:
    batch = checked(value=["12.50"], event_id=["order-1"])
    assert batch.good.schema.equals(EVENT_SCHEMA)
    assert batch.good.to_pylist()[0] | {"time": None} == {
        "user_id": "ada",
        "time": None,
        "event": "purchase",
        "value": 12.5,
        "event_id": "order-1",
        "received_at": None,
        "properties": [],
    }
    assert times(batch) == ["2026-05-01T12:00:00Z"]


@pytest.mark.parametrize(
    ("columns", "code", "said"),
    [
        ({"user_id": ["ada", None]}, "missing_user_id", "line 3: user_id is missing; expected a text"),
        ({"user_id": ["ada", "  "]}, "missing_user_id", "user_id is missing"),
        (
            {"user_id": ["ada", "\u200b"]},
            "missing_user_id",
            "user_id has no character that can be seen; expected a text",
        ),
        ({"user_id": ["ada", "\ufeff"]}, "missing_user_id", "has no character that can be seen"),
        ({"user_id": ["ada", "\u2060 \u00ad"]}, "missing_user_id", "has no character that can be seen"),
        ({"user_id": ["ada", "\u3164\ufe0f\U000e0101"]}, "missing_user_id", "has no character that can be seen"),
        ({"event": ["purchase", "\u200d"]}, "missing_event", "event has no character that can be seen"),
        ({"user_id": ["ada", "ber\x00t"]}, "bad_user_id", r"user_id 'ber\x00t' holds a control character"),
        ({"user_id": ["ada", "x" * 1001]}, "long_user_id", "is longer than 1000 bytes"),
        ({"user_id": [1.0, 1.5]}, "bad_user_id", "user_id 1.5 is a fraction; expected a text or a whole number"),
        ({"event": ["purchase", ""]}, "missing_event", "event is missing"),
        ({"event": ["purchase", "$profile"]}, "reserved_event", "event '$profile' begins with $; expected a kind"),
        ({"time": [NOON, ""]}, "missing_time", "time is missing; expected a time"),
        ({"time": [NOON, "2026-13-01"]}, "bad_time", "time '2026-13-01' is not a time; expected ISO 8601, for example"),
        ({"time": [NOON, "2026-02-30T10:00:00Z"]}, "bad_time", "time '2026-02-30T10:00:00Z' is not a time"),
        ({"time": [NOON, "yesterday"]}, "bad_time", "time 'yesterday' is not a time"),
        ({"time": [NOON, "2026-05-01T09:00"]}, "naive_time", "has no offset from UTC; expected one"),
        ({"time": [NOON, "2026-05-01"]}, "naive_time", "--timezone Europe/London"),
        ({"time": [NOON, "20260501"]}, "ambiguous_time", "time '20260501' could mean several times"),
        ({"time": [NOON, "1767225600"]}, "ambiguous_time", "--time-format unix-s, unix-ms"),
        ({"time": [NOON, "03/04/2026"]}, "ambiguous_time", "a pattern such as '%d/%m/%Y'"),
        ({"time": [NOON, "2026-06-02T00:00:01Z"]}, "future_time", "lies in the future; expected at most a day ahead"),
        ({"time": [NOON, "1989-12-31T23:59:59Z"]}, "too_old_time", "lies before 1990"),
        ({"time": [NOON, "1970-01-01T00:00:00Z"]}, "too_old_time", "lies before 1990"),
        ({"value": ["1", "abc"]}, "bad_value", "value 'abc' is not a number up to 1e+15; expected one such as 12.5"),
        ({"value": ["1", "NaN"]}, "bad_value", "value 'NaN' is not a number up to 1e+15"),
        ({"value": ["1", "inf"]}, "bad_value", "value 'inf' is not a number up to 1e+15"),
        ({"value": ["1", "1e400"]}, "bad_value", "value '1e400' is not a number up to 1e+15"),
        ({"value": ["1", "1,5"]}, "bad_value", "value '1,5' is not a number up to 1e+15"),
        ({"value": [1.0, -2e15]}, "bad_value", "value -2000000000000000.0 is not a number up to 1e+15"),
        ({"value": [1.0, float("inf")]}, "bad_value", "value inf is not a number up to 1e+15"),
        ({"event_id": ["a", "b\n"]}, "bad_event_id", "holds a control character"),
        ({"received_at": [NOON, "soon"]}, "bad_received_at", "received_at 'soon' is not a time"),
    ],
)
def test_a_bad_row_is_rejected_with_its_place_and_reason(
    columns: dict[str, list[object]], code: str, said: str
) -> None:
    batch = checked(**columns)
    found, message = only_rejection(batch)
    assert found == code
    assert said in message
    assert message.startswith("events.csv line 3: ")
    assert batch.good.num_rows == 1


def test_a_rejected_row_is_kept_as_it_came() -> None:
    batch = checked(user_id=["ada", ""], value=["1", "2"])
    row = json.loads(batch.rejected["row"][0].as_py())
    assert row == {"user_id": "", "time": NOON, "event": "purchase", "value": "2"}


def test_missing_values_are_welcome() -> None:
    assert checked(value=["", None, " "]).good["value"].to_pylist() == [None, None, None]


def test_nan_in_a_column_of_floats_is_how_pandas_writes_missing() -> None:
    assert checked(value=[float("nan"), 2.0]).good["value"].to_pylist() == [None, 2.0]


def test_minus_zero_is_zero() -> None:
    assert str(checked(value=["-0"]).good["value"][0].as_py()) == "0.0"


def test_ids_that_pandas_made_floats_are_whole_again() -> None:
    batch = checked(user_id=[12.0, float("nan")])
    assert batch.good["user_id"].to_pylist() == ["12"]
    assert only_rejection(batch)[0] == "missing_user_id"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-05-01T12:00:00Z", "2026-05-01T12:00:00Z"),
        ("2026-05-01 12:00:00+02:00", "2026-05-01T10:00:00Z"),
        ("2026-05-01T12:00+0200", "2026-05-01T10:00:00Z"),
        ("2026-05-01 12:00:00 UTC", "2026-05-01T12:00:00Z"),
        ("2026-05-01 12:00:00.5 +0100", "2026-05-01T11:00:00.500000Z"),
        ("2026-05-01T12:00:00.123456789Z", "2026-05-01T12:00:00.123456Z"),
        (" 2026-05-01T12:00:00Z ", "2026-05-01T12:00:00Z"),
    ],
)
def test_iso_8601_with_an_offset_is_read(written: str, meant: str) -> None:
    assert times(checked(time=[written])) == [meant]


@pytest.mark.parametrize(
    ("local", "meant"),
    [
        ("2026-05-01T12:00:00", "2026-05-01T11:00:00Z"),
        ("2026-01-01", "2026-01-01T00:00:00Z"),
        ("2025-10-26 01:30:00", "2025-10-26T00:30:00Z"),  # shown twice: the first time is meant
        ("2026-03-29 01:30:00", "2026-03-29T01:30:00Z"),  # skipped by the clocks
    ],
)
def test_a_local_time_is_placed_by_the_time_zone_that_is_given(local: str, meant: str) -> None:
    assert times(checked(time=[local], rule=TimeRule("Europe/London"))) == [meant]


def test_an_offset_counts_more_than_the_time_zone() -> None:
    assert times(checked(time=[NOON, "2026-05-01T12:00"], rule=TimeRule("Europe/London"))) == [
        NOON,
        "2026-05-01T11:00:00Z",
    ]


@pytest.mark.parametrize(
    ("column", "pattern", "meant"),
    [
        ([1767225600], "unix-s", "2026-01-01T00:00:00Z"),
        (["1767225600"], "unix-s", "2026-01-01T00:00:00Z"),
        ([1767225600.25], "unix-s", "2026-01-01T00:00:00.250000Z"),
        ([1767225600123], "unix-ms", "2026-01-01T00:00:00.123000Z"),
        (["03/04/2026 10:00+0200"], "%d/%m/%Y %H:%M%z", "2026-04-03T08:00:00Z"),
    ],
)
def test_a_given_format_reads_what_would_be_a_guess(column: list[object], pattern: str, meant: str) -> None:
    assert times(checked(time=column, rule=TimeRule(format=pattern))) == [meant]


def test_a_pattern_without_offset_needs_the_time_zone_too() -> None:
    assert times(checked(time=["03/04/2026"], rule=TimeRule("UTC", "%d/%m/%Y"))) == ["2026-04-03T00:00:00Z"]


def test_a_day_that_does_not_exist_is_not_moved_into_the_next_month() -> None:
    batch = checked(time=["31/01/2026", "31/02/2026"], rule=TimeRule("UTC", "%d/%m/%Y"))
    assert only_rejection(batch)[0] == "bad_time"


@pytest.mark.parametrize(
    ("column", "rule", "said"),
    [
        (["2026-05-01T12:00"], TimeRule(), "column 'time': none of its times can be used.*--timezone Europe/London"),
        (pa.array([0], pa.timestamp("us")), TimeRule(), "has no offset from UTC"),
        (pa.array([0], pa.date32()), TimeRule(), "has no offset from UTC"),
        ([1767225600], TimeRule(), "'1767225600', could mean several times"),
        (["20260501"], TimeRule(), "'20260501', could mean several times"),
        (["1767225600000"], TimeRule(format="unix-s"), "Is unix-s the right --time-format"),
        ([1767225600], TimeRule(format="unix-ms"), "lies before 1990.*Is unix-ms the right"),
        ([True], TimeRule(), "column 'time' is of type bool; expected times"),
    ],
)
def test_a_file_all_of_whose_times_lack_a_setting_is_refused(column: object, rule: TimeRule, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        checked(time=column, rule=rule)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("user_id", "of type list<item: int64>; expected texts"),
        ("value", "of type list<item: int64>; expected numbers"),
    ],
)
def test_a_column_of_a_type_that_cannot_hold_it_is_refused(name: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        checked(**{name: [[1]]})


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(BadInput, match="'London' is not a time zone; expected an IANA name, for example Europe/London"):
        TimeRule("London")


def test_an_unknown_time_format_is_refused() -> None:
    with pytest.raises(BadInput, match="'epoch' is not a time format; expected unix-s, unix-ms or a pattern"):
        TimeRule(format="epoch")
