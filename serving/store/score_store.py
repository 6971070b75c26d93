"""The score store: one object for all that is read and written."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from sqlalchemy.engine import Engine

from features.errors import NotReady
from serving.store import keys, schema, writer
from serving.store.at_risk import read_page
from serving.store.keys import ApiKey, NewKey
from serving.store.reader import NO_SCORES_YET, Reader
from serving.store.records import Absence, AtRiskPage, Lookup, Place, Run, RunFacts, Score, StoredScore
from serving.store.trouble import told_apart
from serving.store.write_lock import write_lock

DEFAULT_KEEP_RUNS = 7  # a million users take about half a gigabyte a run


class ScoreStore:
    """Score runs and keys in one database; safe to share between threads.

    Readers see a run only when it is complete, and go on seeing the one before until then.
    """

    def __init__(self, path: Path, engine: Engine) -> None:
        self._path = path
        self._engine = engine
        self._writer = engine.execution_options(writes=True)
        self._reader = Reader(path)

    @classmethod
    def open(cls, url: str) -> Self:
        """The store at a URL such as `sqlite:///holdfast-data/store.db`, made or migrated forward when needed."""
        path = schema.sqlite_path(url)
        with told_apart(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            engine = schema.open_engine(path)
            if not schema.is_current(path):
                schema.migrate(engine)
        return cls(path, engine)

    def close(self) -> None:
        """Let go of the file; the store is not used after."""
        self._reader.close()
        self._engine.dispose()

    def write_run(
        self,
        facts: RunFacts,
        scores: Iterable[Score],
        *,
        now: datetime,
        outside: Iterable[str] = (),
        keep_runs: int = DEFAULT_KEEP_RUNS,
        confirm: Callable[[], None] = lambda: None,
    ) -> int:
        """The id of the new run, current from now on; all of it or nothing is seen.

        `outside` are the users whom the event log knows but who were not in the population. Rows of an
        interrupted run are removed here, and of the runs before the newest `keep_runs` too. `confirm` is called last:
        what it raises leaves the current run as it is.
        Raises `Busy` while another process writes a run, `BadInput` for a score that cannot be one.
        """
        with told_apart(self._path), write_lock(self._path):
            return writer.write_run(
                self._writer, facts, scores, elsewhere=outside, now=now, keep_runs=keep_runs, confirm=confirm
            )

    def show_again(self, model_version: str) -> Run | None:
        """The newest run of a model's version, current from now on; None, and nothing changes, when none is kept.

        Raises `Busy` while another process writes a run.
        """
        with told_apart(self._path), write_lock(self._path):
            run_id = writer.show_again(self._writer, model_version=model_version)
        return None if run_id is None else self._reader.run(run_id)

    def current_run(self) -> Run | None:
        """The run that is served now, or None before the first."""
        return self._reader.current_run()

    def run(self, run_id: int) -> Run | None:
        """A complete run that is still kept, or None."""
        return self._reader.run(run_id)

    def score(self, user_id: str) -> StoredScore | Absence:
        """The user's score in the current run, or why there is none; raises `NotReady` before the first run."""
        return self._reader.score(user_id)

    def lookup(self, user_ids: Sequence[str]) -> Lookup:
        """The same for many users, all from one run, in the order asked."""
        return self._reader.lookup(user_ids)

    def at_risk(
        self, *, tier: str | None = None, minimum: float = 0.0, after: Place | None = None, limit: int = 100
    ) -> AtRiskPage | None:
        """A page of users, most at risk first: of the current run, or of the run of `after`.

        None when that run is no longer kept; raises `NotReady` before the first run.
        """
        run = self._reader.current_run() if after is None else self._reader.run(after.run_id)
        if run is None:
            if after is None:
                raise NotReady(NO_SCORES_YET)
            return None
        return read_page(self._reader.connection, run, tier=tier, minimum=minimum, after=after, limit=limit)

    def create_key(
        self, name: str, scopes: Collection[str], *, now: datetime, expires_at: datetime | None = None
    ) -> NewKey:
        """A new key, whose text is known only here; raises `BadInput` for unknown scopes."""
        with told_apart(self._path):
            return keys.create_key(self._writer, name, scopes, now=now, expires_at=expires_at)

    def list_keys(self) -> list[ApiKey]:
        """All keys, oldest first, revoked and expired ones too."""
        return keys.list_keys(self._engine)

    def revoke_key(self, name_or_prefix: str, *, now: datetime) -> ApiKey:
        """The key, revoked: servers refuse it within five seconds; raises `BadInput` when it names none or several."""
        with told_apart(self._path):
            return keys.revoke_key(self._writer, name_or_prefix, now=now)

    def find_key(self, token: str) -> ApiKey | None:
        """The key that a token is, whether it still works or not."""
        return keys.find_key(self._engine, token)
