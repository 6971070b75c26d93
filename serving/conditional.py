"""Conditional requests (RFC 9110, section 13): a client that has the current run's answer is told so without a body."""

from email.utils import format_datetime
from functools import lru_cache

from fastapi import Request, Response

from serving.store import Run


@lru_cache(maxsize=64)  # runs are compared by identity
def validators(run: Run, language: str | None) -> dict[str, str]:
    """The headers by which a client recognises an answer of a run: a run never changes once it is served."""
    etag = f'"{run.run_id}-{language or run.facts.language}"'
    return {"etag": etag, "last-modified": format_datetime(run.scored_at.replace(microsecond=0), usegmt=True)}


def not_modified(request: Request, headers: dict[str, str]) -> Response | None:
    """The answer 304 when the client has this one already, by `If-None-Match`; None when it does not."""
    asked = request.headers.get("if-none-match")
    if asked is None:
        return None
    tags = [tag.strip().removeprefix("W/") for tag in asked.split(",")]
    same = "*" in tags or headers["etag"] in tags
    return Response(status_code=304, headers={**headers, "cache-control": "private, no-cache"}) if same else None
