"""API keys: made once, shown once, kept as a hash.

A key is `hf_live_` and 49 letters and digits: 43 of 32 random bytes and 6 of a checksum, so that a typing
error is told without the database and a scanner can tell a leaked key from a random string. The first eight
of them are kept in the clear to find and name the key. The rest is kept as its SHA-256 only: slow hashes
protect guessable passwords, and 32 random bytes cannot be guessed.
"""

import hmac
import secrets
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from features.errors import BadInput
from features.windows import from_microseconds, to_microseconds
from serving.store.tables import keys

SCOPES = ("scores:read", "lists:read", "model:read", "admin")
KEY_START = "hf_live_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH, _CHECKSUM_LENGTH = 43, 6  # 62**43 > 256**32 and 62**6 > 2**32
_PREFIX_LENGTH = len(KEY_START) + 8
_TOKEN_LENGTH = len(KEY_START) + _SECRET_LENGTH + _CHECKSUM_LENGTH
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key; the key itself is not."""

    prefix: str
    name: str
    scopes: frozenset[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

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
    writer: Engine, name: str, scopes: Collection[str], *, now: datetime, expires_at: datetime | None = None
) -> NewKey:
    """A new key; raises `BadInput` for no or an unknown scope, an end that has passed, or a working key's name."""
    _check(name, scopes, now=now, expires_at=expires_at)
    namesakes = [key.prefix for key in list_keys(writer) if key.name == name and key.works(now)]
    if namesakes:
        raise BadInput(f"a working key is named {name!r} already ({namesakes[0]}…); revoke it or choose another name.")
    token = token_of(secrets.token_bytes(32))  # the one place where randomness must not be an argument
    key = ApiKey(token[:_PREFIX_LENGTH], name, frozenset(scopes), now, expires_at, None)
    values = {
        "prefix": key.prefix,
        "name": name,
        "scopes": " ".join(sorted(key.scopes)),
        "sha256": _hash(token),
        "created_at": to_microseconds(now),
        "expires_at": None if expires_at is None else to_microseconds(expires_at),
    }
    with writer.begin() as connection:
        connection.execute(sa.insert(keys).values(values))
    return NewKey(token, key)


def list_keys(writer: Engine) -> list[ApiKey]:
    """All keys, oldest first, revoked and expired ones too."""
    with writer.connect() as connection:
        rows = connection.execute(sa.select(keys).order_by(keys.c.created_at, keys.c.prefix)).all()
    return [_key(row) for row in rows]


def revoke_key(writer: Engine, name_or_prefix: str, *, now: datetime) -> ApiKey:
    """The key, revoked (again is no error); raises `BadInput` when the text names no key or several."""
    named = [key for key in list_keys(writer) if name_or_prefix in (key.name, key.prefix)]
    working = [key for key in named if key.revoked_at is None] or named[:1]
    if len(working) != 1:
        found = "no key" if not named else f"{len(working)} keys ({', '.join(key.prefix for key in working)})"
        raise BadInput(
            f"{name_or_prefix!r} names {found}; expected the name or the prefix of one, see `holdfast keys list`."
        )
    (key,) = working
    at = key.revoked_at or now
    with writer.begin() as connection:
        connection.execute(sa.update(keys).where(keys.c.prefix == key.prefix).values(revoked_at=to_microseconds(at)))
    return ApiKey(key.prefix, key.name, key.scopes, key.created_at, key.expires_at, at)


def find_key(engine: Engine, token: str) -> ApiKey | None:
    """The key that a token is, whether it still works or not; None when there is none or it is not a token."""
    if not is_wellformed(token):
        return None
    with engine.connect() as connection:
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


def is_wellformed(token: str) -> bool:
    """Whether a text has the shape and the checksum of a key; says nothing of whether there is such a key.

    >>> is_wellformed(token_of(bytes(32))), is_wellformed("hf_live_guess")
    (True, False)
    """
    if len(token) != _TOKEN_LENGTH or not token.isascii() or not token.startswith(KEY_START):
        return False
    secret = token[len(KEY_START) : -_CHECKSUM_LENGTH]
    return token.endswith(_checksum(secret))


def _check(name: str, scopes: Collection[str], *, now: datetime, expires_at: datetime | None) -> None:
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
    )
