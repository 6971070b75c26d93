"""Idempotency-Key: a request that changes something has its effect once, however often it is sent.

As in draft-ietf-httpapi-idempotency-key-header: the first request with a key is served and its answer kept before it
is sent; the same request again gets that answer, byte for byte. Only success is kept: a request that was refused or
failed has changed nothing, and may be sent again with the same key.
"""

import asyncio
import hashlib
import logging
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.asking import asked_at_length
from serving.refusals import RefusedError
from serving.store import ScoreStore
from serving.store.replays import Attempt, Kept

HELD_SECONDS = 60  # a request that has not been heard of for so long was in a process that is gone
LONGEST_KEY = 255
_KEY = re.compile(rb'"([\x21\x23-\x5b\x5d-\x7e]+)"|([\x21\x23-\x5b\x5d-\x7e]+)')
_MICROSECONDS = 1_000_000
_log = logging.getLogger("holdfast.service")


class Idempotency:
    """Serves requests that carry a key; `keep_hours` is how long an answer is kept."""

    def __init__(self, app: ASGIApp, *, keep_hours: float) -> None:
        self._app = app
        self._keep_seconds = keep_hours * 3600

    async def serve(
        self, scope: Scope, receive: Receive, send: Send, *, header: bytes, route: str, body: bytes | None
    ) -> None:
        """Serve a request once; `body` is None where the application is to read it as it arrives.

        Raises `RefusedError` when the key is no key, was sent with another request, or that one is still under way.
        """
        store: ScoreStore = scope["state"]["store"]
        digest = _digest_of(scope)
        if body is not None:
            digest.update(body)
        fingerprint = None if body is None else digest.hexdigest()
        attempt = Attempt(store.tenant, _key(header), route, secrets.token_hex(16), fingerprint)
        hashing = _Hashing(receive, digest if body is None else None)
        kept = await self._claim(store, attempt)
        if kept is not None:
            _check_same_route(kept, attempt)
            if kept.status is not None:
                await hashing.drain()
            _check_same(kept, digest.hexdigest() if kept.status is not None or body is not None else None)
            await _send_again(kept, send)
            return
        await self._first(store, attempt, scope, hashing, send)

    async def _first(self, store: ScoreStore, attempt: Attempt, scope: Scope, hashing: "_Hashing", send: Send) -> None:
        answer = _Answer(send, keep=lambda: self._keep(store, attempt, answer, hashing))
        async with _held(store, attempt):
            try:
                await self._app(scope, hashing.receive, answer.send)
            finally:
                if not answer.done:
                    await asked_at_length(store, store.give_up_replay, attempt)

    async def _claim(self, store: ScoreStore, attempt: Attempt) -> Kept | None:
        now = int(time.time() * _MICROSECONDS)
        expires_at = now + int(self._keep_seconds * _MICROSECONDS)
        return await asked_at_length(
            store, store.claim_replay, attempt, now=now, held_until=_soon(), expires_at=expires_at
        )

    async def _keep(self, store: ScoreStore, attempt: Attempt, answer: "_Answer", hashing: "_Hashing") -> None:
        if hashing.digest is not None:
            await hashing.drain()
            attempt = replace(attempt, fingerprint=hashing.digest.hexdigest())
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in answer.headers]
        try:
            await asked_at_length(
                store, store.keep_replay, attempt, status=answer.status, headers=headers, body=bytes(answer.body)
            )
        except RefusedError:  # what was asked for is done, and that is what has to be said
            _log.error("event=answer_not_kept route=%r", attempt.route)


class _Answer:
    """A response that is held back until it is complete and has been kept."""

    def __init__(self, send: Send, *, keep: Callable[[], Awaitable[None]]) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.done = False  # whether something has been changed
        self._send = send
        self._keep = keep

    async def send(self, message: Message) -> None:
        """Take a message of the response."""
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message.get("headers", ()))
            self.body.clear()
            return
        self.body += message.get("body", b"")
        if message.get("more_body", False):
            return
        if self.status < HTTPStatus.BAD_REQUEST:
            self.done = True
            await self._keep()
        await self._send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await self._send({"type": "http.response.body", "body": bytes(self.body)})


class _Hashing:
    """A body that is hashed while it is read; without a digest it has been hashed already."""

    def __init__(self, receive: Receive, digest: "hashlib._Hash | None") -> None:
        self.digest = digest
        self._receive = receive
        self._more = True

    async def receive(self) -> Message:
        """The next message."""
        message = await self._receive()
        if self.digest is not None and message["type"] == "http.request":
            self.digest.update(message.get("body", b""))
            self._more = message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Read what nobody has read."""
        while self.digest is not None and self._more:
            if (await self.receive())["type"] == "http.disconnect":
                raise RefusedError("bad_request", "the connection was closed before the body was complete.")


@asynccontextmanager
async def _held(store: ScoreStore, attempt: Attempt) -> AsyncIterator[None]:
    """Says now and then that the request is still being served."""

    async def hold() -> None:
        while True:
            await asyncio.sleep(HELD_SECONDS / 3)
            await asked_at_length(store, store.hold_replay, attempt, until=_soon())

    holding = asyncio.create_task(hold())
    try:
        yield
    finally:
        holding.cancel()


def _soon() -> int:
    return int((time.time() + HELD_SECONDS) * _MICROSECONDS)


def _key(header: bytes) -> str:
    """The key: a string as in RFC 9651, or the bare text that most clients send."""
    found = _KEY.fullmatch(header.strip())
    text = (found[1] or found[2]).decode() if found else ""
    if not 1 <= len(text) <= LONGEST_KEY:
        raise RefusedError(
            "idempotency_key_invalid",
            f"the header Idempotency-Key holds no key; expected 1 to {LONGEST_KEY} visible ASCII characters, such as a "
            "UUID.",
        )
    return text


def _digest_of(scope: Scope) -> "hashlib._Hash":
    kind = dict(scope["headers"]).get(b"content-type", b"")
    digest = hashlib.sha256()
    for part in (scope["method"].encode(), scope["path"].encode("utf-8", "replace"), scope["query_string"], kind):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest


def _check_same_route(kept: Kept, attempt: Attempt) -> None:
    if kept.route != attempt.route:
        raise _reused()


def _check_same(kept: Kept, fingerprint: str | None) -> None:
    if fingerprint is not None and kept.fingerprint is not None and kept.fingerprint != fingerprint:
        raise _reused()
    if kept.status is None:
        raise RefusedError(
            "idempotency_in_progress",
            "the first request with this Idempotency-Key is still being answered; send it again in a moment.",
        )


def _reused() -> RefusedError:
    return RefusedError(
        "idempotency_key_reused",
        "this Idempotency-Key was sent with another request; make a new key for every new request.",
    )


async def _send_again(kept: Kept, send: Send) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept.headers]
    headers.append((b"idempotent-replayed", b"true"))
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": kept.body})
