"""Sentences with a place for a value, taken apart once: a night puts millions of values into a few hundred of them."""

import re
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter
from typing import Self

_ONE = ("1", "-1", "+1")
_PLURAL = re.compile(r"“[^”]*”|(?<=\w)\(s\)")


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
        before, behind = self.one if self.spec and shown in _ONE else self.many
        return f"{before}{shown}{behind}"

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
