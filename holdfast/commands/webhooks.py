"""`holdfast webhooks`: tell other systems of new runs of scores, by signed messages."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from features.errors import BadInput
from features.windows import iso, parse_span, shift
from holdfast.output import say, table
from holdfast.scores import open_store
from holdfast.session import Session, takes

if TYPE_CHECKING:
    from serving.store.outbox import Delivery, Webhook
    from serving.webhooks.delivering import How

LONGEST_PAUSE_SECONDS = 3600.0
EXAMPLE = """\b
Example:
  holdfast webhooks add https://crm.example.com/holdfast --event run.completed --event users.tier_changed
  holdfast webhooks test wh_0123456789abcdef
  holdfast webhooks deliver"""


@click.group(epilog=EXAMPLE)
def command() -> None:
    """Tell other systems of new runs of scores, by messages that they can verify (Standard Webhooks 1.0).

    What is to be told is written with the run; `holdfast webhooks deliver` sends it.
    """


@command.command(
    epilog="""\b
Example:
  holdfast webhooks add https://crm.example.com/holdfast --event run.completed --event users.at_risk"""
)
@click.argument("url", metavar="URL")
@click.option(
    "--event",
    "events",
    multiple=True,
    required=True,
    metavar="EVENT",
    help="run.completed, run.restored, users.tier_changed or users.at_risk (again for more).",
)
@takes("data", "store", "webhooks")
def add(session: Session, *, url: str, events: tuple[str, ...]) -> None:
    """Tell an address of what happens from now on; the secret that signs is shown this once."""
    from serving.store.outbox import Outbox  # noqa: PLC0415 off the command line's start
    from serving.webhooks.addresses import target_of  # noqa: PLC0415 as above
    from serving.webhooks.signing import new_secret  # noqa: PLC0415 as above

    target_of(url, _how(session).rules)
    secret = new_secret()
    with open_store(session) as store:
        made = Outbox(store.database, store.tenant).add(url, events, secret=secret, now=session.now)
    session.emit(
        {**_document(made), "secret": secret},
        text=f"{made.webhook_id}\n{secret}\n\nThe second line is the secret that the receiver verifies with; it is "
        f"not shown again.\nTry it: holdfast webhooks test {made.webhook_id}",
    )


@command.command(
    name="list",
    epilog="""\b
Example:
  holdfast webhooks list --json""",
)
@takes("data", "store")
def list_(session: Session) -> None:
    """List the webhooks, with how much waits for each and how much could not be delivered."""
    from serving.store.outbox import Outbox  # noqa: PLC0415 as above

    with open_store(session) as store:
        found = Outbox(store.database, store.tenant).webhooks(now=session.now)
    rows = [
        [each.webhook_id, each.url, " ".join(each.events), str(each.waiting), str(each.dead), _state(each)]
        for each in found
    ]
    header = ["webhook", "address", "events", "waiting", "dead", "state"]
    text = table(rows, header=header, right=[3, 4]) if rows else "There are no webhooks yet."
    session.emit({"webhooks": [_document(each) for each in found]}, text=text)


@command.command(
    epilog="""\b
Example:
  holdfast webhooks deliveries --state dead"""
)
@click.option("--state", type=click.Choice(["waiting", "delivered", "dead"]), help="Only these.")
@takes("data", "store")
def deliveries(session: Session, *, state: str | None) -> None:
    """List the newest hundred messages, sent or not; never what they say of users."""
    from serving.store.outbox import Outbox  # noqa: PLC0415 as above

    with open_store(session) as store:
        found = Outbox(store.database, store.tenant).deliveries(state=state)
    rows = [
        [each.message_id, each.webhook_id, each.event, iso(each.created_at)[:19], each.state, _trouble(each)]
        for each in found
    ]
    header = ["message", "webhook", "event", "written", "state", "last answer"]
    text = table(rows, header=header) if rows else "There are no such messages."
    session.emit({"deliveries": [_delivery_document(each) for each in found]}, text=text)


@command.command(
    epilog="""\b
Example:
  holdfast webhooks remove wh_0123456789abcdef"""
)
@click.argument("webhook")
@takes("data", "store")
def remove(session: Session, *, webhook: str) -> None:
    """Remove a webhook with all that waits for it."""
    from serving.store.outbox import Outbox  # noqa: PLC0415 as above

    with open_store(session) as store:
        Outbox(store.database, store.tenant).remove(webhook, now=session.now)
    session.emit({"removed": webhook}, text=f"Removed {webhook}; it is told nothing more.")


@command.command(
    epilog="""\b
Example:
  holdfast webhooks rotate wh_0123456789abcdef --overlap 2d"""
)
@click.argument("webhook")
@click.option("--overlap", default="1d", show_default=True, metavar="SPAN", help="How long the old secret signs too.")
@takes("data", "store")
def rotate(session: Session, *, webhook: str, overlap: str) -> None:
    """Sign with a new secret, and for a while with the old one too, so that the receiver can change over."""
    from serving.store.outbox import Outbox  # noqa: PLC0415 as above
    from serving.webhooks.signing import new_secret  # noqa: PLC0415 as above

    secret, ends = new_secret(), shift(session.now, parse_span(overlap))
    with open_store(session) as store:
        Outbox(store.database, store.tenant).rotate(webhook, secret=secret, overlap_ends=ends, now=session.now)
    session.emit(
        {"webhook": webhook, "secret": secret, "old_signs_until": ends},
        text=f"{secret}\n\nThis is the new secret of {webhook}; it is not shown again. The old one signs too until "
        f"{iso(ends)[:16].replace('T', ' ')} UTC.",
    )


