"""The data folder: where each thing lies in it, and who is working on it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from features.errors import Busy
from features.windows import iso


@dataclass(frozen=True, slots=True)
class Folder:
    """The layout of a data folder; nothing is created by naming it.

    All definitions of churn share the log and MLflow; a `definition` that has a name has a champion and scores of its
    own, in a folder of that name.
    """

    root: Path
    definition: str = ""  # empty: that of [churn]

    @property
    def own(self) -> Path:
        """Where the definition's own things lie."""
        return self.root / "definitions" / self.definition if self.definition else self.root

    @property
    def events(self) -> Path:
        """The event log."""
        return self.root / "events"

    @property
    def quarantine(self) -> Path:
        """Events that broke the contract, with reason and place."""
        return self.root / "quarantine"

    @property
    def champion(self) -> Path:
        """The bundle that serves, as this machine keeps it."""
        return self.own / "champion"

    @property
    def watch(self) -> Path:
        """Runs of scores that are kept until it is known who left, and what the watch said."""
        return self.own / "watch"

    @property
    def report(self) -> Path:
        """The newest training's report as a page."""
        return self.own / "report.html"

    @property
    def jobs(self) -> Path:
        """Files of users who are scored in bulk over HTTP, and their scores, for a day."""
        return self.root / "jobs"

    @property
    def artifacts(self) -> Path:
        """MLflow's pictures and bundles, when it has no server of its own."""
        return self.root / "mlartifacts"

    @property
    def store_url(self) -> str:
        """The score store's default address."""
        return f"sqlite:///{self.own / 'store.db'}"

    @property
    def tuning_url(self) -> str:
        """The trials of searches for settings, so that an interrupted one goes on."""
        return f"sqlite:///{self.root / 'tuning.db'}"

    @property
    def tracking_uri(self) -> str:
        """MLflow's default address."""
        return f"sqlite:///{self.root / 'mlflow.db'}"

    @contextmanager
    def alone(self, work: str, *, now: datetime) -> Iterator[None]:
        """Hold the folder's lock for a kind of work (`training`); raises `Busy`, naming who holds it.

        The operating system releases the lock when its holder dies, however it dies.
        """
        from filelock import FileLock, Timeout  # noqa: PLC0415 off the command line's start

        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        note = locks / f"{work}.json"
        lock = FileLock(locks / f"{work}.lock", timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise Busy(
                f"another {work} is running on {self.root} ({_holder(note)}); wait for it, or stop it."
            ) from None
        try:
            note.write_text(json.dumps({"pid": os.getpid(), "since": iso(now.replace(microsecond=0))}))
            yield
        finally:
            note.unlink(missing_ok=True)
            lock.release()


def _holder(note: Path) -> str:
    try:
        facts = json.loads(note.read_text())
    except (OSError, ValueError):
        return "just started"  # it holds the lock and has not written its note yet
    return f"pid {facts['pid']}, since {facts['since']}"
