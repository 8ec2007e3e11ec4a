"""The schema and its roles: least privilege is what each role cannot do."""

import psycopg
import pytest
from psycopg import sql

from churn.db.database import Database
from churn.db.migrations import current_revision, migrate, needed_revision, require_current_schema
from churn.errors import AlreadyRunning, ConfigurationError, DatabaseUnavailable, SchemaBehind
from churn.platform.ports import LOOPBACK
from churn.platform.postgres import create_database
from tests.conftest import TestDatabase, TestServer
from tests.server import random_free_port

# Rights on whole relations, on single columns where not on all, on sequences, functions, schemas, the database and
# other roles. What every PostgreSQL server gives everybody on its own catalogues is left out.
RIGHTS = """
WITH ours AS (
    SELECT oid, nspname FROM pg_namespace
    WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)'
),
relations AS (
    SELECT pg_class.oid, relkind, nspname || '.' || relname AS object
    FROM pg_class JOIN ours ON ours.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
)
SELECT object, right_, NULL AS columns
FROM relations, unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) AS right_
WHERE relkind <> 'S' AND has_table_privilege('churn_api', oid, right_)
UNION ALL
SELECT object, right_, string_agg(attname, ', ' ORDER BY attnum)
FROM relations
JOIN pg_attribute ON attrelid = relations.oid AND attnum > 0 AND NOT attisdropped,
    unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS right_
WHERE relkind <> 'S' AND NOT has_table_privilege('churn_api', relations.oid, right_)
    AND has_column_privilege('churn_api', relations.oid, attnum, right_)
GROUP BY object, right_
UNION ALL
SELECT object, right_, NULL
FROM relations, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS right_
WHERE relkind = 'S' AND has_sequence_privilege('churn_api', oid, right_)
UNION ALL
SELECT nspname || '.' || proname, 'EXECUTE', NULL
FROM pg_proc JOIN ours ON ours.oid = pronamespace
WHERE has_function_privilege('churn_api', pg_proc.oid, 'EXECUTE')
UNION ALL
SELECT nspname, right_, NULL
FROM ours, unnest(ARRAY['USAGE', 'CREATE']) AS right_
WHERE has_schema_privilege('churn_api', oid, right_)
UNION ALL
SELECT 'database', right_, NULL
FROM unnest(ARRAY['CONNECT', 'CREATE', 'TEMPORARY']) AS right_
WHERE has_database_privilege('churn_api', current_database(), right_)
UNION ALL
SELECT rolname, 'MEMBER', NULL
FROM pg_roles
WHERE rolname <> 'churn_api' AND pg_has_role('churn_api', oid, 'MEMBER')
UNION ALL
SELECT 'server', 'SUPERUSER', NULL
FROM pg_roles
WHERE rolname = 'churn_api' AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolbypassrls OR rolreplication)
"""
API_RIGHTS = {
    ("database", "CONNECT", None),
    ("public", "USAGE", None),
    ("churn", "USAGE", None),
    ("crm", "USAGE", None),
    ("churn.schema_version", "SELECT", None),
    # What it serves.
    ("crm.churn_scores", "SELECT", None),
    ("serving", "USAGE", None),
    ("serving.published_run", "SELECT", None),
    ("serving.published_scores", "SELECT", None),
    ("serving.approvals", "SELECT", None),
    ("serving.customer_inputs", "EXECUTE", None),  # the fields of one customer by id, without who left
    # What it answered to a request that may be sent again.
    ("serving.kept_answers", "DELETE", None),
    ("serving.kept_answers", "INSERT", None),
    ("serving.kept_answers", "SELECT", None),
    # Who may ask.
    (
        "churn.api_keys",
        "SELECT",
        "key_id, key_name, secret_hash, scopes, requests_per_minute, expires_at, revoked_at",
    ),
    # What it answered: written, never read.
    ("churn.api_requests", "INSERT", None),
    ("churn.api_log_batches", "INSERT", "batch_id, worker, row_count, dropped_count, limited_count, denied_count"),
    ("churn.open_api_request_day", "EXECUTE", None),
}


def test_migrating_twice_changes_nothing(churn_database: TestDatabase) -> None:
    admin = churn_database.as_role("postgres")
    assert migrate(admin) == needed_revision() == current_revision(admin)


def test_an_empty_database_is_refused_with_the_command_that_mends_it(postgres: TestServer) -> None:
    create_database(postgres.url("postgres", "postgres"), "empty")
    with pytest.raises(SchemaBehind, match="churn db migrate"):
        require_current_schema(Database(postgres.url("postgres", "empty")))


