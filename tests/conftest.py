"""What every test shares: one real PostgreSQL a session, one fresh database a test that asks for it."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import psycopg
import pytest
import s3fs
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from mlflow import MlflowClient
from psycopg import sql
from pydantic import SecretStr

from churn.db.database import Database
from churn.db.migrations import LOGIN_ROLES, migrate, set_password
from churn.platform.ports import LOOPBACK
from churn.platform.postgres import EmbeddedPostgres, create_database
from churn.services import Services
from churn.settings import Settings
from tests.moto_server import empty_bucket, moto_server
from tests.server import Server, random_free_port

PASSWORD = "only-for-tests"

# A busy machine is no finding: speed is for `make bench`.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")


@dataclass(frozen=True)
class TestServer:
    """A PostgreSQL server with superuser `postgres`."""

    __test__ = False
    port: int

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}:{PASSWORD}@{LOOPBACK}:{self.port}/{database}"

    def copy(self, template: str, name: str) -> "TestDatabase":
        """A copy of a migrated database to which nobody is connected."""
        self.drop(name)
        statements = (
            "CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY",  # half the work of logging each page
            "REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            "GRANT CONNECT ON DATABASE {name} TO churn_owner, churn_pipeline, churn_api, crm_reader, grafana_reader",
        )
        names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
        self._execute(*(sql.SQL(statement).format(**names) for statement in statements))
        return TestDatabase(self, name)

    def drop(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, *statements: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)


@dataclass(frozen=True)
class TestMlflow:
    """A running MLflow server and the folder where it keeps artifacts."""

    __test__ = False
    server: Server
    artifacts: Path

    @property
    def tracking_uri(self) -> str:
        return self.server.url


@dataclass(frozen=True)
class TestDatabase:
    """A freshly migrated churn database, seen as each of its roles."""

    __test__ = False
    server: TestServer
    name: str

    def as_role(self, role: str) -> Database:
        return Database(self.server.url(role, self.name))


@pytest.fixture(scope="session")
def postgres() -> Iterator[TestServer]:
    """A real server in a folder of its own, stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="churn-test-pg-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres.under(folder)
    server.initialise(PASSWORD)
    with (server.data / "postgresql.auto.conf").open("a") as settings:
        settings.write("fsync = off\nfull_page_writes = off\n")  # nothing here outlives the session
        settings.write("scram_iterations = 1\n")  # thousands of logins, and no password worth guessing
    port = random_free_port()
    server.start(port, folder / "postgres.log")
    try:
        yield TestServer(port)
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def migrated_template(postgres: TestServer) -> str:
    """A database with the schema in place, to be copied."""
    create_database(postgres.url("postgres", "postgres"), "churn_template")
    admin = Database(postgres.url("postgres", "churn_template"))
    migrate(admin)
    for role in LOGIN_ROLES:
        set_password(admin, role, PASSWORD)
    return "churn_template"


@pytest.fixture
def churn_database(
    postgres: TestServer, migrated_template: str, request: pytest.FixtureRequest
) -> Iterator[TestDatabase]:
    """A fresh churn database for one test, removed after it: hundreds of them are gigabytes to write and to delete."""
    name = f"churn_{abs(hash(request.node.nodeid)) % 10**12}"
    yield postgres.copy(migrated_template, name)
    postgres.drop(name)


@pytest.fixture
def pipeline(churn_database: TestDatabase) -> Database:
    """The fresh database as churn_pipeline."""
    return churn_database.as_role("churn_pipeline")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, postgres: TestServer) -> Iterator[TestMlflow]:
    """A real MLflow server with a database and artifacts of its own."""
    create_database(postgres.url("postgres", "postgres"), "mlflow")
    folder = tmp_path_factory.mktemp("mlflow")
    port = random_free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--backend-store-uri", postgres.url("postgres", "mlflow"),
        "--artifacts-destination", str(folder / "artifacts"),
    ]  # fmt: skip
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / "server.log", environment)
    try:
        yield TestMlflow(server.start(), folder / "artifacts")
    finally:
        server.stop()


@pytest.fixture
def services(pipeline: Database, mlflow_server: TestMlflow, tmp_path: Path) -> Services:
    """Real services of one test: a fresh database, folders of its own, a registry without a Production version."""
    opened = Services.from_settings(
        Settings(
            home=tmp_path / "home",
            database_url=SecretStr(pipeline.url),
            MLFLOW_TRACKING_URI=mlflow_server.tracking_uri,
        )
    )
    without_aliases(opened.tracking.tracking_uri)
    return opened


def without_aliases(tracking_uri: str) -> None:
    """Leave a registry its versions, which tests share, but none of them in Production or staging."""
    client = MlflowClient(tracking_uri, tracking_uri)
    for model in client.search_registered_models():
        for alias in model.aliases:
            client.delete_registered_model_alias(model.name, alias)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The endpoint of one S3 server for the session."""
    with moto_server(tmp_path_factory.mktemp("moto") / "moto.log") as endpoint:
        yield endpoint


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> Iterator[s3fs.S3FileSystem]:
    """An empty bucket `landing`, found like every AWS client finds one: by the environment."""
    with empty_bucket(s3_endpoint) as filesystem:
        yield filesystem


@pytest.fixture(scope="session")
def telco_csv() -> Path:
    """The public data set on this machine; tests that need it skip, saying so, where it is absent."""
    path = os.environ.get("CHURN_TELCO_CSV")
    if not path or not Path(path).is_file():
        pytest.skip("CHURN_TELCO_CSV does not name the Telco Customer Churn file")
    return Path(path)


@pytest.fixture(scope="session")
def telco(telco_csv: Path) -> pd.DataFrame:
    """The public data set as text, as it is in the file."""
    return pd.read_csv(telco_csv, dtype=str, keep_default_na=False)
