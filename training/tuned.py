"""What a search for better settings came to: every trial, the chosen one, and whether it was kept."""

from dataclasses import asdict, dataclass, field
from typing import Any

COMPLETE, PRUNED = "complete", "pruned"


@dataclass(frozen=True, slots=True)
class TunedTrial:
    """One set of settings and how it did on the folds; a pruned one was given up before the last fold."""

    number: int  # 0 is the settings as they were asked for
    state: str  # complete or pruned
    parameters: dict[str, float]  # by the name of the setting in `TrainSettings`
    log_loss: float  # mean over the folds that it saw, of the blend that did best there
    by_fold: tuple[float, ...]  # the same mean after each fold, oldest fold first
    booster_weight: float  # of that blend
    trees: int  # where later time stopped them, on average
    seconds: float = field(default=0.0, compare=False)

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The trial as plain JSON, without its seconds: a bundle has the same bytes however quick the machine was."""
        found = asdict(self) | {"by_fold": list(self.by_fold)}
        del found["seconds"]
        return found


@dataclass(frozen=True, slots=True)
class Tuned:
    """A search: its trials in the order in which they were made, the best one, and whether its settings are used.

    They are used only where they beat the settings that were asked for on rows by which the search did not choose.
    """

    trials: tuple[TunedTrial, ...] = ()
    chosen: int | None = None  # number of the trial with the least log loss; none where nothing was searched
    kept: bool = False
    because: str = ""
    folds: tuple[str, ...] = ()  # what the search chose by, in words
    confirmed_on: str = ""  # what the chosen settings were then tried on
    asked_log_loss: float | None = None  # there, of the settings as they were asked for
    chosen_log_loss: float | None = None  # there, of the chosen settings
    standard_error: float | None = None  # of the difference, paired and clustered by user
    study: str = ""  # the search's fingerprint
    seconds: float = field(default=0.0, compare=False)  # of all trials, interrupted and resumed ones included

    @property
    def best(self) -> TunedTrial | None:
        """The chosen trial."""
        found = [trial for trial in self.trials if trial.number == self.chosen]
        return found[0] if found else None

    def says(self) -> str:
        """The outcome in a line."""
        if not self.trials:
            return f"settings were not tuned: {self.because}"
        pruned = sum(trial.state == PRUNED for trial in self.trials)
        what = "tuned settings are used" if self.kept else "settings stay as they were"
        return f"{what} after {len(self.trials)} trials ({pruned} pruned): {self.because}"

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """The search as plain JSON, without seconds (see `TunedTrial.to_json`)."""
        found = {name: getattr(self, name) for name in _PLAIN}
        trials = [trial.to_json() for trial in self.trials]
        return found | {"folds": list(self.folds), "trials": trials}


_PLAIN = (
    "chosen",
    "kept",
    "because",
    "confirmed_on",
    "asked_log_loss",
    "chosen_log_loss",
    "standard_error",
    "study",
)
