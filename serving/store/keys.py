"""API keys: made once, shown once, kept as a hash.

A key is `hf_live_` and 49 letters and digits: 43 of 32 random bytes and 6 of a checksum, so that a typing
error is told without the database and a scanner can tell a leaked key from a random string. The first eight
of them are kept in the clear to find and name the key. The rest is kept as its SHA-256 only: slow hashes
protect guessable passwords, and 32 random bytes cannot be guessed.
"""

import hmac
import re
import secrets
import zlib
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from features.errors import BadInput
from features.windows import from_microseconds, to_microseconds
from serving.store.database import Database
from serving.store.tables import keys

SCOPES = (
    "scores:read",
    "scores:compute",
    "events:write",
    "lists:read",
    "lists:write",
    "models:promote",
    "privacy:write",
    "admin",
)
KEY_START = "hf_live_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH, _CHECKSUM_LENGTH = 43, 6  # 62**43 > 256**32 and 62**6 > 2**32
_PREFIX_LENGTH = len(KEY_START) + 8
_TOKEN_LENGTH = len(KEY_START) + _SECRET_LENGTH + _CHECKSUM_LENGTH
_LONGEST_NAME = 200
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not."""

    prefix: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    tenant: str = ""  # the brand whose users it opens
    last_used_at: datetime | None = None  # to about a minute

    def works(self, now: datetime) -> bool:
        """Whether the key opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def may(self, scope: str) -> bool:
        """Whether the key covers a scope; `admin` covers all."""
        return scope in self.scopes or "admin" in self.scopes


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: the only moment at which its text is known."""

    token: str
    key: ApiKey


def create_key(
    database: Database,
    name: str,
    scopes: Collection[str],
    *,
    tenant: str = "",
    now: datetime,
    expires_at: datetime | None = None,
) -> NewKey:
    """A new key; raises `BadInput` for no or an unknown scope, an end that has passed, or a working key's name."""
    _check(name, scopes, tenant=tenant, now=now, expires_at=expires_at)
    namesakes = [key.prefix for key in list_keys(database) if key.name == name and key.works(now)]
    if namesakes:
        raise BadInput(
            f"a working key is named {name!r} already ({namesakes[0]}…); rotate or revoke it, or choose another name."
        )
    made = _made(name, frozenset(scopes), tenant=tenant, now=now, expires_at=expires_at)
    with _writing(database) as connection:
        _insert(connection, made)
    return made


def rotate_key(database: Database, name_or_prefix: str, *, now: datetime, overlap_ends: datetime) -> NewKey:
    """A new key of the same name, scopes, tenant and end; the old one works until `overlap_ends` and not longer.

    Raises `BadInput` when the text names no working key or several.
    """
    old = _the_one(database, name_or_prefix, now=now)
    if not old.works(now):
        raise BadInput(f"the key {old.prefix} ({old.name}) works no more; make a new one with `holdfast keys create`.")
    made = _made(old.name, old.scopes, tenant=old.tenant, now=now, expires_at=old.expires_at)
    ends = to_microseconds(overlap_ends if old.expires_at is None else min(overlap_ends, old.expires_at))
    with _writing(database) as connection:
        connection.execute(sa.update(keys).where(keys.c.prefix == old.prefix).values(expires_at=ends))
        _insert(connection, made)
    return made


def note_use(database: Database, used: Mapping[str, datetime]) -> None:
    """Remember when keys, by their prefix, were last used; never to an earlier moment."""
    with _writing(database) as connection:
        for prefix, moment in used.items():
            at = to_microseconds(moment)
            earlier = sa.or_(keys.c.last_used_at.is_(None), keys.c.last_used_at < at)
            connection.execute(sa.update(keys).where(keys.c.prefix == prefix, earlier).values(last_used_at=at))


def list_keys(database: Database) -> list[ApiKey]:
    """All keys, oldest first, revoked and expired ones too."""
    with database.engine.connect() as connection:
        rows = connection.execute(sa.select(keys).order_by(keys.c.created_at, keys.c.prefix)).all()
    return [_key(row) for row in rows]


def revoke_key(database: Database, name_or_prefix: str, *, now: datetime) -> ApiKey:
    """The key, revoked (again is no error); raises `BadInput` when the text names no key or several."""
    key = _the_one(database, name_or_prefix, now=now)
    at = key.revoked_at or now
    with _writing(database) as connection:
        connection.execute(sa.update(keys).where(keys.c.prefix == key.prefix).values(revoked_at=to_microseconds(at)))
    return replace(key, revoked_at=at)


