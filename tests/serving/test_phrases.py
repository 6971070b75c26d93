"""What is told of a score comes back from its phrases as it was said, in both languages."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from features.sentences import Phrase, Wording
from models.reasons import Change, Reason
from serving.store.phrases import Phrasebook, Phrases
from serving.store.writer import _changes, _reasons

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
VALUES = st.one_of(st.sampled_from(["24", "-1.5", "7%", "\n\n", "\t", '"', "\\", ""]), TEXTS)
WORDINGS = st.builds(Wording, st.builds(Phrase, TEXTS, TEXTS, TEXTS, TEXTS), VALUES, VALUES)
AMOUNTS = st.floats(-9, 9).map(lambda number: round(number, 6))


@given(st.lists(st.builds(Reason, TEXTS, WORDINGS, AMOUNTS), max_size=3))
def test_reasons_come_back_as_they_were_said(reasons: list[Reason]) -> None:
    phrases = Phrases()
    kept, book = _reasons(reasons, phrases), Phrasebook.from_json(phrases.to_json())
    assert orjson.loads(book.reasons(kept, "en")) == [_told(one, one.sentence) for one in reasons]
    assert orjson.loads(book.reasons(kept, "zh")) == [_told(one, one.sentence_zh) for one in reasons]


@given(st.lists(st.builds(Change, TEXTS, WORDINGS, WORDINGS, AMOUNTS), max_size=3))
def test_changes_come_back_as_they_were_said(changes: list[Change]) -> None:
    phrases = Phrases()
    kept, book = _changes(changes, phrases), Phrasebook.from_json(phrases.to_json())
    english = [{**_told(one, one.sentence), "before": one.before} for one in changes]
    chinese = [{**_told(one, one.sentence_zh), "before": one.before_zh} for one in changes]
    assert orjson.loads(book.changes(kept, "en")) == english
    assert orjson.loads(book.changes(kept, "zh")) == chinese


def test_a_phrase_that_is_told_twice_is_kept_once() -> None:
    phrases, seen = Phrases(), Phrase("last seen ", " days ago", "", " 天前来过")
    kept = [_reasons([Reason("recency", Wording(seen, days, days), 0.5)], phrases) for days in ("24", "3")]
    assert kept == ["0\t24\t0.5", "0\t3\t0.5"]
    assert orjson.loads(phrases.to_json()) == [["recency", *seen]]


def _told(one: Any, sentence: str) -> dict[str, object]:
    return {"code": one.code, "sentence": sentence, "contribution": one.contribution}
