"""Signatures as in Standard Webhooks 1.0: HMAC-SHA256 over id, time and body."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence

SECRET_START = "whsec_"  # noqa: S105 - what every secret begins with
_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret, shown once to who has to verify."""
    return SECRET_START + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(message_id: str, body: bytes, *, at: int, signers: Sequence[str]) -> dict[str, str]:
    """The headers by which a receiver knows a message of ours; `at` is in seconds since 1970, one signature a secret.

    >>> told = signed_headers("msg_1", b"{}", at=1780300800, signers=["whsec_" + "AAAA" * 8])
    >>> told["webhook-id"], told["webhook-timestamp"], told["webhook-signature"][:3]
    ('msg_1', '1780300800', 'v1,')
    """
    text = f"{message_id}.{at}.".encode() + body
    signatures = " ".join(f"v1,{_signature(secret, text)}" for secret in signers)
    return {"webhook-id": message_id, "webhook-timestamp": str(at), "webhook-signature": signatures}


def _signature(secret: str, text: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_START))
    return base64.b64encode(hmac.digest(key, text, hashlib.sha256)).decode()
