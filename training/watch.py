"""What a daily look at a model in service comes to: findings as data, and whether they call for a new model.

A finding weighs as much as what it asks of people. An *alarm* says that nobody should act on the numbers before it has
been looked at; a *warning*, that they may be worse than they were; an *advice* can wait. A new model is called for
where the old one no longer fits, never because the data are broken: a model learnt from a gap takes it for churn.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from statistics import NormalDist
from typing import Any

from features.windows import iso

Figures = dict[str, Any]  # Any: JSON
BROKEN_DATA = frozenset({"stale", "gap", "kind_stopped", "volume", "values"})  # repair these before a training


class Gravity(IntEnum):
    """How much a finding weighs."""

    OK = 0
    ADVICE = 1
    WARNING = 2
    ALARM = 3

    @property
    def word(self) -> str:
        """As it is written in reports."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and what to do about it (nothing, where it is fine)."""

    code: str
    gravity: Gravity
    found: str
    do: str = ""
    figures: Figures = field(default_factory=dict)
    retrain: bool = False  # the model no longer fits

    def says(self) -> str:
        """Both, on a line."""
        return f"{self.gravity.word.upper():<8} {self.found}{f'; {self.do}' if self.do else ''}."

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The finding as plain JSON."""
        return {
            "code": self.code,
            "level": self.gravity.word,
            "found": self.found,
            "do": self.do,
            "calls_for_retraining": self.retrain,
            "figures": self.figures,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """All findings of one look, gravest first."""

    at: datetime
    log_end: datetime
    model_version: str | None  # the champion; none before the first
    findings: tuple[Finding, ...]

    @property
    def gravity(self) -> Gravity:
        """That of the gravest finding."""
        return max((finding.gravity for finding in self.findings), default=Gravity.OK)

    @property
    def retrain(self) -> bool:
        """Whether a new model is called for: the old one no longer fits, and the data are not broken."""
        return any(finding.retrain for finding in self.findings) and not self.broken

    @property
    def broken(self) -> tuple[Finding, ...]:
        """The findings that must be repaired before anything is learnt from the log."""
        return tuple(each for each in self.findings if each.code in BROKEN_DATA and each.gravity is Gravity.ALARM)

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The look as plain JSON."""
        return {
            "at": iso(self.at),
            "log_end": iso(self.log_end),
            "model_version": self.model_version,
            "level": self.gravity.word,
            "retrain_called_for": self.retrain,
            "findings": [finding.to_json() for finding in self.findings],
        }


def watched(at: datetime, *, log_end: datetime, model_version: str | None, findings: Iterable[Finding]) -> Watched:
    """The findings as one look, gravest first, with what they come to for the model."""
    ordered = sorted(findings, key=lambda finding: -finding.gravity)
    found = Watched(at, log_end, model_version, tuple(ordered))
    if not any(finding.retrain for finding in ordered):
        return found
    return Watched(at, log_end, model_version, (_retrain(found), *ordered))


def beyond(tests: int, *, error: float = 0.05) -> float:
    """The z that noise alone exceeds in one of so many two-sided tests with this chance at most (Bonferroni).

    >>> round(beyond(1), 2), round(beyond(10), 2)
    (1.96, 2.81)
    """
    return NormalDist().inv_cdf(1 - error / 2 / max(1, tests))


def _retrain(found: Watched) -> Finding:
    because = ", ".join(finding.code for finding in found.findings if finding.retrain)
    if found.broken:
        broken = ", ".join(sorted({finding.code for finding in found.broken}))
        return Finding(
            "retrain",
            Gravity.ADVICE,
            f"the model no longer fits ({because}), but the data are broken ({broken})",
            "repair the data first; a model learnt from them would take the fault for churn",
        )
    return Finding(
        "retrain",
        Gravity.WARNING,
        f"retrain called for: {because}",
        "holdfast train, which makes the new model champion only through the gate",
    )
