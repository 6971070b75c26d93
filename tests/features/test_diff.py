"""The diff of two feature sets."""

import json

from features.diff import diff
from features.language import events, feature_set
from features.windows import days

VISITS = events("visit").count(last=days(28))


def test_what_came_and_went_is_told_apart_from_what_changed() -> None:
    before = feature_set(gone=events().days_since_last(), visits=VISITS, same=events().count())
    after = feature_set(visits=events("visit").count(last=days(56)), same=events().count(), new=events().mean_gap())
    found = diff(before, after)
    assert [feature.name for feature in found.added] == ["new"]
    assert [feature.name for feature in found.removed] == ["gone"]
    assert [each.name for each in found.changed] == ["visits"]
    assert (found.reworded, found.reordered, found.same_meaning) == ((), False, False)


def test_other_words_are_no_other_meaning() -> None:
    before = feature_set(visits=VISITS.says("{:.0f} visits", zh="{:.0f} 次访问"))
    after = feature_set(visits=VISITS.says("visited {:.0f} times", zh="{:.0f} 次访问", family="loyalty"))
    found = diff(before, after)
    assert found.same_meaning
    assert found.changed == ()
    assert found.reworded[0].texts == {
        "sentence": ("{:.0f} visits", "visited {:.0f} times"),
        "family": ("frequency", "loyalty"),
    }
    assert "sentence: '{:.0f} visits' → 'visited {:.0f} times'" in str(found)
    assert "a model of one reads the other" in str(found)


def test_another_order_is_another_set() -> None:
    one = feature_set(a=VISITS, b=events().count())
    other = feature_set(b=events().count(), a=VISITS)
    found = diff(one, other)
    assert found.reordered
    assert not found.same_meaning
    assert str(found).endswith("The columns that both have stand in another order.")


def test_a_set_and_itself_differ_in_nothing() -> None:
    one = feature_set(a=VISITS)
    assert str(diff(one, one)) == (
        f"{one.fingerprint}, 1 feature → {one.fingerprint}, 1 feature\n\n"
        "Same columns, same order, same meaning: a model of one reads the other."
    )


def test_the_document_is_plain_json() -> None:
    told = diff(feature_set(a=VISITS), feature_set(a=events().count(), b=VISITS)).to_json()
    assert json.loads(json.dumps(told)) == told
    assert told["changed"] == [
        {"name": "a", "before": "events('visit').count(last=28d)", "after": "events().count()"},
    ]
