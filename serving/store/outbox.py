"""What is told to whom when a run is published: webhooks, and deliveries on their way to them.

A delivery is written with the run, in its transaction: neither is ever there without the other. Its body is made of the
run right after, or by whoever delivers it. It then waits until it is due, is held by one deliverer for a while, and
ends as delivered or dead.
"""

import secrets
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.errors import BadInput
from features.windows import from_microseconds, to_microseconds
from serving.store.database import Database
from serving.store.messages import ALSO_TOLD, EVENTS, bodies_of
from serving.store.tables import deliveries, webhooks

UNMADE, WAITING, DELIVERED, DEAD = "unmade", "waiting", "delivered", "dead"
DAYS_TRIED = 3
DAYS_OF_BODIES = 7  # so long a delivery can be sent again
DAYS_KEPT = 30
_DAY = 86_400_000_000
_SHOWN = 200  # characters of an error


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told; its secrets sign."""

    webhook_id: str
    url: str
    events: tuple[str, ...]
    secrets: tuple[str, ...]  # those that sign now, the newest first
    created_at: datetime
    gone: bool
    waiting: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to one webhook."""

    message_id: str
    webhook_id: str
    event: str
    run_id: int | None
    created_at: datetime
    body: str | None
    state: str
    attempts: int
    due_at: datetime
    give_up_at: datetime
    last_status: int | None
    last_error: str | None


def announce(connection: Connection, event: str, run_id: int, *, tenant: str, now: datetime) -> None:
    """Write, in the transaction that publishes a run, whom it will be told and how."""
    found = connection.execute(sa.select(webhooks).where(webhooks.c.tenant == tenant, webhooks.c.gone_at.is_(None)))
    for row in found.all():
        for name in ALSO_TOLD[event]:
            if name in row.events.split():
                _insert(connection, row.webhook_id, name, run_id=run_id, body=None, now=now)


