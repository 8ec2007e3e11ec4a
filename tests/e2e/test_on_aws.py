"""The Airflow providers do the work on AWS: secrets, logs, extracts and artifacts, against moto's own server."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests

from churn.db.database import Database
from churn.platform.airflow_rest import AirflowRest
from churn.services import Services
from churn.settings import Settings
from churn.simulator import write_extract
from tests.faults.children import wait_until
from tests.jobs import DAY, promote_model
from tests.moto_server import moto_server
from tests.server import random_free_port

CHURN = str(Path(sys.executable).with_name("churn"))
EXTRACT = f"daily/customers-{DAY}.csv"
VERBATIM = {"tenure": 12, "MonthlyCharges": 70.5, "Contract": "Month-to-month"}


@dataclass(frozen=True)
class Cloud:
    """A platform whose secrets, logs, extracts and artifacts are on AWS."""

    environment: dict[str, str]
    exports: dict[str, str]
    airflow_environment: str

    def client(self, service: str) -> Any:
        names = {"endpoint_url": "AWS_ENDPOINT_URL", "region_name": "AWS_DEFAULT_REGION"}
        names |= {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        return boto3.client(service, **{option: self.environment[name] for option, name in names.items()})

    def objects(self, bucket: str) -> dict[str, bytes]:
        """Every object of a bucket."""
        s3 = self.client("s3")
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return {key: s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def run(self, dag_id: str) -> str:
        """Run a DAG to its end on the real scheduler; returns the run's name."""
        names = ("AIRFLOW_URL", "AIRFLOW_USER", "AIRFLOW_PASSWORD")
        with AirflowRest(*(self.exports[name] for name in names)) as airflow:
            airflow.wait_for_dags({dag_id})
            airflow.unpause(dag_id)
            run_id = airflow.trigger(dag_id)
            assert airflow.wait(dag_id, run_id, 180) == "success", airflow.failure(dag_id, run_id)
        return run_id


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    folder = tmp_path_factory.mktemp("on-aws")
    with moto_server(folder / "moto.log") as endpoint:
        environment = _environment(folder, endpoint)
        bare = Cloud(environment, {}, "")
        for bucket in ("landing", "artifacts", "logs"):
            bare.client("s3").create_bucket(Bucket=bucket)
        try:
            _churn(environment, "platform", "up")
            exports = json.loads(_exports(environment))
            yield Cloud(environment, exports, _churn(environment, "platform", "env", "--airflow"))
        finally:
            _churn(environment, "platform", "down")


def _environment(folder: Path, endpoint: str) -> dict[str, str]:
    ours = ("CHURN_", "MLFLOW_", "AIRFLOW", "AWS_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    first = random_free_port()
    ports = {
        f"CHURN_{name}_PORT": str(first + 100 * n) for n, name in enumerate(("AIRFLOW", "MLFLOW", "API", "POSTGRES"))
    }
    return kept | ports | {
        "CHURN_HOME": str(folder / "home"),
        "CHURN_LANDING_URL": "s3://landing/daily",
        "CHURN_MLFLOW_ARTIFACTS_URL": "s3://artifacts/mlflow",
        "CHURN_LOGS_URL": "s3://logs/airflow",
        "CHURN_SECRETS_PREFIX": "churn-tests",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }  # fmt: skip


def _churn(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [CHURN, *arguments], env=environment, capture_output=True, text=True, timeout=400, check=False
    )
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr[-2_000:]
    return done.stdout


def _exports(environment: dict[str, str]) -> str:
    """What a shell has after `eval "$(churn platform env)"`, as JSON."""
    tell = "import json, os; print(json.dumps(dict(os.environ)))"
    shell = f"{_churn(environment, 'platform', 'env')}\nexec '{sys.executable}' -c '{tell}'"
    return subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, env={}).stdout


def test_a_task_has_its_connection_its_extract_and_its_log_on_aws(cloud: Cloud, tmp_path: Path) -> None:
    parts = urlsplit(cloud.exports["CHURN_DATABASE_URL"])
    secret = {
        "conn_type": "postgres", "host": parts.hostname, "port": parts.port, "login": parts.username,
        "password": parts.password, "schema": parts.path.removeprefix("/"),
    }  # fmt: skip
    cloud.client("secretsmanager").create_secret(
        Name="churn-tests/connections/churn_db", SecretString=json.dumps(secret)
    )
    write_extract(tmp_path / "extract.csv", 1_500, seed=1, with_churn=True)
    cloud.client("s3").upload_file(str(tmp_path / "extract.csv"), "landing", EXTRACT)

    run_id = cloud.run("validate_customers")

    assert "AIRFLOW_CONN_CHURN_DB" not in cloud.airflow_environment  # nobody but the backend knows the database
    with Database(cloud.exports["CHURN_DATABASE_URL"]).transaction() as connection:
        rows = connection.execute("SELECT source_url, state, admitted_count FROM churn.extracts").fetchall()
    assert rows == [{"source_url": f"s3://landing/{EXTRACT}", "state": "admitted", "admitted_count": 1_500}]

    folder = f"airflow/dag_id=validate_customers/run_id={run_id}/task_id=validate_customers/"
    wait_until(lambda: any(key.startswith(folder) for key in cloud.objects("logs")), "its log is in the bucket")
    logs = cloud.objects("logs")  # it goes there after the task has been marked as done
    (log,) = [text for key, text in logs.items() if key.startswith(folder)]
    assert f"customers-{DAY}".encode() in log
    assert str(secret["password"]).encode() not in b"".join(logs.values())


def test_a_model_lies_in_the_bucket_and_is_served_from_there(cloud: Cloud) -> None:
    settings = Settings.model_validate(
        {
            "database_url": cloud.exports["CHURN_DATABASE_URL"],
            "MLFLOW_TRACKING_URI": cloud.exports["MLFLOW_TRACKING_URI"],
        }
    )
    number = promote_model(Services.from_settings(settings))
    contents = [key for key in cloud.objects("artifacts") if key.endswith("artifacts/contents.json")]
    assert len(contents) == 1
    assert contents[0].startswith("mlflow/")
    predict = f"{cloud.exports['CHURN_API_URL']}/predict"
    answers: list[requests.Response] = []  # of two workers, each of which follows when it next looks

    def is_answered() -> bool:
        answers.append(requests.post(predict, json=VERBATIM, timeout=60))
        return answers[-1].ok

    wait_until(is_answered, "a worker of the API follows")
    assert answers[-1].json()["model_version"] == number


def test_the_page_of_a_task_shows_its_log_from_the_bucket(cloud: Cloud) -> None:
    for local in (Path(cloud.environment["CHURN_HOME"]) / "logs" / "airflow").glob("dag_id=*"):
        subprocess.run(["rm", "-r", str(local)], check=True)
    names = ("AIRFLOW_URL", "AIRFLOW_USER", "AIRFLOW_PASSWORD")
    with AirflowRest(*(cloud.exports[name] for name in names)) as airflow:
        run = airflow.call("GET", "/dags/validate_customers/dagRuns?order_by=-run_after&limit=1")["dag_runs"][0]
        (task, *_) = airflow.tasks("validate_customers", run["dag_run_id"])
        path = f"/dags/validate_customers/dagRuns/{run['dag_run_id']}/taskInstances/{task['task_id']}/logs/1"
        if task["map_index"] >= 0:
            path += f"?map_index={task['map_index']}"
        shown = json.dumps(airflow.call("GET", path))
    assert "s3://logs/airflow" in shown
