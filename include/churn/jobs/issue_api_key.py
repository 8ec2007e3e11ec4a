"""A key for someone who may ask the API: its secret is shown once and kept nowhere."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

from churn.core.api_keys import ID_BYTES, SECRET_BYTES, ApiKey, Scope, hash_secret, is_name, written
from churn.db import api_keys
from churn.db.database import Database
from churn.db.migrations import require_current_schema
from churn.errors import KeyRefused


@dataclass(frozen=True)
class IssuedKey:
    """A new key, with the text that its owner sends; nobody can ask for it again."""

    key: ApiKey
    text: str


def issue_api_key(
    database: Database,
    name: str,
    scopes: Sequence[str],
    valid_for: timedelta | None = None,
    requests_per_minute: int | None = None,
) -> IssuedKey:
    """Make and keep a key named `name` for the `scopes`; without `valid_for` it does not expire.

    Raises KeyRefused where a name or scope cannot be, or a key of that name is in use.
    """
    require_current_schema(database)
    if not is_name(name):
        raise KeyRefused(
            f"{name!r} cannot be the name of a key.", "Use 1 to 60 letters, digits, dots, dashes and underscores."
        )
    secret = secrets.token_urlsafe(SECRET_BYTES)
    expires_at = datetime.now(UTC) + valid_for if valid_for is not None else None
    key = ApiKey(
        secrets.token_hex(ID_BYTES), name, hash_secret(secret), _scopes(scopes), requests_per_minute, expires_at
    )
    with database.transaction() as connection:
        if not api_keys.add(connection, key):
            raise KeyRefused(
                f"A key named {name} is in use.", f"Choose another name, or run `churn api-key revoke {name}` first."
            )
    return IssuedKey(key, written(key.key_id, secret))


def revoke_api_key(database: Database, name: str) -> None:
    """Revoke the key of that name; the API's workers know within seconds. Raises KeyRefused where none is in use."""
    require_current_schema(database)
    with database.transaction() as connection:
        if not api_keys.revoke(connection, name):
            raise KeyRefused(f"No key named {name} is in use.", "`churn api-key list` shows the keys that are.")


def _scopes(asked: Sequence[str]) -> tuple[Scope, ...]:
    unknown = [scope for scope in asked if scope not in get_args(Scope)]
    if unknown or not asked:
        raise KeyRefused(
            f"{', '.join(unknown) or 'Nothing'} is no scope.", f"Choose from {', '.join(get_args(Scope))}."
        )
    return tuple(cast(Scope, scope) for scope in dict.fromkeys(asked))
