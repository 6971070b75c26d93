"""Sentences with a place for a value, taken apart once: a night puts millions of values into a few hundred of them."""

import re
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import NamedTuple, Self

_ONE = ("1", "-1", "+1")
_PLURAL = re.compile(r"“[^”]*”|(?<=\w)\(s\)")


class Phrase(NamedTuple):
    """What stands before a value and behind it, in English and in Simplified Chinese."""

    opening: str = ""
    ending: str = ""
    opening_zh: str = ""
    ending_zh: str = ""


class Wording(NamedTuple):
    """A phrase and a user's own value in it: sentences are made of them in the language that somebody reads.

    >>> Wording(Phrase("last seen ", " days ago", "", " 天前来过"), "24", "24").sentence
    'last seen 24 days ago'
    """

    phrase: Phrase
    value: str
    value_zh: str  # nearly always the same

    @classmethod
    def whole(cls, sentence: str, sentence_zh: str) -> Self:
        """Sentences of which it is not known what is their value."""
        return cls(Phrase(), sentence, sentence_zh)

    @property
    def sentence(self) -> str:
        """In English."""
        return f"{self.phrase.opening}{self.value}{self.phrase.ending}"

    @property
    def sentence_zh(self) -> str:
        """In Simplified Chinese, or in English where nobody wrote it."""
        return f"{self.phrase.opening_zh}{self.value_zh}{self.phrase.ending_zh}"

    def said(self, language: str) -> str:
        """In Chinese (zh), or for any other language in English."""
        return self.sentence_zh if language == "zh" else self.sentence


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence for the number 1 and for others: what stands before the value, how it is written, what stands behind.

    >>> Sentence.of("last seen {:.0f} day(s) ago").with_value(1.4)
    'last seen 1 day ago'
    """

    text: str
    spec: str
    one: tuple[str, str] | None  # None: the text is no such sentence, and is left to `str.format`
    many: tuple[str, str]

    @classmethod
    def of(cls, text: str) -> Self:
        """An English sentence; an `(s)` behind a word is an s, but not after 1. Between quotation marks is a name."""
        singular, plural = _taken_apart(in_number(text, ending="")), _taken_apart(in_number(text, ending="s"))
        if singular is None or plural is None:
            return cls(text, "", None, ("", ""))
        (one, spec), (many, _) = singular, plural
        return cls(text, spec, one, many)

    @classmethod
    def unchanged(cls, text: str) -> Self:
        """A sentence of a language without such an s."""
        found = _taken_apart(text)
        return cls(text, "", None, ("", "")) if found is None else cls(text, found[1], found[0], found[0])

    def with_value(self, value: float | str) -> str:
        """The sentence with a value in it."""
        if self.one is None:
            return self._formatted(value)
        shown = format(value, self.spec)
        before, behind = self.one if self.is_one(shown) else self.many
        return f"{before}{shown}{behind}"

    def is_one(self, shown: str) -> bool:
        """Whether a value that is written so takes the singular."""
        return bool(self.spec) and shown in _ONE

    @property
    def pattern(self) -> str:
        """The sentence with an N where the value will stand."""
        pieces = Formatter().parse(in_number(self.text, ending="s"))
        return "".join(
            literal + ("" if spec is None else "N %" if spec.endswith("%") else "N") for literal, _, spec, _ in pieces
        )

    def _formatted(self, value: float | str) -> str:
        specs = [spec for _, _, spec, _ in Formatter().parse(self.text) if spec]
        ending = "" if any(format(value, spec) in _ONE for spec in specs) else "s"
        return in_number(self.text, ending=ending).format(value)


def in_number(text: str, *, ending: str) -> str:
    """The text with each `(s)` as the ending, but between quotation marks.

    >>> in_number("{:.0f} “visit(s)” on the day(s) before", ending="s")
    '{:.0f} “visit(s)” on the days before'
    """
    if "(s)" not in text:
        return text
    return _PLURAL.sub(lambda found: ending if found[0] == "(s)" else found[0], text)


def _taken_apart(text: str) -> tuple[tuple[str, str], str] | None:
    """What stands before the one value and behind it, and how it is written; None for any other text."""
    pieces = list(Formatter().parse(text))
    fields = [place for place, (_, name, _, _) in enumerate(pieces) if name is not None]
    if len(fields) != 1:
        return None
    (place,) = fields
    _, name, spec, conversion = pieces[place]
    if name or conversion or "{" in (spec or ""):
        return None
    literals = [literal for literal, _, _, _ in pieces]
    return ("".join(literals[: place + 1]), "".join(literals[place + 1 :])), spec or ""


@lru_cache(maxsize=4096)
def english(text: str) -> Sentence:
    """`Sentence.of`, each text taken apart once."""
    return Sentence.of(text)


@lru_cache(maxsize=4096)
def unchanged(text: str) -> Sentence:
    """`Sentence.unchanged`, each text taken apart once."""
    return Sentence.unchanged(text)
