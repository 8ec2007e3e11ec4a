"""What must hold before the API listens. Each check raises a ChurnError that names the next step."""

import ipaddress
import logging
from collections.abc import Sequence
from typing import Any

from churn.db.database import Database
from churn.db.migrations import require_current_schema
from churn.errors import ConfigurationError, DatabaseUnavailable
from churn.policy import Policy
from churn.settings import Settings

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


def require_loopback(addresses: Sequence[Address], allow_remote: bool) -> None:
    """Refuse to listen beyond this machine: the API does not ask its callers who they are.

    `addresses` are gunicorn's own: (host, port, ...), the path of a unix socket, or a file descriptor.
    Raises ConfigurationError unless `allow_remote`, which is logged as a warning.
    """
    remote = [_written(address) for address in addresses if not _is_local(address)]
    if not remote:
        return
    if not allow_remote:
        raise ConfigurationError(
            f"The API would listen on {', '.join(remote)}, beyond this machine, and it authenticates nobody.",
            "Bind to 127.0.0.1, or set CHURN_API_ALLOW_REMOTE=1 behind a proxy that authenticates.",
        )
    logger.warning("Listening on %s: only an authenticating proxy may reach it.", ", ".join(remote))


def check_before_listening(settings: Settings, addresses: Sequence[Address], allow_remote: bool) -> None:
    """Everything that the master process checks once, before any worker exists."""
    require_loopback(addresses, allow_remote)
    require_registry_address(settings)
    Policy.load(settings.policy_file)
    require_schema(settings)


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
