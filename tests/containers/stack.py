"""One stack of containers as a person sees it: through `make`, Compose, and the published ports."""

import os
import shlex
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from churn.containers.env_file import read_env_file
from churn.platform.airflow_rest import AirflowRest
from churn.platform.ports import LOOPBACK
from churn.simulator import write_extract
from tests.containers.engine import Engine
from tests.jobs import light_policy
from tests.server import random_free_port

PROJECT_NAME = "churn-test"
LABEL = f"label=com.docker.compose.project={PROJECT_NAME}"
SERVICES_WITH_PORT = ("AIRFLOW", "API", "MLFLOW", "GRAFANA", "POSTGRES", "S3")
# The night has several parts, and each worker takes one task at a time: both have to work.
CUSTOMERS, PART_ROW_COUNT = 3_000, 600


@dataclass
class Stack:
    """A stack with secrets, ports, policy and landing folder of its own, all below `folder`."""

    engine: Engine
    folder: Path
    before: set[str] = field(default_factory=set)  # the engine's volumes before this stack came up
    started: float = field(default_factory=time.monotonic)

    @property
    def env_file(self) -> Path:
        return self.folder / "secrets.env"

    def value(self, name: str) -> str:
        """What the stack's env file says."""
        return read_env_file(self.env_file)[name]

    def set_up(self) -> None:
        """`make setup-data` around an extract of our own, then free ports and a policy whose training is short."""
        (self.folder / "landing").mkdir(mode=0o755)
        extract = self.folder / "landing" / f"customers-{datetime.now(UTC).date()}.csv"
        write_extract(extract, CUSTOMERS, seed=1, with_churn=True)
        self.make("setup-data")
        policy = self.folder / "policy.toml"
        policy.write_text(light_policy(part_row_count=PART_ROW_COUNT))
        policy.chmod(0o644)
        settings = {f"CHURN_{name}_PORT": str(random_free_port()) for name in SERVICES_WITH_PORT}
        settings |= {"CHURN_POLICY_FILE": str(policy), "AIRFLOW_WORKER_CONCURRENCY": "1"}
        with self.env_file.open("a") as file:
            file.write("".join(f"{name}={value}\n" for name, value in settings.items()))

    def make(self, word: str, *variables: str, seconds: int = 3_600) -> str:
        """A word of the Makefile, about this stack; ends with 124 where it is cut off after `seconds`."""
        words = [f"COMPOSE={shlex.join(self.engine.compose)}", f"ENV_FILE={self.env_file}", "PYTHON=.venv/bin/python"]
        command = ("timeout", str(seconds), "make", "--no-print-directory", word, *words, *variables)
        return self.engine.run(*command, variables=self._variables())

    def compose(self, *arguments: str) -> str:
        command = [*self.engine.compose, "--env-file", str(self.env_file), *arguments]
        return self.engine.run(*command, variables=self._variables())

    def logs(self, *services: str) -> str:
        """The end of what services have said, all where none is named."""
        return self.compose("logs", "--no-color", "--tail", "60", *services)

    def listed(self, *command: str) -> set[str]:
        """What the engine lists of this stack."""
        return set(self.engine.run("docker", *command, "--quiet", "--filter", LABEL).split())

    def volumes(self) -> set[str]:
        """Every volume of the engine: those of single containers bear no label."""
        return set(self.engine.run("docker", "volume", "ls", "--quiet").split())

    def url(self, service: str) -> str:
        return f"http://{LOOPBACK}:{self.value(f'CHURN_{service}_PORT')}"

    def airflow(self) -> AirflowRest:
        return AirflowRest(self.url("AIRFLOW"), "admin", self.value("AIRFLOW_ADMIN_PASSWORD"), patience=180)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """What role crm_reader gets from the published port."""
        password, port = self.value("CRM_READER_PASSWORD"), self.value("CHURN_POSTGRES_PORT")
        address = f"postgresql://crm_reader:{password}@{LOOPBACK}:{port}/churn"
        with psycopg.connect(address, row_factory=dict_row) as connection:
            return connection.execute(statement.encode()).fetchall()

    def log(self, done: str) -> None:
        """One line of the course of things, past pytest's capture."""
        os.write(2, f"{time.monotonic() - self.started:7.1f} s  {done}\n".encode())

    def _variables(self) -> dict[str, str]:
        return {
            "COMPOSE_PROJECT_NAME": PROJECT_NAME,
            "CHURN_IMAGE_PREFIX": PROJECT_NAME,
            "LANDING_FOLDER": str(self.folder / "landing"),
            "CHURN_HOME": str(self.folder / "no platform"),  # whose end `make down` is too
        }