def make_bodies(database: Database, *, now: datetime) -> None:
    """Make what was announced into messages; a message of a run that is no longer kept is dead."""
    while True:
        with _writing(database) as connection:
            asked = sa.select(deliveries).where(deliveries.c.state == UNMADE).limit(1)
            row = connection.execute(asked.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return
            _make(connection, row, now=now)


class Outbox:
    """The webhooks of a tenant, and what is on its way to the webhooks of all."""

    def __init__(self, database: Database, tenant: str = "") -> None:
        self._database = database
        self._tenant = tenant

    def add(self, url: str, events: Collection[str], *, secret: str, now: datetime) -> Webhook:
        """A new webhook; raises `BadInput` for an unknown event."""
        unknown = sorted(set(events) - set(EVENTS))
        if unknown or not events:
            raise BadInput(f"events {', '.join(unknown) or '(none)'}: expected one or more of {', '.join(EVENTS)}.")
        chosen = [event for event in EVENTS if event in events]
        values = {
            "webhook_id": f"wh_{secrets.token_hex(8)}",
            "tenant": self._tenant,
            "url": url,
            "events": " ".join(chosen),
            "secret": secret,
            "created_at": to_microseconds(now),
        }
        with _writing(self._database) as connection:
            connection.execute(sa.insert(webhooks).values(values))
        return self.webhook(str(values["webhook_id"]), now=now)

    def webhooks(self, *, now: datetime) -> list[Webhook]:
        """The tenant's webhooks, oldest first, with how much waits for them and how much is dead."""
        counted = sa.select(deliveries.c.webhook_id, deliveries.c.state, sa.func.count()).group_by(
            deliveries.c.webhook_id, deliveries.c.state
        )
        mine = sa.select(webhooks).where(webhooks.c.tenant == self._tenant).order_by(webhooks.c.created_at)
        with self._database.engine.connect() as connection:
            counts = {(webhook, state): number for webhook, state, number in connection.execute(counted)}
            return [_webhook(row, counts, now=now) for row in connection.execute(mine)]

    def webhook(self, webhook_id: str, *, now: datetime) -> Webhook:
        """One of them; raises `BadInput` when there is none of that name."""
        found = [each for each in self.webhooks(now=now) if each.webhook_id == webhook_id]
        if not found:
            raise BadInput(f"there is no webhook {webhook_id!r}; see `holdfast webhooks list`.")
        return found[0]

    def remove(self, webhook_id: str, *, now: datetime) -> None:
        """Remove a webhook with all that waits for it."""
        self.webhook(webhook_id, now=now)
        with _writing(self._database) as connection:
            connection.execute(sa.delete(deliveries).where(deliveries.c.webhook_id == webhook_id))
            connection.execute(sa.delete(webhooks).where(webhooks.c.webhook_id == webhook_id))

    def rotate(self, webhook_id: str, *, secret: str, overlap_ends: datetime, now: datetime) -> None:
        """Sign with a new secret, and with the old one too until `overlap_ends`."""
        self.webhook(webhook_id, now=now)
        until = to_microseconds(overlap_ends)
        values = {"secret": secret, "old_secret": webhooks.c.secret, "old_secret_until": until}
        with _writing(self._database) as connection:
            connection.execute(sa.update(webhooks).where(webhooks.c.webhook_id == webhook_id).values(values))

    def send(self, webhook_id: str, event: str, body: str, *, now: datetime) -> str:
        """The id of a message that is due at once."""
        with _writing(self._database) as connection:
            return _insert(connection, webhook_id, event, run_id=None, body=body, now=now)

    def deliveries(self, *, state: str | None = None, limit: int = 100) -> list[Delivery]:
        """The newest deliveries to the tenant's webhooks, of a state or of all."""
        asked = sa.select(deliveries).join(webhooks).where(webhooks.c.tenant == self._tenant)
        if state is not None:
            asked = asked.where(deliveries.c.state == state)
        asked = asked.order_by(deliveries.c.created_at.desc(), deliveries.c.message_id).limit(limit)
        with self._database.engine.connect() as connection:
            return [_delivery(row) for row in connection.execute(asked)]

    def resend(self, message_ids: Sequence[str], *, now: datetime) -> int:
        """How many deliveries are due again, with three more days; those whose bodies are no longer kept are not."""
        mine = sa.select(webhooks.c.webhook_id).where(webhooks.c.tenant == self._tenant)
        chosen = sa.and_(
            deliveries.c.message_id.in_(message_ids),
            deliveries.c.body.is_not(None),
            deliveries.c.webhook_id.in_(mine),
        )
        values = {**_fresh(now), "state": WAITING, "done_at": None, "holder": None}
        with _writing(self._database) as connection:
            return int(connection.execute(sa.update(deliveries).where(chosen).values(values)).rowcount)

    def claim(
        self, *, holder: str, now: datetime, held: timedelta, but: Collection[str] = (), only: str | None = None
    ) -> tuple[Webhook, Delivery] | None:
        """A delivery that is due, held by this holder until `held` has passed; none when nothing is due.

        `but` names webhooks that are left alone, `only` one message.
        """
        due = sa.and_(deliveries.c.state == WAITING, deliveries.c.due_at <= to_microseconds(now))
        asked = sa.select(deliveries).where(due, deliveries.c.webhook_id.not_in(list(but)))
        if only is not None:
            asked = asked.where(deliveries.c.message_id == only)
        asked = asked.order_by(deliveries.c.due_at, deliveries.c.message_id).limit(1)
        with _writing(self._database) as connection:
            row = connection.execute(asked.with_for_update(skip_locked=True)).one_or_none()
            if row is None:
                return None
            mine = deliveries.c.message_id == row.message_id
            held_until = to_microseconds(now) + held // timedelta(microseconds=1)
            connection.execute(sa.update(deliveries).where(mine).values(holder=holder, due_at=held_until))
            to = connection.execute(sa.select(webhooks).where(webhooks.c.webhook_id == row.webhook_id)).one()
        return _webhook(to, {}, now=now), _delivery(row)

    def delivered(self, message_id: str, *, holder: str, status: int, now: datetime) -> None:
        """The receiver has it."""
        done = {"state": DELIVERED, "done_at": to_microseconds(now), "last_status": status, "last_error": None}
        self._finish(message_id, holder=holder, values=done)

    def failed(
        self, message_id: str, *, holder: str, status: int | None, error: str, again_at: datetime | None, now: datetime
    ) -> None:
        """The receiver does not have it: it is due again at a moment, or dead where there is none."""
        values = {"last_status": status, "last_error": error[:_SHOWN], "attempts": deliveries.c.attempts + 1}
        if again_at is None:
            values |= {"state": DEAD, "done_at": to_microseconds(now)}
        else:
            values |= {"due_at": to_microseconds(again_at)}
        self._finish(message_id, holder=holder, values=values)

    def gone(self, webhook_id: str, *, now: datetime) -> None:
        """The receiver wants nothing any more: what waits for it is dead, and nothing more is written for it."""
        waiting = sa.and_(deliveries.c.webhook_id == webhook_id, deliveries.c.state.in_((WAITING, UNMADE)))
        dead = {"state": DEAD, "done_at": to_microseconds(now), "last_error": "the receiver said 410: gone"}
        with _writing(self._database) as connection:
            mine = webhooks.c.webhook_id == webhook_id
            connection.execute(sa.update(webhooks).where(mine).values(gone_at=to_microseconds(now)))
            connection.execute(sa.update(deliveries).where(waiting).values(dead))

    def tidy(self, *, now: datetime) -> None:
        """Forget the bodies of what was done a week ago, and all of what was done a month ago."""
        moment = to_microseconds(now)
        self._database.delete(deliveries.c.done_at < moment - DAYS_KEPT * _DAY, table=deliveries)
        old = sa.and_(deliveries.c.done_at < moment - DAYS_OF_BODIES * _DAY, deliveries.c.body.is_not(None))
        with _writing(self._database) as connection:
            connection.execute(sa.update(deliveries).where(old).values(body=None))

    def _finish(self, message_id: str, *, holder: str, values: dict[str, Any]) -> None:  # Any: what a column holds
        """Only who still holds a delivery says what came of it; who was taken for dead has nothing to say."""
        mine = sa.and_(deliveries.c.message_id == message_id, deliveries.c.holder == holder)
        with _writing(self._database) as connection:
            connection.execute(sa.update(deliveries).where(mine).values({**values, "holder": None}))


def _make(connection: Connection, row: sa.Row[Any], *, now: datetime) -> None:  # Any: of any columns
    mine = deliveries.c.message_id == row.message_id
    bodies = bodies_of(connection, row.event, row.run_id)
    try:
        first = next(bodies, None)
    except LookupError as error:
        dead = {"state": DEAD, "done_at": to_microseconds(now), "last_error": str(error)}
        connection.execute(sa.update(deliveries).where(mine).values(dead))
        return
    if first is None:
        connection.execute(sa.delete(deliveries).where(mine))
        return
    connection.execute(sa.update(deliveries).where(mine).values(body=first, state=WAITING))
    for body in bodies:
        _insert(connection, row.webhook_id, row.event, run_id=row.run_id, body=body, now=now)


def _insert(
    connection: Connection, webhook_id: str, event: str, *, run_id: int | None, body: str | None, now: datetime
) -> str:
    message_id = f"msg_{secrets.token_hex(12)}"
    values = {
        "message_id": message_id,
        "webhook_id": webhook_id,
        "event": event,
        "run_id": run_id,
        "created_at": to_microseconds(now),
        "body": body,
        "state": UNMADE if body is None else WAITING,
        **_fresh(now),
    }
    connection.execute(sa.insert(deliveries).values(values))
    return message_id


def _fresh(now: datetime) -> dict[str, int]:
    moment = to_microseconds(now)
    return {"attempts": 0, "due_at": moment, "give_up_at": moment + DAYS_TRIED * _DAY}


def _webhook(row: sa.Row[Any], counts: dict[tuple[str, str], int], *, now: datetime) -> Webhook:  # Any: as above
    old = row.old_secret if row.old_secret and to_microseconds(now) < row.old_secret_until else None
    return Webhook(
        row.webhook_id,
        row.url,
        tuple(row.events.split()),
        tuple(filter(None, (row.secret, old))),
        from_microseconds(row.created_at),
        gone=row.gone_at is not None,
        waiting=counts.get((row.webhook_id, WAITING), 0) + counts.get((row.webhook_id, UNMADE), 0),
        dead=counts.get((row.webhook_id, DEAD), 0),
    )


def _delivery(row: sa.Row[Any]) -> Delivery:  # Any: as above
    return Delivery(
        row.message_id,
        row.webhook_id,
        row.event,
        row.run_id,
        from_microseconds(row.created_at),
        row.body,
        row.state,
        row.attempts,
        from_microseconds(row.due_at),
        from_microseconds(row.give_up_at),
        row.last_status,
        row.last_error,
    )


def _writing(database: Database) -> AbstractContextManager[Connection]:
    return database.engine.execution_options(writes=True).begin()
