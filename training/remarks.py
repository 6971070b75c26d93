"""What a look at a log comes to: remarks, each with what was found and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a remark weighs."""

    ERROR = "error"
    WARNING = "warning"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that was found, and what to do about it."""

    code: str
    level: Level
    found: str
    advice: str

    def says(self) -> str:
        """Both, on a line."""
        return f"{self.level.upper():<8} {self.found}; {self.advice}."
