"""Which column of a file is which column of the contract."""

from dataclasses import dataclass

from features.errors import BadInput
from features.instants import TimeRule
from features.kinds import PROFILE, is_reserved

_REQUIRED = ("user_id", "time", "event")
_CANONICAL = (*_REQUIRED, "value", "event_id", "received_at")
_LISTED = 30  # columns that a message names


@dataclass(frozen=True, slots=True)
class Mapping:
    """What a file calls its columns, and what it does not say itself.

    `value`, `event_id` and `received_at` may be absent as long as they go by their own names. `event_constant` is the
    kind of every event of files without a column for it; `$profile` says that the rows are profiles, true from their
    time on. All other columns are kept as properties.
    """

    user_id: str = "user_id"
    time: str = "time"
    event: str = "event"
    value: str = "value"
    event_id: str = "event_id"
    received_at: str = "received_at"
    event_constant: str | None = None
    timezone: str | None = None
    time_format: str | None = None
    format: str | None = None

    def __post_init__(self) -> None:
        if self.event_constant and is_reserved(self.event_constant) and not self.profiles:
            raise BadInput(f"{self.event_constant!r} begins with $, as our own kinds do; expected another kind.")

    @property
    def profiles(self) -> bool:
        """Whether the rows are profiles and no events."""
        return self.event_constant == PROFILE

    @property
    def rule(self) -> TimeRule:
        """How to read the times."""
        return TimeRule(self.timezone, self.time_format)

    def columns(self, found: list[str], *, file: str) -> dict[str, str]:
        """The file's name for every column of the contract that it has; `BadInput` when one is missing."""
        twice = sorted({name for name in found if found.count(name) > 1})
        if twice:
            raise BadInput(f"{file} has two columns named {twice[0]!r}; expected each name once.")
        names = {}
        for canonical in _CANONICAL:
            name = getattr(self, canonical)
            if canonical == "event" and self.event_constant is not None:
                continue
            if name in found:
                names[canonical] = name
            elif canonical in _REQUIRED or name != canonical:
                raise BadInput(self._missing(canonical, found, file=file))
        return names

    def _missing(self, canonical: str, found: list[str], *, file: str) -> str:
        option = f"--{canonical.replace('_', '-')}"
        if self.profiles and canonical == "time":
            option = "--valid-from"  # what the time of a profile is called at the command line
        advice = f"Give the name of the right one with {option} COLUMN"
        advice += ", or the one kind of all its events with --event-constant KIND." if canonical == "event" else "."
        listed = ", ".join(found[:_LISTED]) + (" …" if len(found) > _LISTED else "")
        return f"{file} has no column {getattr(self, canonical)!r} ({canonical}); found {listed}. {advice}"
