"""A feature set: named columns with their sentences; printable, comparable, and fingerprinted."""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from features.errors import BadInput
from features.expressions import Breadth, Expression, Latest, OfDays, Window, categories, tallies
from features.expressions_json import from_json, to_json
from features.formula import formula
from features.sentences import Phrase, Sentence, Wording, english, unchanged

LANGUAGE_VERSION = 3  # part of every fingerprint: raise it when an operator comes to mean something else


@dataclass(frozen=True, slots=True)
class Feature:
    """A named column: what it is, how it reads, and which family of reasons it belongs to."""

    name: str
    expression: Expression
    sentence: str
    missing: str
    family: str
    unit: str = ""
    sentence_zh: str = ""
    missing_zh: str = ""

    def says(self, value: float, language: str = "en") -> str:
        """The sentence with the user's own value in it, in `en` or `zh`; in English where there is no other.

        An `(s)` behind an English word is an s, but not after 1.

        >>> from features.language import events, feature_set
        >>> seen = feature_set(seen=events().days_since_last().says("last seen {:.0f} day(s) ago"))["seen"]
        >>> seen.says(3.2), seen.says(1.4)
        ('last seen 3 days ago', 'last seen 1 day ago')
        """
        return self.saying(language)(value)

    def saying(self, language: str = "en") -> "Saying":
        """The same for many values: what they have in common is looked up once."""
        chinese = language == "zh"
        missing = (self.missing_zh if chinese else "") or self.missing
        return Saying(
            unchanged(self.sentence_zh) if chinese and self.sentence_zh else english(self.sentence),
            self.categories,
            missing or f"nothing yet for {self.name.replace('_', ' ')}",
        )

    def worded(self) -> "Worded":
        """The same in both languages at once, the sentences not yet put together."""
        return Worded.of(self.saying(), self.saying("zh"))

    @property
    def pattern(self) -> str:
        """The sentence with an N where a user's own value will stand.

        >>> from features.language import events, feature_set
        >>> feature_set(share=events().weekend_share().says("{:.0%} at weekends"))["share"].pattern
        'N % at weekends'
        """
        return english(self.sentence).pattern

    @property
    def pattern_zh(self) -> str:
        """The same in Simplified Chinese; empty where nobody wrote it."""
        return unchanged(self.sentence_zh).pattern

    @property
    def categories(self) -> tuple[str, ...]:
        """The texts that the numbers 0, 1, 2 … stand for; none when the column is an ordinary number."""
        return categories(self.expression)

    @property
    def formula(self) -> str:
        """The expression as one would write it."""
        return formula(self.expression)

    @property
    def window_days(self) -> int | None:
        """How many days it looks back; `None` for the whole history, 0 when it reads no events."""
        spans = [_window(tally) for tally in tallies(self.expression)]
        return None if None in spans else max((span for span in spans if span is not None), default=0)


@dataclass(frozen=True, slots=True)
class Saying:
    """How a feature puts a user's own value into words."""

    sentence: Sentence
    categories: tuple[str, ...]  # what the numbers 0, 1, 2 … stand for
    missing: str

    def __call__(self, value: float) -> str:
        """The value in words."""
        return self.missing if math.isnan(value) else self.sentence.with_value(self.meant(value))

    def meant(self, value: float) -> float | str:
        """What the number stands for, or the number."""
        return self.categories[int(value)] if self.categories else value + 0.0  # turns a negative zero into zero


@dataclass(frozen=True, slots=True)
class Worded:
    """How a feature puts a user's own value into words of both languages."""

    english: Saying
    chinese: Saying
    missing: Wording
    one: Phrase | None  # around the number 1; None: the two write the value differently
    many: Phrase

    @classmethod
    def of(cls, english: Saying, chinese: Saying) -> Self:
        """From what is said in each language."""
        ours, theirs = english.sentence, chinese.sentence
        missing = Wording(Phrase(english.missing, "", chinese.missing, ""), "", "")
        if ours.one is None or theirs.one is None or ours.spec != theirs.spec:
            return cls(english, chinese, missing, None, Phrase())
        return cls(english, chinese, missing, Phrase(*ours.one, *theirs.one), Phrase(*ours.many, *theirs.many))

    def __call__(self, value: float) -> Wording:
        """The value in words."""
        if math.isnan(value):
            return self.missing
        if self.one is None:
            return Wording.whole(self.english(value), self.chinese(value))
        shown = format(self.english.meant(value), self.english.sentence.spec)
        return Wording(self.one if self.english.sentence.is_one(shown) else self.many, shown, shown)


