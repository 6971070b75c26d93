"""How the service asks a store: never in the way of other requests, never again and again while it fails."""

import asyncio
import sqlite3
import threading
import time

import pytest

from features.errors import NotReady
from serving.asking import REST_SECONDS, asked, asked_at_length
from serving.refusals import RefusedError
from serving.store import Absence, ScoreStore, StoredScore
from serving.together import score_asked
from tests.postgres import BOTH

ONLY_POSTGRESQL = pytest.mark.parametrize("url", ["postgresql"], indirect=True)


def _locked() -> None:
    raise sqlite3.OperationalError("database is locked")


def test_a_near_store_is_asked_on_the_loop_unless_the_answer_is_long(store: ScoreStore) -> None:
    async def threads() -> tuple[str, str]:
        here = await asked(store, threading.current_thread)
        elsewhere = await asked_at_length(store, threading.current_thread)
        return here.name, elsewhere.name

    short, long = asyncio.run(threads())
    assert (short, long.startswith("store-long")) == ("MainThread", True)


@ONLY_POSTGRESQL
def test_the_loop_goes_on_while_a_distant_store_thinks(store: ScoreStore) -> None:
    async def turns_meanwhile() -> int:
        answer = asyncio.ensure_future(asked(store, store.database.ask, "SELECT pg_sleep(0.5)"))
        turns = 0
        while not answer.done():
            await asyncio.sleep(0.01)
            turns += 1
        return turns

    assert asyncio.run(turns_meanwhile()) > 5


def test_a_store_that_failed_is_left_alone_for_a_moment_and_then_tried_by_one(store: ScoreStore) -> None:
    tried = []

    def trying() -> None:
        tried.append(time.monotonic())
        _locked()

    async def many() -> None:
        async def refused() -> None:
            with pytest.raises(RefusedError, match="another process has locked it") as told:
                await asked(store, trying)
            assert told.value.code == "store_unavailable"

        for _ in range(20):
            await refused()
        await asyncio.sleep(REST_SECONDS + 0.05)
        await asyncio.gather(*(refused() for _ in range(20)))
        await asyncio.sleep(REST_SECONDS + 0.05)
        assert isinstance(await asked(store, store.score, "ada"), StoredScore)
        assert isinstance(await asked(store, store.score, "bert"), StoredScore)

    asyncio.run(many())
    assert len(tried) == 2


def test_what_is_no_fault_of_the_store_is_passed_on(store: ScoreStore) -> None:
    def not_ready() -> None:
        raise NotReady("later")

    async def question() -> object:
        with pytest.raises(NotReady):
            await asked(store, not_ready)
        return await asked(store, store.score, "emil")

    assert asyncio.run(question()) is Absence.OUTSIDE


@BOTH
def test_everybody_who_asks_at_once_gets_the_answer_of_his_own_user(store: ScoreStore) -> None:
    names = ["ada", "bert", "emil", "nobody", "chen", "dalia", "a\0b"] * 40

    async def together() -> list[object]:
        return list(await asyncio.gather(*(score_asked(store, name) for name in names)))

    assert [_told(answer) for answer in asyncio.run(together())] == [_told(store.score(name)) for name in names]


@BOTH
def test_who_waits_together_is_refused_together(store: ScoreStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_user_ids: list[str]) -> None:
        _locked()

    monkeypatch.setattr(store, "lookup", fails)

    async def together() -> list[object]:
        return list(await asyncio.gather(*(score_asked(store, "ada") for _ in range(5)), return_exceptions=True))

    found = asyncio.run(together())
    assert [type(one) for one in found] == [RefusedError] * 5


def _told(answer: object) -> object:
    return (answer.user_id, answer.churn_probability) if isinstance(answer, StoredScore) else answer
