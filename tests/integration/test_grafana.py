"""Every query of every dashboard, as Grafana would send it, on a database that the jobs have filled."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from churn.columns import COLUMNS
from churn.core.grafana import Moment, Target, alert_moment, alert_target, expand, since, targets
from tests import watched
from tests.conftest import TestDatabase, TestServer
from tests.grafana_queries import DASHBOARDS, RULES, Result, run, server_milliseconds
from tests.watched import SixWeeks

MILLISECONDS = 200
TARGETS = [(title, target) for title, dashboard in DASHBOARDS.items() for target in targets(dashboard)]
# Nobody's outcome has settled whom both arms answered, and a healthy log has lost nothing.
MAY_BE_EMPTY = {"Model: Challenger beside Production"}
FORBIDDEN = {column.sql_name for column in COLUMNS} | {"customer_id", "inputs", "raw_values", "raw_text", "reasons"}


@pytest.fixture
def healthy(six_weeks: SixWeeks) -> TestDatabase:
    """A telecom of six weeks, in which nothing is wrong now."""
    return six_weeks.database


@pytest.fixture(scope="module")
def busy(postgres: TestServer, six_weeks: SixWeeks) -> Iterator[TestDatabase]:
    """The same after a day with a million requests, in every minute of all kinds."""
    database = postgres.copy(six_weeks.database.name, "churn_busy")
    with psycopg.connect(database.as_role("postgres").url, autocommit=True) as connection:
        for ago in (0, 1):
            connection.execute("SELECT churn.open_api_request_day((now() AT TIME ZONE 'UTC')::date - %s)", (ago,))
        connection.execute(
            "INSERT INTO churn.api_requests (at, request_id, row_number, route, status, milliseconds, arm,"
            " model_version, churn_probability, problem)"
            " SELECT now() - interval '1 day' * n / 1e6, 'r' || n, 0,"
            "  (ARRAY['/predict', '/v1/predict', '/v1/predict/batch', '/v1/explain'])[1 + n % 4],"
            "  CASE WHEN n % 997 = 0 THEN 500 WHEN n % 50 = 0 THEN 422 ELSE 200 END, exp(1.2 + 0.8 * random()),"
            "  CASE WHEN n % 7 = 0 THEN 'challenger' ELSE 'production' END, 1 + n % 2, 0.3,"
            "  CASE WHEN n % 997 = 0 THEN 'internal-error' WHEN n % 50 = 0 THEN 'invalid-fields' END"
            " FROM generate_series(1, 1000000) AS n"
        )
        connection.execute("VACUUM ANALYZE")
    yield database
    postgres.drop(database.name)


@pytest.fixture
def reader(healthy: TestDatabase) -> Iterator[psycopg.Connection[Any]]:
    """A connection of Grafana's role, which may only read."""
    with grafana(healthy) as connection:
        yield connection


def grafana(database: TestDatabase) -> psycopg.Connection[Any]:
    connection = psycopg.connect(database.as_role("grafana_reader").url, autocommit=True)
    connection.execute("SET default_transaction_read_only = on")
    return connection


def moment_of(title: str, connection: psycopg.Connection[Any], **chosen: list[str]) -> Moment:
    """The range that a dashboard opens with, and what its variables are set to when it opens."""
    end = datetime.now(UTC)
    moment = Moment(end - since(DASHBOARDS[title]), end)
    values: dict[str, list[str]] = {}
    for variable in DASHBOARDS[title]["templating"]["list"]:
        if variable["type"] == "query":
            found = run(connection, expand(Target(variable["name"], variable["query"], "table"), moment))
            assert found.rows, f"the variable {variable['name']} has no value"
            values[variable["name"]] = [str(row[0]) for row in found.rows]
        elif variable["type"] == "custom":
            values[variable["name"]] = [variable["current"]["value"]]
    return Moment(moment.start, moment.end, values | chosen)


def answer(connection: psycopg.Connection[Any], title: str, target: Target, **chosen: list[str]) -> Result:
    return run(connection, expand(target, moment_of(title, connection, **chosen)))


def named(title: str, panel: str) -> Target:
    return next(target for each, target in TARGETS if each == title and target.where.endswith(f": {panel}"))


# Panels ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[target.where for _, target in TARGETS])
def test_a_query_runs_shows_something_and_has_the_columns_of_its_format(
    reader: psycopg.Connection[Any], title: str, target: Target
) -> None:
    result = answer(reader, title, target)
    if target.where not in MAY_BE_EMPTY:
        assert result.rows
        assert any(value is not None for row in result.rows for value in row)
    if target.format == "time_series":
        assert result.faults == []
    if target.format == "annotation":
        assert {"time", "timeend", "text", "tags"} == {name for name, _ in result.columns}


def test_drift_of_requests_has_panels_of_its_own(reader: psycopg.Connection[Any]) -> None:
    for panel in ("Share of drifted columns", "The newest report, column by column", "Drift per column"):
        assert answer(reader, "model", named("model", panel), drift_source=["requests"]).rows


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[target.where for _, target in TARGETS])
def test_a_query_answers_in_time_after_a_million_requests(busy: TestDatabase, title: str, target: Target) -> None:
    with grafana(busy) as connection:
        sql = expand(target, moment_of(title, connection))
        assert server_milliseconds(connection, sql) < MILLISECONDS


