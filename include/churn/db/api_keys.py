"""The keys of those who may ask the API. A key is never deleted, and a revoked one never comes back."""

from typing import Any

from churn.core.api_keys import ApiKey
from churn.db.database import Connection, query


def add(connection: Connection, key: ApiKey) -> bool:
    """Keep a new key; False where a key of this name is in use."""
    row = {name: getattr(key, name) for name in ("key_id", "key_name", "secret_hash", "requests_per_minute")}
    done = connection.execute(query("add_api_key"), row | {"scopes": list(key.scopes), "expires_at": key.expires_at})
    return done.rowcount == 1


def revoke(connection: Connection, key_name: str) -> bool:
    """Revoke the key of this name; False where none is in use."""
    return connection.execute(query("revoke_api_key"), {"key_name": key_name}).rowcount == 1


def read_all(connection: Connection) -> list[ApiKey]:
    """Every key that there ever was, as the API needs them."""
    rows = connection.execute(query("read_api_keys")).fetchall()
    return [ApiKey(**{**row, "secret_hash": bytes(row["secret_hash"]), "scopes": tuple(row["scopes"])}) for row in rows]


def list_all(connection: Connection) -> list[dict[str, Any]]:
    """Every key for people, the newest first, without its hash."""
    return connection.execute(query("list_api_keys")).fetchall()
