"""What every request passes before the application sees it: an id, its rule, a key, a capped body, a line in the log.

Pure ASGI, so that nothing is parsed for a caller who may not ask, and so that it costs little.
"""

import asyncio
import re
import secrets
import sys
import time
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.auth import Keyring, require_scope
from serving.problems import MESSAGES, problem_of, unforeseen
from serving.refusals import RefusedError
from serving.rules import RouteMatrix, Rule
from serving.settings import ServiceSettings
from serving.store import ScoreStore

_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.-]{1,64}")


class Door:
    """Refuses what must not go further, and whatever has no rule.

    The rest reaches the application with `state.request_id`, and where the address needs a key also with `state.key`
    and `state.store`: the store as the key's tenant sees it, the only one that such a route may use.
    """

    def __init__(
        self, app: ASGIApp, *, matrix: RouteMatrix, store: ScoreStore, keyring: Keyring, settings: ServiceSettings
    ) -> None:
        self._app = app
        self._matrix = matrix
        self._store = store
        self._keyring = keyring
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        visit = _Visit(send, request_id=_request_id(headers))
        # A dictionary of its own: a server may hand the same one to all requests.
        scope["state"] = {**scope.get("state", {}), "request_id": visit.request_id}
        try:
            await self._app(scope, await self._admit(scope, headers, receive), visit.send)
        except Exception as error:  # noqa: BLE001 (known errors become problems; others go on to the server's log)
            await _refuse(error, scope, receive, visit)
        finally:
            if self._settings.access_log:
                sys.stderr.write(visit.line(scope))  # not through logging, which costs a tenth of a request

    async def _admit(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        found = self._matrix.find(scope["method"], scope["path"])
        rule = None if found is None else found[1]
        if rule is None or rule.scope is not None:
            await self._identify(scope, headers, rule)
        if rule is None:
            raise self._nothing_here(scope)
        if (
            b"content-length" not in headers
            and b"transfer-encoding" not in headers
            and scope["method"] in ("GET", "HEAD")
        ):
            return receive
        return await self._whole_body(scope, headers, receive)

    async def _identify(self, scope: Scope, headers: dict[bytes, bytes], rule: Rule | None) -> None:
        authorization = headers.get(b"authorization")
        text = None if authorization is None else authorization.decode("latin-1")
        key = await self._keyring.key_of(text, now=datetime.now(UTC), tick=time.monotonic())
        if rule is not None and rule.scope is not None:
            require_scope(key, rule.scope)
        scope["state"]["key"] = key
        scope["state"]["store"] = self._store.of(key.tenant)

    def _nothing_here(self, scope: Scope) -> RefusedError:
        methods = self._matrix.methods(scope["path"])
        if methods:
            return RefusedError("method_not_allowed", MESSAGES["method_not_allowed"], {"allow": ", ".join(methods)})
        return RefusedError("route_unknown", MESSAGES["route_unknown"])

    async def _whole_body(self, scope: Scope, headers: dict[bytes, bytes], receive: Receive) -> Receive:
        _check_kind(scope, headers)
        most = self._settings.max_body_bytes
        _check_declared_length(headers, most=most)
        try:
            async with asyncio.timeout(self._settings.body_timeout_seconds):
                body = await _read(receive, most=most)
        except TimeoutError:
            seconds = self._settings.body_timeout_seconds
            raise RefusedError(
                "body_timeout", f"the body did not arrive within {seconds:g} seconds; send it in one go."
            ) from None
        return _replay(body, receive)


class _Visit:
    """One request on its way out: adds the id to the response, and remembers what the log wants to know."""

    def __init__(self, send: Send, *, request_id: str) -> None:
        self.request_id = request_id
        self._send = send
        self._started = time.perf_counter()
        self.status = 0  # until the response has begun
        self._bytes = 0

    async def send(self, message: Message) -> None:
        """Pass a message of the response on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), (b"x-request-id", self.request_id.encode())]
        elif message["type"] == "http.response.body":
            self._bytes += len(message.get("body", b""))
        await self._send(message)

    def line(self, scope: Scope) -> str:
        """One line: the route's pattern instead of the path, because a path holds a user's id; never the key."""
        route: Any = scope.get("route")  # Any: whatever the router put there
        milliseconds = (time.perf_counter() - self._started) * 1000
        return (
            f"time={datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ} level=INFO event=request method={scope['method']} "
            f"route={getattr(route, 'path_format', '-')} status={self.status} ms={milliseconds:.2f} "
            f"bytes={self._bytes} request_id={self.request_id}\n"
        )


def _request_id(headers: dict[bytes, bytes]) -> str:
    given = headers.get(b"x-request-id", b"")
    return given.decode() if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


async def _refuse(error: Exception, scope: Scope, receive: Receive, visit: _Visit) -> None:
    response = problem_of(error)
    if visit.status == 0:
        await (response or unforeseen())(scope, receive, visit.send)
    if response is None:
        raise error


def _check_kind(scope: Scope, headers: dict[bytes, bytes]) -> None:
    if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
        raise RefusedError("unsupported_media_type", "compressed bodies are not taken; send the body as it is.")
    empty = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
    if scope["method"] != "POST" or empty:  # of no kind; an address that takes no POST is better named so
        return
    kind, _, parameters = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"')
    if kind.strip() != "application/json" or charset not in ("", "utf-8", "utf8"):
        raise RefusedError("unsupported_media_type", "expected the header 'Content-Type: application/json' and UTF-8.")


def _check_declared_length(headers: dict[bytes, bytes], *, most: int) -> None:
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit():
        raise RefusedError("bad_request", "the header Content-Length is not a number of bytes.")
    if int(declared[:20]) > most:
        raise RefusedError(
            "body_too_large",
            f"the body has {declared[:20].decode()} bytes; at most {most} are taken. Send fewer ids at a time.",
        )


async def _read(receive: Receive, *, most: int) -> bytes:
    """The whole body; refused as soon as it has grown too large, whatever its headers said."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError("bad_request", "the connection was closed before the body was complete.")
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > most:
            raise RefusedError("body_too_large", f"the body has more than {most} bytes; send fewer ids at a time.")
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
