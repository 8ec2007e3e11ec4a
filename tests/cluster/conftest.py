"""One control machine and two workers for all tests, and what is asked of them."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from churn.platform.airflow_rest import AirflowRest
from churn.services import Services
from tests.cluster.control import AIRFLOW, PASSWORD, USER, Control, url
from tests.cluster.machines import CONTROL, Machine, network
from tests.faults.children import wait_until
from tests.jobs import light_policy

SANDBOX, KEPT_LOGS = "CLUSTER_SANDBOX", "CLUSTER_LOGS"  # the first is set by `make test-cluster`
POLICY_FILE = "/srv/airflow/policy.toml"
PART_ROWS = 150_000  # 7 parts of a million customers
PATIENCE_SECONDS = 600  # for one run of a DAG, on a machine that has other things to do
WORKER = ["airflow", "celery", "worker", "--skip-serve-logs"]


@dataclass
class Cluster:
    """The control machine, the workers, and the calls that an operator makes."""

    control: Control
    workers: tuple[Machine, Machine]
    nights: int = 0

    @property
    def services(self) -> Services:
        return self.control.services()

    def airflow(self) -> AirflowRest:
        return AirflowRest(f"http://{CONTROL}:{AIRFLOW}", USER, PASSWORD)

    def switch_on(self, *workers: Machine) -> None:
        """Start workers that are off and wait until they take tasks."""
        for worker in workers:
            worker.start(WORKER, self.control.for_workers)
        for worker in workers:
            ready = partial(worker.has_said, f"celery@{worker.name} ready.")
            wait_until(ready, f"{worker.name} is ready")
            self.deploy(worker)

    def deploy(self, *workers: Machine) -> None:
        """Give workers the policy of the night that is coming: another one, or the night would be there already."""
        policy = light_policy(
            part_row_count=PART_ROWS, takeover_after_seconds=5, maximum_mean_shift=0.05 + self.nights / 1e6
        )
        for worker in workers:
            assert worker.run("tee", POLICY_FILE, given=policy.encode()).returncode == 0

    def run(self, dag_id: str, seconds: float = PATIENCE_SECONDS) -> list[dict[str, Any]]:
        """Run a DAG to its good end and return its task instances."""
        with self.airflow() as airflow:
            run_id = airflow.trigger(dag_id)
            assert airflow.wait(dag_id, run_id, seconds) == "success", airflow.failure(dag_id, run_id)
            return airflow.tasks(dag_id, run_id)

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """What the server's superuser reads in the churn database."""
        with psycopg.connect(url("postgres", "churn"), row_factory=dict_row) as connection:
            return connection.execute(statement, values or None).fetchall()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Everything, switched off and removed at the end."""
    if SANDBOX not in os.environ:
        pytest.skip("machines need namespaces of their own: run `make test-cluster`")
    with ExitStack() as ended:
        folder = Path(ended.enter_context(_folder()))
        ended.enter_context(network())
        control = Control(folder, POLICY_FILE)
        ended.enter_context(_own_environment(control.s3))
        ended.enter_context(_running(control))
        workers = Machine("worker-1", 1, folder), Machine("worker-2", 2, folder)
        running = Cluster(control, workers)
        for worker in workers:
            ended.callback(worker.switch_off)
        running.switch_on(*workers)
        yield running


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Tell whoever runs the tests what was measured."""

    def tell(line: str) -> None:
        with capsys.disabled():
            print(f"\n{line}", end="", flush=True)  # noqa: T201

    return tell


@contextmanager
def _running(control: Control) -> Iterator[Control]:
    with control.ended:
        control.start()
        yield control


@contextmanager
def _own_environment(added: dict[str, str]) -> Iterator[None]:
    """No settings of the caller for the block, but these."""
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith(("CHURN_", "MLFLOW_", "AIRFLOW", "AWS_"))]:
            environment.delenv(name)
        for name, value in added.items():
            environment.setenv(name, value)
        yield


@contextmanager
def _folder() -> Iterator[str]:
    folder = tempfile.mkdtemp(prefix="churn-cluster-")
    Path(folder).chmod(0o755)  # PostgreSQL runs as another user
    try:
        yield folder
    finally:
        if kept := os.environ.get(KEPT_LOGS):
            shutil.copytree(folder, kept, ignore=shutil.ignore_patterns("postgres", "worker-?"), dirs_exist_ok=True)
        shutil.rmtree(folder)
