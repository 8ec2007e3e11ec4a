"""The form of an API key, and what is kept of it.

A key is `churn_<id>_<secret>`: the id is public and finds the row, the secret is 256 random bits. Only the SHA-256 of
the secret is kept. A slow hash (scrypt, Argon2) protects passwords, which can be guessed; 256 random bits cannot, so
it would protect nothing here and cost every request its milliseconds.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Scope = Literal["predict", "read", "explain", "metrics"]
SCOPES: tuple[Scope, ...] = ("predict", "read", "explain", "metrics")
ID_BYTES, SECRET_BYTES = 6, 32

_FORM = re.compile(r"churn_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", re.ASCII)
_LOOKS_LIKE_ONE = re.compile(r"churn_([0-9a-f]{12})_[A-Za-z0-9_-]+", re.ASCII)


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept: whose it is, what it may ask, and until when.

    `secret_hash` is the SHA-256 of the secret (32 bytes), `requests_per_minute` None where the policy decides.
    """

    key_id: str
    key_name: str
    secret_hash: bytes
    scopes: tuple[Scope, ...]
    requests_per_minute: int | None
    expires_at: datetime | None
    revoked_at: datetime | None = None

    def is_active(self, now: datetime) -> bool:
        """Whether it is neither revoked nor expired at `now` (UTC)."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def holds(self, secret: str) -> bool:
        """Whether `secret` is this key's, in a time that does not depend on how much of it is right."""
        return hmac.compare_digest(self.secret_hash, hash_secret(secret))


def written(key_id: str, secret: str) -> str:
    """The key as its owner sends it."""
    return f"churn_{key_id}_{secret}"


def read(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key as it was sent, or None where it has not the form of one."""
    found = _FORM.fullmatch(text)
    return (found[1], found[2]) if found else None


def is_name(text: str) -> bool:
    """Whether a key can be named so."""
    return _NAME.fullmatch(text) is not None


def hash_secret(secret: str) -> bytes:
    """What is kept of a secret: 32 bytes."""
    return hashlib.sha256(secret.encode()).digest()


def without_secrets(text: str) -> str:
    """The text with the secret of every key in it taken out; the id stays, to find whose it was."""
    return _LOOKS_LIKE_ONE.sub(r"churn_\1_(secret)", text)
