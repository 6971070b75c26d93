"""When to ask again, and how long to wait before: full jitter, and never sooner than the service says."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx
import msgspec

from serving.client.errors import NOT_SCORED, HoldfastError, NoAnswer, NotScored, Refused

WORTH_REPEATING = frozenset({429, 502, 503, 504})
_IN_PROGRESS = "idempotency_in_progress"  # the first of two equal requests is still under way


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long a client tries; `tries=1` asks once."""

    tries: int = 5
    first_seconds: float = 0.25  # at most, before the second try; doubled for each one after
    longest_seconds: float = 8.0  # at most, before any try
    seconds: float = 30.0  # to wait in all; where more would be needed the error is raised at once

    def wait(self, error: HoldfastError, *, repeatable: bool, tried: int, waited: float) -> float | None:
        """Seconds to wait before the next try, none when there is to be none; `tried` counts from 1."""
        temporary = error.status in WORTH_REPEATING or error.status is None or error.code == _IN_PROGRESS
        if not (temporary and repeatable and tried < self.tries):
            return None
        most = min(self.longest_seconds, self.first_seconds * 2 ** (tried - 1))
        jitter = random.uniform(0, most)  # noqa: S311 - only to spread clients
        delay = (error.retry_after or 0.0) + jitter
        return delay if waited + delay <= self.seconds else None


def failure_of(response: httpx.Response) -> HoldfastError | None:
    """The error that a response is; none for a success."""
    if response.is_success:
        return None
    request_id, retry_after = response.headers.get("x-request-id"), _retry_after(response.headers)
    status = response.status_code
    told = _problem(response.content)
    if told is None:
        return NoAnswer(
            "not_ours",
            f"something other than the service answered with status {status}",
            status=status,
            request_id=request_id,
            retry_after=retry_after,
        )
    kind = NotScored if told.code in NOT_SCORED else Refused
    return kind(
        told.code, told.message, status=status, request_id=request_id, retry_after=retry_after, errors=told.errors or ()
    )


def silence_of(error: httpx.TransportError) -> NoAnswer:
    """The error that no response is."""
    return NoAnswer("no_answer", f"the service did not answer ({type(error).__name__}): {error}")


class _Problem(msgspec.Struct):
    code: str
    message: str
    errors: list[dict[str, str]] | None = None


def _problem(body: bytes) -> _Problem | None:
    try:
        return msgspec.json.decode(body, type=_Problem)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds; the header holds a number of them or a date."""
    text = headers.get("retry-after", "")
    if text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
