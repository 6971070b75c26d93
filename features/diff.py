"""What became of a feature set: columns that came, went, mean something else, or are only said in other words."""

from dataclasses import dataclass
from typing import Any

from features.feature_set import Feature, FeatureSet

_TEXTS = ("sentence", "missing", "sentence_zh", "missing_zh", "family", "unit")


@dataclass(frozen=True, slots=True)
class Changed:
    """A column that both sets have."""

    before: Feature
    after: Feature

    @property
    def name(self) -> str:
        """Its name."""
        return self.after.name

    @property
    def texts(self) -> dict[str, tuple[str, str]]:
        """What is said otherwise, before and after."""
        pairs = {name: (getattr(self.before, name), getattr(self.after, name)) for name in _TEXTS}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@dataclass(frozen=True, slots=True)
class FeatureDiff:
    """From one set to another, each part in the order of the later set (`removed`: of the earlier)."""

    before: FeatureSet
    after: FeatureSet
    added: tuple[Feature, ...]
    removed: tuple[Feature, ...]
    changed: tuple[Changed, ...]  # the name is the same, the meaning is not
    reworded: tuple[Changed, ...]  # the meaning is the same, a sentence, the family or the unit is not
    reordered: bool  # the columns that both have stand in another order

    @property
    def same_meaning(self) -> bool:
        """Whether a model of one can read the other: same columns, same order, same formulas."""
        return self.before.fingerprint == self.after.fingerprint

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Plain JSON."""
        return {
            "before": {"fingerprint": self.before.fingerprint, "features": len(self.before)},
            "after": {"fingerprint": self.after.fingerprint, "features": len(self.after)},
            "same_meaning": self.same_meaning,
            "added": [_told(feature) for feature in self.added],
            "removed": [_told(feature) for feature in self.removed],
            "changed": [{"name": c.name, "before": c.before.formula, "after": c.after.formula} for c in self.changed],
            "reworded": [
                {"name": c.name, **{text: {"before": old, "after": new} for text, (old, new) in c.texts.items()}}
                for c in self.reworded
            ],
            "reordered": self.reordered,
        }

    def __str__(self) -> str:
        """A line a column that came (+) or went (-); what it was and is for those that changed."""
        head = f"{_named(self.before)} → {_named(self.after)}"
        parts = [
            _listed("Added", [f"  + {feature.name}  {feature.formula}" for feature in self.added]),
            _listed("Removed", [f"  - {feature.name}  {feature.formula}" for feature in self.removed]),
            _listed("Another meaning under the same name", [_meaning(each) for each in self.changed]),
            _listed("The same meaning in other words", [_words(each) for each in self.reworded]),
            "The columns that both have stand in another order." if self.reordered else "",
            "Same columns, same order, same meaning: a model of one reads the other." if self.same_meaning else "",
        ]
        return "\n\n".join([head, *filter(None, parts)])


def diff(before: FeatureSet, after: FeatureSet) -> FeatureDiff:
    """What changed from one feature set to another.

    >>> from features.language import events, feature_set
    >>> visits = feature_set(seen=events("visit").days_since_last(), visits=events("visit").count())
    >>> purchases = feature_set(seen=events("purchase").days_since_last())
    >>> found = diff(visits, purchases)
    >>> [feature.name for feature in found.removed], [each.name for each in found.changed]
    (['visits'], ['seen'])
    """
    both = [name for name in after.names if name in set(before.names)]
    pairs = [Changed(before[name], after[name]) for name in both]
    return FeatureDiff(
        before,
        after,
        added=tuple(feature for feature in after if feature.name not in set(before.names)),
        removed=tuple(feature for feature in before if feature.name not in set(after.names)),
        changed=tuple(pair for pair in pairs if pair.before.expression != pair.after.expression),
        reworded=tuple(pair for pair in pairs if pair.before.expression == pair.after.expression and pair.texts),
        reordered=both != [name for name in before.names if name in set(after.names)],
    )


def _named(features: FeatureSet) -> str:
    return f"{features.fingerprint}, {len(features)} feature{'' if len(features) == 1 else 's'}"


def _listed(title: str, entries: list[str]) -> str:
    return "\n".join([f"{title}: {len(entries)}", *entries]) if entries else ""


def _meaning(each: Changed) -> str:
    return f"  ~ {each.name}\n      was  {each.before.formula}\n      is   {each.after.formula}"


def _words(each: Changed) -> str:
    lines = [f"      {name}: {old!r} → {new!r}" for name, (old, new) in each.texts.items()]
    return "\n".join([f"  ~ {each.name}", *lines])


def _told(feature: Feature) -> dict[str, str]:
    return {"name": feature.name, "formula": feature.formula}
