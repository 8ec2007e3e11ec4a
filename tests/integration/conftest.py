"""Real services for the integration tests, started once a session and stopped with all their children."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from churn.platform.ports import LOOPBACK, free_port
from churn.platform.postgres import create_database
from tests.conftest import TestServer

START_SECONDS = 120
STOP_SECONDS = 20


@dataclass(frozen=True)
class TestMlflow:
    """A running MLflow server and the folder where it keeps artifacts."""

    __test__ = False
    tracking_uri: str
    artifacts: Path


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, postgres: TestServer) -> Iterator[TestMlflow]:
    """A real MLflow server on loopback with a database and artifacts of its own."""
    create_database(postgres.url("postgres", "postgres"), "mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    port = free_port(30_000 + os.getpid() % 10_000)
    log_path = folder / "server.log"
    with log_path.open("w") as log:
        process = subprocess.Popen(
            _command(folder, port, postgres.url("postgres", "mlflow")),
            env={**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"},
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the server's own workers belong to its group
        )
    try:
        _wait_until_healthy(process, f"http://{LOOPBACK}:{port}/health", log_path)
        yield TestMlflow(f"http://{LOOPBACK}:{port}", folder / "artifacts")
    finally:
        _stop_group(process)


def _command(folder: Path, port: int, store_url: str) -> list[str]:
    mlflow = str(Path(sys.executable).with_name("mlflow"))
    store = ["--backend-store-uri", store_url]
    artifacts = ["--artifacts-destination", str(folder / "artifacts")]
    return [mlflow, "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1", *store, *artifacts]


def _wait_until_healthy(process: subprocess.Popen[bytes], url: str, log_path: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    pytest.fail(f"MLflow did not become healthy:\n{log_path.read_text()[-3000:]}")


def _stop_group(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(STOP_SECONDS)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
