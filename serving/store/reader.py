"""Reading the current run on the hot path: prepared queries on plain SQLite connections, one a thread.

Every answer comes from one statement or one read transaction, so it never mixes two runs.
"""

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

import orjson

from features.errors import NotReady
from features.fifths import DatedFifths
from features.windows import Interval, from_microseconds
from serving.store.records import Absence, Lookup, Run, RunFacts, StoredScore
from serving.store.schema import read_connection

_SCORE = """
SELECT c.run_id, s.churn_probability, s.percentile, s.risk_tier, s.reasons,
       CASE WHEN s.run_id IS NULL THEN EXISTS (SELECT 1 FROM outside o WHERE o.run_id = c.run_id AND o.user_id = ?1) END
FROM current_run c LEFT JOIN scores s ON s.run_id = c.run_id AND s.user_id = ?1
"""
_RUN = """
SELECT run_id, scored_at, cutoff, horizon_start, horizon_end, valid_until,
       model_version, definition_id, model, users, outside, fifths
FROM runs WHERE run_id = ? AND complete = 1
"""
_RUNS_REMEMBERED = 16

NO_SCORES_YET = "there are no scores yet; run `holdfast score` first."


class Reader:
    """Answers from the current run; safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._threads = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._runs: dict[int, Run] = {}

    def score(self, user_id: str) -> StoredScore | Absence:
        """The user's score in the current run, or why there is none; raises `NotReady` before the first run."""
        return self._answer(self.connection, user_id)

    def lookup(self, user_ids: Sequence[str]) -> Lookup:
        """The same for many users, all from one run, in the order asked."""
        connection = self.connection
        connection.execute("BEGIN")
        try:
            answers = [self._answer(connection, user_id) for user_id in user_ids]
            run = self.current_run()
        finally:
            connection.execute("COMMIT")
        if run is None:
            raise NotReady(NO_SCORES_YET)
        return Lookup(run, answers)

    def current_run(self) -> Run | None:
        """The run that is served now, or None before the first."""
        row = self.connection.execute("SELECT run_id FROM current_run").fetchone()
        return None if row is None else self.run(row[0])

    def run(self, run_id: int) -> Run | None:
        """A complete run; None when it was never there, is not complete, or has been pruned."""
        row = self.connection.execute(_RUN, (run_id,)).fetchone()
        return None if row is None else _run(row)

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's own connection; it cannot write."""
        found: sqlite3.Connection | None = getattr(self._threads, "connection", None)
        if found is None:
            found = self._threads.connection = read_connection(self._path)
            self._opened.append(found)
        return found

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._opened:
            self._opened.pop().close()
        self._threads = threading.local()

    def _answer(self, connection: sqlite3.Connection, user_id: str) -> StoredScore | Absence:
        row = connection.execute(_SCORE, (user_id,)).fetchone()
        if row is None:
            raise NotReady(NO_SCORES_YET)
        run_id, probability, percentile, tier, reasons, is_outside = row
        if probability is None:
            return Absence.OUTSIDE if is_outside else Absence.UNKNOWN
        return StoredScore(self._remembered(run_id), user_id, probability, percentile, tier, reasons)

    def _remembered(self, run_id: int) -> Run:
        """A complete run never changes, so it is read once."""
        if run_id not in self._runs:
            run = self.run(run_id)
            if run is None:
                raise NotReady(NO_SCORES_YET)
            if len(self._runs) >= _RUNS_REMEMBERED:
                self._runs.clear()
            self._runs[run_id] = run
        return self._runs[run_id]


def _run(row: tuple[int, int, int, int, int, int, str, str, str, int, int, str | None]) -> Run:
    run_id, scored_at, cutoff, start, end, valid_until, version, definition_id, model, users, outside, fifths = row
    facts = RunFacts(
        cutoff=from_microseconds(cutoff),
        horizon=Interval(from_microseconds(start), from_microseconds(end)),
        valid_until=from_microseconds(valid_until),
        model_version=version,
        definition_id=definition_id,
        model=orjson.loads(model),
        fifths=None if fifths is None else DatedFifths.from_json(orjson.loads(fifths)),
    )
    return Run(run_id, facts, from_microseconds(scored_at), users, outside)