class Words:
    """How the columns of a feature set put users' own values into words; of each made when the first is to be said."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self._features = features
        self._known: dict[int, tuple[str, Worded]] = {}

    def say(self, place: int, value: float) -> tuple[str, Wording]:
        """The name of a column for machines, and a value of it."""
        known = self._known.get(place)
        if known is None:
            feature = self._features[place]
            known = self._known[place] = (f"{feature.family}.{feature.name}", feature.worded())
        code, worded = known
        return code, worded(value)


@dataclass(frozen=True, slots=True, eq=False)
class Grouped:
    """Columns by family as arrays: family f has `columns[starts[f]:starts[f + 1]]`, at least one."""

    families: tuple[str, ...]
    columns: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, families: Mapping[str, tuple[int, ...]]) -> Self:
        """The families that have columns, in their order."""
        named = {family: places for family, places in families.items() if places}
        columns = [place for places in named.values() for place in places]
        starts = np.cumsum([0, *map(len, named.values())], dtype=np.int64)
        return cls(tuple(named), np.array(columns, dtype=np.int64), starts)


@dataclass(frozen=True, repr=False)
class FeatureSet:
    """Features in column order; printable, comparable, and fingerprinted."""

    features: tuple[Feature, ...]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(feature.name for feature in self.features)

    @cached_property
    def fingerprint(self) -> str:
        """A name that changes whenever a column's name, order or meaning does; sentences do not count."""
        meaning = [[feature.name, to_json(feature.expression)] for feature in self.features]
        canonical = json.dumps([LANGUAGE_VERSION, meaning], sort_keys=True, separators=(",", ":"))
        return "fs-" + hashlib.sha256(canonical.encode()).hexdigest()[:12]

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of event that any feature names."""
        return frozenset(
            kind for feature in self.features for tally in tallies(feature.expression) for kind in tally.chosen.kinds
        )

    @cached_property
    def families(self) -> dict[str, tuple[int, ...]]:
        """The columns of each family, by place; families in the order of their first column."""
        names = dict.fromkeys(feature.family for feature in self.features)
        return {name: tuple(n for n, one in enumerate(self.features) if one.family == name) for name in names}

    @cached_property
    def own_families(self) -> dict[str, tuple[int, ...]]:
        """The same without the features of the cutoff itself (the season), which say nothing about the user."""
        own = [feature.window_days != 0 for feature in self.features]
        return {name: tuple(place for place in places if own[place]) for name, places in self.families.items()}

    @cached_property
    def words(self) -> Words:
        """How users' own values are put into words."""
        return Words(self.features)

    @cached_property
    def grouped(self) -> "Grouped":
        """The columns of all families, one family behind the other."""
        return Grouped.of(self.families)

    @cached_property
    def own_grouped(self) -> "Grouped":
        """The same without the features of the cutoff itself."""
        return Grouped.of(self.own_families)

    def __len__(self) -> int:
        return len(self.features)

    def __iter__(self) -> Iterator[Feature]:
        return iter(self.features)

    def __getitem__(self, name: str) -> Feature:
        return self._by_name[name]

    def __add__(self, other: "FeatureSet") -> "FeatureSet":
        """Both sets' columns; raises `BadInput` when they share a name."""
        shared = sorted(set(self.names) & set(other.names))
        if shared:
            raise BadInput(f"two feature sets both have {', '.join(shared)}; rename one of each.")
        return FeatureSet(self.features + other.features)

    def __repr__(self) -> str:
        """A line a feature: its name and its formula."""
        width = max(map(len, self.names), default=0)
        lines = [f"  {feature.name:<{width}}  {feature.formula}" for feature in self.features]
        return "\n".join([f"<FeatureSet {self.fingerprint}: {len(self)} features", *lines]) + ">"

    @cached_property
    def _by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.features}

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back."""
        return {
            "language": LANGUAGE_VERSION,
            "fingerprint": self.fingerprint,
            "features": [_feature_to_json(feature) for feature in self.features],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:  # Any: JSON
        """The set that `to_json` wrote; raises `BadInput` when its fingerprint does not match its features."""
        built = cls(tuple(_feature_from_json(entry) for entry in document["features"]))
        if built.fingerprint != document["fingerprint"]:
            raise BadInput(
                f"the features' fingerprint is {built.fingerprint}, the document says {document['fingerprint']}: "
                "it was edited or comes from another version; train again with this one."
            )
        return built


_TEXTS = ("name", "sentence", "missing", "family", "unit", "sentence_zh", "missing_zh")


def _feature_to_json(feature: Feature) -> dict[str, Any]:  # Any: JSON
    return {**{name: getattr(feature, name) for name in _TEXTS}, "expression": to_json(feature.expression)}


def _feature_from_json(entry: dict[str, Any]) -> Feature:  # Any: JSON
    return Feature(expression=from_json(entry["expression"]), **{name: entry[name] for name in _TEXTS})


def _window(tally: Expression) -> int | None:
    """The days that a tally looks back; none for all."""
    match tally:
        case Window(last=last, ago=ago) if last:
            return last + ago
        case Breadth(last=last) if last:
            return last
        case OfDays("active_weeks" | "weekly_slope" | "peak_week" | "weeks_since_peak", _, weeks):
            return int(weeks) * 7
        case Latest():
            return None
    return None
