"""The whole job inside the containers: `make test-containers`. The tests build on one another, in this order."""

import csv
import json
from typing import Any

import pytest
import requests

from churn.columns import COLUMNS
from churn.platform.demo import DAGS
from tests.containers.stack import LABEL, PART_ROW_COUNT, PROJECT_NAME, Stack

SECONDS_FOR_A_RUN = 600
NO_RIGHTS = ("airflow-scheduler", "airflow-worker", "api", "mlflow")


def landed(stack: Stack) -> list[dict[str, str]]:
    """The rows of the extract that landed."""
    (file,) = (stack.folder / "landing").glob("customers-*.csv")
    with file.open(newline="") as opened:
        return list(csv.DictReader(opened))


def run(stack: Stack, dag_id: str, conf: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Run a DAG to its end; the task instances."""
    with stack.airflow() as airflow:
        run_id = airflow.trigger(dag_id, conf)
        state = airflow.wait(dag_id, run_id, SECONDS_FOR_A_RUN)
        assert state == "success", (
            f"{airflow.failure(dag_id, run_id)}\n{stack.logs('airflow-worker', 'airflow-api-server')}"
        )
        stack.log(f"{dag_id} is done")
        return airflow.tasks(dag_id, run_id)


def link(stack: Stack, task: dict[str, Any], name: str) -> str:
    """Where a task's link in the UI leads."""
    path = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/links".format(**task)
    with stack.airflow() as airflow:
        return str(airflow.call("GET", path)["extra_links"][name])


def test_every_service_comes_up_healthy_with_two_workers(stack: Stack) -> None:
    told = stack.make("health-check")
    rows = [line.split() for line in told.splitlines() if line.startswith(("ok", "BAD"))]
    assert {row[0] for row in rows} == {"ok"}
    assert sorted(row[1] for row in rows).count("airflow-worker") == 2
    expected = json.loads(stack.compose("config", "--format", "json"))["services"]
    assert {row[1] for row in rows} | {"grafana"} == set(expected)


def test_images_for_others_bear_the_commit(stack: Stack) -> None:
    commit = stack.engine.run("git", "rev-parse", "--short=12", "HEAD").strip()
    listed = stack.engine.run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}").split()
    prefixed = {each.rpartition("/")[2] for each in listed}
    assert {f"{name}:{commit}" for name in ("airflow", "api", "mlflow")} <= prefixed


def test_nothing_listens_beyond_loopback(stack: Stack) -> None:
    listed = stack.engine.run("docker", "ps", "--format", "{{.Ports}}", "--filter", LABEL)
    published = [each for line in listed.splitlines() for each in line.split(", ") if "->" in each]
    assert len(published) >= 5
    assert [each for each in published if not each.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("service", NO_RIGHTS)
def test_our_processes_run_without_rights_on_a_disk_that_they_cannot_change(stack: Stack, service: str) -> None:
    asked = 'id -u; touch /opt/churn/x 2>&1; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status'
    told = stack.compose("exec", "-T", service, "sh", "-c", asked)
    assert told.split()[0] == "10001"
    assert "Read-only file system" in told
    assert "CapEff:\t0000000000000000" in told
    assert "NoNewPrivs:\t1" in told


def test_airflow_reads_every_dag_without_an_error(stack: Stack) -> None:
    with stack.airflow() as airflow:
        airflow.wait_for_dags(set(DAGS))
        assert airflow.import_errors() == []
        for dag_id in DAGS:
            airflow.unpause(dag_id)


def test_the_main_job_runs_on_both_workers(stack: Stack) -> None:
    (validated,) = run(stack, "validate_customers")
    training = {row["task_id"]: row for row in run(stack, "retrain_model")}
    night = run(stack, "score_customers")
    workers = {row["hostname"] for row in night if row["task_id"] == "score_part"}
    rows = landed(stack)
    assert len([row for row in night if row["task_id"] == "score_part"]) >= len(rows) // PART_ROW_COUNT
    assert len(workers) == 2
    assert workers <= {name[:12] for name in stack.listed("ps")}
    (count,) = stack.rows("SELECT count(*), count(DISTINCT customer_id) AS customers FROM crm.churn_scores")
    assert count == {"count": len(rows), "customers": len(rows)}
    assert link(stack, training["plan_training"], "MLflow run").startswith("http://localhost:5000/#/runs/")
    page = stack.url("AIRFLOW") + link(stack, validated, "Data docs")
    with stack.airflow() as airflow:  # written by a worker, shown by the API server
        assert requests.get(page, headers={"Authorization": airflow.authorization}, timeout=30).status_code == 200


def test_the_endpoint_answers_what_was_published(stack: Stack) -> None:
    published = {row["customer_id"]: row for row in stack.rows("SELECT * FROM crm.churn_scores")}
    text = {column.name for column in COLUMNS if not column.is_number}
    for customer in landed(stack)[:: len(published) // 20]:
        body = {
            name: value if name in text else float(value.strip() or 0)  # blank is billed nothing yet, as at the door
            for name, value in customer.items()
            if name not in ("Churn", COLUMNS[0].name)
        }
        answer = requests.post(stack.url("API") + "/v1/predict", json=body, timeout=30)
        assert answer.status_code == 200, answer.text
        row = published[customer[COLUMNS[0].name]]
        assert answer.json()["churn_probability"] == row["churn_probability"]
        assert answer.json()["model_version"] == row["model_version"]


def test_a_task_log_outlives_its_worker(stack: Stack) -> None:
    listing = "import s3fs; print(len(s3fs.S3FileSystem().find('churn-logs')))"
    assert int(stack.compose("exec", "-T", "airflow-scheduler", "python", "-c", listing)) > 10


def test_artifacts_and_extracts_are_in_the_storage_and_on_no_disk(stack: Stack) -> None:
    listing = "import s3fs; s = s3fs.S3FileSystem(); print(*s.find('churn-artifacts'), *s.find('churn-landing'))"
    found = stack.compose("exec", "-T", "airflow-scheduler", "python", "-c", listing).split()
    assert any(name.endswith("model.json") for name in found)
    assert any(name.startswith("churn-landing/customers-") for name in found)


def test_a_stopped_service_is_named_by_the_health_check(stack: Stack) -> None:
    stack.compose("stop", "--timeout", "5", "airflow-triggerer")
    with pytest.raises(AssertionError) as told:
        stack.make("health-check")
    (bad,) = [line for line in str(told.value).splitlines() if line.startswith("BAD")]
    assert bad.split()[1] == "airflow-triggerer"
    stack.log("a stopped service was seen")


def test_logs_are_followed_until_somebody_has_seen_enough(stack: Stack) -> None:
    with pytest.raises(AssertionError, match="ended with 124") as told:
        stack.make("logs", "SERVICE=api", seconds=10)
    assert "api-1  |" in str(told.value)


def test_down_stops_every_container_and_keeps_the_data(stack: Stack) -> None:
    named = {volume for volume in stack.volumes() if volume.startswith(f"{PROJECT_NAME}_")}
    assert f"{PROJECT_NAME}_postgres" in named
    assert stack.listed("ps")
    stack.make("down")
    assert stack.listed("ps", "--all") == set()
    assert stack.volumes() == stack.before | named


def test_down_with_volumes_leaves_nothing(stack: Stack) -> None:
    stack.compose("down", "--volumes", "--timeout", "20")
    stack.log("the stack is down")
    assert stack.listed("ps", "--all") == stack.listed("network", "ls") == set()
    assert stack.volumes() == stack.before
