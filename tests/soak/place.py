"""Where a soak takes place: a PostgreSQL and an MLflow that can be stopped, several versions, the API as deployed."""

import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from churn.columns import FEATURES
from churn.db.database import Database
from churn.db.migrations import LOGIN_ROLES, migrate, set_password
from churn.errors import RegistryUnavailable
from churn.jobs.issue_api_key import issue_api_key
from churn.platform.ports import LOOPBACK
from churn.platform.postgres import EmbeddedPostgres, create_database
from churn.registry import Registry
from tests.api.conftest import TestRegistry, draw_customers
from tests.benchmarks.wire import Address
from tests.conftest import PASSWORD, TestDatabase, TestServer
from tests.server import Server, random_free_port
from tests.soak.callers import Callers

VERSIONS = 6
ROW_COUNT = 200
WORKERS = 2
ENOUGH = 10_000_000  # requests a minute
SECONDS_TO_RETURN = 60.0


@dataclass(frozen=True)
class Place:
    """Everything that runs, and what it must answer: `expected` probabilities of each version for each row."""

    folder: Path
    postgres: EmbeddedPostgres
    postgres_port: int
    database: TestDatabase
    registry: TestRegistry
    api: Server
    api_port: int
    key: str
    expected: dict[int, list[float]]

    @property
    def master(self) -> psutil.Process:
        """gunicorn's master."""
        assert self.api.process is not None
        return psutil.Process(self.api.process.pid)

    @property
    def workers(self) -> list[psutil.Process]:
        """The workers that live now."""
        return [child for child in self.master.children() if child.status() != psutil.STATUS_ZOMBIE]

    def callers(self, count: int, pause: float) -> Callers:
        """Callers with a key, about the rows of this place."""
        address: Address = (LOOPBACK, self.api_port)
        headers = {"Authorization": f"Bearer {self.key}"}
        return Callers(address, "/v1/predict", headers, rows(), "soak", count, pause)

    def restart_postgres(self) -> None:
        """As an operator does it: `pg_ctl restart -m fast`; every connection is cut."""
        self.postgres.stop()
        self.postgres.start(self.postgres_port, self.folder / "postgres.log")

    def wait_for_registry(self) -> None:
        """Return when the registry can be asked again."""
        deadline = time.monotonic() + SECONDS_TO_RETURN
        while True:
            try:
                self.registry.registry.production_version()
            except RegistryUnavailable:
                assert time.monotonic() < deadline, "the registry did not come back"
                time.sleep(0.1)
            else:
                return

    def kill_worker(self) -> set[int]:
        """Kill a worker with -9 and return the ports of the callers whose connections it held then."""
        worker = self.workers[0]
        worker.send_signal(signal.SIGSTOP)  # so that what it holds does not change while it is counted
        held = {each.raddr.port for each in worker.net_connections("tcp") if self._is_caller(each)}
        worker.send_signal(signal.SIGKILL)
        self.wait_for_another_than(worker.pid)
        return held

    def end_worker(self) -> None:
        """Tell a worker to end (SIGTERM) and wait until another is there."""
        worker = self.workers[0]
        worker.send_signal(signal.SIGTERM)
        self.wait_for_another_than(worker.pid)

    def wait_for_another_than(self, pid: int) -> None:
        """Return when the worker is gone and another one is there in its place, with a model."""
        deadline = time.monotonic() + SECONDS_TO_RETURN
        while pid in (pids := {each.pid for each in self.workers}) or len(pids) < WORKERS:
            assert time.monotonic() < deadline, "no other worker came up"
            time.sleep(0.1)

    def _is_caller(self, connection: object) -> bool:
        local, remote = connection.laddr, connection.raddr  # type: ignore[attr-defined]
        return bool(remote) and local.port == self.api_port


def rows() -> list[dict[str, object]]:
    """The customers who are asked about, as JSON records."""
    frame = draw_customers(ROW_COUNT)
    return [dict(zip(frame.columns, row, strict=True)) for row in frame.astype(object).itertuples(index=False)]


@contextmanager
def running_place() -> Iterator[Place]:
    """Start everything in a folder of its own, which is removed at the end."""
    with ExitStack() as ended:
        folder = Path(tempfile.mkdtemp(prefix="churn-soak-"))
        ended.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        postgres, port = _start_postgres(folder, ended)
        database = _make_database(port)
        registry = _start_mlflow(folder, port, ended)
        for seed in range(VERSIONS):
            registry.add(seed)
        registry.registry.promote(1)
        pipeline = database.as_role("churn_pipeline")
        key = issue_api_key(pipeline, "soak", ["predict"], requests_per_minute=ENOUGH).text
        api, api_port = _start_api(folder, database, registry, ended)
        records = [{name: row[name] for name in row if name in {column.name for column in FEATURES}} for row in rows()]
        expected = {
            version: [float(each) for each in model.probabilities(model.encoder.encode_records(records))]
            for version, model in registry.models.items()
        }
        yield Place(folder, postgres, port, database, registry, api, api_port, key, expected)


def _start_postgres(folder: Path, ended: ExitStack) -> tuple[EmbeddedPostgres, int]:
    server = EmbeddedPostgres.under(folder)
    server.initialise(PASSWORD)
    with (server.data / "postgresql.auto.conf").open("a") as settings:
        settings.write("fsync = off\nfull_page_writes = off\n")  # nothing here outlives the soak
    port = random_free_port()
    server.start(port, folder / "postgres.log")
    ended.callback(server.stop)
    return server, port


def _make_database(port: int) -> TestDatabase:
    server = TestServer(port)
    create_database(server.url("postgres", "postgres"), "churn")
    admin = Database(server.url("postgres", "churn"))
    migrate(admin)
    for role in LOGIN_ROLES:
        set_password(admin, role, PASSWORD)
    return TestDatabase(server, "churn")


def _start_mlflow(folder: Path, postgres_port: int, ended: ExitStack) -> TestRegistry:
    """MLflow over the same PostgreSQL, as on the local platform: a restart of the one is felt by the other."""
    url = TestServer(postgres_port).url("postgres", "mlflow")
    create_database(TestServer(postgres_port).url("postgres", "postgres"), "mlflow")
    port = random_free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--backend-store-uri", url, "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / "mlflow.log", environment)
    ended.callback(server.stop)
    server.start()
    return TestRegistry(server, Registry(server.url), {}, folder / "artifacts")


def _start_api(folder: Path, database: TestDatabase, registry: TestRegistry, ended: ExitStack) -> tuple[Server, int]:
    port = random_free_port()
    environment = {
        "CHURN_API_BIND": f"{LOOPBACK}:{port}",
        "CHURN_API_WORKERS": str(WORKERS),
        "CHURN_MLFLOW_TRACKING_URI": registry.server.url,
        "CHURN_API_DATABASE_URL": database.as_role("churn_api").url,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py"]
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / "api.log", environment)
    ended.callback(server.stop)
    server.start()
    while server.log.read_text("utf-8").count("answers from now on") < WORKERS:  # or the first would get all callers
        time.sleep(0.1)
    return server, port
