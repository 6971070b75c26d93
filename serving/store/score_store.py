"""The score store: one object for all that is read and written."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from typing import Self

from features.errors import NotReady
from features.windows import to_microseconds
from serving.store import audit, keys, replays, schema, writer
from serving.store.at_risk import read_page
from serving.store.audit import EVERYTHING, AuditEntry, Reading, Sought
from serving.store.database import Database, open_database
from serving.store.keys import ApiKey, NewKey
from serving.store.reader import NO_SCORES_YET, Reader
from serving.store.records import (
    EVERYBODY,
    Absence,
    AtRiskPage,
    Lookup,
    Place,
    Run,
    RunFacts,
    Score,
    StoredScore,
    Wanted,
)
from serving.store.replays import Attempt, Kept
from serving.store.trouble import told_apart

DEFAULT_KEEP_RUNS = 7  # a million users take a quarter of a gigabyte a run


class ScoreStore:
    """Score runs of one tenant and the keys of all, in one database; safe to share between threads.

    Readers see a run only when it is complete, and go on seeing the one before until then. What belongs to another
    tenant is never seen: `of` gives the same store as another tenant sees it.
    """

    def __init__(self, database: Database, tenant: str = "") -> None:
        self.database = database
        self.tenant = tenant
        self._reader = Reader(database, tenant)
        self._tenants: dict[str, Self] = {}

    @classmethod
    def open(cls, url: str, *, tenant: str = "") -> Self:
        """The store at a URL such as `sqlite:///holdfast-data/store.db`, made or migrated forward when needed."""
        database = open_database(url)
        with ExitStack() as undo, told_apart(database):
            undo.callback(database.close)
            database.prepare()
            schema.bring_up_to_date(database)
            undo.pop_all()
        return cls(database, tenant)

    def of(self, tenant: str) -> Self:
        """The same store as a tenant sees it."""
        if tenant == self.tenant:
            return self
        if tenant not in self._tenants:
            self._tenants[tenant] = type(self)(self.database, tenant)
        return self._tenants[tenant]

    def close(self) -> None:
        """Let go of the database; the store is not used after."""
        self.database.close()

    def write_run(
        self,
        facts: RunFacts,
        scores: Iterable[Score],
        *,
        now: datetime,
        outside: Mapping[str, Absence] | Iterable[str] = (),
        keep_runs: int = DEFAULT_KEEP_RUNS,
        confirm: Callable[[], None] = lambda: None,
    ) -> int:
        """The id of the new run, current from now on; all of it or nothing is seen.

        `outside` are the users whom the event log knows but who have no score, with the reason; as plain ids they
        were not in the population. Rows of an interrupted run are removed here, and of the runs before the newest
        `keep_runs` too. `confirm` is called last: what it raises leaves the current run as it is.
        Raises `Busy` while another process writes a run, `BadInput` for a score that cannot be one.
        """
        elsewhere = outside if isinstance(outside, Mapping) else dict.fromkeys(outside, Absence.OUTSIDE)
        with told_apart(self.database), self.database.write_lock():
            return writer.write_run(
                self.database,
                facts,
                scores,
                tenant=self.tenant,
                elsewhere=elsewhere,
                now=now,
                keep_runs=keep_runs,
                confirm=confirm,
            )

    def show_again(self, model_version: str, *, now: datetime) -> Run | None:
        """The newest run of a model's version, current from now on; None, and nothing changes, when none is kept.

        Raises `Busy` while another process writes a run.
        """
        with told_apart(self.database), self.database.write_lock():
            run_id = writer.show_again(self.database, tenant=self.tenant, model_version=model_version, now=now)
        return None if run_id is None else self._reader.run(run_id)

    def current_run(self) -> Run | None:
        """The run that is served now, or None before the first."""
        return self._reader.current_run()

    def run(self, run_id: int) -> Run | None:
        """A complete run that is still kept, or None."""
        return self._reader.run(run_id)

    def runs(self, *, before: int | None = None, limit: int = 100) -> list[Run]:
        """Complete runs that are still kept, newest first: those with smaller numbers than `before`."""
        return self._reader.runs(before=before, limit=limit)

    def score(self, user_id: str) -> StoredScore | Absence:
        """The user's score in the current run, or why there is none; raises `NotReady` before the first run."""
        return self._reader.score(user_id)

    def lookup(self, user_ids: Sequence[str]) -> Lookup:
        """The same for many users, all from one run, in the order asked."""
        return self._reader.lookup(user_ids)

    def history(self, user_id: str, *, before: int | None = None, limit: int = 100) -> list[StoredScore]:
        """The user's scores in the runs that are kept, newest first: of runs with smaller numbers than `before`."""
        return self._reader.history(user_id, before=before, limit=limit)

    def at_risk(self, wanted: Wanted = EVERYBODY, *, after: Place | None = None, limit: int = 100) -> AtRiskPage | None:
        """A page of users, most at risk first: of the current run, or of the run of `after`.

        None when that run is no longer kept; raises `NotReady` before the first run.
        """
        run = self._reader.current_run() if after is None else self._reader.run(after.run_id)
        if run is None:
            if after is None:
                raise NotReady(NO_SCORES_YET)
            return None
        return read_page(self._reader, run, wanted, after=after, limit=limit)

    def create_key(
        self, name: str, scopes: Collection[str], *, now: datetime, expires_at: datetime | None = None
    ) -> NewKey:
        """A new key of this tenant, whose text is known only here; raises `BadInput` for unknown scopes."""
        with told_apart(self.database):
            return keys.create_key(self.database, name, scopes, tenant=self.tenant, now=now, expires_at=expires_at)

    def list_keys(self) -> list[ApiKey]:
        """All keys of all tenants, oldest first, revoked and expired ones too."""
        with told_apart(self.database):
            return keys.list_keys(self.database)

    def revoke_key(self, name_or_prefix: str, *, now: datetime) -> ApiKey:
        """The key, revoked: servers refuse it within five seconds; raises `BadInput` when it names none or several."""
        with told_apart(self.database):
            return keys.revoke_key(self.database, name_or_prefix, now=now)

    def rotate_key(self, name_or_prefix: str, *, now: datetime, overlap_ends: datetime) -> NewKey:
        """A new key in place of one that works until `overlap_ends` and not longer."""
        with told_apart(self.database):
            return keys.rotate_key(self.database, name_or_prefix, now=now, overlap_ends=overlap_ends)

    def find_key(self, token: str) -> ApiKey | None:
        """The key that a token is, whether it still works or not."""
        return keys.find_key(self.database, token)

    def note_use(self, used: Mapping[str, datetime]) -> None:
        """Remember when keys, by their prefix, were last used."""
        keys.note_use(self.database, used)

    def add_readings(self, readings: Sequence[Reading]) -> None:
        """Write entries of the audit, of any tenant."""
        audit.add_readings(self.database, readings)

    def audit_entries(self, sought: Sought = EVERYTHING) -> Iterator[AuditEntry]:
        """Who read what of this tenant, newest first."""
        with told_apart(self.database):
            yield from audit.list_entries(self.database, sought, tenant=self.tenant)

    def forget_readings_before(self, moment: datetime) -> None:
        """Remove entries of the audit, of all tenants, before a moment."""
        audit.forget_before(self.database, moment)

    def forget_expired_replays(self, *, now: datetime) -> None:
        """Remove answers whose idempotency keys have expired."""
        replays.forget_expired(self.database, now=to_microseconds(now))

    def claim_replay(self, attempt: Attempt, *, now: int, held_until: int, expires_at: int) -> Kept | None:
        """None when the attempt is the first with its idempotency key, else what is kept."""
        return replays.claim(self.database, attempt, now=now, held_until=held_until, expires_at=expires_at)

    def hold_replay(self, attempt: Attempt, *, until: int) -> None:
        """Say that the attempt is still being answered."""
        replays.hold(self.database, attempt, until=until)

    def keep_replay(self, attempt: Attempt, *, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        """Keep the answer of the attempt."""
        replays.keep(self.database, attempt, status=status, headers=headers, body=body)

    def give_up_replay(self, attempt: Attempt) -> None:
        """Free the key of an attempt that has changed nothing."""
        replays.give_up(self.database, attempt)
