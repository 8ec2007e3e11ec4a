"""What tests of the night look at: the published table, and the customers behind it."""

from typing import Any

import pandas as pd

from churn.db import customers, extracts, scoring_runs
from churn.db.database import Database
from churn.jobs.check_scores import check_scores
from churn.jobs.publish_scores import publish_scores
from churn.jobs.score_customers import parts_of
from churn.jobs.score_part import score_part
from churn.records import ScoringRun
from churn.services import Services

COLUMNS = [
    "customer_id", "churn_probability", "decile", "percentile_rank", "risk_level", "probability_change", "reasons",
    "model_version", "scoring_run_id", "snapshot_date", "scored_at",
]  # fmt: skip


def published(database: Database) -> pd.DataFrame:
    """What CRM reads now, in key order."""
    with database.transaction() as connection:
        rows = connection.execute("SELECT * FROM crm.churn_scores ORDER BY customer_id").fetchall()
    return pd.DataFrame(rows, columns=COLUMNS)


def rows_of_run(database: Database, scoring_run_id: int) -> list[tuple[Any, ...]]:
    """Every byte that a run says of its customers, in key order."""
    statement = """
        SELECT customer_id, float8send(churn_probability) AS bits, decile, percentile_rank, risk_level, reasons
        FROM churn.ranked_scores LEFT JOIN churn.score_reasons USING (scoring_run_id, customer_id)
        WHERE scoring_run_id = %s ORDER BY customer_id
    """
    with database.transaction() as connection:
        rows = connection.execute(statement, (scoring_run_id,)).fetchall()
    return [(*row.values(),) for row in rows]


def current_customers(services: Services) -> pd.DataFrame:
    """The customers of the current snapshot: id and features, in key order."""
    with services.database.transaction() as connection:
        return customers.read_all(connection, extracts.current(connection).extract_id)


def finish(services: Services, run: ScoringRun) -> ScoringRun:
    """Everything after open_run, step by step as Airflow does it."""
    for part in parts_of(services, run.scoring_run_id):
        score_part(services, run.scoring_run_id, part.part_number)
    check_scores(services, run.scoring_run_id)
    return publish_scores(services, run.scoring_run_id)


def run_of(services: Services, scoring_run_id: int) -> ScoringRun:
    """A run as it is recorded now."""
    with services.database.transaction() as connection:
        return scoring_runs.get(connection, scoring_run_id)
