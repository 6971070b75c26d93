"""Questions for one user's score that arrive while others are being answered go to the store as one.

A statement costs more than a row of its answer, and so does a round trip, or the turn that SQLite offers the other
threads at each step. Under load the store is asked for dozens of users at once and answers several times as many of
them; a single question still goes at once, alone.
"""

import asyncio
from weakref import WeakKeyDictionary

from serving.asking import asked
from serving.store import Absence, ScoreStore, StoredScore

_MOST_TOGETHER = 100  # users; more would make the first of them wait for the last

Answer = StoredScore | Absence


async def score_asked(store: ScoreStore, user_id: str) -> Answer:
    """What `store.score(user_id)` returns, asked alone or together with other users'."""
    gathering = _gatherings.get(store)
    if gathering is None:
        gathering = _gatherings[store] = _Gathering()
    return await gathering.score(store, user_id)


class _Gathering:
    """The users of one tenant who wait to be asked about."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, asyncio.Future[Answer]]] = []
        # One question at a time: a second would only take turns with the first, in smaller steps.
        self._asking: asyncio.Task[None] | None = None

    async def score(self, store: ScoreStore, user_id: str) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((user_id, answer))
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask(store))
        return await answer

    async def _ask(self, store: ScoreStore) -> None:
        try:
            await self._ask_for_all(store)
        finally:
            self._asking = None

    async def _ask_for_all(self, store: ScoreStore) -> None:
        while self._waiting:
            asked_now, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
            try:
                answers = await _answers(store, [user_id for user_id, _ in asked_now])
            except Exception as error:  # noqa: BLE001 (raised where each of them waits)
                for _, answer in asked_now:
                    if not answer.done():
                        answer.set_exception(error)
            else:
                for (_, answer), told in zip(asked_now, answers, strict=True):
                    if not answer.done():  # who waited may have gone
                        answer.set_result(told)


async def _answers(store: ScoreStore, user_ids: list[str]) -> list[Answer]:
    if len(user_ids) == 1:
        return [await asked(store, store.score, user_ids[0])]
    return (await asked(store, store.lookup, user_ids)).answers


_gatherings: WeakKeyDictionary[ScoreStore, _Gathering] = WeakKeyDictionary()
