"""The main job as a user runs it: `make demo`, then Airflow, MLflow, the API and the database are asked."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pandas as pd
import pytest
import requests

from churn.db.database import Database
from churn.platform.airflow_rest import AirflowRest
from churn.platform.leftovers import processes_in
from churn.platform.ports import LOOPBACK, listens
from churn.platform.postgres import EmbeddedPostgres
from churn.settings import PROJECT
from churn.simulator import write_extract
from tests.jobs import light_policy
from tests.makefile import make, said_well
from tests.server import random_free_port

CHROMIUM, PICTURES = Path("/usr/bin/chromium"), PROJECT / "docs/images"
CHURN = [str(Path(sys.executable).with_name("churn"))]
DAGS = ["report_drift", "retrain_model", "score_customers", "settle_outcomes", "validate_customers"]
VERBATIM = {
    "tenure": 12, "MonthlyCharges": 70.5, "Contract": "Month-to-month", "PaymentMethod": "Electronic check",
    "gender": "Female", "SeniorCitizen": 0, "Partner": "Yes", "Dependents": "No",
}  # fmt: skip


class Demo:
    """A running platform with a finished demo."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.result: dict[str, Any] = {}
        self.exports: dict[str, str] = {}

    def churn(self, *arguments: str) -> str:
        done = subprocess.run(
            [*CHURN, *arguments], env=self.environment, capture_output=True, text=True, timeout=900, check=False
        )
        assert done.returncode == 0, done.stdout[-3_000:] + done.stderr[-3_000:]
        return done.stdout

    def make(self, word: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A word of the Makefile about this platform, and about no containers that the machine may run."""
        own = {"COLUMNS": "200", "ENV_FILE": "/nowhere/.env"}
        return make(word, *arguments, environment=self.environment | own, seconds=900)

    def run(self, *arguments: str) -> None:
        self.result = json.loads(said_well(self.make("demo", "JSON=1", *arguments)))
        shell = f"{self.churn('platform', 'env')}\nenv -0"
        told = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True, env={}).stdout
        self.exports = dict(line.split("=", 1) for line in told.split("\0") if "=" in line)

    def database(self, variable: str) -> Database:
        return Database(self.exports[variable])

    def published(self) -> pd.DataFrame:
        with self.database("CHURN_CRM_DATABASE_URL").transaction() as connection:
            return pd.DataFrame(connection.execute("SELECT * FROM crm.churn_scores ORDER BY customer_id").fetchall())

    def airflow(self) -> AirflowRest:
        return AirflowRest(self.exports["AIRFLOW_URL"], self.exports["AIRFLOW_USER"], self.exports["AIRFLOW_PASSWORD"])


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """`make demo` with simulated customers in a home of its own, whose name has a space."""
    home = tmp_path_factory.mktemp("churn e2e") / "state folder"
    ours = ("CHURN_", "MLFLOW_", "AIRFLOW")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    first = random_free_port()
    policy = home.parent / "policy.toml"
    policy.write_text(light_policy(drifted_column_rate=0.1, drifted_reports_needed=1, drifted_reports_of=1))
    environment |= {
        "CHURN_HOME": str(home),
        "CHURN_POLICY_FILE": str(policy),
        "CHURN_AIRFLOW_PORT": str(first),
        "CHURN_MLFLOW_PORT": str(first + 100),
        "CHURN_API_PORT": str(first + 200),
        "CHURN_POSTGRES_PORT": str(first + 300),
    }
    running = Demo(environment)
    try:
        running.run()
        yield running
    finally:
        subprocess.run([*CHURN, "platform", "down"], env=environment, timeout=120, check=True)


def test_the_demo_ends_with_every_number(demo: Demo) -> None:
    result = demo.result
    assert result["rows_in"] == result["admitted"] + result["quarantined"] == 7_043
    assert result["rows_scored"] == result["admitted"]
    assert 0.80 < result["roc_auc_low"] < result["roc_auc"] < result["roc_auc_high"] < 0.90
    assert len(result["top_customers"]) == 5
    assert result["drift_verdict"].startswith("stable")


def test_every_customer_is_published_once_with_a_probability(demo: Demo) -> None:
    table = demo.published()
    with demo.database("CHURN_DATABASE_URL").transaction() as connection:
        ids = [row["customer_id"] for row in connection.execute("SELECT customer_id FROM churn.customers").fetchall()]
    assert sorted(table.customer_id) == sorted(ids)
    assert table.churn_probability.between(0, 1).all()
    assert table.model_version.nunique() == table.scoring_run_id.nunique() == 1


def test_airflow_has_no_import_error_and_every_dag_runs_green(demo: Demo) -> None:
    with demo.airflow() as airflow:
        assert airflow.import_errors() == []
        assert "retrain_model succeeded" in said_well(demo.make("retrain-models"))
        _succeed(airflow, *(dag_id for dag_id in DAGS if dag_id != "retrain_model"))
        assert airflow.call("GET", "/dags/~/dagRuns?state=failed")["dag_runs"] == []


def test_nobody_is_asked_where_the_policy_promotes_by_itself(demo: Demo) -> None:
    with demo.airflow() as airflow:
        newest = airflow.call("GET", "/dags/retrain_model/dagRuns?order_by=-run_after&limit=1")["dag_runs"][0]
        states = {each["task_id"]: each["state"] for each in airflow.tasks("retrain_model", newest["dag_run_id"])}
    assert states["decide_promotion"] == newest["state"] == "success"
    assert {states[name] for name in ("present_proposal", "approve_promotion", "settle_proposal")} == {"skipped"}


def test_a_person_lets_a_challenger_serve_and_takes_it_back(demo: Demo) -> None:
    replaced, policy = demo.result["model_version"], Path(demo.environment["CHURN_POLICY_FILE"])
    before, user = policy.read_text(), demo.exports["AIRFLOW_USER"]
    _withdraw_production(demo)
    with demo.airflow() as airflow:
        policy.write_text(before + 'promotion_mode = "approve"\n')
        try:
            _approve_when_asked(airflow, airflow.trigger("retrain_model"))
        finally:
            policy.write_text(before)
        promoted, proposed = _ledger(demo)[:2]
        assert (promoted["decision"], promoted["decided_by"]) == ("promoted", user)
        assert promoted["reason"] == f"Approved by {user}: the pilot went well"
        assert (proposed["decision"], proposed["model_version"]) == ("proposed", promoted["model_version"])
        _wait_until_served(demo, promoted["model_version"])

        run_id = airflow.trigger("roll_back_model", {"reason": "It alarms everybody.", "model_version": replaced})
        assert airflow.wait("roll_back_model", run_id, 120) == "success", airflow.failure("roll_back_model", run_id)
    _wait_until_served(demo, replaced)
    last = _ledger(demo)[0]
    assert (last["decision"], last["previous_version"]) == ("rolled_back", promoted["model_version"])
    assert (last["decided_by"], last["reason"]) == (user, "It alarms everybody.")


def _withdraw_production(demo: Demo) -> None:
    """Take the alias away by hand: whatever challenges nothing meets every rule."""
    answer = requests.delete(
        f"{demo.exports['MLFLOW_TRACKING_URI']}/api/2.0/mlflow/registered-models/alias",
        json={"name": "churn", "alias": "production"},
        timeout=10,
    )
    assert answer.ok, answer.text


def _ledger(demo: Demo) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(demo.churn("history", "--json"))
    return entries


def _wait_until_served(demo: Demo, version: int) -> None:
    deadline, answered = time.monotonic() + 60, None
    while answered != version:
        assert time.monotonic() < deadline, f"the API answers with version {answered}, not {version}"
        time.sleep(0.5)
        answered = requests.post(f"{demo.exports['CHURN_API_URL']}/predict", json=VERBATIM, timeout=10).json()[
            "model_version"
        ]


def _approve_when_asked(airflow: AirflowRest, run_id: str) -> None:
    """Say yes as often as it is asked: an answer in the first second can be lost, and the task then asks again."""
    run = f"/dags/retrain_model/dagRuns/{run_id}"
    deadline = time.monotonic() + 300
    while (state := airflow.call("GET", run)["state"]) not in ("success", "failed"):
        assert time.monotonic() < deadline, airflow.failure("retrain_model", run_id)
        for task in airflow.tasks("retrain_model", run_id):
            if task["state"] == "awaiting_input":
                answer = {"chosen_options": ["Approve"], "params_input": {"reason": "the pilot went well"}}
                airflow.call("PATCH", f"{run}/taskInstances/{task['task_id']}/-1/hitlDetails", answer)
        time.sleep(0.5)
    assert state == "success", airflow.failure("retrain_model", run_id)


def test_the_same_night_again_leaves_the_same_rows(demo: Demo) -> None:
    before = demo.published()
    with demo.airflow() as airflow:
        run_id = airflow.trigger("score_customers")
        assert airflow.wait("score_customers", run_id, 300) == "success"
    pd.testing.assert_frame_equal(demo.published(), before)


def test_the_request_of_the_readme_is_answered(demo: Demo) -> None:
    answer = requests.post(f"{demo.exports['CHURN_API_URL']}/predict", json=VERBATIM, timeout=10)
    assert answer.status_code == 200
    assert 0 <= answer.json()["churn_probability"] <= 1
    assert answer.json()["risk_level"] in ("low", "medium", "high")
    assert answer.json()["model_version"] == demo.result["model_version"]


def test_the_endpoint_gives_last_nights_probability(demo: Demo) -> None:
    from churn.columns import FEATURES, KEY

    with demo.database("CHURN_DATABASE_URL").transaction() as connection:
        rows = connection.execute("SELECT * FROM churn.customers ORDER BY customer_id LIMIT 25").fetchall()
    table = demo.published().set_index("customer_id")
    for row in rows:
        body = {column.name: row[column.sql_name] for column in (KEY, *FEATURES)}
        answer = requests.post(f"{demo.exports['CHURN_API_URL']}/predict", json=body, timeout=10).json()
        assert answer["churn_probability"] == table.loc[row["customer_id"], "churn_probability"]
        assert answer["risk_level"] == table.loc[row["customer_id"], "risk_level"]


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("deploy-local", "Airflow"), ("status", "airflow-scheduler"), ("test-predictions", "different count"),
        ("train", "on the holdout"), ("score", "published"), ("drift", "stable"),
        ("evaluate-models", "logistic"),
        ("model-performance", "holdout auc"), ("validate-model", "production"),
        ("api-performance", "/v1/predict/batch"), ("monitor-metrics", "Age of the published scores"),
        ("check-alerts", "Normal"), ("backup-data", "Backup"),
    ],
)  # fmt: skip
def test_a_word_of_the_makefile_does_its_work_on_the_running_platform(demo: Demo, word: str, says: str) -> None:
    assert says in said_well(demo.make(word))


def test_nothing_is_deployed_that_nobody_proposed(demo: Demo) -> None:
    done = demo.make("deploy-best-model", "REASON=a drill")
    assert done.returncode != 0
    assert "No version waits" in done.stderr or "was not approved by the promotion gate" in done.stderr


def test_pictures_are_taken_of_what_runs(demo: Demo, tmp_path: Path) -> None:
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed; `make test` installs it")
    kept = {file: file.stat().st_mtime_ns for file in PICTURES.glob("*")}
    told = said_well(demo.make("screenshots", f"OUT={tmp_path / 'of the demo'}"))
    taken = {file.name: file.read_bytes() for file in (tmp_path / "of the demo").iterdir()}
    assert set(taken) == {file.name for file in kept if file.suffix == ".png"}
    assert all(picture.startswith(b"\x89PNG") and len(picture) > 20_000 for picture in taken.values())
    assert all(name in told for name in taken)
    assert {file: file.stat().st_mtime_ns for file in PICTURES.glob("*")} == kept


def test_garbage_is_refused_with_the_field_named(demo: Demo) -> None:
    answer = requests.post(f"{demo.exports['CHURN_API_URL']}/predict", json={**VERBATIM, "tenure": "a lot"}, timeout=10)
    assert answer.status_code == 422
    assert "tenure" in answer.text


def test_the_reports_are_for_logged_in_users_only(demo: Demo) -> None:
    url = demo.exports["AIRFLOW_URL"]
    with demo.database("CHURN_DATABASE_URL").transaction() as connection:
        row = connection.execute(
            "SELECT min(drift_report_id) AS id FROM monitoring.drift_reports WHERE source = 'customers'"
        ).fetchone()
    assert row is not None
    pages = ["/churn/reports/", f"/churn/reports/drift/{row['id']}.html", "/churn/reports/data_docs/index.html"]
    with demo.airflow() as airflow:
        token = airflow.authorization
    for page in pages:
        assert requests.get(url + page, timeout=10).status_code in (401, 403)
        assert requests.get(url + page, headers={"Authorization": token}, timeout=10).status_code == 200


def test_each_task_links_to_its_report(demo: Demo) -> None:
    expected = {
        ("retrain_model", "decide_promotion"): ["MLflow run"],
        ("validate_customers", "validate_customers"): ["Data docs", "Validation history"],
        ("report_drift", "report_drift"): ["Drift report"],
    }
    with demo.airflow() as airflow:
        for (dag_id, task_id), names in expected.items():
            newest = airflow.call("GET", f"/dags/{dag_id}/dagRuns?order_by=run_after&limit=1")["dag_runs"][0]
            task = f"/dags/{dag_id}/dagRuns/{newest['dag_run_id']}/taskInstances/{task_id}"
            links = airflow.call("GET", f"{task}/links")["extra_links"]
            for name in names:
                address = urljoin(demo.exports["AIRFLOW_URL"], links[name])
                page = requests.get(address, headers={"Authorization": airflow.authorization}, timeout=10)
                assert page.status_code == 200, (dag_id, name, address)


def test_mlflow_shows_the_run_and_the_production_version(demo: Demo) -> None:
    url = demo.exports["MLFLOW_TRACKING_URI"]
    alias = requests.get(
        f"{url}/api/2.0/mlflow/registered-models/alias", params={"name": "churn", "alias": "production"}, timeout=10
    ).json()
    assert int(alias["model_version"]["version"]) == demo.result["model_version"]


def test_everything_listens_on_loopback_only(demo: Demo) -> None:
    status = json.loads(demo.churn("platform", "status", "--json"))
    assert len(status) >= 7
    for row in status:
        address = row.get("address")
        assert not address or LOOPBACK in address, row


def test_the_real_customers_replace_the_simulated_ones(demo: Demo, telco_csv: Path) -> None:
    demo.run(f"DATA={telco_csv}")
    real = pd.read_csv(telco_csv, dtype=str)
    table = demo.published()
    assert demo.result["admitted"] == len(real)
    assert sorted(table.customer_id) == sorted(real.customerID)
    assert table.churn_probability.between(0, 1).all()
    assert 0.82 < demo.result["roc_auc"] < 0.88


def test_customers_who_changed_stop_the_night_until_someone_says_why_and_wake_one_retraining(demo: Demo) -> None:
    """The rejected run leaves the table; forced, it is published. Drift asks once, and one retraining answers."""
    (landed,) = (Path(demo.environment["CHURN_HOME"]) / "landing").glob("customers-*.csv")
    write_extract(landed, 2_000, seed=6)
    rows = pd.read_csv(landed, dtype=str, keep_default_na=False)
    rows.assign(Contract="Two year", PaymentMethod="Mailed check", PaperlessBilling="No").to_csv(landed, index=False)
    before = demo.published()
    with demo.airflow() as airflow:
        run_id = airflow.trigger("validate_customers", {"file": landed.name, "replace": True})
        assert airflow.wait("validate_customers", run_id, 300) == "success"
        assert airflow.wait("score_customers", airflow.trigger("score_customers"), 300) == "failed"
        pd.testing.assert_frame_equal(demo.published(), before)
        rejected = json.loads(demo.churn("score", "history", "--json"))[0]
        assert rejected["state"] == "rejected"
        assert "the mean is close to the baseline" in rejected["rejection"]
        why = "all customers moved to contracts of two years"
        demo.churn("score", "publish", str(rejected["scoring_run_id"]), "--force", "--reason", why)
        assert set(demo.published().scoring_run_id) == {rejected["scoring_run_id"]}
        assert len(demo.published()) == 2_000
        _succeed(airflow, "report_drift", "report_drift")
        asked = _asset_runs(airflow)
        deadline = time.monotonic() + 60
        while not asked and time.monotonic() < deadline:
            time.sleep(1)
            asked = _asset_runs(airflow)
        assert len(asked) == 1
        assert airflow.wait("retrain_model", asked[0], 300) == "success", airflow.failure("retrain_model", asked[0])
        assert _asset_runs(airflow) == asked
    with demo.database("CHURN_DATABASE_URL").transaction() as connection:
        requests_made = connection.execute("SELECT settled_at, result FROM churn.retraining_requests").fetchall()
    assert len(requests_made) == 1
    assert requests_made[0]["settled_at"] is not None


def _succeed(airflow: AirflowRest, *dag_ids: str) -> None:
    for dag_id in dag_ids:
        run_id = airflow.trigger(dag_id)
        assert airflow.wait(dag_id, run_id, 300) == "success", airflow.failure(dag_id, run_id)


def _asset_runs(airflow: AirflowRest) -> list[str]:
    runs = airflow.call("GET", "/dags/retrain_model/dagRuns?run_type=asset_triggered")["dag_runs"]
    return [run["dag_run_id"] for run in runs]


def test_down_ends_every_process_and_keeps_what_they_know(demo: Demo) -> None:
    home = Path(demo.environment["CHURN_HOME"])
    ports = [int(demo.environment[f"CHURN_{name}_PORT"]) for name in ("AIRFLOW", "MLFLOW", "API", "POSTGRES")]
    assert processes_in(home)
    assert any(map(listens, ports))
    said_well(demo.make("down"))
    assert processes_in(home) == []
    assert not any(map(listens, ports))
    assert (EmbeddedPostgres.under(home).data / "PG_VERSION").exists()
    assert demo.make("status").returncode != 0
    assert "Nothing runs." in said_well(demo.make("down"))
