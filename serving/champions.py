"""The champions that the service computes with: followed while it runs, changed only for one that passes its checks.

A look costs a few microseconds while nothing has changed. What is served is one frozen object, so that a response never
mixes two versions; a champion that cannot be loaded leaves the one before in place, and readiness says why.
"""

import gc
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from features.errors import Damaged, NotReady, UserError
from models.registry import champion_pointer
from models.trying import Trying
from serving.house_rules import NO_RULES, HouseRules
from serving.settings import DataFolder
from serving.store import ScoreStore

if TYPE_CHECKING:
    from features.log import EventLog
    from models.bundle import Bundle
    from serving.fresh import FreshScorer

EVERY_SECONDS = 2.0
RESTS = 15  # a champion that failed its checks is tried again after half a minute
_NO_MODEL = "no model yet: run `holdfast train` first"
_log = logging.getLogger("holdfast.service")


@dataclass(frozen=True, slots=True)
class Served:
    """A champion that has passed its checks, ready to compute with."""

    version: str
    scorer: "FreshScorer"
    run_id: int | None  # the run whose population users are placed in
    folder: DataFolder
    stale_days: float  # events that came in longer ago say nothing about today

    def log(self) -> "EventLog":
        """The event log as it is now; raises `NotReady` when there is none."""
        from features.log import EventLog  # noqa: PLC0415 Arrow: stored scores need not wait for it

        return EventLog.open(self.folder.events)


@dataclass(slots=True)
class _Followed:
    """What is known of one tenant's champion."""

    folder: DataFolder
    served: Served | None = None
    seen: tuple[int, int] = (0, 0)  # of the pointer: when it was written, and its inode
    trouble: str = "the champion is being loaded"  # for everybody: it names no folder of this machine
    reason: str = ""  # the same in full, as the log had it
    rests: int = 0  # looks to let pass after a champion failed: trying it costs a process each time


@dataclass
class Champions:
    """The champion of every tenant that has a data folder here."""

    store: ScoreStore
    folders: Mapping[str, DataFolder]
    rules: HouseRules = NO_RULES
    stale_days: float = 7.0
    _followed: dict[str, _Followed] = field(init=False)
    _stopped: threading.Event = field(init=False, default_factory=threading.Event)
    _looked: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._followed = {tenant: _Followed(folder) for tenant, folder in self.folders.items()}

    def start(self) -> None:
        """Follow from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._follow, name="champions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Follow no longer."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def loading(self) -> bool:
        """Whether the first look is still under way: a few seconds after the start."""
        return self._thread is not None and not self._looked.is_set()

    def wait(self, seconds: float) -> None:
        """Return when the first look is over, or after so many seconds."""
        self._looked.wait(seconds)

    def served(self, tenant: str) -> Served:
        """What to compute with for a tenant; raises `NotReady` while there is nothing."""
        followed = self._followed.get(tenant)
        if followed is None or followed.served is None:
            why = "this service has no data folder of yours" if followed is None else followed.trouble
            raise NotReady(f"no model to compute with: {why}.")
        return followed.served

    def troubles(self) -> dict[str, str]:
        """What is wrong with the champions, by tenant; those that there are not are not wrong."""
        return {tenant: followed.trouble for tenant, followed in self._followed.items() if followed.trouble}

    def versions(self) -> dict[str, str]:
        """The version that is served, by tenant."""
        return {tenant: each.served.version for tenant, each in self._followed.items() if each.served is not None}

    def look(self) -> None:
        """Take up what has changed: a champion, or the run whose population users are placed in."""
        for tenant, followed in self._followed.items():
            if followed.rests:
                followed.rests -= 1
                continue
            try:
                self._look(tenant, followed)
            except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a database or a disk does
                self._complain(tenant, followed, error)
        self._looked.set()

    def _follow(self) -> None:
        self.look()
        gc.freeze()  # what is loaded by now stays: to search it for garbage again and again would hold up requests
        gc.enable()  # a worker loads without, see `serving.run`
        while not self._stopped.wait(EVERY_SECONDS):
            self.look()

    def _look(self, tenant: str, followed: _Followed) -> None:
        pointer = followed.folder.champion / "champion.json"
        if not pointer.exists():
            raise NotReady(_NO_MODEL)
        state = pointer.stat()
        seen = (state.st_mtime_ns, state.st_ino)
        run = self.store.of(tenant).current_run()
        run_id = None if run is None else run.run_id
        if seen == followed.seen and followed.served is not None and followed.served.run_id == run_id:
            return
        version, loaded = self._loaded(followed, seen)
        from serving.fresh import FreshScorer  # noqa: PLC0415 Numba: stored scores need not wait for it

        scorer = FreshScorer(loaded, version, None if run is None else run.facts, self.rules)
        scorer.warm_up()
        if followed.served is None or followed.served.version != version:
            _log.info("event=champion version=%s", version)
        followed.served = Served(version, scorer, run_id, followed.folder, self.stale_days)
        followed.seen, followed.trouble, followed.reason = seen, "", ""

    def _loaded(self, followed: _Followed, seen: tuple[int, int]) -> "tuple[str, Bundle]":
        """The bundle that the pointer names; it is loaded, and tried in a process of its own, only where it is new."""
        if seen == followed.seen and followed.served is not None:
            return followed.served.version, followed.served.scorer.bundle
        champion = champion_pointer(followed.folder.champion)
        trying = Trying.start(champion.folder)  # meanwhile this process imports what it takes to compute
        from models import bundle  # noqa: PLC0415 Numba: stored scores need not wait for it
        from serving import fresh  # noqa: F401, PLC0415 as above

        try:
            return champion.version, bundle.load(champion.folder, trying)
        except UserError:
            followed.rests = RESTS
            raise

    @staticmethod
    def _complain(tenant: str, followed: _Followed, error: Exception) -> None:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        if reason != followed.reason:
            _log.warning("event=champion_trouble tenant=%s reason=%r", tenant or "-", reason)
        followed.reason, followed.trouble = reason, _for_everybody(error)


def _for_everybody(error: Exception) -> str:
    """What is wrong with a champion, without the folders of this machine that its error names."""
    if isinstance(error, NotReady) and str(error) == _NO_MODEL:
        return _NO_MODEL
    if isinstance(error, Damaged):
        return "the newest champion was changed or damaged after training; it does not serve, and the log says how"
    return "the newest champion cannot be loaded; it does not serve, and the log says why"


def age_days(folder: DataFolder, *, now: datetime) -> float:
    """How many days ago events were last ingested; raises `NotReady` when there is no log."""
    commits = folder.events / "_delta_log"
    written = max((entry.stat().st_mtime for entry in commits.glob("*.json")), default=None)
    if written is None:
        raise NotReady("there is no event log; `holdfast ingest` makes it.")
    return (now.timestamp() - written) / 86_400
