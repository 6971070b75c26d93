"""A value is put into a sentence as `str.format` would, with an s where there are several."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.language import events, feature_set
from features.sentences import english, unchanged

TEXTS = (
    "last seen {:.0f} day(s) ago",
    "{:+.1f} visit(s), “item(s)” among them",
    "{:.0%} of the quarter's spend",
    "{{braces}} and {:,.2f}",
    "{} of plan(s)",
    "never bought",
    "{0:.0f} day(s), {0:.2f} to be exact",
)


@given(value=st.floats(-1e9, 1e9), text=st.sampled_from(TEXTS))
def test_a_value_is_written_as_python_writes_it(value: float, text: str) -> None:
    plural = text.replace("visit(s)", "visits").replace("day(s)", "days").replace("plan(s)", "plans")
    singular = text.replace("visit(s)", "visit").replace("day(s)", "day").replace("plan(s)", "plan")
    found = english(text).with_value(value)
    assert found in {plural.format(value), singular.format(value)}
    if not math.isclose(abs(value), 1.0, abs_tol=0.6):
        assert found == plural.format(value)


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("last seen {:.0f} day(s) ago", 1.4, "last seen 1 day ago"),
        ("{:+.0f} visit(s)", -1.0, "-1 visit"),
        ("{0:.0f} day(s), {0:.2f} to be exact", 1.2, "1 day, 1.20 to be exact"),
        ("{} of plan(s)", "jar(s)", "jar(s) of plans"),
    ],
)
def test_one_is_one(text: str, value: float | str, expected: str) -> None:
    assert english(text).with_value(value) == expected


def test_a_language_without_such_an_s_is_left_as_it_is() -> None:
    assert unchanged("来过 {:.0f} 次 (s)").with_value(1.0) == "来过 1 次 (s)"
    assert unchanged("来过 {:.0f} 次").pattern == "来过 N 次"


@given(
    value=st.one_of(st.floats(-1e6, 1e6), st.sampled_from([1.0, -1.0, math.nan])),
    text=st.sampled_from(TEXTS[:4] + TEXTS[6:]),
    text_zh=st.sampled_from(("", "{:.0f} 天前", "共 {:+.1f} 次", "{:.0%}", "从未")),
)
def test_a_wording_says_in_both_languages_what_the_feature_says(value: float, text: str, text_zh: str) -> None:
    seen = events().days_since_last().says(text, zh=text_zh, missing="never seen", missing_zh="从未来过")
    feature = feature_set(seen=seen)["seen"]
    said = feature.worded()(value)
    assert (said.sentence, said.sentence_zh) == (feature.says(value), feature.says(value, "zh"))
