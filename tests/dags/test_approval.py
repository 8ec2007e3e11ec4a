"""People in the DAGs, as Airflow runs them: the evidence is shown, the answer counts, a rollback has a name."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from churn.db import promotions
from churn.errors import NoProductionModel
from churn.platform.airflow_rest import AirflowRest
from churn.platform.ports import LOOPBACK
from churn.platform.postgres import create_database
from churn.services import Services
from churn.settings import PROJECT
from tests.conftest import TestServer
from tests.jobs import admit_simulated, approve, light_policy
from tests.server import Server, random_free_port

PASSWORD = "only-for-tests"
AIRFLOW = [sys.executable, "-m", "airflow"]
LENIENT = light_policy(minimum_auc=0.5, maximum_calibration_error=1.0)
Ledger = list[dict[str, Any]]


@dataclass(frozen=True)
class TestAirflow:
    """An API server over a metadata database; each run of a DAG is a process of its own beside it."""

    __test__ = False
    url: str
    environment: dict[str, str]

    def start(self, services: Services, dag_id: str, policy: str, conf: dict[str, Any]) -> "subprocess.Popen[bytes]":
        home = Path(self.environment["AIRFLOW_HOME"])
        (home / "policy.toml").write_text(LENIENT + policy)
        ours = {
            "AIRFLOW_CONN_CHURN_DB": services.database.url,
            "CHURN_POLICY_FILE": str(home / "policy.toml"),
            "CHURN_MLFLOW_TRACKING_URI": services.tracking.tracking_uri,
            "CHURN_HOME": str(services.reports.folder.parent),
        }
        with (home / "run.log").open("wb") as log:
            return subprocess.Popen(
                [*AIRFLOW, "dags", "test", dag_id, "--conf", json.dumps(conf)],
                env={**os.environ, **self.environment, **ours}, stdout=log, stderr=log,
            )  # fmt: skip

    def log(self) -> str:
        return (Path(self.environment["AIRFLOW_HOME"]) / "run.log").read_text("utf-8")[-3_000:]

    def rest(self) -> AirflowRest:
        return AirflowRest(self.url, "ann", PASSWORD)

    def states(self) -> dict[str, str]:
        """The state of the newest retraining and of each of its tasks."""
        with self.rest() as airflow:
            found = airflow.call("GET", "/dags/retrain_model/dagRuns?order_by=-run_after&limit=1")["dag_runs"][0]
            tasks = airflow.tasks("retrain_model", found["dag_run_id"])
        return {"retrain_model": found["state"]} | {each["task_id"]: each["state"] for each in tasks}

    def answer(self, services: Services, option: str, reason: str) -> str:
        """Run a retraining in approve mode, answer when it asks, and return what was shown."""
        process = self.start(services, "retrain_model", 'promotion_mode = "approve"\n', {})
        try:
            with self.rest() as airflow:
                asked = self.wait_until_asked(airflow, process)
                shown = airflow.call("GET", asked)
                answer = {"chosen_options": [option], "params_input": {"reason": reason}}
                airflow.call("PATCH", asked, answer)
            assert process.wait(120) == 0, self.log()
        finally:
            process.kill()
        return str(shown["body"])

    def wait_until_asked(self, airflow: AirflowRest, process: "subprocess.Popen[bytes]") -> str:
        """The address of the question, once its task waits: an answer before that is not one to count on."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            waiting = airflow.call("GET", "/dags/retrain_model/dagRuns/~/taskInstances?state=awaiting_input")
            for task in waiting["task_instances"]:
                return (
                    f"/dags/retrain_model/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}/-1/hitlDetails"
                )
            time.sleep(0.5)
        raise AssertionError(self.log())


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, postgres: TestServer) -> Iterator[TestAirflow]:
    home = tmp_path_factory.mktemp("airflow")
    create_database(postgres.url("postgres", "postgres"), "airflow")
    (home / "passwords.json").write_text(json.dumps({"ann": PASSWORD}))
    environment = {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ann:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": postgres.url("postgres", "airflow").replace("://", "+psycopg2://"),
        "AIRFLOW__API_AUTH__JWT_SECRET": "only for tests, " * 5,
        "AIRFLOW__API__SECRET_KEY": "only for tests, " * 5,
    }
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        done = subprocess.run(
            [*AIRFLOW, *command], env={**os.environ, **environment}, capture_output=True, timeout=180, check=False
        )
        assert done.returncode == 0, done.stderr[-3_000:]
    port = random_free_port()
    command = [*AIRFLOW, "api-server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    server = Server(command, f"http://{LOOPBACK}:{port}", home / "api-server.log", environment)
    try:
        server.start("/api/v2/monitor/health")
        yield TestAirflow(server.url, environment)
    finally:
        server.stop()


def ledger(services: Services) -> Ledger:
    """Decision, version, who and why, oldest first."""
    with services.database.transaction() as connection:
        return promotions.history(connection, 10)[::-1]


def test_a_person_sees_the_evidence_and_a_no_leaves_the_run_green(airflow: TestAirflow, services: Services) -> None:
    """The yes is in tests/e2e, on the real scheduler."""
    admit_simulated(services, 1_500)

    shown = airflow.answer(services, "Reject", "not before the holidays")

    with pytest.raises(NoProductionModel):
        services.registry.production_version()
    asked, said = ledger(services)
    assert [asked["decision"], said["decision"]] == ["proposed", "kept"]
    assert (said["decided_by"], said["reason"]) == ("ann", "Rejected by ann: not before the holidays")
    assert f"**Version {asked['model_version']}**" in shown
    assert "| holdout AUC | yes |" in shown
    assert f"{services.tracking.tracking_uri}/#/runs/" in shown
    states = airflow.states()
    assert (states["settle_proposal"], states["retrain_model"]) == ("skipped", "success")


def test_a_rollback_by_airflow_has_the_name_of_who_triggered_it(airflow: TestAirflow, services: Services) -> None:
    old, new = approve(services, 1), approve(services, 2)

    process = airflow.start(services, "roll_back_model", "", {"reason": "It alarms everybody."})

    assert process.wait(120) == 0, airflow.log()
    assert services.registry.production_version().version == old
    last = ledger(services)[-1]
    assert (last["decision"], last["model_version"], last["previous_version"]) == ("rolled_back", old, new)
    assert (last["decided_by"], last["reason"]) == ("dag_test", "It alarms everybody.")
