"""A bundle is tried in a process of its own before anybody loads it: a crash there harms nobody.

Light to import, so that a trial can be under way while what it takes to load the bundle is being imported.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from features.errors import Damaged

MISMATCH = 3  # exit code of a trial that came to another result than the training
SECONDS = 120  # a healthy trial takes about one
ADVICE = "Restore the folder from a backup, or train again with `holdfast train`."


@dataclass(frozen=True, slots=True, eq=False)
class Trying:
    """A trial of a bundle that is under way (`models.trial`); it ends with the `with` block at the latest."""

    folder: Path
    process: "subprocess.Popen[str]"

    @classmethod
    def start(cls, folder: Path) -> Self:
        """The trial of the bundle in a folder, whatever is there."""
        house = Path(__file__).resolve().parent.parent
        command = [sys.executable, "-m", "models.trial", str(folder.resolve())]
        return cls(
            folder,
            subprocess.Popen(  # noqa: S603 - our own module on a path, no shell
                command,
                cwd=house,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            ),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def check(self) -> None:
        """Wait for its end; raises `Damaged` when the bundle did not load, or predicted something else than before."""
        try:
            _, said = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            words = f"did not load within {SECONDS} seconds in a trial process"
            raise Damaged(f"{self.folder} {words}. {ADVICE}") from None
        code, last = self.process.returncode, (said.strip().splitlines() or ["no message"])[-1]
        if code == MISMATCH:
            words = "predicts something else than when it was trained (golden.json)"
            raise Damaged(f"{self.folder} {words}: {last}. {ADVICE}")
        if code < 0:
            raise Damaged(f"{self.folder}: loading its boosters crashed a trial process (signal {-code}). {ADVICE}")
        if code:
            raise Damaged(f"{self.folder} could not be loaded in a trial process: {last}. {ADVICE}")
