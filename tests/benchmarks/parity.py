"""Whether what was compared is the same: every peer's probability is the published one, bit for bit.

As a process of its own (`python -m tests.benchmarks.parity`) it asks MLflow's pyfunc for a sample of the published
rows, for sizes at which no peer runs.
"""

import os

import mlflow
import numpy as np
import pandas as pd
import psycopg
from psycopg import sql

from churn.columns import FEATURES, KEY
from tests.benchmarks.results import Check
from tests.benchmarks.servers import Bench, Connection
from tests.benchmarks.told import Clock

SAMPLED_ROWS = 100_000
TOLERANCE = 0.0  # of a probability; anything above zero would have to be said in docs/speed.md


def compare_peer(bench: Bench, database: str, size: int, table: str) -> Check:
    """Hold a peer's table against the published one, row by row."""
    statement = sql.SQL(
        "SELECT count(*), count(*) FILTER (WHERE peer.churn_probability IS NULL OR ours.churn_probability IS NULL),"
        " coalesce(max(abs(peer.churn_probability - ours.churn_probability)), 'NaN')"
        " FROM {} AS peer FULL JOIN crm.churn_scores AS ours USING (customer_id)"
    ).format(sql.Identifier("peers", table))
    with bench.admin(database) as admin:
        rows, alone, difference = _row(admin, statement)
    passed = rows == size and alone == 0 and difference <= TOLERANCE
    told = f"{rows:,} rows, {alone:,} without a partner, largest difference {difference:g}"
    return Check(size, table, passed, told)


def check_published(bench: Bench, database: str, size: int, scoring_run_id: int, before: int | None) -> Check:
    """Every customer is published once, by the run that was just measured, which is a new one."""
    statement = sql.SQL(
        "SELECT count(*), count(DISTINCT customer_id), min(scoring_run_id), max(scoring_run_id),"
        " (SELECT count(*) FROM churn.customers JOIN crm.churn_scores USING (customer_id)) FROM crm.churn_scores"
    )
    with bench.admin(database) as admin:
        rows, distinct, first, last, known = _row(admin, statement)
    passed = rows == distinct == known == size and first == last == scoring_run_id and scoring_run_id != before
    told = f"{rows:,} rows, {distinct:,} customers, {known:,} of the snapshot, run {last} after {before}"
    return Check(size, "ours", passed, told)


def check_sample(size: int, told: dict[str, float]) -> Check:
    """What the process of this module found."""
    passed = told["rows"] > 0 and told["difference"] <= TOLERANCE
    return Check(size, "pyfunc", passed, f"{told['rows']:,.0f} rows sampled, largest difference {told['difference']:g}")


def _row(admin: Connection, statement: sql.SQL | sql.Composed) -> tuple:
    admin.execute("SET work_mem = '256MB'")
    found = admin.execute(statement).fetchone()
    assert found is not None
    return found


def main() -> None:
    """Ask the registered model, through pyfunc, for every k-th published customer by a hash of the key."""
    model = mlflow.pyfunc.load_model("models:/churn@production")
    names = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(column.sql_name), sql.Identifier(column.name))
        for column in (KEY, *FEATURES)
    )
    statement = sql.SQL(
        "SELECT {}, churn_probability FROM churn.customers JOIN crm.churn_scores USING (customer_id)"
        " WHERE hashtext(customer_id) %% greatest((SELECT count(*) FROM churn.customers) / %s, 1) = 0"
    ).format(names)
    clock = Clock()
    with psycopg.connect(os.environ["CHURN_DATABASE_URL"]) as connection:
        cursor = connection.execute(statement, (SAMPLED_ROWS,))
        frame = pd.DataFrame(cursor.fetchall(), columns=[column.name for column in cursor.description or ()])
    published = frame.pop("churn_probability").to_numpy(np.float64)
    difference = np.abs(np.asarray(model.predict(frame)) - published)
    clock.tell(len(frame), difference=float(difference.max(initial=np.nan if len(frame) == 0 else 0.0)))


if __name__ == "__main__":
    main()