@command.command(
    epilog="""\b
Example:
  holdfast webhooks test wh_0123456789abcdef"""
)
@click.argument("webhook")
@takes("data", "store", "webhooks")
def test(session: Session, *, webhook: str) -> int:
    """Send a signed message that says nothing, now. Exit code 1 when it does not arrive."""
    from serving.store.outbox import Outbox  # noqa: PLC0415 as above
    from serving.webhooks.delivering import deliver_one, trial_body  # noqa: PLC0415 as above

    with open_store(session) as store:
        outbox = Outbox(store.database, store.tenant)
        outbox.webhook(webhook, now=session.now)
        message = outbox.send(webhook, "webhook.test", trial_body(session.now), now=session.now)
        outcome = deliver_one(store.database, message, _how(session), clock=_now)
        found = next(each for each in outbox.deliveries() if each.message_id == message)
    arrived = outcome == "delivered"
    text = "The receiver took it." if arrived else f"It did not arrive: {found.last_error}."
    session.emit({**_delivery_document(found), "outcome": outcome}, text=text)
    return 0 if arrived else 1


@command.command(
    epilog="""\b
Example:
  holdfast webhooks resend msg_0123456789abcdef01234567
  holdfast webhooks resend --dead"""
)
@click.argument("messages", nargs=-1, metavar="[MESSAGE]…")
@click.option("--dead", is_flag=True, help="All that could not be delivered.")
@takes("data", "store")
def resend(session: Session, *, messages: tuple[str, ...], dead: bool) -> None:
    """Send messages again, delivered or dead, under their old ids; the text is kept for a week after the last try."""
    from serving.store.outbox import DEAD, Outbox  # noqa: PLC0415 as above

    if not messages and not dead:
        raise click.UsageError("name messages (see `holdfast webhooks deliveries`), or say --dead.")
    with open_store(session) as store:
        outbox = Outbox(store.database, store.tenant)
        chosen = list(messages)
        if dead:
            chosen += [each.message_id for each in outbox.deliveries(state=DEAD, limit=100_000)]
        again = outbox.resend(chosen, now=session.now)
    if messages and not again:
        raise BadInput(f"none of {', '.join(messages)} can be sent again; see `holdfast webhooks deliveries`.")
    session.emit({"waiting": again}, text=f"{again:,} messages wait to be sent again.")


@command.command(
    epilog="""\b
Example:
  holdfast webhooks deliver
  holdfast webhooks deliver --follow --every 10"""
)
@click.option("--follow", is_flag=True, help="Go on until interrupted, instead of one pass.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, LONGEST_PAUSE_SECONDS),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="With --follow: the pause between two passes.",
)
@takes("data", "store", "webhooks")
def deliver(session: Session, *, follow: bool, every: float) -> None:
    """Send all that is due: once, as for cron, or again and again. Any number of these may run at once."""
    from serving.webhooks.delivering import deliver_due  # noqa: PLC0415 as above

    with open_store(session) as store:
        done = deliver_due(store.database, _how(session), clock=_now)
        while follow:
            if done.delivered or done.failed or done.dead:
                say(f"Delivered {done.delivered:,}, failed {done.failed:,}, given up {done.dead:,}.")
            time.sleep(every)
            done = deliver_due(store.database, _how(session), clock=_now)
    session.emit(
        {"delivered": done.delivered, "failed": done.failed, "dead": done.dead},
        text=f"Delivered {done.delivered:,}, failed {done.failed:,} (tried again later), given up {done.dead:,}.",
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _how(session: Session) -> "How":
    from serving.webhooks.addresses import Rules  # noqa: PLC0415 as above
    from serving.webhooks.delivering import How  # noqa: PLC0415 as above

    said = session.settings.webhooks
    return How(Rules(said.allow_http, said.private_hosts), said.timeout_seconds)


def _document(webhook: "Webhook") -> dict[str, object]:
    return {
        "webhook": webhook.webhook_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "created_at": webhook.created_at,
        "waiting": webhook.waiting,
        "dead": webhook.dead,
        "gone": webhook.gone,
    }


def _delivery_document(delivery: "Delivery") -> dict[str, object]:
    return {
        "message": delivery.message_id,
        "webhook": delivery.webhook_id,
        "event": delivery.event,
        "run_id": delivery.run_id,
        "created_at": delivery.created_at,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "last_status": delivery.last_status,
        "last_error": delivery.last_error,
    }


def _state(webhook: "Webhook") -> str:
    if webhook.gone:
        return "gone: the receiver said 410"
    return "works, two secrets" if len(webhook.secrets) > 1 else "works"


def _trouble(delivery: "Delivery") -> str:
    return delivery.last_error or (str(delivery.last_status) if delivery.last_status else "-")
