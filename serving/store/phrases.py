"""Reasons and changes as they are kept: the number of a phrase, the user's own value in it, and what it contributes.

All users of a run are told the same few hundred phrases. A run keeps each once, in both languages, and a score takes a
tenth of the room that its sentences would; whoever asks for it reads them in his language only.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Self, TypedDict

import orjson

from features.sentences import Phrase, Wording

NOTHING = "[]"


class ToldReason(TypedDict):
    """A reason as the API tells it."""

    code: str
    sentence: str
    contribution: float


class ToldChange(ToldReason):
    """A change as the API tells it."""

    before: str  # the sentence at the run before


class Phrasebook:
    """The phrases of a run, to read its reasons and changes with.

    >>> book = Phrasebook([("recency.seen", "last seen ", " days ago", "", " 天前来过")])
    >>> book.reasons('[[0,"24",0.8]]', "zh")
    [{'code': 'recency.seen', 'sentence': '24 天前来过', 'contribution': 0.8}]
    """

    def __init__(self, phrases: Iterable[Sequence[str]]) -> None:
        every = [(code, Phrase(*around)) for code, *around in phrases]
        english = [(code, phrase.opening, phrase.ending) for code, phrase in every]
        chinese = [(code, phrase.opening_zh, phrase.ending_zh) for code, phrase in every]
        self._phrases = (english, chinese)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From what `Phrases.to_json` returned."""
        return cls(orjson.loads(text))

    def reasons(self, kept: str, language: str) -> list[ToldReason]:
        """The reasons of a score."""
        if kept == NOTHING:
            return []
        chinese, told = language == "zh", list[ToldReason]()
        phrases = self._phrases[chinese]
        for number, value, contribution in orjson.loads(kept):
            code, opening, ending = phrases[number]
            shown = value if isinstance(value, str) else value[chinese]
            told.append({"code": code, "sentence": f"{opening}{shown}{ending}", "contribution": contribution})
        return told

    def changes(self, kept: str, language: str) -> list[ToldChange]:
        """The changes of a score."""
        if kept == NOTHING:
            return []
        chinese, told = language == "zh", list[ToldChange]()
        phrases = self._phrases[chinese]
        for number, value, number_before, value_before, contribution in orjson.loads(kept):
            (code, opening, ending), (_, opened, ended) = phrases[number], phrases[number_before]
            now = value if isinstance(value, str) else value[chinese]
            then = value_before if isinstance(value_before, str) else value_before[chinese]
            sentence, before = f"{opening}{now}{ending}", f"{opened}{then}{ended}"
            told.append({"code": code, "sentence": sentence, "contribution": contribution, "before": before})
        return told


NO_PHRASES = Phrasebook([])


class Phrases:
    """The phrases of a run that is being written, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, Phrase], int] = {}

    def kept(self, code: str, wording: Wording) -> tuple[int, str | tuple[str, str]]:
        """The number of the phrase, and the value: one for both languages where they do not differ."""
        phrase, value, value_zh = wording
        number = self._numbers.setdefault((code, phrase), len(self._numbers))
        return number, value if value == value_zh else (value, value_zh)

    def to_json(self) -> str:
        """The code of each, and what stands around its value."""
        return orjson.dumps([(code, *phrase) for code, phrase in self._numbers]).decode()


def as_json(kept: list[Any]) -> str:  # Any: as above
    """Reasons or changes as a column holds them."""
    return orjson.dumps(kept).decode() if kept else NOTHING
