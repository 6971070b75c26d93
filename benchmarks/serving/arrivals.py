"""Requests that arrive by the clock, whatever is answered: a client as light as asyncio allows, for one address.

A client that waits for answers before it asks again can never ask for more than there is.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_RETRY = re.compile(rb"\r\nretry-after: *\d+", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_TIMEOUT_SECONDS = 30.0
BROKEN = 0  # the status of a request without an answer


@dataclass(frozen=True, slots=True)
class Answer:
    """One request and its end."""

    at: float  # when it was asked, by a monotonic clock
    seconds: float
    status: int
    says_when: bool  # whether it has Retry-After


@dataclass(slots=True)
class Clients:
    """Clients of one server; each request takes a free connection, or opens one."""

    port: int
    requests: Sequence[bytes]  # asked in turns
    _free: list["_Connection"] = field(default_factory=list)
    opened: int = 0

    async def ask(self, *, rate: float, seconds: float) -> list[Answer]:
        """What became of so many requests a second; returns when the last of them has ended."""
        heard, under_way, asked = list[Answer](), set[asyncio.Task[None]](), 0
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            while asked < (now - began) * rate:
                task = asyncio.create_task(self._ask(self.requests[asked % len(self.requests)], heard))
                under_way.add(task)
                task.add_done_callback(under_way.discard)
                asked += 1
            await asyncio.sleep(0.002)
        await asyncio.gather(*under_way)
        return heard

    def close(self) -> None:
        """Close all connections."""
        while self._free:
            self._free.pop().close()

    async def _ask(self, request: bytes, heard: list[Answer]) -> None:
        began = time.monotonic()
        head = b""
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                connection = self._idle() or await self._open()
                head = await connection.ask(request)
        except (OSError, TimeoutError):
            pass
        else:
            if _CLOSES.search(head):
                connection.close()  # as who refuses a body without reading it must
            elif not connection.ended:
                self._free.append(connection)
        status = _STATUS.match(head)
        found = BROKEN if status is None else int(status[1])
        heard.append(Answer(began, time.monotonic() - began, found, _RETRY.search(head) is not None))

    def _idle(self) -> "_Connection | None":
        """A connection that is still open; services close those that were idle for long."""
        while self._free:
            connection = self._free.pop()
            if not connection.ended:
                return connection
        return None

    async def _open(self) -> "_Connection":
        self.opened += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, "127.0.0.1", self.port)
        return connection


def request(method: str, path: str, *, headers: Mapping[str, str], body: str = "") -> bytes:
    """A request as it goes over the wire.

    >>> request("GET", "/livez", headers={}).splitlines()
    [b'GET /livez HTTP/1.1', b'host: 127.0.0.1', b'content-length: 0', b'']
    """
    content = body.encode()
    told = {"host": "127.0.0.1", **headers, "content-length": str(len(content))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + content


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.ended = False
        self._transport: asyncio.Transport | None = None
        self._head: asyncio.Future[bytes] | None = None
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or length is None or len(body) < int(length[1]):
            return
        self._received = b""
        if self._head is not None and not self._head.done():
            self._head.set_result(head)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        if self._head is not None and not self._head.done():
            self._head.set_exception(exc or ConnectionResetError("closed before it answered"))

    async def ask(self, request: bytes) -> bytes:
        """The head of the answer, when all of it is there."""
        if self._transport is None or self.ended:
            raise ConnectionResetError("closed while it was idle")
        self._head = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._head

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
