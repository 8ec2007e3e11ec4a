"""The machine that controls everything: PostgreSQL, Redis, S3, MLflow and Airflow, but no task runs on it."""

import base64
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import psycopg
import s3fs
from psycopg import sql
from pydantic import SecretStr

from churn.db.database import Database
from churn.db.migrations import LOGIN_ROLES, migrate, set_password
from churn.platform.environments import connection
from churn.platform.ports import LOOPBACK
from churn.platform.postgres import EmbeddedPostgres, create_database
from churn.services import Services
from churn.settings import PROJECT, Settings
from tests.cluster.machines import CONTROL, NETWORK
from tests.faults.children import wait_until
from tests.moto_server import COMMAND as MOTO
from tests.server import Server

POSTGRES, REDIS, S3, MLFLOW, AIRFLOW = 5432, 6379, 9000, 5000, 8080
PASSWORD = secrets.token_urlsafe(16)
USER = "operator"
BUCKET = "churn"
# What workers may open: the churn schemas as the pipeline's role, and Celery's own results.
FOR_WORKERS = {"churn": "churn_pipeline", "celery": "celery"}
SHORT_WAITS = {  # the product's own take minutes, see distributed.env
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "8",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__PRINT_STATS_INTERVAL": "600",
    "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
}


def distributed_options() -> dict[str, str]:
    """What the product tells every Airflow process of many machines."""
    lines = (PROJECT / "include/churn_airflow/distributed.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def url(role: str, database: str) -> str:
    return f"postgresql://{role}:{PASSWORD}@{CONTROL}:{POSTGRES}/{database}"


@dataclass
class Control:
    """The running services, everything that they keep below `folder`."""

    folder: Path
    policy_file: str
    ended: ExitStack = field(default_factory=ExitStack)

    def start(self) -> None:
        """Start everything and wait until it answers; what depends on nothing else starts at the same time."""
        self._start_postgres()
        with ThreadPoolExecutor() as beside:
            started = [beside.submit(each) for each in (self._start_redis, self._start_mlflow, self._start_airflow)]
            self._start_s3()
            for each in started:
                each.result()

    def services(self) -> Services:
        """What somebody on this machine works with, who opens everything by its address."""
        return Services.from_settings(
            Settings(
                home=self.folder / "home",
                database_url=SecretStr(url("churn_pipeline", "churn")),
                MLFLOW_TRACKING_URI=f"http://{CONTROL}:{MLFLOW}",
                landing_url=f"s3://{BUCKET}/landing",
                reports_url=f"s3://{BUCKET}/reports",
            )
        )

    def bucket(self) -> s3fs.S3FileSystem:
        """S3 as every AWS client finds it: by the environment."""
        return s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)

    @property
    def everywhere(self) -> dict[str, str]:
        """What every Airflow process gets, on whatever machine."""
        database = "db+" + url("celery", "celery").replace("://", "+psycopg://")
        return distributed_options() | SHORT_WAITS | self.s3 | {
            "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{CONTROL}:{AIRFLOW}/execution/",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://:{PASSWORD}@{CONTROL}:{REDIS}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": database,
            "AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER": f"s3://{BUCKET}/logs",
            "AIRFLOW_CONN_CHURN_DB": connection(url("churn_pipeline", "churn")),
            "MLFLOW_TRACKING_URI": f"http://{CONTROL}:{MLFLOW}",
            "CHURN_LANDING_URL": f"s3://{BUCKET}/landing",
            "CHURN_REPORTS_URL": f"s3://{BUCKET}/reports",
            "CHURN_PROJECT_DIR": str(PROJECT),
            "CHURN_POLICY_FILE": self.policy_file,
        }  # fmt: skip

    @property
    def for_workers(self) -> Mapping[str, str]:
        """What a worker gets: no key of Airflow's, and no address of its metadata."""
        return self.everywhere | {"AIRFLOW_HOME": "/srv/airflow", "CHURN_HOME": "/srv/airflow/churn"}

    @cached_property
    def _own(self) -> dict[str, str]:
        """What the Airflow processes of this machine get besides."""
        home = self.folder / "airflow"
        home.mkdir()
        passwords = home / "passwords.json"
        passwords.write_text(json.dumps({USER: PASSWORD}))
        return self.everywhere | {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__API__HOST": CONTROL,
            "AIRFLOW__API__PORT": str(AIRFLOW),
            "AIRFLOW__API__BASE_URL": f"http://{CONTROL}:{AIRFLOW}",
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(64),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(64),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url("airflow", "airflow").replace("://", "+psycopg2://"),
            "CHURN_HOME": str(self.folder / "home"),
        }  # fmt: skip

    @property
    def s3(self) -> dict[str, str]:
        """What leads every AWS client to the S3 of this machine."""
        return {
            "AWS_ENDPOINT_URL": f"http://{CONTROL}:{S3}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def _start_postgres(self) -> None:
        server = EmbeddedPostgres.under(self.folder)
        server.initialise(PASSWORD)
        access = [f"host {database} {role} {NETWORK}.0/24 scram-sha-256" for database, role in FOR_WORKERS.items()]
        with (server.data / "pg_hba.conf").open("a") as file:
            file.write("\n".join([f"host all all {CONTROL}/32 scram-sha-256", *access, ""]))
        command = [f"{CONTROL},{LOOPBACK}" if part == LOOPBACK else part for part in server.command(POSTGRES)]
        with (self.folder / "postgres.log").open("wb") as log:
            process = subprocess.Popen(command, user=server.os_user, cwd="/", stdout=log, stderr=log)
        self.ended.callback(process.wait, 60)
        self.ended.callback(process.send_signal, signal.SIGINT)  # without waiting for sessions whose client is gone
        wait_until(lambda: _answers(url("postgres", "postgres")), "PostgreSQL answers")
        for name in ("churn", "mlflow", "airflow", "celery"):
            create_database(url("postgres", "postgres"), name)
        _own_role("airflow")
        _own_role("celery")
        admin = Database(url("postgres", "churn"))
        migrate(admin)
        for role in LOGIN_ROLES:
            set_password(admin, role, PASSWORD)

    def _start_redis(self) -> None:
        settings = self.folder / "redis.conf"
        settings.write_text(f'bind {CONTROL}\nport {REDIS}\nrequirepass {PASSWORD}\nsave ""\ndir {self.folder}\n')
        with (self.folder / "redis.log").open("wb") as log:
            process = subprocess.Popen(["redis-server", str(settings)], stdout=log, stderr=log)
        self.ended.callback(process.wait, 30)
        self.ended.callback(process.terminate)

    def _start_s3(self) -> None:
        command = [str(MOTO), "-H", CONTROL, "-p", str(S3)]
        self._serve("s3", command, S3, "/moto-api/", {})
        self.bucket().mkdir(BUCKET)

    def _start_mlflow(self) -> None:
        where = ["--host", CONTROL, "--port", str(MLFLOW), "--workers", "1", "--artifacts-destination"]
        command = [sys.executable, "-m", "mlflow", "server", *where, f"s3://{BUCKET}/mlflow"]
        given = {
            "MLFLOW_BACKEND_STORE_URI": url("postgres", "mlflow"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "DO_NOT_TRACK": "true",
        }
        self._serve("mlflow", command, MLFLOW, "/health", self.s3 | given)

    def _start_airflow(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=os.environ | self._own, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3_000:]
        for name in ("scheduler", "dag-processor", "triggerer"):
            with (self.folder / f"{name}.log").open("wb") as log:
                command = [sys.executable, "-m", "airflow", name]
                skip = [] if name == "dag-processor" else ["--skip-serve-logs"]
                process = subprocess.Popen([*command, *skip], env=os.environ | self._own, stdout=log, stderr=log)
            self.ended.callback(process.wait, 60)
            self.ended.callback(process.terminate)
        command = [sys.executable, "-m", "airflow", "api-server", "--workers", "1"]
        self._serve("api-server", command, AIRFLOW, "/api/v2/monitor/health", self._own)

    def _serve(self, name: str, command: list[str], port: int, path: str, environment: dict[str, str]) -> None:
        server = Server(command, f"http://{CONTROL}:{port}", self.folder / f"{name}.log", environment)
        self.ended.callback(server.stop)
        server.start(path)


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _own_role(name: str) -> None:
    """A login role that owns the database of its name."""
    role = sql.Identifier(name)
    with psycopg.connect(url("postgres", "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(PASSWORD)))
        admin.execute(sql.SQL("ALTER DATABASE {0} OWNER TO {0}").format(role))
        admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))
