"""A database with nights in it comes to the next revision with every row that readers had."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb

from churn.columns import COLUMNS
from churn.core.feature_packing import STORED
from churn.db.database import Database
from churn.db.feature_stream import packed_word
from churn.db.migrations import current_revision, migrate, needed_revision
from churn.db.row_rules import target_columns
from churn.platform.postgres import create_database
from tests.conftest import TestServer
from tests.factories import customer_rows

COUNT = 250


@pytest.fixture
def first_release(postgres: TestServer) -> Iterator[Database]:
    """A database at revision 0001 with one published night of 250 customers."""
    create_database(postgres.url("postgres", "postgres"), "first_release")
    admin = Database(postgres.url("postgres", "first_release"))
    migrate(admin, "0001")
    with admin.transaction() as connection:
        connection.execute(
            "INSERT INTO churn.extracts (content_hash, source_url, snapshot_date)"
            " VALUES (repeat('a', 64), 'f', '2026-11-22')"
        )
        connection.execute("SELECT churn.add_history_partition(1)")
        for row in customer_rows(COUNT):
            _insert(connection, row)
        connection.execute(
            "UPDATE churn.extracts SET state = 'admitted', row_count = %(n)s, admitted_count = %(n)s,"
            " quarantined_count = 0, decided_at = now()",
            {"n": COUNT},
        )
        connection.execute("INSERT INTO churn.current_extract (extract_id) VALUES (1)")
        connection.execute(
            "INSERT INTO churn.scoring_runs (extract_id, snapshot_date, model_version, model_digest, policy)"
            " VALUES (1, '2026-11-22', 1, 'd', %(policy)s), (1, '2026-11-22', 2, 'e', %(policy)s)",
            {"policy": Jsonb({"medium_risk_from": 0.3, "high_risk_from": 0.6})},
        )
        connection.execute("SELECT churn.add_scores_partition(1)")
        connection.execute(
            "INSERT INTO churn.scores SELECT 1, customer_id, n / 250.0, 1 + (250 - n) / 25,"
            " CASE WHEN n >= 150 THEN 'high' WHEN n >= 75 THEN 'medium' ELSE 'low' END"
            " FROM (SELECT customer_id, row_number() OVER (ORDER BY customer_id) AS n FROM churn.customers) AS c"
        )
        connection.execute(
            "UPDATE churn.scoring_runs SET state = 'published', scored_count = 250, scored_at = now(),"
            " published_at = now() WHERE scoring_run_id = 1"
        )
        connection.execute("INSERT INTO churn.current_scoring_run (scoring_run_id) VALUES (1)")
    yield admin
    with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE first_release WITH (FORCE)")


def _insert(connection: psycopg.Connection[dict[str, object]], row: dict[str, str]) -> None:
    values = [
        None if column.kind == "label" else float(row[column.name]) if column.is_number else row[column.name]
        for column in COLUMNS
    ]
    statement = sql.SQL(
        "INSERT INTO churn.customer_history (extract_id, snapshot_date, {}) VALUES (1, '2026-11-22', {})"
    )
    connection.execute(
        statement.format(target_columns(), sql.SQL(", ").join(sql.Placeholder() for _ in values)), values
    )


def test_the_published_night_reads_the_same_after_the_migration(first_release: Database) -> None:
    question = "SELECT customer_id, churn_probability, decile, risk_level FROM crm.churn_scores ORDER BY customer_id"
    with first_release.transaction() as connection:
        before = connection.execute(question).fetchall()
    assert len(before) == COUNT
    assert migrate(first_release) == needed_revision() == current_revision(first_release)
    with first_release.transaction() as connection:
        after = connection.execute(question).fetchall()
        states = connection.execute("SELECT state FROM churn.scoring_runs ORDER BY scoring_run_id").fetchall()
        statement = sql.SQL("SELECT count(*) AS n FROM churn.customer_history AS history WHERE packed_categories = {}")
        packed = connection.execute(statement.format(packed_word(STORED))).fetchone()
    assert after == before
    assert [row["state"] for row in states] == ["published", "superseded"]
    assert packed == {"n": COUNT}
    assert migrate(first_release) == needed_revision()
