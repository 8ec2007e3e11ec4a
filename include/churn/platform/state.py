"""What a platform remembers between starts, in state.json: its ports and its control socket."""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from churn.errors import PlatformError
from churn.platform.files import read_object, write_private
from churn.platform.ports import free_port, is_free
from churn.settings import Settings

FILE_NAME = "state.json"
# A Unix socket's path may have 103 bytes on macOS and 107 on Linux; supervisord binds it with its pid added.
LONGEST_SOCKET_PATH = 90


@dataclass(frozen=True)
class State:
    """Ports by service, the first ports asked for, the control socket, a fingerprint of the settings.

    `mlflow_ports` are all that our MLflow ever had, by which an old export of its address is recognised.
    """

    ports: dict[str, int] = field(default_factory=dict)
    asked: dict[str, int] = field(default_factory=dict)
    mlflow_ports: list[int] = field(default_factory=list)
    socket: str = ""
    settings: str = ""

    @classmethod
    def of(cls, home: Path) -> Self:
        """What the state folder remembers; empty where it was never used. Raises PlatformError if damaged."""
        found = read_object(home / FILE_NAME)
        try:
            return cls(**found)
        except TypeError as error:
            raise PlatformError(f"{home / FILE_NAME} is not a state file: {error}.", "Delete it.") from error

    def save(self, home: Path) -> None:
        """Remember this state."""
        write_private(home / FILE_NAME, json.dumps(asdict(self), indent=1))


def asked_ports(settings: Settings) -> dict[str, int]:
    """The first port to try for each service."""
    return {
        "airflow": settings.airflow_port,
        "mlflow": settings.mlflow_port,
        "api": settings.api_port,
        "postgres": settings.postgres_port,
    }


def choose_ports(asked: Mapping[str, int], remembered: State) -> dict[str, int]:
    """A free port for each service: last time's where still free and asked for, else the next free one."""
    chosen: dict[str, int] = {}
    for name, first in asked.items():
        last = remembered.ports.get(name)
        taken = frozenset(chosen.values())
        if last and remembered.asked.get(name) == first and last not in taken and is_free(last):
            chosen[name] = last
        else:
            chosen[name] = free_port(first, taken)
    return chosen


def socket_path(home: Path) -> Path:
    """Where the supervisor of this state folder listens: in the folder, or in a short private one elsewhere.

    Raises PlatformError where the short folder belongs to someone else.
    """
    inside = home / "run" / "supervisor.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        inside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"churn-{os.geteuid()}-{digest}"
    if len(os.fsencode(folder)) > LONGEST_SOCKET_PATH - 16:
        folder = Path("/tmp") / folder.name  # noqa: S108 - made 0700 and checked below
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.geteuid() or found.st_mode & 0o077 or folder.is_symlink():
        raise PlatformError(f"{folder} is not a private folder of this user.", "Remove it and try again.")
    return folder / "supervisor.sock"
