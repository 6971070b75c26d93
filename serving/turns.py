"""How many computations of a worker may wait for their turn: they have one processor, and one after the other.

More would be answered after their callers have gone. Who finds too many before him is refused at once, and comes again
when Retry-After says.
"""

import asyncio

from serving.problems import MESSAGES
from serving.refusals import RefusedError

MOST_WAITING = 100  # of a millisecond or two each: a tenth of a second or two


class Turns:
    """The computations that wait or are under way: `async with turns` holds a turn.

    Entering raises `RefusedError` (`overloaded`) when too many are before it.
    """

    def __init__(self) -> None:
        self._waiting = 0

    async def __aenter__(self) -> None:
        if self._waiting >= MOST_WAITING:
            raise RefusedError("overloaded", MESSAGES["overloaded"])
        self._waiting += 1
        try:
            await asyncio.sleep(0)  # all who have just arrived are counted, or refused, before the first computes
        except BaseException:
            self._waiting -= 1
            raise

    async def __aexit__(self, *_: object) -> None:
        self._waiting -= 1
