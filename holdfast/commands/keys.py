"""`holdfast keys`: make, list and revoke the keys that clients of the API carry."""

from typing import TYPE_CHECKING

import click

from features.windows import iso, parse_span, shift
from holdfast.output import table
from holdfast.scores import open_store
from holdfast.session import Session, takes

if TYPE_CHECKING:
    from serving.store import ApiKey

EXAMPLE = """\b
Example:
  holdfast keys create --name crm --scope scores:read --expires 90d
  holdfast keys list
  holdfast keys rotate crm --overlap 7d
  holdfast keys revoke crm"""


@click.group(epilog=EXAMPLE)
def command() -> None:
    """Create, list, rotate and revoke API keys.

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
    with open_store(session) as store:
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
    with open_store(session) as store:
        keys = store.list_keys()
    rows = [
        [
            key.prefix,
            key.name,
            key.tenant or "-",
            " ".join(sorted(key.scopes)),
            iso(key.created_at)[:10],
            iso(key.last_used_at)[:10] if key.last_used_at else "never",
            _state(key, session),
        ]
        for key in keys
    ]
    header = ["prefix", "name", "tenant", "scopes", "created", "last used", "state"]
    text = table(rows, header=header) if rows else "There are no keys yet."
    session.emit({"keys": [{**_document(key), "works": key.works(session.now)} for key in keys]}, text=text)


@command.command(
    epilog="""\b
Example:
  holdfast keys rotate crm --overlap 7d"""
)
@click.argument("key", metavar="NAME_OR_PREFIX")
@click.option("--overlap", default="7d", show_default=True, metavar="SPAN", help="How long the old key still works.")
@takes("data", "store")
def rotate(session: Session, *, key: str, overlap: str) -> None:
    """Make a key in place of another one, which works on for a while so that clients can change over.

    The new key has the name, the scopes, the tenant and the end of the old one.
    """
    ends = shift(session.now, parse_span(overlap))
    with open_store(session) as store:
        made = store.rotate_key(key, now=session.now, overlap_ends=ends)
    session.emit(
        {"token": made.token, **_document(made.key), "old_works_until": ends},
        text=f"{made.token}\n\nThis is the new key of {made.key.name!r}. It is not kept and cannot be shown again.\n"
        f"The old one works until {iso(ends)[:16].replace('T', ' ')} UTC.",
    )


@command.command(
    epilog="""\b
Example:
  holdfast keys revoke crm"""
)
@click.argument("key", metavar="NAME_OR_PREFIX")
@takes("data", "store")
def revoke(session: Session, *, key: str) -> None:
    """Revoke a key; servers refuse it within seconds."""
    with open_store(session) as store:
        revoked = store.revoke_key(key, now=session.now)
    session.emit(
        _document(revoked), text=f"Revoked {revoked.prefix}… ({revoked.name}); servers refuse it within seconds."
    )


def _document(key: "ApiKey") -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "tenant": key.tenant,
        "last_used_at": key.last_used_at,
    }


def _state(key: "ApiKey", session: Session) -> str:
    if key.works(session.now):
        return f"until {iso(key.expires_at)[:10]}" if key.expires_at else "works"
    return "revoked" if key.revoked_at else "expired"
