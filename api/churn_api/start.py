"""What must hold before the API listens. Each check raises a ChurnError that names the next step."""

import ipaddress
import logging
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from churn.db.database import Database
from churn.db.migrations import require_current_schema
from churn.errors import ConfigurationError, DatabaseUnavailable
from churn.policy import Policy
from churn.secret_rules import OF_A_PROCESS, require_secrets
from churn.settings import Settings
from churn_api.keys import hand_to_workers, read_keys
from churn_api.page.session import hand_secret_to_workers

Address = tuple[Any, ...] | str | int
logger = logging.getLogger("churn_api.start")


def require_registry_address(settings: Settings) -> str:
    """The MLflow server's address. Raises ConfigurationError where none is set."""
    if settings.mlflow_tracking_uri is None:
        raise ConfigurationError(
            "MLFLOW_TRACKING_URI is not set.",
            'Set it, or run `eval "$(churn platform env)"` for the local platform.',
        )
    return settings.mlflow_tracking_uri


def require_schema(settings: Settings) -> None:
    """Refuse to start on a database whose schema is not the one this code needs.

    Without CHURN_API_DATABASE_URL there is nothing to check. A database that cannot be reached is a warning
    only: answers need the model, not the database. Raises SchemaBehind or ConfigurationError.
    """
    if settings.api_database_url is None:
        return
    try:
        require_current_schema(Database(settings.api_database_url.get_secret_value()))
    except DatabaseUnavailable as error:
        logger.warning("%s The API starts without it; the schema was not checked.", error.message)


def require_loopback(addresses: Sequence[Address], allow_remote: bool, has_keys: bool | None = False) -> None:
    """Refuse to listen beyond this machine unless callers need a key, or a proxy asks them who they are.

    `addresses` are gunicorn's own: (host, port, ...), the path of a unix socket, or a file descriptor. `has_keys` says
    whether there is an active API key, None where that cannot be known. Raises ConfigurationError unless there is, or
    `allow_remote`, which is logged as a warning.
    """
    remote = [_written(address) for address in addresses if not _is_local(address)]
    if not remote or has_keys:
        return
    if not allow_remote:
        raise ConfigurationError(
            f"The API would listen on {', '.join(remote)}, beyond this machine, and "
            + ("it authenticates nobody." if has_keys is False else "its keys cannot be read: the database is away."),
            "Bind to 127.0.0.1, make a key (`churn api-key create`) in the database that CHURN_API_DATABASE_URL names, "
            "or set CHURN_API_ALLOW_REMOTE=1 behind a proxy that authenticates.",
        )
    logger.warning("Listening on %s: only an authenticating proxy may reach it.", ", ".join(remote))


def check_before_listening(settings: Settings, addresses: Sequence[Address], allow_remote: bool) -> None:
    """Everything that the master process checks once, before any worker exists."""
    require_secrets(os.environ, needed=(), if_set=OF_A_PROCESS)
    require_registry_address(settings)
    Policy.load(settings.policy_file)
    require_schema(settings)
    require_loopback(addresses, allow_remote, _has_keys(settings))
    if not hand_secret_to_workers(settings, not all(map(_is_local, addresses))):
        logger.warning("CHURN_API_SESSION_SECRET is not set: the API answers programs, and the page at / is off.")


def api_database(settings: Settings) -> Database | None:
    """The database as the role of the API, where there is one."""
    url = settings.api_database_url
    return Database(url.get_secret_value()) if url is not None else None


def _has_keys(settings: Settings) -> bool | None:
    """Whether there is an active API key, None where the database is away. The workers inherit what was read."""
    database = api_database(settings)
    if database is None:
        return False
    try:
        known = read_keys(database)
    except DatabaseUnavailable as error:
        logger.warning("%s The API keys were not read.", error.message)
        return None
    hand_to_workers(known)
    return any(key.is_active(datetime.now(UTC)) for key in known.by_id.values())


def _is_local(address: Address) -> bool:
    """Whether only this machine can reach it; a name other than localhost counts as remote."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _written(address: Address) -> str:
    return f"{address[0]}:{address[1]}" if isinstance(address, tuple) else str(address)
