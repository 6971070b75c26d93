"""The history of champions: who served from when on, how that came about, and whom a rollback brings back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from features.windows import iso, utc


class How(StrEnum):
    """How a version became champion."""

    FIRST = "first"  # there was none to compare it with, and its verdict allowed it
    GATE = "gate"  # it passed the gate
    FORCED = "forced"  # somebody wanted it whatever the gate said
    ROLLBACK = "rollback"  # it had been champion before


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the champion."""

    version: str
    at: datetime
    how: How
    reason: str = ""
    before: str = ""  # the version that it took the place of; none: there was no champion

    def to_json(self) -> dict[str, str]:
        """Plain JSON that `from_json` reads back."""
        return {
            "version": self.version,
            "at": iso(self.at),
            "how": str(self.how),
            "reason": self.reason,
            "before": self.before,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:  # Any: JSON
        """The change that `to_json` wrote."""
        return cls(data["version"], utc(data["at"]), How(data["how"]), data["reason"], data["before"])


def previous(changes: Sequence[Change], *, champion: str) -> str | None:
    """The version that a rollback brings back; none when the champion is the only one that there has been.

    A rollback takes the place of what came after its version, so that the next one goes back further and not forth.

    >>> from features.windows import utc
    >>> promoted = [Change(version, utc("2026-06-01"), How.GATE) for version in "123"]
    >>> previous(promoted, champion="3")
    '2'
    >>> previous([*promoted, Change("2", utc("2026-06-02"), How.ROLLBACK)], champion="2")
    '1'
    """
    line = _line(changes)
    if not line or line[-1] != champion:  # the alias was moved elsewhere, for example in MLflow's pages
        line.append(champion)
    return line[-2] if len(line) > 1 else None


def _line(changes: Sequence[Change]) -> list[str]:
    """The champions from which nobody has been rolled back, oldest first."""
    line: list[str] = []
    for change in changes:
        if change.before and (not line or line[-1] != change.before):
            line.append(change.before)
        if change.how is How.ROLLBACK and change.version in line:
            del line[len(line) - line[::-1].index(change.version) :]
        elif not line or line[-1] != change.version:
            line.append(change.version)
    return line
