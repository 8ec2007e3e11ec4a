"""The servers of one bench: a PostgreSQL and an MLflow of its own, on loopback, stopped whatever happens.

PostgreSQL runs as the local platform runs it: the same options, fsync on. The folder may be kept between runs.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import SecretStr

from churn.platform.ports import LOOPBACK
from churn.platform.postgres import EmbeddedPostgres, create_database
from churn.services import Services
from churn.settings import Settings
from tests.server import Server, random_free_port

PASSWORD = "only-for-benchmarks"
MLFLOW_DATABASE = "mlflow"
OURS = ("CHURN_", "MLFLOW_", "AIRFLOW")
Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Bench:
    """Where one bench lives: its folder, the port of its PostgreSQL, the address of its MLflow."""

    folder: Path
    port: int
    tracking_uri: str

    @property
    def logs(self) -> Path:
        return self.folder / "logs"

    @property
    def policy_file(self) -> Path:
        return self.folder / "policy.toml"

    def url(self, database: str, role: str = "churn_pipeline") -> str:
        return f"postgresql://{role}:{PASSWORD}@{LOOPBACK}:{self.port}/{database}"

    @contextmanager
    def admin(self, database: str = "postgres") -> Iterator[Connection]:
        """A connection as superuser, each statement a transaction."""
        with psycopg.connect(self.url(database, "postgres"), autocommit=True) as connection:
            yield connection

    def services(self, database: str) -> Services:
        """The product's services on one database, as churn_pipeline."""
        return Services.from_settings(
            Settings(
                home=self.folder / "home",
                database_url=SecretStr(self.url(database)),
                MLFLOW_TRACKING_URI=self.tracking_uri,
            )
        )

    def environment(self, database: str) -> dict[str, str]:
        """What a measured process gets: the caller's environment without ours, and where everything is."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        return kept | {
            "CHURN_HOME": str(self.folder / "home"),
            "CHURN_DATABASE_URL": self.url(database),
            "CHURN_POLICY_FILE": str(self.policy_file),
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "DO_NOT_TRACK": "true",
            "OMP_NUM_THREADS": "1",
        }


@contextmanager
def running_bench(keep: Path | None) -> Iterator[Bench]:
    """Start both servers in `keep`, or in a folder that is removed at the end."""
    with ExitStack() as ended:
        if keep is None:
            folder = Path(tempfile.mkdtemp(prefix="churn-bench-"))
            ended.callback(shutil.rmtree, folder, ignore_errors=True)
        else:
            folder = keep.resolve()
            folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # as root, the server runs as a user of its own
        (folder / "logs").mkdir(exist_ok=True)
        port = _start_postgres(folder, ended)
        yield Bench(folder, port, _start_mlflow(folder, port, ended))


def _start_postgres(folder: Path, ended: ExitStack) -> int:
    server = EmbeddedPostgres.under(folder)
    server.initialise(PASSWORD)
    port = random_free_port()
    server.start(port, folder / "logs" / "postgres.log")
    ended.callback(server.stop)
    return port


def _start_mlflow(folder: Path, postgres_port: int, ended: ExitStack) -> str:
    database = f"postgresql://postgres:{PASSWORD}@{LOOPBACK}:{postgres_port}"
    create_database(f"{database}/postgres", MLFLOW_DATABASE)
    port = random_free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--artifacts-destination", str(folder / "mlflow-artifacts"),
    ]  # fmt: skip
    environment = {
        "MLFLOW_BACKEND_STORE_URI": f"{database}/{MLFLOW_DATABASE}",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "DO_NOT_TRACK": "true",
    }
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / "logs" / "mlflow.log", environment)
    ended.callback(server.stop)
    return server.start().url
