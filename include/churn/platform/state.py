"""What a platform remembers between starts, in state.json: its ports and its control socket."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from churn.errors import PlatformError
from churn.platform.files import LONGEST_SOCKET_PATH, private_folder, read_object, write_private
from churn.platform.ports import free_port, is_free
from churn.settings import Settings

FILE_NAME = "state.json"


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


def choose_ports(
    asked: Mapping[str, int], remembered: State, usable: Callable[[int], bool] = is_free
) -> dict[str, int]:
    """A usable port for each service: last time's where it still is one and asked for, else the next one."""
    chosen: dict[str, int] = {}
    for name, first in asked.items():
        last = remembered.ports.get(name)
        taken = frozenset(chosen.values())
        if last and remembered.asked.get(name) == first and last not in taken and usable(last):
            chosen[name] = last
        else:
            chosen[name] = free_port(first, taken, usable)
    return chosen


def socket_path(home: Path) -> Path:
    """Where the supervisor of this state folder listens: in the folder, or in a short private one elsewhere.

    Raises PlatformError where the short folder belongs to someone else.
    """
    inside = home / "run" / "supervisor.sock"
    if len(os.fsencode(inside)) <= LONGEST_SOCKET_PATH:
        inside.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return inside
    return private_folder(hashlib.sha256(os.fsencode(home)).hexdigest()[:12]) / "supervisor.sock"
