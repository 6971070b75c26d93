"""Reasons and changes as they are kept: a line each, of a phrase's number, the user's own value and a contribution.

All users of a run are told the same few hundred phrases. A run keeps each once, in both languages, and a score takes a
tenth of the room that its sentences would; whoever asks for it hears them in his language only. Values are escaped as
JSON wants them when they are written, so that an answer is put together of pieces that nobody has to read again.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Self

import orjson

from features.sentences import Phrase

NOTHING = "[]"
_IN_CHINESE = "\n\n"  # before the same lines once more, where values are written otherwise


class Phrasebook:
    r"""The phrases of a run, to read its reasons and changes with.

    >>> book = Phrasebook([("recency.seen", "last seen ", " days ago", "", " 天前来过")])
    >>> book.reasons("0\t24\t0.8", "zh")
    '[{"code":"recency.seen","sentence":"24 天前来过","contribution":0.8}]'
    """

    def __init__(self, phrases: Iterable[Sequence[str]]) -> None:
        every = [(code, Phrase(*around)) for code, *around in phrases]
        english = [_around(code, phrase.opening, phrase.ending) for code, phrase in every]
        chinese = [_around(code, phrase.opening_zh, phrase.ending_zh) for code, phrase in every]
        self._around = [{str(number): each for number, each in enumerate(spoken)} for spoken in (english, chinese)]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """From what `Phrases.to_json` returned."""
        return cls(orjson.loads(text))

    def reasons(self, kept: str, language: str) -> str:
        """The reasons of a score as the API tells them, a JSON array."""
        if kept == NOTHING:
            return NOTHING
        around = self._around[language == "zh"]
        told = [
            f"{opening}{value}{ending}{contribution}}}"
            for line in _lines(kept, language)
            for number, value, contribution in (line.split("\t"),)
            for opening, ending, _, _ in (around[number],)
        ]
        return f"[{','.join(told)}]"

    def changes(self, kept: str, language: str) -> str:
        """The changes of a score in the same way."""
        if kept == NOTHING:
            return NOTHING
        around = self._around[language == "zh"]
        told = [
            f"{opening}{value}{ending}{contribution}{opened}{previously}{ended}"
            for line in _lines(kept, language)
            for number, value, number_before, previously, contribution in (line.split("\t"),)
            for opening, ending, _, _ in (around[number],)
            for _, _, opened, ended in (around[number_before],)
        ]
        return f"[{','.join(told)}]"


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


def as_kept(english: Sequence[str], chinese: Sequence[str]) -> str:
    """Reasons or changes as a column holds them, from their lines in both languages."""
    if not english:
        return NOTHING
    ours = "\n".join(english)
    return ours if english == chinese else _IN_CHINESE.join((ours, "\n".join(chinese)))


@lru_cache(maxsize=10_000)  # most values are small numbers, and most of them come again
def escaped(text: str) -> str:
    r"""The text between the quotation marks of JSON: neither a tab nor the end of a line is left in it.

    >>> escaped('a "new" user')
    'a \\"new\\" user'
    """
    return orjson.dumps(text).decode()[1:-1]


def _lines(kept: str, language: str) -> list[str]:
    if _IN_CHINESE in kept:
        kept = kept.split(_IN_CHINESE)[language == "zh"]
    return kept.split("\n")


def _around(code: str, opening: str, ending: str) -> tuple[str, str, str, str]:
    """What stands around a value as JSON: of a sentence, and of what it was before."""
    named, opens, ends = escaped(code), escaped(opening), escaped(ending)
    begins = f'{{"code":"{named}","sentence":"{opens}'
    return begins, f'{ends}","contribution":', f',"before":"{opens}', f'{ends}"}}'
