"""Lines of requests: written when a turn of the event loop is over, and never at a request's cost."""

import asyncio
import sys

import pytest

from serving.logs import LinesOfATurn


class Stream:
    """Remembers what was written at once."""

    def __init__(self, *, full: bool = False) -> None:
        self.written: list[str] = []
        self.full = full

    def write(self, text: str) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.written.append(text)


async def tell(lines: LinesOfATurn, *turns: tuple[str, ...]) -> None:
    for told in turns:
        for line in told:
            lines.add(line)
        await asyncio.sleep(0)


def test_the_lines_of_a_turn_are_written_at_once_and_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := Stream())
    asyncio.run(tell(LinesOfATurn(), ("a\n", "b\n"), ("c\n",)))
    assert stream.written == ["a\nb\n", "c\n"]


def test_a_full_disk_under_the_log_costs_the_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream := Stream(full=True))
    lines = LinesOfATurn()
    faults: list[object] = []

    async def told() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, context: faults.append(context))
        await tell(lines, ("lost\n",))
        stream.full = False
        await tell(lines, ("kept\n",))

    asyncio.run(told())
    assert (stream.written, faults) == (["kept\n"], [])
