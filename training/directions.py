"""Features with which the risk may only rise, or only fall: names and patterns of the settings, resolved."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Self

from features.errors import BadInput


@dataclass(frozen=True, slots=True)
class Directions:
    """Names of features; LightGBM's `monotone_constraints` would be 1 for the rising and -1 for the falling ones."""

    rising: tuple[str, ...] = ()
    falling: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        names: Sequence[str],
        *,
        rising: Sequence[str] = (),
        falling: Sequence[str] = (),
        categorical: Sequence[str] = (),
    ) -> Self:
        """The features that the names and patterns (`spend_*`) mean.

        Raises `BadInput` for one that means none, for a feature that is asked to do both and for one of categories.

        >>> Directions.of(["silence", "spend_28d", "spend_91d"], rising=["silence"], falling=["spend_*"]).falling
        ('spend_28d', 'spend_91d')
        """
        found = cls(
            _matching(names, rising, setting="risk_rises_with"), _matching(names, falling, setting="risk_falls_with")
        )
        both = [name for name in found.rising if name in found.falling]
        if both:
            raise BadInput(
                f"[train] risk_rises_with and risk_falls_with both name {', '.join(both)}; expected one of them."
            )
        coded = [name for name in (*found.rising, *found.falling) if name in categorical]
        if coded:
            raise BadInput(
                f"[train] risk_rises_with or risk_falls_with names {', '.join(coded)}, whose values are categories and "
                "have no order; expected features that are numbers."
            )
        return found


def _matching(names: Sequence[str], patterns: Sequence[str], *, setting: str) -> tuple[str, ...]:
    """The names that any of the patterns means, each once."""
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            near = difflib.get_close_matches(pattern, names, n=3)
            known = f"Did you mean {', '.join(near)}?" if near else "`holdfast features dictionary` lists them."
            raise BadInput(f"[train] {setting} names {pattern!r}, and no feature is called so. {known}")
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))