def find_key(database: Database, token: str) -> ApiKey | None:
    """The key that a token is, whether it still works or not; None when there is none or it is not a token."""
    if not is_wellformed(token):
        return None
    with database.engine.connect() as connection:
        row = connection.execute(sa.select(keys).where(keys.c.prefix == token[:_PREFIX_LENGTH])).one_or_none()
    if row is None or not hmac.compare_digest(row.sha256, _hash(token)):
        return None
    return _key(row)


def token_of(entropy: bytes) -> str:
    """The token that 32 bytes make.

    >>> token_of(bytes(32))
    'hf_live_00000000000000000000000000000000000000000002CZclj'
    """
    secret = _base62(int.from_bytes(entropy, "big"), width=_SECRET_LENGTH)
    return KEY_START + secret + _checksum(secret)


def check_tenant(tenant: str) -> None:
    """Raises `BadInput` for what cannot be a tenant's name; the empty one is who needs no tenants."""
    if tenant and not _TENANT.fullmatch(tenant):
        raise BadInput(
            f"{tenant!r} cannot be a tenant; expected up to 100 letters, digits, dots, dashes or underscores."
        )


def is_wellformed(token: str) -> bool:
    """Whether a text has the shape and the checksum of a key; says nothing of whether there is such a key.

    >>> is_wellformed(token_of(bytes(32))), is_wellformed("hf_live_guess")
    (True, False)
    """
    if len(token) != _TOKEN_LENGTH or not token.isascii() or not token.startswith(KEY_START):
        return False
    secret = token[len(KEY_START) : -_CHECKSUM_LENGTH]
    return token.endswith(_checksum(secret))


def _writing(database: Database) -> AbstractContextManager[Connection]:
    return database.engine.execution_options(writes=True).begin()


def _the_one(database: Database, name_or_prefix: str, *, now: datetime) -> ApiKey:
    """The key that the text names; of several with the name the one that works, where there is just one."""
    named = [key for key in list_keys(database) if name_or_prefix in (key.name, key.prefix)]
    unrevoked = [key for key in named if key.revoked_at is None] or named[:1]
    lasting = [key for key in unrevoked if key.works(now)] or unrevoked
    if len(lasting) != 1:
        found = "no key" if not named else f"{len(lasting)} keys ({', '.join(key.prefix for key in lasting)})"
        raise BadInput(
            f"{name_or_prefix!r} names {found}; expected the name or the prefix of one, see `holdfast keys list`."
        )
    return lasting[0]


def _made(name: str, scopes: frozenset[str], *, tenant: str, now: datetime, expires_at: datetime | None) -> NewKey:
    token = token_of(secrets.token_bytes(32))  # the one place where randomness must not be an argument
    return NewKey(token, ApiKey(token[:_PREFIX_LENGTH], name, scopes, now, expires_at, None, tenant))


def _insert(connection: Connection, made: NewKey) -> None:
    key = made.key
    values = {
        "prefix": key.prefix,
        "name": key.name,
        "scopes": " ".join(sorted(key.scopes)),
        "sha256": _hash(made.token),
        "created_at": to_microseconds(key.created_at),
        "expires_at": None if key.expires_at is None else to_microseconds(key.expires_at),
        "tenant": key.tenant,
    }
    connection.execute(sa.insert(keys).values(values))


def _check(name: str, scopes: Collection[str], *, tenant: str, now: datetime, expires_at: datetime | None) -> None:
    check_tenant(tenant)
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise BadInput(f"scopes {', '.join(unknown) or '(none)'}: expected one or more of {', '.join(SCOPES)}.")
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise BadInput(f"a key's name has 1 to {_LONGEST_NAME} characters, for example 'crm'; got {name[:40]!r}.")
    if expires_at is not None and expires_at <= now:
        raise BadInput(
            f"the key would expire at {expires_at:%Y-%m-%d %H:%M} UTC, which has passed; expected a later time."
        )


def _base62(number: int, *, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(secret: str) -> str:
    return _base62(zlib.crc32(secret.encode()), width=_CHECKSUM_LENGTH)


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _key(row: sa.Row[tuple[object, ...]]) -> ApiKey:
    return ApiKey(
        prefix=row.prefix,
        name=row.name,
        scopes=frozenset(row.scopes.split()),
        created_at=from_microseconds(row.created_at),
        expires_at=None if row.expires_at is None else from_microseconds(row.expires_at),
        revoked_at=None if row.revoked_at is None else from_microseconds(row.revoked_at),
        tenant=row.tenant,
        last_used_at=None if row.last_used_at is None else from_microseconds(row.last_used_at),
    )
