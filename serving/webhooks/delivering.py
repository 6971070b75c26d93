"""Delivering what is due: each message by one deliverer at a time, tried for three days, then dead."""

import http.client
import logging
import random
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import orjson

from features.windows import iso, shift, to_microseconds
from serving.store.database import Database
from serving.store.outbox import Delivery, Outbox, Webhook, make_bodies
from serving.webhooks.addresses import (
    ForbiddenAddressError,
    Resolve,
    Rules,
    UnknownHostError,
    checked_addresses,
    resolved,
    target_of,
)
from serving.webhooks.sending import post
from serving.webhooks.signing import signed_headers

THREADS = 4
FIRST_WAIT_SECONDS = 10.0
WAITS_GROW_BY = 4.0
LONGEST_WAIT_SECONDS = 6 * 3600.0
_SPREAD = (0.75, 1.25)  # a wait is multiplied by a number between these
_log = logging.getLogger("holdfast.service")


@dataclass(frozen=True, slots=True)
class How:
    """How messages are sent."""

    rules: Rules = Rules()  # noqa: RUF009 - frozen
    seconds: float = 10.0  # for a message in all
    resolve: Resolve = resolved
    context: ssl.SSLContext | None = None  # whom to trust; none: whom the system does


@dataclass(slots=True)
class Delivered:
    """What a pass did."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, outcome: str) -> None:
        """One more of `delivered`, `failed` or `dead`."""
        with self._lock:
            setattr(self, outcome, getattr(self, outcome) + 1)


@dataclass(frozen=True, slots=True)
class _Failure:
    status: int | None
    error: str
    retry_after: float = 0.0  # seconds


def deliver_due(database: Database, how: How, *, clock: Callable[[], datetime]) -> Delivered:
    """Send everything that is due now, once; a webhook that fails is left alone until the next pass."""
    outbox, done, resting = Outbox(database), Delivered(), set[str]()
    make_bodies(database, now=clock())

    def work() -> None:
        holder = secrets.token_hex(16)
        for webhook, delivery in _claimed(outbox, how, holder=holder, clock=clock, resting=resting):
            outcome = _deliver(outbox, webhook, delivery, how, holder=holder, clock=clock)
            done.count(outcome)
            if outcome != "delivered":
                resting.add(webhook.webhook_id)

    with ThreadPoolExecutor(THREADS, "webhooks") as threads:
        for worker in [threads.submit(work) for _ in range(THREADS)]:
            worker.result()
    outbox.tidy(now=clock())
    return done


def deliver_one(database: Database, message_id: str, how: How, *, clock: Callable[[], datetime]) -> str:
    """What came of sending one message now: `delivered`, `failed` or `dead`; `held` while somebody else sends it."""
    outbox, holder = Outbox(database), secrets.token_hex(16)
    found = outbox.claim(holder=holder, now=clock(), held=_held(how), only=message_id)
    return "held" if found is None else _deliver(outbox, *found, how, holder=holder, clock=clock)


def wait_before(attempt: int) -> float:
    """Seconds before the next attempt, after so many that failed: longer each time, and spread."""
    most = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * WAITS_GROW_BY ** (attempt - 1))
    return most * random.uniform(*_SPREAD)  # noqa: S311 - only to spread receivers' load


def _claimed(
    outbox: Outbox, how: How, *, holder: str, clock: Callable[[], datetime], resting: set[str]
) -> Iterator[tuple[Webhook, Delivery]]:
    while found := outbox.claim(holder=holder, now=clock(), held=_held(how), but=tuple(resting)):
        yield found


def _held(how: How) -> timedelta:
    """For longer than sending can take: then whoever holds it is dead."""
    return timedelta(seconds=6 * how.seconds + 30)


def _deliver(
    outbox: Outbox, webhook: Webhook, delivery: Delivery, how: How, *, holder: str, clock: Callable[[], datetime]
) -> str:
    found = _sent(webhook, delivery, how, now=clock())
    now, names = clock(), (delivery.message_id, delivery.event, webhook.webhook_id, delivery.attempts + 1)
    if isinstance(found, int):
        outbox.delivered(delivery.message_id, holder=holder, status=found, now=now)
        _log.info("event=webhook_delivered message=%s kind=%s webhook=%s attempt=%d status=%d", *names, found)
        return "delivered"
    wait = max(wait_before(delivery.attempts + 1), found.retry_after)
    again = shift(now, timedelta(seconds=wait))
    dead = found.status == HTTPStatus.GONE or again > delivery.give_up_at
    outbox.failed(
        delivery.message_id,
        holder=holder,
        status=found.status,
        error=found.error,
        again_at=None if dead else again,
        now=now,
    )
    if found.status == HTTPStatus.GONE:
        outbox.gone(webhook.webhook_id, now=now)
    _log.warning("event=webhook_failed message=%s kind=%s webhook=%s attempt=%d error=%r", *names, found.error)
    return "dead" if dead else "failed"


def _sent(webhook: Webhook, delivery: Delivery, how: How, *, now: datetime) -> int | _Failure:
    """The status of a success, or what went wrong; never with anything that the receiver wrote."""
    body = (delivery.body or "").encode()
    headers = signed_headers(delivery.message_id, body, at=to_microseconds(now) // 1_000_000, signers=webhook.secrets)
    try:
        target = target_of(webhook.url, how.rules)
        addresses = checked_addresses(target, how.rules, resolve=how.resolve)
        answer = post(target, addresses, body=body, headers=headers, seconds=how.seconds, context=how.context)
    except (ForbiddenAddressError, UnknownHostError, TimeoutError) as error:
        return _Failure(None, str(error))
    except (OSError, http.client.HTTPException) as error:
        return _Failure(None, f"no answer: {type(error).__name__}")
    if HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        return answer.status
    what = (
        "a redirect, which is not followed" if HTTPStatus.OK < answer.status < HTTPStatus.BAD_REQUEST else "no success"
    )
    return _Failure(answer.status, f"status {answer.status}: {what}", _seconds(answer.retry_after, now=now))


def _seconds(retry_after: str | None, *, now: datetime) -> float:
    """What a receiver asks for, a number or a date; 0 where that is nothing sensible."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:12]), LONGEST_WAIT_SECONDS)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    until = until.replace(tzinfo=until.tzinfo or UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_SECONDS)


def trial_body(now: datetime) -> str:
    """The body of a message that only tries the way."""
    return orjson.dumps({"type": "webhook.test", "timestamp": iso(now), "data": {}}).decode()
