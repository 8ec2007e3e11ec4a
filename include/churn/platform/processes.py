"""The processes of the platform, as data: how each is run, what it may know, when it is healthy."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from churn.platform import environments
from churn.platform.layout import Platform
from churn.platform.ports import LOOPBACK

POSTGRES = "postgres"


@dataclass(frozen=True)
class Process:
    """One supervised process.

    `arguments` follow `python`; `heartbeat` is its name in Airflow's health report, where it has one;
    `stops_children` is False where its children must be told to stop as well.
    """

    name: str
    arguments: Callable[[Platform], list[str]]
    environment: Callable[[Platform, Mapping[str, str]], dict[str, str]]
    service: str | None = None
    health_path: str | None = None
    heartbeat: str | None = None
    stop_seconds: int = 20
    stops_children: bool = True

    def command(self, platform: Platform) -> list[str]:
        """The whole command line. It holds no secret."""
        return [sys.executable, *self.arguments(platform)]


def _mlflow(platform: Platform) -> list[str]:
    port = str(platform.state.ports["mlflow"])
    where = ["--host", LOOPBACK, "--port", port, "--workers", "1"]
    return ["-m", "mlflow", "server", *where, "--artifacts-destination", platform.artifacts]


def _airflow_ui(platform: Platform) -> list[str]:
    port = str(platform.state.ports["airflow"])
    return ["-m", "airflow", "api-server", "--host", LOOPBACK, "--port", port, "--workers", "1"]


def _api(platform: Platform) -> list[str]:
    return [
        "-m",
        "gunicorn",
        "--config",
        str(platform.settings.project_dir.resolve() / "api" / "gunicorn.conf.py"),
    ]


MLFLOW = Process("mlflow", _mlflow, environments.of_mlflow, "mlflow", "/health", stops_children=False)
API = Process("api", _api, environments.of_api, "api", "/health")
AIRFLOW = (
    Process(
        "airflow-api-server",
        _airflow_ui,
        environments.of_airflow_ui,
        "airflow",
        "/api/v2/monitor/health",
        "metadatabase",
    ),
    Process(
        "airflow-scheduler",
        lambda _: ["-m", "airflow", "scheduler", "--skip-serve-logs"],
        environments.of_airflow_jobs,
        heartbeat="scheduler",
    ),
    Process(
        "airflow-dag-processor",
        lambda _: ["-m", "airflow", "dag-processor"],
        environments.of_airflow_jobs,
        heartbeat="dag_processor",
    ),
    Process(
        "airflow-triggerer",
        lambda _: ["-m", "airflow", "triggerer", "--skip-serve-logs"],
        environments.of_airflow_jobs,
        heartbeat="triggerer",
    ),
)


def processes_of(platform: Platform) -> tuple[Process, ...]:
    """The processes besides PostgreSQL that this platform runs itself."""
    return (*([] if platform.given_mlflow else [MLFLOW]), *AIRFLOW, API)


def names_of(platform: Platform) -> tuple[str, ...]:
    """The names of all processes of this platform, in the order of their start."""
    postgres = (POSTGRES,) if platform.embeds_postgres else ()
    return (*postgres, *(process.name for process in processes_of(platform)))


def log_of(platform: Platform, name: str) -> Path:
    """The log of a process."""
    return platform.logs / f"{name}.log"
