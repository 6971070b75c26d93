"""Reasons and changes as they are kept: the number of a phrase, the user's own value in it, and what it contributes.

All users of a run are told the same few hundred phrases. A run keeps each once, in both languages, and a score takes a
tenth of the room that its sentences would; whoever asks for it reads them in his language only.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Self, TypedDict

import orjson

from features.sentences import Phrase

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
        phrases = self._phrases[language == "zh"]
        return [
            {"code": code, "sentence": f"{opening}{value}{ending}", "contribution": contribution}
            for number, value, contribution in _read(kept, language)
            for code, opening, ending in (phrases[number],)
        ]

    def changes(self, kept: str, language: str) -> list[ToldChange]:
        """The changes of a score."""
        if kept == NOTHING:
            return []
        phrases = self._phrases[language == "zh"]
        return [
            {
                "code": code,
                "sentence": f"{opening}{value}{ending}",
                "contribution": contribution,
                "before": f"{opened}{previously}{ended}",
            }
            for number, value, number_before, previously, contribution in _read(kept, language)
            for code, opening, ending in (phrases[number],)
            for _, opened, ended in (phrases[number_before],)
        ]


NO_PHRASES = Phrasebook([])


class Phrases:
    """The phrases of a run that is being written, numbered as they come."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, Phrase], int] = {}

    def number(self, code: str, phrase: Phrase) -> int:
        """The number of a phrase that is told with a code."""
        return self._numbers.setdefault((code, phrase), len(self._numbers))

    def to_json(self) -> str:
        """The code of each, and what stands around its value."""
        return orjson.dumps([(code, *phrase) for code, phrase in self._numbers]).decode()


def as_kept(english: list[Any], chinese: list[Any]) -> str:  # Any: tuples of numbers and values
    """Reasons or changes as a column holds them: once, where values are written the same in both languages."""
    if not english:
        return NOTHING
    return orjson.dumps(english if english == chinese else {"en": english, "zh": chinese}).decode()


def _read(kept: str, language: str) -> list[Any]:  # Any: as above
    found = orjson.loads(kept)
    return found if isinstance(found, list) else found[language]