@pytest.mark.parametrize("role", ["churn_pipeline", "churn_api"])
def test_a_process_may_learn_that_the_schema_is_current(churn_database: TestDatabase, role: str) -> None:
    require_current_schema(churn_database.as_role(role))


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("crm_reader", "SELECT * FROM churn.scores"),
        ("crm_reader", "SELECT * FROM churn.customers"),
        ("crm_reader", "SELECT * FROM monitoring.extracts"),
        ("crm_reader", "UPDATE churn.current_scoring_run SET moved_at = now()"),
        ("grafana_reader", "SELECT * FROM crm.churn_scores"),
        ("grafana_reader", "SELECT * FROM churn.customer_history"),
        ("churn_api", "SELECT * FROM churn.customers"),
        ("churn_api", "INSERT INTO churn.scoring_runs DEFAULT VALUES"),
        ("churn_api", "SELECT * FROM churn.api_requests"),
        ("churn_api", "SELECT created_by FROM churn.api_keys"),
        ("churn_api", "UPDATE churn.api_keys SET revoked_at = NULL"),
        ("churn_api", "SELECT churn.erase_api_requests('A')"),
        ("churn_pipeline", "DELETE FROM churn.api_requests"),
        ("grafana_reader", "SELECT * FROM churn.api_requests"),
        ("grafana_reader", "SELECT * FROM churn.api_keys"),
        ("churn_pipeline", "DELETE FROM churn.extracts"),
        ("churn_pipeline", "UPDATE churn.customer_history SET tenure = 0"),
        ("churn_pipeline", "UPDATE churn.scores SET churn_probability = 0"),
        ("churn_pipeline", "UPDATE churn.promotions SET reason = ''"),
        ("churn_pipeline", "DELETE FROM churn.promotions"),
        ("churn_pipeline", "DROP TABLE churn.scores"),
        ("churn_pipeline", "CREATE TABLE churn.mine (n int)"),
        ("churn_pipeline", "SET ROLE churn_owner"),
    ],
)
def test_a_role_cannot_do_what_its_work_does_not_need(churn_database: TestDatabase, role: str, statement: str) -> None:
    with (
        pytest.raises(psycopg.errors.InsufficientPrivilege),
        churn_database.as_role(role).transaction() as connection,
    ):
        connection.execute(statement)


@pytest.mark.parametrize(
    ("role", "view"),
    [
        ("crm_reader", "crm.churn_scores"),
        ("churn_api", "crm.churn_scores"),
        ("grafana_reader", "monitoring.scoring_runs"),
        ("grafana_reader", "monitoring.drift_reports"),
        ("churn_pipeline", "churn.customers"),
        ("churn_pipeline", "churn.outcomes"),
    ],
)
def test_a_role_can_read_what_it_is_for(churn_database: TestDatabase, role: str, view: str) -> None:
    with churn_database.as_role(role).transaction() as connection:
        statement = sql.SQL("SELECT * FROM {}").format(sql.Identifier(*view.split(".")))
        assert connection.execute(statement).fetchall() == []


def test_the_database_holds_admitted_plus_quarantined_to_the_rows_of_the_file(pipeline: Database) -> None:
    with (
        pytest.raises(psycopg.errors.CheckViolation, match="every_row_is_accounted_for"),
        pipeline.transaction() as connection,
    ):
        connection.execute(
            "INSERT INTO churn.extracts (content_hash, source_url, snapshot_date, state, decided_at, row_count,"
            " admitted_count, quarantined_count)"
            " VALUES (repeat('0', 64), 'x', '2026-01-01', 'admitted', now(), 10, 8, 1)"
        )


def test_a_lock_is_held_once(pipeline: Database) -> None:
    with pipeline.lock("night"):
        with pytest.raises(AlreadyRunning), pipeline.lock("night"):
            pass
        with pipeline.lock("another"):
            pass
    with pipeline.lock("night"):
        pass


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    port = random_free_port()
    database = Database(f"postgresql://me:secret@{LOOPBACK}:{port}/churn")
    with pytest.raises(DatabaseUnavailable) as raised, database.transaction():
        pass
    assert f"{LOOPBACK}:{port}/churn" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_another_kind_of_address_is_refused() -> None:
    with pytest.raises(ConfigurationError):
        Database("mysql://somewhere/churn")


def test_the_api_may_do_exactly_this(churn_database: TestDatabase) -> None:
    """Every right of churn_api on everything in the database, whatever it comes from: a grant, PUBLIC, a role."""
    with churn_database.as_role("postgres").transaction() as connection:
        rows = connection.execute(RIGHTS).fetchall()
    assert {(row["object"], row["right_"], row["columns"]) for row in rows} == API_RIGHTS


def backend(database: Database) -> int:
    """The process of the server that answers."""
    with database.transaction() as connection:
        row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    assert row is not None
    return int(row["pid"])


def test_a_kept_connection_is_used_again_and_replaced_where_it_was_cut(churn_database: TestDatabase) -> None:
    kept = churn_database.as_role("churn_api").kept()
    first = backend(kept)
    assert backend(kept) == first
    with churn_database.as_role("postgres").transaction() as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (first,))
    assert backend(kept) != first


def test_work_that_fails_on_a_kept_connection_is_undone_and_the_next_is_not_touched(
    churn_database: TestDatabase,
) -> None:
    kept = churn_database.as_role("postgres").kept()
    with pytest.raises(psycopg.errors.DivisionByZero), kept.transaction() as connection:
        connection.execute("CREATE TABLE half (made integer); SELECT 1 / 0")
    with pytest.raises(psycopg.errors.UndefinedTable), kept.transaction() as connection:
        connection.execute("SELECT * FROM half")
    with kept.transaction() as connection:
        connection.execute("CREATE TABLE whole (made integer)")
    with kept.transaction() as connection:
        connection.execute("SELECT * FROM whole")


def test_a_kept_connection_to_nobody_says_so() -> None:
    with pytest.raises(DatabaseUnavailable), Database(f"postgresql://a:b@{LOOPBACK}:9/churn").kept().transaction():
        pass
