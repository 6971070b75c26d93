"""The dictionary of features: figures as counted by hand, and a page that needs nothing else."""

import json
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from features.dictionary import Dictionary, Histogram, describe, histogram, spearman
from features.dictionary_page import page
from features.feature_set import FeatureSet
from features.language import events, feature_set
from features.population import Population
from features.snapshots import Bucketed
from features.user_events import NOTHING_MORE, UserEvents, Wanted
from features.windows import days, utc
from tests.cast import user_events

CUTOFF = utc("2026-06-01")
MINE = feature_set(
    seen=events().days_since_last().says("last seen {:.0f} days ago", zh="{:.0f} 天前来过"),
    visits=events("visit").count().says("{:.0f} visits & <b>more</b>"),
    spent=events("purchase").mean().says("spent {:.2f}", family="love & <money>"),
    never=events("return").mean(),
)


class InMemory(Bucketed):
    """A log of one bucket in memory."""

    buckets = 1  # type: ignore[assignment] # plain here

    def __init__(self, events: UserEvents) -> None:
        self._events = events

    def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:  # noqa: ARG002 all is here
        return self._events


def described(features: FeatureSet = MINE) -> Dictionary:
    log = user_events(
        {
            "ada": [("2026-05-31", "visit", None), ("2026-05-30", "visit", None), ("2026-05-29", "purchase", 9.0)],
            "bert": [("2026-05-22", "visit", None)],
            "chen": [("2026-05-12", "purchase", 20.0)],
            "dalia": [("2025-05-12", "purchase", 20.0)],
        }
    )
    return describe(InMemory(log), features, cutoff=CUTOFF, population=Population((), days(60)))


def test_figures_are_those_of_the_population() -> None:
    found = described()
    seen, visits, spent, never = found.entries
    assert (found.users, found.fingerprint) == (3, MINE.fingerprint)
    assert seen.quantiles == (1.0, 1.0, 1.0, 10.0, 20.0, 20.0, 20.0)
    assert [entry.missing for entry in found.entries] == [0, 0, pytest.approx(1 / 3), 1]
    assert seen.correlation == 1.0
    assert visits.correlation == -1.0
    assert visits.histogram == Histogram(-0.5, 2.5, (1, 1, 1))
    assert np.isnan(spent.correlation)  # two values always correlate
    assert (never.quantiles, never.histogram) == ((), None)


def test_the_document_is_plain_json() -> None:
    told = described().to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["features"][0]["formula"] == "events().days_since_last()"
    assert told["features"][0]["sentence_zh"] == "N 天前来过"
    assert told["features"][2]["correlation_with_recency"] is None


def test_nobody_in_the_population_is_a_dictionary_without_figures() -> None:
    found = describe(InMemory(user_events({})), MINE, cutoff=CUTOFF, population=Population((), days(60)))
    assert found.users == 0
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["users"] == 0
    assert "nobody has a value" in page(found)


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3) | st.none()), min_size=3))
def test_the_correlation_is_spearmans(rows: list[tuple[int, int | None]]) -> None:
    left = np.array([float(x) for x, _ in rows])
    right = np.array([np.nan if y is None else float(y) for _, y in rows])
    both = ~np.isnan(right)
    found = spearman(left, right)
    if both.sum() < 3 or len(set(left[both])) == 1 or len(set(right[both])) == 1:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(spearmanr(left[both], right[both]).statistic)


@given(st.lists(st.floats(-1e12, 1e12) | st.integers(-20, 20).map(float) | st.just(np.inf)))
def test_a_histogram_counts_every_finite_value_once(values: list[float]) -> None:
    found = histogram(np.array(values, dtype=np.float64))
    finite = [value for value in values if np.isfinite(value)]
    assert (found is None) == (not finite)
    if found is not None:
        assert sum(found.counts) == len(finite)
        assert found.low < found.high
        assert 1 <= len(found.counts) <= 24


class Reader(HTMLParser):
    """Notes what a page is made of, and whether every element is closed."""

    EMPTY = frozenset({"meta", "input", "col", "rect", "line", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 theirs
        self.names.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    text = page(described())
    read = Reader()
    read.feed(text)
    assert read.open == []
    assert read.addresses == []
    assert len(set(read.ids)) == len(read.ids)
    assert not {"script", "link", "img", "iframe", "b>more"} & read.names - {"b"}
    assert "url(" not in text
    assert "@import" not in text


def test_the_page_says_it_in_both_languages_and_escapes_what_it_shows() -> None:
    text = page(described())
    assert '<span lang="en" data-other>last seen N days ago</span><span lang="zh">N 天前来过</span>' in text
    assert "N visits &amp; &lt;b&gt;more&lt;/b&gt;" in text
    assert "love &amp; &lt;money&gt;" in text
    assert "<money>" not in text


def test_a_hostile_name_stays_text() -> None:
    (feature,) = feature_set(**{'"><script>alert(1)</script>': events("<script>").count()})
    text = page(described(FeatureSet((feature,))))
    assert "<script" not in text
    assert "events(&#x27;&lt;script&gt;&#x27;).count()" in text


def test_every_family_can_be_chosen() -> None:
    text = page(described())
    families = {feature.family for feature in MINE}
    assert text.count('name="family"') == len(families) + 1
    assert all(f"body:has(#f{number}:checked)" in text for number in range(len(families)))


def test_categories_are_shares_of_those_who_have_one() -> None:
    from features.language import profile  # noqa: PLC0415 only here

    class Profiled(InMemory):
        def read_bucket(self, bucket: int, wanted: Wanted = NOTHING_MORE) -> UserEvents:
            from dataclasses import replace  # noqa: PLC0415 only here

            from features.user_events import Property  # noqa: PLC0415 only here

            made = super().read_bucket(bucket, wanted)
            codes = np.array([0, -1, 1, -1, 0, -1], dtype=np.int32)
            return replace(made, properties={"plan": Property(codes, ("pro", "odd & <old>"))})

    log = user_events(
        {
            "ada": [("2026-05-01", "$profile", None), ("2026-05-30", "visit", None)],
            "bert": [("2026-05-01", "$profile", None), ("2026-05-30", "visit", None)],
            "chen": [("2026-05-01", "$profile", None), ("2026-05-30", "visit", None)],
        }
    )
    features = feature_set(plan=profile("plan").among("free", "pro"))
    found = describe(Profiled(log), features, cutoff=CUTOFF, population=Population((), days(60)))
    shares = dict(found.entries[0].categories)
    assert (shares["free"], shares["pro"]) == (0, pytest.approx(2 / 3))
    assert found.entries[0].missing == 0
    assert ">pro<" in page(found)
