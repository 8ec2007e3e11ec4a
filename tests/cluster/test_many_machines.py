"""The main job on two workers that share no disk: both take part, one is killed, and every row is right and single."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import psycopg
import pytest
import requests

from churn.columns import FEATURES
from churn.reports import DATA_DOCS_FOLDER, DRIFT_FOLDER
from churn.simulator import write_extract
from tests.benchmarks.preparation import multiply
from tests.cluster.conftest import Cluster
from tests.cluster.control import AIRFLOW, BUCKET, POSTGRES, url
from tests.cluster.machines import CONTROL
from tests.cluster.nights import Night, run_night, told, told_of_sizes, wait_until_it_loads
from tests.faults.children import wait_until
from tests.jobs import DAY

DELIVERED, CUSTOMERS, SAMPLED = 7_043, 1_000_000, 5_000
DAGS = ("validate_customers", "retrain_model", "score_customers", "report_drift")
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)"
LOG_IN = "import psycopg, sys; psycopg.connect(sys.stdin.read(), connect_timeout=5)"


@pytest.fixture(scope="module")
def admitted(cluster: Cluster) -> Cluster:
    """An extract in the bucket, admitted by a worker."""
    extract = cluster.control.folder / f"customers-{DAY}.csv"
    write_extract(extract, DELIVERED, seed=1, with_churn=True)
    cluster.control.bucket().put_file(str(extract), f"{BUCKET}/landing/{extract.name}")
    extract.unlink()
    with cluster.airflow() as airflow:
        airflow.wait_for_dags(set(DAGS))
        for dag_id in DAGS:
            airflow.unpause(dag_id)
    cluster.run("validate_customers")
    return cluster


@pytest.fixture(scope="module")
def trained(admitted: Cluster) -> tuple[Cluster, list[dict[str, object]]]:
    """A retraining on both workers, and its task instances."""
    return admitted, admitted.run("retrain_model")


@pytest.fixture(scope="module")
def grown(trained: tuple[Cluster, object]) -> Cluster:
    """A million customers, made from those that were delivered."""
    cluster, _ = trained
    multiply(cluster.services.database, CUSTOMERS, DELIVERED)
    with psycopg.connect(url("postgres", "churn"), autocommit=True) as admin:
        admin.execute("ANALYZE churn.customer_history")
    return cluster


@pytest.fixture(scope="module")
def undisturbed(grown: Cluster) -> Night:
    """A night on both workers; the one before it has compiled the model on both."""
    run_night(grown, *grown.workers)
    return run_night(grown, *grown.workers)


def test_machines_have_names_addresses_and_disks_of_their_own(cluster: Cluster) -> None:
    one, two = cluster.workers
    assert one.run("hostname").stdout == b"worker-1\n"
    assert one.run("touch", "/tmp/mark", "/srv/airflow/mark").returncode == 0
    assert one.run("test", "-e", "/tmp/mark").returncode == 0
    assert two.run("test", "-e", "/tmp/mark").returncode == 1
    assert not (cluster.control.folder / "worker-1" / "tmp").exists()
    (cluster.control.folder / "mark").touch()
    for machine in cluster.workers:
        assert machine.run("test", "-e", str(cluster.control.folder)).returncode == 1
        assert machine.run("touch", __file__).returncode == 1  # the code is read-only, as in an image


def test_a_worker_reaches_what_it_needs_and_nothing_else(cluster: Cluster) -> None:
    one, _ = cluster.workers
    assert one.run("python", "-c", CONNECT, CONTROL, str(POSTGRES)).returncode == 0
    assert one.run("python", "-c", CONNECT, "127.0.0.1", str(POSTGRES)).returncode == 1
    allowed = one.run("python", "-c", LOG_IN, given=url("churn_pipeline", "churn").encode())
    assert allowed.returncode == 0, allowed.stderr
    for role, database in (("airflow", "airflow"), ("postgres", "churn"), ("postgres", "mlflow")):
        refused = one.run("python", "-c", LOG_IN, given=url(role, database).encode())
        assert b"no pg_hba.conf entry" in refused.stderr
    assert not any(
        "JWT" in name or "FERNET" in name or "SQL_ALCHEMY_CONN" in name for name in cluster.control.for_workers
    )


def test_what_a_worker_wrote_is_read_where_the_ui_is(admitted: Cluster) -> None:
    with admitted.airflow() as airflow:
        login = {"Authorization": airflow.authorization}
        [run] = airflow.call("GET", "/dags/validate_customers/dagRuns")["dag_runs"]
        [task] = [each for each in airflow.tasks("validate_customers", run["dag_run_id"]) if each["state"] == "success"]
        assert task["hostname"].startswith("worker-")
        path = f"/dags/validate_customers/dagRuns/{run['dag_run_id']}/taskInstances/{task['task_id']}"
        shown = partial(airflow.call, "GET", f"{path}/logs/1")
        # It goes to the bucket after the task has been marked as done.
        wait_until(lambda: f"s3://{BUCKET}/logs" in str(shown()), "its log is in the bucket")
        log = shown()
        page = airflow.call("GET", f"{path}/links")["extra_links"]["Data docs"]
    assert f"{DELIVERED:,}".replace(",", "") in str(log).replace(",", "")
    answer = requests.get(f"http://{CONTROL}:{AIRFLOW}{page}", headers=login, timeout=20)
    assert answer.ok
    assert "expect_" in answer.text or "Expectation" in answer.text
    for worker in admitted.workers:
        assert worker.run("find", "/", "-xdev", "-name", "*.html").stdout == b""  # its own disk, without the image


def test_the_candidates_of_a_retraining_spread_over_both_workers(trained: tuple[Cluster, list[dict[str, str]]]) -> None:
    cluster, tasks = trained
    candidates = [task for task in tasks if task["task_id"] == "train_candidate"]
    assert len(candidates) == 4
    assert {task["hostname"] for task in candidates} == {"worker-1", "worker-2"}
    production = cluster.services.registry.production_version()
    cluster.services.registry.load(production.version, expected_digest=production.digest)
    [decided] = cluster.rows("SELECT decision, model_version FROM churn.promotions")
    assert decided == {"decision": "promoted", "model_version": production.version}
    assert cluster.control.bucket().find(f"{BUCKET}/mlflow")


def test_two_workers_score_a_million_customers(grown: Cluster, undisturbed: Night, say: Callable[[str], None]) -> None:
    assert len(undisturbed.parts) >= 4
    assert set(undisturbed.workers) == {"worker-1", "worker-2"}
    _require_whole(undisturbed)
    _require_the_models_own_bits(grown)
    say(told(grown, "two workers", undisturbed))
    say(told_of_sizes(grown))
    for worker in grown.workers:
        say(f"{worker.name} at rest: {worker.memory() / 1e6:,.0f} MB")


def test_the_night_ends_right_though_a_worker_is_killed_in_it(
    grown: Cluster, undisturbed: Night, say: Callable[[str], None]
) -> None:
    survivor, victim = grown.workers

    def kill() -> None:
        wait_until_it_loads(grown, victim)
        victim.cut_off_and_kill()

    night = run_night(grown, survivor, victim, meanwhile=kill)
    retried = [task for task in night.tasks if task["task_id"] == "score_part" and task["try_number"] > 1]
    assert [task["hostname"] for task in retried] == ["worker-1"]
    assert [part["attempt"] for part in night.parts if part["attempt"] > 1] == [2]
    _require_whole(night)
    assert night.table["hash"] == undisturbed.table["hash"]
    _require_the_models_own_bits(grown)
    say(told(grown, "one of two killed", night))


def test_a_drift_report_of_one_machine_is_shown_on_another(grown: Cluster, undisturbed: Night) -> None:
    grown.run("report_drift")
    [page] = grown.services.reports.pages(DRIFT_FOLDER)
    with grown.airflow() as airflow:
        login = {"Authorization": airflow.authorization}
    start = f"http://{CONTROL}:{AIRFLOW}/churn/reports/"
    listed = requests.get(start, headers=login, timeout=20)
    assert page.name in listed.text
    assert f"{DATA_DOCS_FOLDER}/validations/scoring_run" in listed.text
    assert len(requests.get(start + page.name, headers=login, timeout=20).content) > 100_000


def test_one_worker_does_it_alone(grown: Cluster, undisturbed: Night, say: Callable[[str], None]) -> None:
    alone, other = grown.workers
    other.switch_off()
    night = run_night(grown, alone)
    assert set(night.workers) == {"worker-1"}
    assert night.table["hash"] == undisturbed.table["hash"]
    say(told(grown, "one worker", night))
    say(f"two workers are {undisturbed.rows_per_second / night.rows_per_second:.2f} times as fast as one")


def _require_whole(night: Night) -> None:
    """Every customer of the snapshot once, all of one run."""
    assert {name: night.table[name] for name in ("rows", "customers", "known", "runs")} == {
        "rows": CUSTOMERS, "customers": CUSTOMERS, "known": CUSTOMERS, "runs": 1,
    }  # fmt: skip
    assert sum(part["row_count"] for part in night.parts) == CUSTOMERS


def _require_the_models_own_bits(cluster: Cluster) -> None:
    """A sample of what is published is what the model of the registry says, to the bit."""
    names = ", ".join(f'{column.sql_name} AS "{column.name}"' for column in FEATURES)
    sample = pd.DataFrame(
        cluster.rows(
            f"SELECT {names}, churn_probability FROM churn.customers JOIN crm.churn_scores USING (customer_id)"  # noqa: S608
            " ORDER BY hashtext(customer_id) LIMIT %s",
            SAMPLED,
        )
    )
    published = sample.pop("churn_probability").to_numpy(np.float64)
    model = cluster.services.registry.load(cluster.services.registry.production_version().version)
    assert np.array_equal(model.predict(sample), published)
