"""`python -m churn.platform.launch NAME`: become one process of the platform, with only its own secrets.

The supervisor runs every process but PostgreSQL through this, so that no secret stands in its configuration,
on a command line, or in the environment of a process that has no business with it.
"""

import os
import sys

from churn.errors import ChurnError, PlatformError
from churn.platform import environments
from churn.platform.layout import Platform
from churn.platform.leftovers import end, remains_of
from churn.platform.processes import processes_of
from churn.settings import Settings


def main(name: str) -> None:
    """Replace this process by the named one, after ending what a killed predecessor of it left behind.

    Raises PlatformError for an unknown name.
    """
    platform = Platform.of(Settings())
    process = next((known for known in processes_of(platform) if known.name == name), None)
    if process is None:
        raise PlatformError(f"The platform has no process {name!r}.", "See `churn platform status`.")
    end(remains_of(platform.home, name), patience=5)
    source = environments.carried(platform)
    environment = environments.everywhere(platform, name, source) | process.environment(platform, source)
    command = process.command(platform)
    os.execve(command[0], command, environment)  # noqa: S606  # nosec B606 - it takes our place; no shell


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ChurnError as error:
        sys.exit(f"{error.message} {error.next_step}")
