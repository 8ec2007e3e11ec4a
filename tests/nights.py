"""What tests of the night look at: the published table, and the customers behind it."""

import pandas as pd
from psycopg import sql

from churn.db import customers, extracts, publications, scores, scoring_runs
from churn.db.database import Database
from churn.jobs.check_scores import check_scores
from churn.jobs.publish_scores import publish_scores
from churn.jobs.score_customers import parts_of
from churn.jobs.score_part import score_part
from churn.records import Decision, ScoringRun
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


def loaded_rows(database: Database, run: ScoringRun) -> list[tuple[str, bytes]]:
    """Every byte of a run's scores, sealed or not, in key order."""
    table = sql.Identifier("churn", f"scores_{run.scoring_run_id}")
    statement = sql.SQL("SELECT customer_id, float8send(churn_probability) AS bits FROM {} ORDER BY 1").format(table)
    with database.transaction() as connection:
        return [(row["customer_id"], row["bits"]) for row in connection.execute(statement)]


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


def publish_unchecked(services: Services, run: ScoringRun) -> ScoringRun:
    """Score and publish without the checks, for tests about many nights that are not about checks."""
    for part in parts_of(services, run.scoring_run_id):
        score_part(services, run.scoring_run_id, part.part_number)
    with services.database.transaction() as connection:
        scores.rank(connection, run)
        scores.seal(connection, run)
        scores.mark_explained(connection, run)
        scores.seal_reasons(connection, run)
        scoring_runs.mark_checked(connection, run, Decision(True, "not checked", ()))
        publications.publish(connection, run)
    return run_of(services, run.scoring_run_id)


def run_of(services: Services, scoring_run_id: int) -> ScoringRun:
    """A run as it is recorded now."""
    with services.database.transaction() as connection:
        return scoring_runs.get(connection, scoring_run_id)
