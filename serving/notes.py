"""What is written down behind the backs of requests: who read what, and when a key was last used.

Requests only add to a list. A thread writes the list to the store every second, and once more when the service ends; a
store that cannot be written to is tried again. What a killed process had not written is lost: a second of notes.
"""

import logging
import threading
import time
from datetime import UTC, datetime

from features.windows import days, shift
from serving.store import ScoreStore
from serving.store.audit import Reading
from serving.store.trouble import is_of_a_database

WRITE_SECONDS = 1.0
USE_SECONDS = 30.0  # between two times that the uses of keys are written
TIDY_SECONDS = 3600.0  # between two times that what is old is removed
MOST_WAITING = 200_000  # entries, some 100 MB, while the store cannot be written to; beyond them the oldest are lost
_AT_ONCE = 5_000
_log = logging.getLogger("holdfast.service")


class Notes:
    """Collects from any thread; `run` starts the writing, `end` writes what is left."""

    def __init__(self, store: ScoreStore, *, audit_days: int) -> None:
        self._store = store
        self._audit_days = audit_days
        self._readings: list[Reading] = []  # only ever added to at its end and cut at its start: each is one step
        self._uses: dict[str, datetime] = {}
        self._uses_due = self._tidying_due = 0.0
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def used(self, prefix: str, at: datetime) -> None:
        """A key has just been used."""
        self._uses[prefix] = at

    def read(self, reading: Reading) -> None:
        """A request told something of users."""
        if self._audit_days:
            self._readings.append(reading)

    def run(self) -> None:
        """Begin to write."""
        self._uses_due = time.monotonic() + USE_SECONDS
        self._thread = threading.Thread(target=self._write_until_the_end, name="notes", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Write what is left and stop."""
        self._ending.set()
        if self._thread is not None:
            self._thread.join()
        self.write(all_of_it=True)

    def write(self, *, all_of_it: bool = False) -> None:
        """Write what is due, or all; what cannot be written is kept for the next time."""
        now = time.monotonic()
        try:
            self._write_readings()
            if all_of_it or now >= self._uses_due:
                self._uses_due = now + USE_SECONDS
                self._write_uses()
            if now >= self._tidying_due and not all_of_it:
                self._tidying_due = now + TIDY_SECONDS
                self._tidy()
        except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a database or a disk does
            if not is_of_a_database(error):
                _log.exception("event=notes_fault")
            _log.warning("event=notes_wait error=%s entries=%d", type(error).__name__, len(self._readings))
        self._let_go()

    def _write_until_the_end(self) -> None:
        while not self._ending.wait(WRITE_SECONDS):
            self.write()

    def _write_readings(self) -> None:
        while some := self._readings[:_AT_ONCE]:
            self._store.add_readings(some)
            del self._readings[: len(some)]

    def _write_uses(self) -> None:
        uses, self._uses = self._uses, {}
        try:
            if uses:
                self._store.note_use(uses)
        except Exception:
            self._uses = {**uses, **self._uses}
            raise

    def _tidy(self) -> None:
        now = datetime.now(UTC)
        self._store.forget_expired_replays(now=now)
        if self._audit_days:
            self._store.forget_readings_before(shift(now, -days(self._audit_days)))

    def _let_go(self) -> None:
        lost = len(self._readings) - MOST_WAITING
        if lost > 0:
            del self._readings[:lost]
            _log.error("event=audit_entries_lost entries=%d", lost)
