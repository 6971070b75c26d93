"""The one place where the service asks the store: directly where that takes microseconds, else in a few threads.

A store that fails is left alone for a moment, so that nobody queues up behind it; one question at a time tries whether
it is back. Nobody waits for longer than a few seconds.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from serving.problem_kinds import NO_ROOM
from serving.refusals import RefusedError
from serving.store import ScoreStore
from serving.store.database import Database
from serving.store.trouble import in_brief, is_full, is_of_a_database

THREADS = 8  # connections of a worker to a store that is not near: more only wait for one another
LONG_THREADS = 4  # for pages and exports, which must not keep the short questions waiting
WAIT_SECONDS = 3.0  # for a short answer
LONG_WAIT_SECONDS = 15.0
REST_SECONDS = 1.0  # for a store that has failed

_short = ThreadPoolExecutor(THREADS, "store")
_long = ThreadPoolExecutor(LONG_THREADS, "store-long")
_one = ThreadPoolExecutor(1, "store-one")
_log = logging.getLogger("holdfast.service")

P = ParamSpec("P")
T = TypeVar("T")


async def asked(store: ScoreStore, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The answer to a short question to the store.

    For example `await asked(store, store.score, user_id)`. Raises `RefusedError` (`store_unavailable`) when the store
    cannot be asked or does not answer in time, and `no_room` when it has none left to write.
    """
    database = store.database
    if not database.silent_until and database.near:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            _give_up(database, error)
            raise
    return await _in_thread(_short, database, lambda: function(*args, **kwargs), seconds=WAIT_SECONDS)


async def asked_at_length(store: ScoreStore, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The answer to a question that takes milliseconds or more: never on the event loop, whatever the store."""
    return await _in_thread(_long, store.database, lambda: function(*args, **kwargs), seconds=LONG_WAIT_SECONDS)


async def asked_in_turn(store: ScoreStore, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The same for many rows: SQLite lets other threads in at each, and two answers would only hold each other up."""
    threads = _one if store.database.near else _long
    return await _in_thread(threads, store.database, lambda: function(*args, **kwargs), seconds=LONG_WAIT_SECONDS)


async def _in_thread(threads: ThreadPoolExecutor, database: Database, ask: Callable[[], T], *, seconds: float) -> T:
    _let_it_rest(database)
    try:
        async with asyncio.timeout(seconds):
            answer = await asyncio.get_running_loop().run_in_executor(threads, ask)
    except Exception as error:
        _give_up(database, error)
        raise
    if database.silent_until:
        _log.info("event=store_answers_again")
        database.silent_until = 0.0
    return answer


def _let_it_rest(database: Database) -> None:
    """Refuse while the store is left alone; afterwards let one question through and the others wait for its fate."""
    if not database.silent_until:
        return
    now = time.monotonic()
    if now < database.silent_until:
        raise _unavailable(database.silence)
    database.silent_until = now + WAIT_SECONDS


def _give_up(database: Database, error: Exception) -> None:
    """Raise the refusal that an error of the database is; return for any other error."""
    if not is_of_a_database(error):
        return
    if is_full(error):  # what is read is still answered
        _log.error("event=store_full error=%s", type(error).__name__)
        raise RefusedError("no_room", NO_ROOM) from error
    database.silence = in_brief(error)
    database.silent_until = time.monotonic() + REST_SECONDS
    _log.error("event=store_unavailable error=%s reason=%r", type(error).__name__, database.silence)
    raise _unavailable(database.silence) from error


def _unavailable(reason: str) -> RefusedError:
    return RefusedError("store_unavailable", f"the score store cannot be asked at the moment ({reason}); try again.")
