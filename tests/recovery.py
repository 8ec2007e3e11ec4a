"""What tests of backups start from: a system that lives, and empty places on a server of their own."""

import dataclasses
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from churn.db.database import Database
from churn.db.migrations import LOGIN_ROLES, set_password
from churn.file_tree import FileTree
from churn.jobs.take_backup import Saved
from churn.platform.ports import LOOPBACK
from churn.platform.postgres import EmbeddedPostgres, wheel_server
from churn.services import Services
from churn.settings import Settings
from tests.conftest import PASSWORD, TestServer
from tests.server import Server, random_free_port

PROGRAMS = wheel_server() / "bin"


@contextmanager
def empty_server(hba: str = "") -> Iterator[TestServer]:
    """A PostgreSQL server for the block, on which nobody has made anything but the role that MLflow logs in as.

    `hba` are lines of pg_hba.conf that stand above its own.
    """
    folder = Path(tempfile.mkdtemp(prefix="churn-test-empty-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres.under(folder)
    server.initialise(PASSWORD)
    with (server.data / "postgresql.auto.conf").open("a") as settings:
        settings.write("fsync = off\nfull_page_writes = off\n")
    access = server.data / "pg_hba.conf"
    access.write_text(hba + access.read_text("utf-8"))
    port = random_free_port()
    server.start(port, folder / "postgres.log")
    try:
        with Database(TestServer(port).url("postgres", "postgres")).transaction() as connection:
            connection.execute(f"CREATE ROLE mlflow LOGIN PASSWORD '{PASSWORD}'")
        yield TestServer(port)
    finally:
        server.stop()
        shutil.rmtree(folder)


@contextmanager
def mlflow_over(database_url: str, artifacts: str, folder: Path) -> Iterator[Server]:
    """An MLflow server over a database and an artifact root, for the block."""
    port = random_free_port()
    command = [
        sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1",
        "--backend-store-uri", database_url, "--artifacts-destination", artifacts,
    ]  # fmt: skip
    environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / f"mlflow-{port}.log", environment)
    try:
        yield server.start()
    finally:
        server.stop()


@contextmanager
def api_over(saved: Saved, mlflow_url: str, folder: Path) -> Iterator[Server]:
    """The API under gunicorn beside these databases, for the block."""
    port = random_free_port()
    command = [sys.executable, "-m", "gunicorn", "--config", "api/gunicorn.conf.py"]
    environment = {
        "CHURN_API_BIND": f"{LOOPBACK}:{port}",
        "CHURN_API_WORKERS": "1",
        "CHURN_MLFLOW_TRACKING_URI": mlflow_url,
        "CHURN_API_DATABASE_URL": as_role(saved, "churn_api").url,
    }
    server = Server(command, f"http://{LOOPBACK}:{port}", folder / f"api-{port}.log", environment)
    try:
        yield server.start("/ready")
    finally:
        server.stop()


def place_on(server: TestServer, artifacts: Path, name: str) -> Saved:
    """Where a backup may be restored to: databases that nobody has made yet, and a folder that is not there."""
    return Saved(
        Database(server.url("postgres", f"churn_{name}")),
        Database(server.url("mlflow", f"mlflow_{name}")),
        FileTree(str(artifacts)),
        PROGRAMS,
    )


def as_role(saved: Saved, role: str) -> Database:
    """The churn database as one of the roles that log in, with the password of the tests."""
    return Database(saved.churn.url.replace("//postgres:", f"//{role}:"))


def give_passwords(saved: Saved) -> None:
    """What `churn platform up` does after a restore: a backup holds no passwords."""
    for role in LOGIN_ROLES:
        set_password(saved.churn, role, PASSWORD)


def services_over(saved: Saved, mlflow_url: str, home: Path) -> Services:
    """The services of a system."""
    settings = Settings(home=home, MLFLOW_TRACKING_URI=mlflow_url)
    return Services.from_settings(settings, database=as_role(saved, "churn_pipeline"))


def command_environment(saved: Saved) -> dict[str, str]:
    """The variables by which `churn backup` and `churn restore` find these places."""
    return {
        "CHURN_ADMIN_DATABASE_URL": saved.churn.url,
        "CHURN_MLFLOW_DATABASE_URL": saved.mlflow.url,
        "CHURN_MLFLOW_ARTIFACTS_URL": saved.artifacts.url,
    }


def ledger_of(database: Database) -> list[dict[str, Any]]:
    """Every entry of the promotion ledger, whole."""
    with database.transaction() as connection:
        return connection.execute("SELECT * FROM churn.promotions ORDER BY promotion_id").fetchall()


def scores_of(database: Database, scoring_run_id: int) -> list[dict[str, Any]]:
    """Every score of a run with its bits, in key order."""
    statement = (
        "SELECT customer_id, float8send(churn_probability) AS bits, scores.* FROM churn.scores"
        " WHERE scoring_run_id = %s ORDER BY customer_id"
    )
    with database.transaction() as connection:
        return connection.execute(statement, (scoring_run_id,)).fetchall()


def registry_of(tracking_uri: str) -> dict[str, Any]:
    """Everything that the registry says: models with aliases and tags, versions with tags, sources and runs."""
    client = MlflowClient(tracking_uri, tracking_uri)
    models = {model.name: (dict(model.aliases), dict(model.tags)) for model in client.search_registered_models()}
    versions = {
        (each.name, each.version): (dict(each.tags), each.source, each.run_id, each.creation_timestamp)
        for each in client.search_model_versions()
    }
    return {"models": models, "versions": versions}


def state_of(saved: Saved) -> dict[str, Any]:
    """What is on a server and in an artifact root: databases with their comments, files with their fingerprints."""
    with saved.churn.named("postgres").transaction() as connection:
        rows = connection.execute(
            "SELECT datname, shobj_description(oid, 'pg_database') AS comment FROM pg_database ORDER BY 1"
        ).fetchall()
    files = {name: dataclasses.astuple(saved.artifacts.fingerprint(name)) for name in saved.artifacts.sizes()}
    return {"databases": rows, "files": files}


def rights_of(saved: Saved) -> list[dict[str, Any]]:
    """Owner and rights of every table, view, function and schema, and who may connect."""
    statement = """
        WITH owned AS (
            SELECT nspname || '.' || relname AS what, relowner AS owner,
                   coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner)) AS rights
            FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
            WHERE nspname IN ('churn', 'crm', 'monitoring', 'serving') AND relkind IN ('r', 'p', 'v', 'S')
            UNION ALL
            SELECT oid::regprocedure::text, proowner, coalesce(proacl, acldefault('f', proowner))
            FROM pg_proc WHERE proowner = 'churn_owner'::regrole
            UNION ALL
            SELECT nspname, nspowner, coalesce(nspacl, acldefault('n', nspowner))
            FROM pg_namespace WHERE nspname !~ '^pg_'
            UNION ALL
            SELECT 'the database', datdba, datacl FROM pg_database WHERE datname = current_database()
        )
        SELECT what, owner::regrole::text, grantee::regrole::text, privilege_type
        FROM owned, aclexplode(rights)
        WHERE what <> 'the database' OR grantee <> owner
        ORDER BY 1, 2, 3, 4"""
    with saved.churn.transaction() as connection:
        return connection.execute(statement).fetchall()
