"""`python -m churn.containers.start COMMAND...`: every container's entry point.

It refuses secrets that are none, writes what Airflow wants as a file, and becomes the command.
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from churn.errors import ChurnError, ConfigurationError
from churn.secret_rules import OF_A_PROCESS, Secret, environment_of, require_secrets

PASSWORDS_FILE = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"
ADMIN_PASSWORD = "AIRFLOW_ADMIN_PASSWORD"  # noqa: S105  # nosec B105 - the name of a variable
# Without them Airflow would start all the same: with Connections in clear, and believed by nobody but itself.
_SHARED_BY_AIRFLOW = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")


def main(command: Sequence[str]) -> None:
    """Become `command`. Raises ConfigurationError naming the variable that must not be as it is."""
    if not command:
        raise ConfigurationError("The container has no command.", "Give it one, `airflow scheduler` for example.")
    check_environment(os.environ, command)
    if "api-server" in command:
        write_passwords(os.environ)
    os.execvp(command[0], list(command))  # noqa: S606  # nosec B606 - it takes our place; no shell


def check_environment(environ: Mapping[str, str], command: Sequence[str]) -> None:
    """Raise ConfigurationError where, outside local, a secret is missing, a default or too weak."""
    require_secrets(environ, needed_by(environ, command), if_set=OF_A_PROCESS)


def needed_by(environ: Mapping[str, str], command: Sequence[str]) -> tuple[Secret, ...]:
    """The secrets without which this command must not start outside local.

    Airflow takes a secret by name, by command or from a secrets backend as well (`..._CMD`, `..._SECRET`).
    """
    if environment_of(environ) == "local" or command[0] != "airflow":
        return ()
    elsewhere = {name for name in _SHARED_BY_AIRFLOW if environ.get(f"{name}_CMD") or environ.get(f"{name}_SECRET")}
    return tuple(each for each in OF_A_PROCESS if each.variable in set(_SHARED_BY_AIRFLOW) - elsewhere)


def write_passwords(environ: Mapping[str, str]) -> None:
    """Write the login of Airflow's `admin` to the file that its auth manager reads, for nobody else's eyes.

    Without AIRFLOW_ADMIN_PASSWORD there is nothing to write: people are somebody else's business then.
    Raises ConfigurationError where the file is not named.
    """
    password = environ.get(ADMIN_PASSWORD)
    if not password:
        return
    name = environ.get(PASSWORDS_FILE)
    if not name:
        raise ConfigurationError(f"{ADMIN_PASSWORD} is set, but {PASSWORDS_FILE} is not.", "Set it to a path.")
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({"admin": password}, file)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except ChurnError as error:
        sys.exit(f"{error.message} {error.next_step}")
