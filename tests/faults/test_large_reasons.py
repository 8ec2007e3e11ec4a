"""The reasons of a table that no buffer holds: whoever stops reading it halfway leaves its statement open."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from churn.errors import DatabaseUnavailable
from churn.jobs.check_scores import check_scores
from churn.jobs.score_customers import open_run
from churn.jobs.score_part import score_part
from churn.policy import Policy
from churn.services import Services
from tests.conftest import TestDatabase, TestMlflow, TestServer
from tests.faults.children import start_night, wait_until
from tests.faults.evening import TODAY, open_services
from tests.faults.places import Place
from tests.jobs import admit_simulated, promote_model, with_changes

pytestmark = pytest.mark.timeout(300)

LARGE_COUNT = 400_000
END_WRITER = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_progress_copy"
    " WHERE datname = current_database() AND command = 'COPY FROM' AND bytes_processed > 0"
)


@dataclass(frozen=True)
class LargeRun:
    """A first run of many customers, most of whom get reasons when they are ranked; its parts are done."""

    services: Services
    database: TestDatabase
    policy_file: Path
    scoring_run_id: int

    def check(self) -> str:
        """Check the run; the state it comes to."""
        return check_scores(self.services, self.scoring_run_id).state

    def end_writer(self) -> bool:
        """End the server's side of the connection that takes reasons; whether there was one."""
        with self.database.as_role("postgres").transaction() as connection:
            return bool(connection.execute(END_WRITER).fetchall())


@pytest.fixture(scope="module")
def large_template(
    postgres: TestServer, migrated_template: str, mlflow_server: TestMlflow, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """A database in which the customers of a large night are admitted."""
    large = postgres.copy(migrated_template, "churn_large")
    admit_simulated(open_services(large, mlflow_server, tmp_path_factory.mktemp("large")), LARGE_COUNT, TODAY, seed=5)
    with large.as_role("postgres").transaction() as connection:
        connection.execute("DELETE FROM churn.current_scoring_run")  # so that all reasons come after the ranking
    return large.name


@pytest.fixture
def large_run(
    postgres: TestServer, large_template: str, mlflow_server: TestMlflow, tmp_path: Path, request: pytest.FixtureRequest
) -> LargeRun:
    """The run of one test in a database of its own."""
    database = postgres.copy(large_template, f"large_{abs(hash(request.node.nodeid)) % 10**12}")
    policy_file = tmp_path / "policy.toml"
    policy_file.write_text("takeover_after_seconds = 1\nreasons_for_all_up_to = 0\nreasons_top_deciles = 9\n", "utf-8")
    opened = open_services(database, mlflow_server, tmp_path)
    services = with_changes(opened, policy=Policy.load(policy_file))
    promote_model(services)
    run = open_run(services)
    score_part(services, run.scoring_run_id, 1)
    return LargeRun(services, database, policy_file, run.scoring_run_id)


def test_a_worker_whose_reasons_cannot_be_written_says_so(large_run: LargeRun) -> None:
    with ThreadPoolExecutor(1) as beside:
        checking = beside.submit(large_run.check)
        wait_until(large_run.end_writer, "the server has taken reasons")
        with pytest.raises(DatabaseUnavailable):
            checking.result()
    assert large_run.check() == "checked"


def test_a_zombie_that_reads_a_large_table_does_not_hold_up_its_successor(large_run: LargeRun, tmp_path: Path) -> None:
    place = Place("during", "churn.jobs.explain_scores.prefetched")
    zombie = start_night(large_run.services, tmp_path / "zombie.log", place, large_run.policy_file)
    try:
        zombie.wait_until_stopped()
        assert large_run.check() == "checked"
    finally:
        zombie.wake()
        assert zombie.wait() != 0
