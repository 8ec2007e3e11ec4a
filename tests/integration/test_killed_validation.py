"""A validation that is killed at any step leaves no half state, and the next one ends where nobody disturbed it."""

import signal
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from churn.db.database import Database
from churn.errors import AlreadyRunning
from churn.jobs.validate_customers import validate_customers
from churn.records import ExtractOutcome
from churn.services import Services
from tests.conftest import TestDatabase, TestServer
from tests.factories import customer_row, customer_rows
from tests.integration.children import start, validate_until
from tests.integration.validations import (
    DAY,
    DAY_BEFORE,
    customers,
    every_row,
    kill_where_it_waits,
    land,
    open_services,
    require_accounted_for,
)

Ends = dict[str, dict[str, Any]]


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
    land(services, DAY, DELIVERED["admitted"])
    with services.database.transaction() as connection:
        connection.execute("CREATE TABLE staging.customers_extract ()")
    with psycopg.connect(churn_database.server.url("postgres", churn_database.name)) as blocker:
        blocker.execute(sql.SQL("LOCK TABLE {} IN SHARE MODE").format(sql.Identifier(*blocked.split("."))))
        process = start(validate_customers, services)
        kill_where_it_waits(churn_database, process)
        assert every_row(services.database) == before
    _, outcome = validate_when_free(services)
    require_accounted_for(outcome, 40)
    assert [row["snapshot_date"] for row in customers(services.database)] == [DAY] * 39
    with services.database.transaction() as connection:
        states = connection.execute("SELECT state FROM churn.extracts ORDER BY extract_id").fetchall()
    assert [row["state"] for row in states] == ["admitted", "admitted"]


STEPS = (
    "churn.db.extracts.take_in",
    "churn.db.staging.stage",
    "churn.quality.judge_extract",
    "churn.db.extract_profiles.arrival",
    "churn.db.quarantined_rows.find_bad",
    "churn.db.history.prepare",
    "churn.db.history.fill",
    "churn.db.quarantined_rows.set_aside",
    "churn.db.quarantined_rows.keep_text",
    "churn.db.quarantined_rows.results_by_column",
    "churn.db.history.attach",
    "churn.db.extract_profiles.measure",
    "churn.db.extract_profiles.new_values",
    "churn.db.extracts.mark_admitted",
    "churn.db.extracts.point_customers_at",
    "churn.db.validation_results.record",
    "churn.db.staging.drop",
)
STEPS_OF_A_REFUSAL = (
    "churn.db.extracts.mark_refused",
    "churn.db.validation_results.record",
    "churn.db.staging.drop",
)
DELIVERED = {
    "admitted": [customer_row(customerID="bad", tenure="a year"), *customer_rows(39)],
    "refused": [customer_row(customerID="twice"), *customer_rows(39, customerID="twice")],
}


@pytest.fixture(scope="module")
def undisturbed(postgres: TestServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> Ends:
    """The end of a validation that nobody disturbs, for each delivery."""
    ends = {}
    for state, rows in DELIVERED.items():
        database = postgres.copy(migrated_template, f"churn_{state}_undisturbed").as_role("churn_pipeline")
        services = open_services(database, tmp_path_factory.mktemp(state))
        admit_yesterday(services)
        land(services, DAY, rows)
        assert [outcome.extract.state for outcome in validate_customers(services)] == ["admitted", state]
        ends[state] = end_of(database)
    return ends


@pytest.mark.parametrize(
    ("state", "step"), [*(("admitted", step) for step in STEPS), *(("refused", step) for step in STEPS_OF_A_REFUSAL)]
)
def test_a_validation_killed_before_a_step_ends_like_an_undisturbed_one(
    pipeline: Database, tmp_path: Path, undisturbed: Ends, state: str, step: str
) -> None:
    services = open_services(pipeline, tmp_path)
    admit_yesterday(services)
    before = every_row(pipeline)
    land(services, DAY, DELIVERED[state])
    killed = start(validate_until, services, step)
    killed.join(120)
    assert killed.exitcode == -signal.SIGKILL
    assert every_row(pipeline) == before
    validate_when_free(services)
    assert end_of(pipeline) == undisturbed[state]


def admit_yesterday(services: Services) -> None:
    land(services, DAY_BEFORE, customer_rows(40))
    validate_customers(services)


def end_of(database: Database) -> dict[str, Any]:
    """All that a validation leaves in the database but times and places."""
    statements = {
        "extracts": "SELECT extract_id, snapshot_date, state, row_count, admitted_count, quarantined_count, refusal,"
        " replaces_extract_id, profile FROM churn.extracts ORDER BY extract_id",
        "quarantined": "SELECT extract_id, line_number, raw_values, raw_text, reasons FROM churn.quarantined_rows"
        " ORDER BY extract_id, line_number",
        "results": "SELECT extract_id, suite, expectation, column_name, succeeded, observed_value"
        " FROM monitoring.validation_results ORDER BY extract_id, suite, expectation, column_name",
        "current": "SELECT extract_id FROM churn.current_extract",
        "history": "SELECT extract_id, count(*), md5(string_agg(history::text, '|' ORDER BY customer_id))"
        " FROM churn.customer_history AS history GROUP BY extract_id ORDER BY extract_id",
        "tables": "SELECT relname FROM pg_class WHERE relnamespace = 'staging'::regnamespace"
        " OR relnamespace = 'churn'::regnamespace AND relkind = 'r' ORDER BY relname",
    }
    with database.transaction() as connection:
        return {name: connection.execute(statement).fetchall() for name, statement in statements.items()}


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