@pytest.mark.parametrize("hours", [24, 7 * 24])
def test_the_api_answers_in_time_for_longer_ranges(busy: TestDatabase, hours: int) -> None:
    with grafana(busy) as connection:
        opened = moment_of("api", connection)
        longer = Moment(opened.end - timedelta(hours=hours), opened.end, opened.variables)
        slow = {
            target.where: took
            for title, target in TARGETS
            if title == "api" and (took := server_milliseconds(connection, expand(target, longer))) >= MILLISECONDS
        }
    assert slow == {}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["title"])
def test_an_alert_answers_in_time_after_a_million_requests(busy: TestDatabase, rule: dict[str, Any]) -> None:
    with grafana(busy) as connection:
        sql = expand(alert_target(rule), alert_moment(rule, datetime.now(UTC)))
        assert server_milliseconds(connection, sql) < MILLISECONDS


def test_a_macro_that_is_not_documented_is_no_query() -> None:
    moment = Moment(datetime.now(UTC), datetime.now(UTC))
    with pytest.raises(ValueError, match="unknown macro"):
        expand(Target("here", "SELECT $__timeFiltre(at)", "table"), moment)
    with pytest.raises(ValueError, match="unexpanded"):
        expand(Target("here", "SELECT $unknown", "table"), moment)


# What the numbers are -------------------------------------------------------------------------------------


def test_panels_show_what_the_jobs_have_done(reader: psycopg.Connection[Any]) -> None:
    (customers,) = answer(reader, "operations", named("operations", "Customers in the published table")).rows
    (refused,) = answer(reader, "operations", named("operations", "Files refused")).rows
    shares = answer(reader, "operations", named("operations", "Bad rows against the cap")).rows
    levels = answer(reader, "business", named("business", "Customers by risk")).rows
    versions = answer(reader, "model", named("model", "Every decision"))
    assert customers == (watched.COUNT - 15,)
    assert refused == (1,)
    assert {(round(row[1], 4), row[2]) for row in shares} == {(0.0, 0.05), (0.01, 0.05)}
    assert sum(row[2] for row in levels) == watched.COUNT + 3 * (watched.COUNT - 15)
    assert [row[1] for row in versions.rows] == ["promoted"]
    assert re.fullmatch(r"[0-9a-f]{32}", versions.rows[0][-1])


# Who may see what -----------------------------------------------------------------------------------------


def readable(connection: psycopg.Connection[Any]) -> list[str]:
    rows = connection.execute(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
        " WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname NOT IN ('pg_catalog', 'information_schema')"
        " AND (has_table_privilege(pg_class.oid, 'SELECT') OR has_any_column_privilege(pg_class.oid, 'SELECT'))"
    ).fetchall()
    return [name for (name,) in rows]


def test_grafana_reads_the_monitoring_schema_and_no_column_of_a_customer(reader: psycopg.Connection[Any]) -> None:
    relations = readable(reader)
    assert len(relations) > 20
    for relation in relations:
        assert relation.startswith("monitoring.")
        columns = {each.name for each in reader.execute(f"SELECT * FROM {relation} LIMIT 0").description or ()}  # noqa: S608
        assert not columns & FORBIDDEN, relation


def test_no_customer_is_named_in_anything_that_grafana_reads(
    reader: psycopg.Connection[Any], healthy: TestDatabase
) -> None:
    with healthy.as_role("churn_pipeline").transaction() as connection:
        ids = {row["customer_id"] for row in connection.execute("SELECT customer_id FROM churn.customers")}
    assert len(ids) == watched.COUNT - 15
    shape = re.compile(r"\b\d{4}-[A-Z]{5}\b")
    assert all(shape.fullmatch(each) for each in ids)
    for relation in readable(reader):
        for (text,) in reader.execute(f"SELECT whole::text FROM {relation} AS whole"):  # noqa: S608
            assert not ids & set(shape.findall(text)), relation


def test_grafana_is_refused_every_other_relation(reader: psycopg.Connection[Any], healthy: TestDatabase) -> None:
    with healthy.as_role("postgres").transaction() as connection:
        others = [
            row["name"]
            for row in connection.execute(
                "SELECT format('%I.%I', schemaname, name) AS name FROM ("
                " SELECT schemaname, tablename AS name FROM pg_tables UNION SELECT schemaname, viewname FROM pg_views"
                ") AS relations WHERE schemaname IN ('churn', 'crm', 'staging', 'serving')"
            )
        ]
    assert {"churn.customers", "churn.scores", "churn.api_requests", "crm.churn_scores"} <= set(others)
    for relation in others:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(f"SELECT * FROM {relation} LIMIT 1")  # noqa: S608


@pytest.mark.parametrize("statement", ["UPDATE", "INSERT", "DELETE"])
def test_grafana_may_change_nothing(healthy: TestDatabase, statement: str) -> None:
    with psycopg.connect(healthy.as_role("grafana_reader").url, autocommit=True) as connection:
        for relation in readable(connection):
            (may,) = connection.execute("SELECT has_table_privilege(%s, %s)", (relation, statement)).fetchone() or (
                True,
            )
            assert not may, relation
