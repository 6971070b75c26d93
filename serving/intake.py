"""Bodies of requests: of a kind that the address takes, in time, and never longer than allowed, packed or not."""

import asyncio
from collections.abc import AsyncIterator

from starlette.types import Message, Receive, Scope

from serving.encodings import unpacker_of
from serving.refusals import RefusedError
from serving.rules import JSON, Rule
from serving.settings import ServiceSettings

Headers = dict[bytes, bytes]


def has_body(scope: Scope, headers: Headers) -> bool:
    """Whether there may be a body to read; raises `RefusedError` for one where none can mean anything."""
    if scope["method"] not in ("GET", "HEAD"):
        return True
    if is_sent(headers):
        raise RefusedError("bad_request", "a GET takes no body; what is asked goes into the address.")
    return False


def is_sent(headers: Headers) -> bool:
    """Whether a body comes with a request."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def whole(receive: Receive, headers: Headers, *, rule: Rule, settings: ServiceSettings) -> bytes:
    """The whole body, unpacked; raises `RefusedError` when it is too long, too slow, broken, or of another kind."""
    most, seconds = settings.max_body_bytes, settings.body_timeout_seconds
    try:
        async with asyncio.timeout(seconds):
            return b"".join([piece async for piece in _checked(receive, headers, rule=rule, most=most)])
    except TimeoutError:
        raise RefusedError(
            "body_timeout", f"the body did not arrive within {seconds:g} seconds; send it in one go."
        ) from None


def streamed(receive: Receive, headers: Headers, *, rule: Rule, settings: ServiceSettings) -> Receive:
    """The body for the application to read as it arrives, under the same conditions but for its length."""
    most, seconds = settings.max_upload_bytes, settings.body_timeout_seconds
    pieces = _checked(receive, headers, rule=rule, most=most)
    ended = False

    async def received() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        try:
            async with asyncio.timeout(seconds):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise RefusedError(
                "body_timeout", f"nothing of the body arrived for {seconds:g} seconds; send it in one go."
            ) from None
        ended = piece is None
        return {"type": "http.request", "body": piece or b"", "more_body": not ended}

    return received


def again(body: bytes, receive: Receive) -> Receive:
    """A body that has been read, for the application to read."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed


async def _checked(receive: Receive, headers: Headers, *, rule: Rule, most: int) -> AsyncIterator[bytes]:
    """The body unpacked, piece by piece; refused as soon as it has grown too long, whatever its headers said."""
    _check_kind(headers, rule=rule)
    _check_declared_length(headers, most=most)
    unpacker = unpacker_of(headers.get(b"content-encoding"))
    packed_size = size = 0
    async for packed in _arriving(receive):
        packed_size += len(packed)
        if packed_size > most:
            raise _too_long(most)
        for piece in [packed] if unpacker is None else unpacker.pieces(packed):
            size += len(piece)
            if size > most:
                raise _too_long(most)
            yield piece
    if unpacker is not None and packed_size:
        unpacker.finish()


async def _arriving(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError("bad_request", "the connection was closed before the body was complete.")
        yield message.get("body", b"")
        more = message.get("more_body", False)


def _check_kind(headers: Headers, *, rule: Rule) -> None:
    empty = headers.get(b"content-length", b"0") == b"0" and b"transfer-encoding" not in headers
    if empty:  # of no kind
        return
    kind, _, parameters = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    charset = parameters.strip().removeprefix("charset=").strip('"') if kind.strip() == JSON else ""
    if kind.strip() not in rule.takes or charset not in ("", "utf-8", "utf8"):
        expected = " or ".join(rule.takes)
        raise RefusedError("unsupported_media_type", f"expected the header 'Content-Type: {expected}' and UTF-8.")


def _check_declared_length(headers: Headers, *, most: int) -> None:
    declared = headers.get(b"content-length", b"0")
    if not declared.isdigit():
        raise RefusedError("bad_request", "the header Content-Length is not a number.")
    if len(declared) > len(str(most)) or int(declared) > most:
        raise _too_long(most)


def _too_long(most: int) -> RefusedError:
    return RefusedError(
        "body_too_large", f"the body has more than {most:,} bytes, unpacked; send less at a time, such as fewer ids."
    )
