"""The server's own statistics process works on a loaded table at the moment when it is closed, sealed or attached."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from psycopg import sql

from churn.db import extracts, history, scores
from churn.db.database import Connection
from churn.jobs.score_customers import open_run, score_customers
from churn.jobs.score_part import score_part
from churn.records import LandedFile, ScoringRun
from tests.faults.children import wait_until
from tests.faults.evening import Evening
from tests.jobs import DAY

WAITING = "SELECT count(*) AS count FROM pg_locks WHERE relation = %s::regclass AND NOT granted"


@pytest.mark.parametrize("step", [scores.close, scores.seal])
def test_statistics_of_a_loaded_table_do_not_deadlock_with_its_run(
    evening: Evening, step: Callable[[Connection, ScoringRun], None]
) -> None:
    run = open_run(evening.services)
    score_part(evening.services, run.scoring_run_id, 1)
    analyse_beside(evening, f"churn.scores_{run.scoring_run_id}", lambda connection: step(connection, run))
    score_customers(evening.services)
    evening.require_finished()


def test_statistics_of_prepared_history_do_not_deadlock_with_its_admission(evening: Evening) -> None:
    landed = LandedFile("customers.csv", DAY + timedelta(days=10), "f" * 64, 0)
    with evening.services.database.transaction() as connection:
        extract = extracts.take_in(connection, landed, None, None)
        table_name = history.prepare(connection, extract)
    analyse_beside(evening, f"churn.{table_name}", lambda connection: history.attach(connection, extract, table_name))


def analyse_beside(evening: Evening, table: str, step: Callable[[Connection], None]) -> None:
    """Let a step wait for a table that is being analysed, and then end the analysis."""
    name = sql.Identifier(*table.split("."))

    def take_step() -> None:
        with evening.services.database.transaction() as connection:
            step(connection)

    with ThreadPoolExecutor(1) as beside, evening.database.as_role("postgres").transaction() as statistician:
        statistician.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(name))
        stepping = beside.submit(take_step)
        with evening.database.as_role("postgres").transaction() as observer:
            wait_until(lambda: observer.execute(WAITING, (table,)).fetchone() == {"count": 1}, "the step has to wait")
        statistician.execute(sql.SQL("ANALYZE {}").format(name))
        statistician.commit()
        stepping.result()
