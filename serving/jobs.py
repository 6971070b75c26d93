"""Works through bulk jobs, one at a time in each worker, in a thread that requests do not wait for.

A job lies in the store and its files in a folder that all workers share. Whoever takes it says every few hundred users
how far it has come; a job whose worker died is begun anew by another one.
"""

import logging
import re
import secrets
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from features.errors import BadInput, NotReady, UserError
from serving.bodies import computed_fields, fresh_body
from serving.champions import Champions, Served
from serving.job_files import Record, records_to, users_in
from serving.requested import Asked, NotUnderstood
from serving.store import Absence, ScoreStore, jobs
from serving.store.jobs import Counts, Job
from serving.store.trouble import is_full, is_of_a_database

EVERY_SECONDS = 1.0
REPORT_EVERY = 200  # users
HELD = timedelta(seconds=60)  # a worker that says nothing for so long is dead
KEPT = timedelta(hours=24)  # what a job came to is kept, then its files are removed
MOST_USERS = 2_000_000  # of a file: a small one may hold a great many, whose scores fill the disk
MOST_DEATHS = 3  # of workers over one job: it is what kills them
_LONGEST_TROUBLE = 500
_ID = re.compile("job_[0-9a-f]{24}")
_log = logging.getLogger("holdfast.service")


@dataclass
class Jobs:
    """The jobs of this worker: it takes those of the brands that it has a champion of."""

    store: ScoreStore
    champions: Champions
    folder: Path
    _holder: str = field(default_factory=lambda: secrets.token_hex(8))
    _stopped: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def start(self) -> None:
        """Work from now on, in a thread of its own."""
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Work no longer; a job that is under way is begun anew by another worker, or by the next start."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def sent(self, job_id: str, kind: str) -> Path:
        """Where the file of users lies."""
        return self.folder / job_id / f"users.{kind}"

    def result(self, job_id: str, kind: str) -> Path:
        """Where the records lie when the job is done."""
        return self.folder / job_id / f"scores.{kind}"

    def remove(self, job_id: str) -> None:
        """Remove the files of a job."""
        shutil.rmtree(self.folder / job_id, ignore_errors=True)

    def step(self, *, now: datetime) -> bool:
        """Do one job, if there is one that this worker can do."""
        database, tenants = self.store.database, list(self.champions.versions())
        job = jobs.take(database, tenants=tenants, holder=self._holder, now=now, until=now + HELD) if tenants else None
        if job is None:
            return False
        try:
            with self._survived(job):
                counts, trouble = self._do(job), None
        except UserError as error:
            counts, trouble = Counts(), str(error)[:_LONGEST_TROUBLE]
        except Exception as error:
            if is_of_a_database(error) and not is_full(error):  # it comes back; the job is begun anew
                raise
            _log.exception("event=job_fault job=%s", job.job_id)  # else it would be begun anew for ever
            counts, trouble = Counts(), _for_everybody(error)
        if counts is not None:
            jobs.finish(database, job.job_id, counts, holder=self._holder, now=_now(), trouble=trouble)
            _log.info("event=job_over job=%s users=%d failed=%s", job.job_id, counts.users, trouble is not None)
        return True

    def tidy(self, *, now: datetime) -> None:
        """Forget what was over long ago, with its files."""
        for job_id in jobs.forget(self.store.database, before=now - KEPT):
            self.remove(job_id)

    def _work(self) -> None:
        while not self._stopped.is_set():
            try:
                if self.step(now=_now()):
                    continue
                self.tidy(now=_now())
            except Exception as error:  # noqa: BLE001 - the thread must live on, whatever a database or a disk does
                _log.error("event=job_trouble error=%s", type(error).__name__)
            self._stopped.wait(EVERY_SECONDS)

    def _do(self, job: Job) -> Counts | None:
        """What became of the users; None when the job was removed, taken away, or the service stops."""
        try:
            served = self.champions.served(job.tenant)
        except NotReady as error:
            raise BadInput(str(error)) from None
        asked, counts = job.asked, Counts()
        target = self.result(job.job_id, asked["result"])
        draft = target.with_suffix(".unfinished")
        with _removed_if_broken(draft), records_to(draft, asked["result"]) as write:
            users = users_in(self.sent(job.job_id, asked["sent"]), asked["sent"], wanted=served.scorer.wanted)
            for record, counts in _records(served, users, asked):
                if counts.users > MOST_USERS:
                    raise BadInput(f"more than {MOST_USERS:,} users in a file; send it in parts.")
                write(record)
                if counts.users % REPORT_EVERY == 0 and not self._goes_on(job, counts, served):
                    return None
        draft.replace(target)
        return counts if self._goes_on(job, counts, served) else None

    @contextmanager
    def _survived(self, job: Job) -> Iterator[None]:
        """Counts the workers that died over a job; raises `BadInput` when there were too many."""
        file = self.folder / job.job_id / "begun"
        if not file.parent.exists():
            raise BadInput("the files of the job are gone.")
        deaths = file.stat().st_size if file.exists() else 0
        if deaths >= MOST_DEATHS:
            raise BadInput(f"{deaths} workers died over this file; send it in parts, or mend it.")
        file.write_bytes(b"." * (deaths + 1))
        try:
            yield
        finally:
            with suppress(OSError):
                file.write_bytes(b"." * deaths)

    def _goes_on(self, job: Job, counts: Counts, served: Served) -> bool:
        if self._stopped.is_set():
            return False
        until = _now() + HELD
        return jobs.report(
            self.store.database,
            job.job_id,
            counts,
            holder=self._holder,
            until=until,
            model_version=served.version,
        )


def new_id() -> str:
    """The id of a new job; it cannot be guessed."""
    return f"job_{secrets.token_hex(12)}"


def is_id(text: str) -> bool:
    """Whether a text may be the id of a job: no other is looked for, in a database or in a folder.

    >>> is_id(new_id()), is_id("../users")
    (True, False)
    """
    return _ID.fullmatch(text) is not None


def _records(
    served: Served, users: Iterator[Asked | NotUnderstood], asked: dict[str, Any]
) -> Iterator[tuple[Record, Counts]]:
    """A record a user, all by one model and as of one cutoff, and the counts so far."""
    cutoff, language = datetime.fromisoformat(asked["cutoff"]), asked["reasons"]
    shared, counts = computed_fields(served, cutoff), Counts()
    for user in users:
        if isinstance(user, NotUnderstood):
            counts = replace(counts, refused=counts.refused + 1)
            yield {"user_id": None, "code": "invalid_request", "message": f"{user.where}: {user.why}"}, counts
            continue
        try:
            found = served.scorer.answer(user, cutoff=cutoff, explained=language != "none")
        except BadInput as error:
            counts = replace(counts, refused=counts.refused + 1)
            yield {"user_id": user.user_id, "code": "invalid_request", "message": str(error)}, counts
            continue
        if isinstance(found, Absence):
            counts = replace(counts, missing=counts.missing + 1)
            yield {"user_id": user.user_id, "code": found.value}, counts
        else:
            counts = replace(counts, scored=counts.scored + 1)
            yield fresh_body(found, language, shared), counts


@contextmanager
def _removed_if_broken(draft: Path) -> Iterator[None]:
    """A file that is not finished takes up no room."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise


def _for_everybody(error: Exception) -> str:
    if is_full(error):
        return "there was no room left for its scores; start it again when there is"
    return f"a fault of the service ({type(error).__name__}); its log has more"


def _now() -> datetime:
    return datetime.now(UTC)
