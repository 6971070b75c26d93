"""One request on its way out: its headers, its body packed where that pays, and what the log wants to know."""

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache

import orjson
from starlette.types import Message, Receive, Scope, Send

from serving.encodings import PACKED_IN_THE_LOOP, SMALLEST_PACKED, Packer, may_be_packed, wanted_encoding
from serving.logs import LogFormat

RawHeaders = list[tuple[bytes, bytes]]


class Visit:
    """Passes a response on; `headers` may be added to until it begins."""

    def __init__(self, send: Send, *, request_id: str, accept_encoding: bytes | None) -> None:
        self.request_id = request_id
        self.route = "-"  # the pattern: a path holds a user's id
        self.noted = False  # whether the audit wants to know of it
        self.headers: RawHeaders = [(b"x-request-id", request_id.encode())]
        self.status = 0  # until the response has begun
        self.unread = False  # whether more of the request's body is on its way
        self._send = send
        self._accept_encoding = accept_encoding
        self._started = time.perf_counter()
        self._bytes = 0
        self._packer: Packer | None = None
        self._held: Message | None = None  # the beginning of a response that is packed

    def watching(self, receive: Receive) -> Receive:
        """The request's body, watched: a response before its end is the last one of the connection."""
        self.unread = True

        async def watched() -> Message:
            message = await receive()
            self.unread = bool(message.get("more_body", False))
            return message

        return watched

    async def send(self, message: Message) -> None:
        """Pass a message of the response on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._begin(message)
            if self._packer is not None:
                self._held = message
                return
        elif message["type"] == "http.response.body" and self._packer is not None:
            message = await self._packed(message)
        if message["type"] == "http.response.body":
            self._bytes += len(message.get("body", b""))
        await self._send(message)

    @property
    def seconds(self) -> float:
        """How long it has taken until now."""
        return time.perf_counter() - self._started

    def line(self, scope: Scope, *, log_format: LogFormat) -> str:
        """One line: the route's pattern instead of the path, because a path holds a user's id; never the key."""
        now, milliseconds = _instant(time.time_ns()), self.seconds * 1000
        if log_format == "json":
            fields = {
                "time": now,
                "level": "INFO",
                "event": "request",
                "method": scope["method"],
                "route": self.route,
                "status": self.status,
                "ms": round(milliseconds, 2),
                "bytes": self._bytes,
                "request_id": self.request_id,
            }
            return orjson.dumps(fields).decode() + "\n"
        return (
            f"time={now} level=INFO event=request method={scope['method']} "
            f"route={self.route} status={self.status} ms={milliseconds:.2f} "
            f"bytes={self._bytes} request_id={self.request_id}\n"
        )

    def _begin(self, message: Message) -> None:
        headers: RawHeaders = [*message.get("headers", ()), *self.headers]
        if self.unread and all(name != b"connection" for name, _ in headers):
            headers.append((b"connection", b"close"))  # nobody reads the rest: it must not be taken for a request
        message["headers"] = headers
        if not _pays(headers):
            return
        found = wanted_encoding(self._accept_encoding)
        message["headers"] = _for_packing(headers, found)
        if found is not None:
            self._packer = Packer(found)

    async def _packed(self, message: Message) -> Message:
        """The message packed; the first one of a response sends its beginning before it."""
        body, more = message.get("body", b""), message.get("more_body", False)
        packer = self._packer
        if packer is None:
            return message
        if len(body) > PACKED_IN_THE_LOOP:
            packed = await asyncio.to_thread(packer.pack, body, last=not more)
        else:
            packed = packer.pack(body, last=not more)
        if self._held is not None:
            if not more:
                self._held["headers"].append((b"content-length", str(len(packed)).encode()))
            await self._send(self._held)
            self._held = None
        return {**message, "body": packed}


def _instant(nanoseconds: int) -> str:
    """An instant of the system's clock in ISO 8601, to the microsecond."""
    seconds, microseconds = divmod(nanoseconds // 1000, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06}Z"


@lru_cache(maxsize=4)  # writing a date takes longer than the rest of a line
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _pays(headers: RawHeaders) -> bool:
    """Whether a body is worth packing: long enough or of unknown length, of a kind that shrinks, not packed yet."""
    length, kind = SMALLEST_PACKED, b""
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"content-type":
            kind = value
        elif name == b"content-encoding":
            return False
    return length >= SMALLEST_PACKED and may_be_packed(kind.decode("latin-1"))


def _for_packing(headers: RawHeaders, encoding: str | None) -> RawHeaders:
    """The headers of a response that is packed for whoever asks; an ETag then stands for several bodies: a weak one."""
    given = dict(headers)
    vary = b", ".join(filter(None, (given.get(b"vary"), b"accept-encoding")))
    kept = [(name, value) for name, value in headers if name != b"vary"] + [(b"vary", vary)]
    if encoding is None:
        return kept
    changed = [
        (name, b"W/" + value if name == b"etag" and not value.startswith(b"W/") else value)
        for name, value in kept
        if name != b"content-length"
    ]
    return [*changed, (b"content-encoding", encoding.encode())]
