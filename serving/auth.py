"""Who is asking and what they may: bearer keys, remembered for a few seconds."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from serving.asking import asked
from serving.refusals import RefusedError
from serving.store import ApiKey, ScoreStore

_MOST_REMEMBERED = 1_000
_HOW = "send it as 'Authorization: Bearer hf_live_…'"


@dataclass(frozen=True, slots=True)
class _Remembered:
    key: ApiKey
    until: float


class Keyring:
    """Finds the key of a request; a working key is remembered shortly, so a revoked one stops working soon."""

    def __init__(self, store: ScoreStore, *, memory_seconds: float) -> None:
        self._store = store
        self._memory_seconds = memory_seconds
        self._remembered: dict[bytes, _Remembered] = {}

    async def key_of(self, authorization: bytes | None, *, now: datetime, tick: float) -> ApiKey:
        """The working key that a header names; `tick` is a monotonic clock in seconds.

        Raises `RefusedError` when there is none, it is not a key, or the key has expired or been revoked.
        """
        digest = sha256(authorization or b"").digest()  # a dump of the memory holds no key
        known = self._remembered.get(digest)
        if known is not None and tick < known.until:
            key: ApiKey | None = known.key
        else:
            key = await self._find(_token(authorization), digest, tick=tick)
        if key is None or not key.works(now):
            raise RefusedError("key_invalid", "this API key is unknown, expired or revoked, or was not copied whole.")
        return key

    async def _find(self, token: str, digest: bytes, *, tick: float) -> ApiKey | None:
        key = await asked(self._store, self._store.find_key, token)
        if len(self._remembered) >= _MOST_REMEMBERED:
            self._remembered.clear()
        if key is None:
            self._remembered.pop(digest, None)
        else:
            self._remembered[digest] = _Remembered(key, tick + self._memory_seconds)
        return key


def require_scope(key: ApiKey, scope: str) -> None:
    """Raise `RefusedError` when the key does not cover the scope."""
    if not key.may(scope):
        has = ", ".join(sorted(key.scopes))
        raise RefusedError("scope_missing", f"this address needs a key with the scope {scope}; this key has {has}.")


def _token(authorization: bytes | None) -> str:
    if authorization is None:
        raise RefusedError("key_missing", f"this address needs an API key; {_HOW}.")
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    if scheme.lower() != "bearer":
        raise RefusedError("key_invalid", f"the header Authorization names no bearer key; {_HOW}.")
    return token.strip()
