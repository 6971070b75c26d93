"""The language of features: sentences about one user's events before a cutoff.

    purchase = events("purchase")
    feature_set(
        days_since_last_purchase=purchase.days_since_last().says("last purchase {:.0f} days ago"),
        purchases_change_28d=(purchase.count(last=days(28)) - purchase.count(last=days(28), ago=days(28))).says(
            "{:+.0f} purchases on the four weeks before"
        ),
    )

No operator takes a time at or after the cutoff, so the future cannot be written down.
Unknown is missing (NaN); a count or a total of nothing is 0; a ratio over nothing is missing.
"""

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from string import Formatter
from typing import Any, Self

from features.errors import BadInput
from features.expressions import (
    Arithmetic,
    Described,
    Expression,
    OfCutoff,
    Season,
    Statistic,
    Tally,
    from_json,
    to_json,
)
from features.windows import days

LANGUAGE_VERSION = 1  # part of every fingerprint: raise it when an operator comes to mean something else


@dataclass(frozen=True, slots=True)
class Selection:
    """The events of some kinds; every method is one thing that can be said of them."""

    kinds: tuple[str, ...] = ()

    def count(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Tally:
        """How many events; 0 for none."""
        return self._tally(Statistic.COUNT, last, ago)

    def total(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Tally:
        """The sum of their values; events without a value add nothing."""
        return self._tally(Statistic.TOTAL, last, ago)

    def mean(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Arithmetic:
        """The mean of their values; missing when no event came with a value."""
        return self.total(last=last, ago=ago) / self._tally(Statistic.VALUED, last, ago)

    def maximum(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Tally:
        """The largest value; missing when no event came with a value."""
        return self._tally(Statistic.MAXIMUM, last, ago)

    def active_days(self, *, last: timedelta | None = None, ago: timedelta = days(0)) -> Tally:
        """On how many days, counted back from the cutoff, there was an event."""
        return self._tally(Statistic.ACTIVE_DAYS, last, ago)

    def weekend_share(self, *, last: timedelta | None = None) -> Arithmetic:
        """The share of events on a Saturday or Sunday, UTC, 0 to 1; missing when there is no event."""
        return self._tally(Statistic.WEEKEND, last, days(0)) / self.count(last=last)

    def night_share(self, *, last: timedelta | None = None) -> Arithmetic:
        """The share of events from midnight to six, UTC, 0 to 1; missing when there is no event."""
        return self._tally(Statistic.NIGHT, last, days(0)) / self.count(last=last)

    def days_since_last(self) -> Tally:
        """Days from the newest event to the cutoff; missing when there is none."""
        return Tally(Statistic.LAST, self.kinds)

    def days_since_first(self) -> Tally:
        """Days from the oldest event to the cutoff; missing when there is none."""
        return Tally(Statistic.FIRST, self.kinds)

    def mean_gap(self) -> Arithmetic:
        """The mean days from one active day to the next; missing with fewer than two active days."""
        return Tally(Statistic.GAP_TOTAL, self.kinds) / Tally(Statistic.GAPS, self.kinds)

    def gap_spread(self) -> Arithmetic:
        """The standard deviation (population formula) of the days between active days; missing with fewer than two."""
        mean = self.mean_gap()
        return (Tally(Statistic.GAP_SQUARES, self.kinds) / Tally(Statistic.GAPS, self.kinds) - mean * mean).root()

    def longest_gap(self) -> Tally:
        """The most days from one active day to the next; missing with fewer than two active days."""
        return Tally(Statistic.GAP_LONGEST, self.kinds)

    def newest_gap(self) -> Tally:
        """The days between the two newest active days; missing with fewer than two active days."""
        return Tally(Statistic.GAP_NEWEST, self.kinds)

    def share_of_longer_gaps(self) -> Arithmetic:
        """The share of the user's own gaps that were at least as long as the present silence, 0 to 1."""
        return Tally(Statistic.GAPS_LONGER, self.kinds) / Tally(Statistic.GAPS, self.kinds)

    def decayed_count(self, *, half_life: timedelta) -> Tally:
        """The count with every event's weight halved each `half_life` of age (whole days)."""
        return Tally(Statistic.DECAYED, self.kinds, half_life=_whole_days(half_life, least=1))

    def _tally(self, statistic: Statistic, last: timedelta | None, ago: timedelta) -> Tally:
        return Tally(
            statistic, self.kinds, last=0 if last is None else _whole_days(last, least=1), ago=_whole_days(ago, least=0)
        )


def events(*kinds: str) -> Selection:
    """The events of the kinds named; of all kinds when none is named.

    >>> events("purchase").count(last=days(28))
    Tally(statistic=<Statistic.COUNT: 'count'>, kinds=('purchase',), last=28, ago=0, half_life=0)
    """
    return Selection(tuple(sorted(set(kinds))))


def season(part: Season) -> OfCutoff:
    """The sine or cosine of the cutoff's day of the year."""
    return OfCutoff(part)


@dataclass(frozen=True, slots=True)
class Feature:
    """A named column: what it is, how it reads, and which family of reasons it belongs to."""

    name: str
    expression: Expression
    sentence: str
    missing: str
    family: str

    def says(self, value: float) -> str:
        """The sentence with the user's own value in it.

        >>> feature_set(seen=events().days_since_last().says("last seen {:.0f} days ago"))["seen"].says(3.2)
        'last seen 3 days ago'
        """
        if math.isnan(value):
            return self.missing or f"nothing yet for {self.name.replace('_', ' ')}"
        return self.sentence.format(value + 0.0)  # + 0.0 turns a negative zero into zero

    @property
    def pattern(self) -> str:
        """The sentence with an N where a user's own value will stand.

        >>> feature_set(share=events().weekend_share().says("{:.0%} at weekends"))["share"].pattern
        'N % at weekends'
        """
        pieces = Formatter().parse(self.sentence)
        return "".join(
            literal + ("" if spec is None else "N %" if spec.endswith("%") else "N") for literal, _, spec, _ in pieces
        )

    @property
    def window_days(self) -> int | None:
        """How many days it looks back; `None` for the whole history, 0 when it reads no events."""
        tallies = [part for part in self.expression.parts() if isinstance(part, Tally)]
        if any(not tally.last for tally in tallies):
            return None
        return max((tally.last + tally.ago for tally in tallies), default=0)


@dataclass(frozen=True)
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
        parts = [part for feature in self.features for part in feature.expression.parts()]
        return frozenset(kind for part in parts if isinstance(part, Tally) for kind in part.kinds)

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

    @cached_property
    def _by_name(self) -> dict[str, Feature]:
        return {feature.name: feature for feature in self.features}

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON that `from_json` reads back."""
        return {
            "language": LANGUAGE_VERSION,
            "fingerprint": self.fingerprint,
            "features": [
                {
                    "name": feature.name,
                    "family": feature.family,
                    "sentence": feature.sentence,
                    "missing": feature.missing,
                    "expression": to_json(feature.expression),
                }
                for feature in self.features
            ],
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:  # Any: JSON
        """The set that `to_json` wrote; raises `BadInput` when its fingerprint does not match its features."""
        built = cls(
            tuple(
                Feature(
                    entry["name"], from_json(entry["expression"]), entry["sentence"], entry["missing"], entry["family"]
                )
                for entry in document["features"]
            )
        )
        if built.fingerprint != document["fingerprint"]:
            raise BadInput(
                f"the features' fingerprint is {built.fingerprint}, the document says {document['fingerprint']}: "
                "it was edited or comes from another version; train again with this one."
            )
        return built


def feature_set(**described: Described | Expression) -> FeatureSet:
    """A feature set whose column names are the keywords.

    >>> feature_set(events_28d=events().count(last=days(28))).names
    ('events_28d',)
    """
    return FeatureSet(tuple(_feature(name, entry) for name, entry in described.items()))


def _feature(name: str, entry: Described | Expression) -> Feature:
    if isinstance(entry, Expression):
        entry = entry.says(name.replace("_", " ") + ": {:.3g}")
    return Feature(name, entry.expression, entry.sentence, entry.missing, entry.family)


def _whole_days(span: timedelta, *, least: int) -> int:
    whole = span // timedelta(days=1)
    if span != days(whole) or whole < least:
        raise BadInput(
            f"a span of {span / timedelta(days=1):g} days; expected at least {least} whole days before the cutoff, "
            "for example days(28)."
        )
    return whole
