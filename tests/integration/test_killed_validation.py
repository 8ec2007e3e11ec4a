"""A validation that is killed at any step leaves no half state."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from churn.db.database import Database
from churn.errors import AlreadyRunning
from churn.jobs.validate_customers import validate_customers
from churn.records import ExtractOutcome
from churn.services import Services
from tests.conftest import TestDatabase
from tests.factories import customer_rows
from tests.integration.validations import (
    DAY,
    DAY_BEFORE,
    customers,
    every_row,
    land,
    open_services,
    require_accounted_for,
)


@pytest.mark.parametrize(
    "blocked",
    [
        "staging.customers_extract",
        "churn.quarantined_rows",
        "churn.customer_history",
        "churn.current_extract",
    ],
)
def test_a_validation_killed_at_any_step_is_finished_by_the_next(
    pipeline: Database, tmp_path: Path, churn_database: TestDatabase, blocked: str
) -> None:
    """The step is held by a lock on the table that it needs; then the process is killed with SIGKILL."""
    services = open_services(pipeline, tmp_path)
    land(services, DAY_BEFORE, customer_rows(20))
    validate_customers(services)
    before = every_row(services.database)
    land(services, DAY, customer_rows(30))
    with services.database.transaction() as connection:
        connection.execute("CREATE TABLE staging.customers_extract ()")
    with psycopg.connect(churn_database.server.url("postgres", churn_database.name)) as blocker:
        blocker.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(*blocked.split("."))))
        process = start_validation(services)
        try:
            wait_until_blocked(churn_database, process)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        assert every_row(services.database) == before
    _, outcome = validate_when_free(services)
    require_accounted_for(outcome, 30)
    assert [row["snapshot_date"] for row in customers(services.database)] == [DAY] * 30
    with services.database.transaction() as connection:
        states = connection.execute("SELECT state FROM churn.extracts ORDER BY extract_id").fetchall()
    assert [row["state"] for row in states] == ["admitted", "admitted"]


def start_validation(services: Services) -> "subprocess.Popen[bytes]":
    code = (
        "from churn.jobs.validate_customers import validate_customers; from churn.services import Services;"
        "from churn.settings import Settings; validate_customers(Services.from_settings(Settings()))"
    )
    environment = os.environ | {
        "CHURN_DATABASE_URL": services.database.url,
        "CHURN_LANDING_URL": services.landing.url,
        "CHURN_REPORTS_DIR": str(services.reports),
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:1",
    }
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def wait_until_blocked(database: TestDatabase, process: "subprocess.Popen[bytes]", seconds: float = 180) -> None:
    """Wait until a statement of the pipeline waits for a table."""
    statement = (
        "SELECT FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND usename = 'churn_pipeline' AND datname = current_database()"
    )
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with database.as_role("postgres").transaction() as connection:
            if connection.execute(statement).fetchall():
                return
        time.sleep(0.1)
    pytest.fail("the validation never came to the step that was to be blocked")


def validate_when_free(services: Services, seconds: float = 30) -> list[ExtractOutcome]:
    """The server notices the death of a client when its statement ends."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return validate_customers(services)
        except AlreadyRunning:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
