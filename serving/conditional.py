"""Conditional requests (RFC 9110, section 13): a client that has the current run's answer is told so without a body."""

from email.utils import format_datetime
from functools import lru_cache

from fastapi import Request, Response

from serving.store import Run

RawHeaders = list[tuple[bytes, bytes]]


@lru_cache(maxsize=64)  # runs are compared by identity
def validators(run: Run, language: str | None) -> RawHeaders:
    """The headers by which a client recognises an answer of a run: a run never changes once it is served."""
    etag = f'"{run.run_id}-{language or run.facts.language}"'
    scored = format_datetime(run.scored_at.replace(microsecond=0), usegmt=True)
    return [(b"etag", etag.encode()), (b"last-modified", scored.encode())]


def not_modified(request: Request, headers: RawHeaders) -> Response | None:
    """The answer 304 when the client has this one already, by `If-None-Match`; None when it does not."""
    asked = dict(request.scope["headers"]).get(b"if-none-match")
    if asked is None:
        return None
    tags = [tag.strip().removeprefix(b"W/") for tag in asked.split(b",")]
    if b"*" not in tags and dict(headers)[b"etag"] not in tags:
        return None
    response = Response(status_code=304, headers={"cache-control": "private, no-cache"})
    response.raw_headers += headers
    return response
