"""`holdfast keys`: make, list and revoke the keys that clients of the API carry."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from features.windows import iso, parse_span, shift
from holdfast.output import table
from holdfast.session import Session, takes

if TYPE_CHECKING:
    from serving.store import ApiKey, ScoreStore

EXAMPLE = """\b
Example:
  holdfast keys create --name crm --scope scores:read --expires 90d
  holdfast keys list
  holdfast keys revoke crm"""


@click.group(epilog=EXAMPLE)
def command() -> None:
    """Create, list and revoke API keys.

    A key is shown once, when it is made; only its hash is kept.
    """


@command.command(
    epilog="""\b
Example:
  holdfast keys create --name crm --scope scores:read --scope lists:read --expires 90d"""
)
@click.option("--name", required=True, metavar="TEXT", help="Who or what will carry it, for example crm.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    metavar="SCOPE",
    help="What it opens: scores:read, scores:compute, events:write, lists:read, lists:write, models:promote, "
    "privacy:write or admin (again for more).",
)
@click.option("--expires", metavar="SPAN", help="How long it works, for example 90d [default: until it is revoked].")
@takes("data", "store")
def create(session: Session, *, name: str, scopes: tuple[str, ...], expires: str | None) -> None:
    """Make a key and show it, this once."""
    until = shift(session.now, parse_span(expires)) if expires else None
    with _store(session) as store:
        made = store.create_key(name, scopes, now=session.now, expires_at=until)
    session.emit(
        {"token": made.token, **_document(made.key)},
        text=f"{made.token}\n\nThis is the key of {name!r}. It is not kept and cannot be shown again.\n"
        f"Send it as a header: Authorization: Bearer {made.token}",
    )


@command.command(
    name="list",
    epilog="""\b
Example:
  holdfast keys list --json""",
)
@takes("data", "store")
def list_(session: Session) -> None:
    """List all keys, revoked and expired ones too."""
    with _store(session) as store:
        keys = store.list_keys()
    rows = [
        [key.prefix, key.name, " ".join(sorted(key.scopes)), iso(key.created_at)[:10], _state(key, session)]
        for key in keys
    ]
    text = table(rows, header=["prefix", "name", "scopes", "created", "state"]) if rows else "There are no keys yet."
    session.emit({"keys": [{**_document(key), "works": key.works(session.now)} for key in keys]}, text=text)


@command.command(
    epilog="""\b
Example:
  holdfast keys revoke crm"""
)
@click.argument("key", metavar="NAME_OR_PREFIX")
@takes("data", "store")
def revoke(session: Session, *, key: str) -> None:
    """Revoke a key; servers refuse it within seconds."""
    with _store(session) as store:
        revoked = store.revoke_key(key, now=session.now)
    session.emit(
        _document(revoked), text=f"Revoked {revoked.prefix}… ({revoked.name}); servers refuse it within seconds."
    )


@contextmanager
def _store(session: Session) -> Iterator["ScoreStore"]:
    from serving.store import ScoreStore  # noqa: PLC0415 SQLAlchemy, only for who needs it

    store = ScoreStore.open(session.store_url)
    try:
        yield store
    finally:
        store.close()


def _document(key: "ApiKey") -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _state(key: "ApiKey", session: Session) -> str:
    if key.works(session.now):
        return f"until {iso(key.expires_at)[:10]}" if key.expires_at else "works"
    return "revoked" if key.revoked_at else "expired"
