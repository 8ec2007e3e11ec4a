"""The server's own statistics process works on a loaded table at the moment when the run closes or seals it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import sql

from churn.db import scores
from churn.db.database import Connection
from churn.jobs.score_customers import open_run, score_customers
from churn.jobs.score_part import score_part
from churn.records import ScoringRun
from tests.faults.children import wait_until
from tests.faults.evening import Evening

WAITING = "SELECT count(*) AS count FROM pg_locks WHERE relation = %s::regclass AND NOT granted"


@pytest.mark.parametrize("step", [scores.close, scores.seal])
def test_statistics_of_a_loaded_table_do_not_deadlock_with_its_run(
    evening: Evening, step: Callable[[Connection, ScoringRun], None]
) -> None:
    run = open_run(evening.services)
    score_part(evening.services, run.scoring_run_id, 1)
    table = f"churn.scores_{run.scoring_run_id}"
    name = sql.Identifier(*table.split("."))

    def take_step() -> None:
        with evening.services.database.transaction() as connection:
            step(connection, run)

    with ThreadPoolExecutor(1) as beside, evening.database.as_role("postgres").transaction() as statistician:
        statistician.execute(sql.SQL("LOCK TABLE {} IN SHARE UPDATE EXCLUSIVE MODE").format(name))
        stepping = beside.submit(take_step)
        with evening.database.as_role("postgres").transaction() as observer:
            wait_until(lambda: observer.execute(WAITING, (table,)).fetchone() == {"count": 1}, "the step has to wait")
        statistician.execute(sql.SQL("ANALYZE {}").format(name))
        statistician.commit()
        stepping.result()
    score_customers(evening.services)
    evening.require_finished()
