"""A thousand readers in a loop, while fifty publications change what they see: always one whole run."""

import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from churn.db.database import Database
from churn.db.migrations import migrate, set_password
from churn.jobs.check_scores import check_scores
from churn.jobs.publish_scores import force_publish, publish_scores
from churn.jobs.score_customers import open_run
from churn.jobs.score_part import score_part
from churn.platform.postgres import EmbeddedPostgres, create_database
from churn.services import Services
from churn.settings import PROJECT
from tests.conftest import PASSWORD, TestDatabase, TestMlflow, TestServer
from tests.faults.children import PATIENCE_SECONDS, wait_until
from tests.faults.crowd import CUSTOMER_COUNT, READER_COUNT, URL
from tests.faults.evening import TODAY, open_services, with_policy
from tests.jobs import admit_simulated, promote_model
from tests.server import random_free_port

PUBLICATION_COUNT, RUN_COUNT = 50, 4
READS_BETWEEN = 100


@pytest.fixture
def roomy_server() -> Iterator[TestServer]:
    """A server of its own with room for the readers."""
    folder = Path(tempfile.mkdtemp(prefix="churn-test-crowd-"))
    folder.chmod(0o755)
    server = EmbeddedPostgres.under(folder)
    server.initialise(PASSWORD)
    found = TestServer(random_free_port())
    settings = ("max_connections=1100", "shared_buffers=32MB", "fsync=off", "full_page_writes=off")
    process = subprocess.Popen(
        [*server.command(found.port), *(word for setting in settings for word in ("-c", setting))],
        user=server.os_user,
        group=pwd.getpwnam(server.os_user).pw_gid if server.os_user else None,
        extra_groups=[] if server.os_user else None,
        cwd="/",
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _answers(found), "the server answers")
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_SECONDS)
        shutil.rmtree(folder)


def _answers(server: TestServer) -> bool:
    try:
        psycopg.connect(server.url("postgres", "postgres")).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture
def crowd_services(roomy_server: TestServer, services: Services, mlflow_server: TestMlflow, tmp_path: Path) -> Services:
    """A Production model and a few customers on that server."""
    create_database(roomy_server.url("postgres", "postgres"), "churn")
    admin = Database(roomy_server.url("postgres", "churn"))
    migrate(admin)
    for role in ("churn_pipeline", "crm_reader"):
        set_password(admin, role, PASSWORD)
    opened = open_services(TestDatabase(roomy_server, "churn"), mlflow_server, tmp_path)
    promote_model(opened)
    admit_simulated(opened, CUSTOMER_COUNT, TODAY)
    return opened


def test_no_reader_of_a_thousand_ever_sees_anything_but_one_whole_run(
    roomy_server: TestServer, crowd_services: Services
) -> None:
    runs = [_checked_run(crowd_services, number) for number in range(RUN_COUNT)]
    publish_scores(crowd_services, runs[0])
    crowd = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.crowd"],
        env=os.environ | {URL: roomy_server.url("crm_reader", "churn")},
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _let_read(crowd, READER_COUNT)
        for number in range(1, PUBLICATION_COUNT + 1):
            run_id = runs[number % RUN_COUNT]
            if number < RUN_COUNT:
                publish_scores(crowd_services, run_id)
            else:
                force_publish(crowd_services, run_id, "to change what readers see")
            _let_read(crowd, READS_BETWEEN)
        report = json.loads(crowd.communicate(timeout=PATIENCE_SECONDS)[0])
    finally:
        crowd.kill()
        crowd.wait()
    assert report["wrong"] == []
    assert min(report["reads_by_reader"]) >= 1
    assert report["read_count"] >= READER_COUNT + PUBLICATION_COUNT * READS_BETWEEN
    assert {int(run_id) for run_id in report["reads_by_run"]} == set(runs)


def _checked_run(services: Services, number: int) -> int:
    """A run that may be published, of a policy of its own."""
    own = with_policy(services, high_risk_from=0.6 + number / 100)
    run_id = open_run(own).scoring_run_id
    score_part(own, run_id, 1)
    return check_scores(own, run_id).scoring_run_id


def _let_read(crowd: "subprocess.Popen[str]", count: int) -> None:
    """Wait until the crowd has read this many more times."""
    assert crowd.stdin
    assert crowd.stdout
    crowd.stdin.write(f"{count}\n")
    crowd.stdin.flush()
    assert crowd.stdout.readline().strip(), "the crowd is gone"
