"""The door: what is admitted, what is set aside with which reasons, what is refused whole."""

import hashlib
import os
from pathlib import Path

import pytest
import s3fs

from churn.db import extracts, quarantined_rows, validation_results
from churn.db.database import Database
from churn.errors import (
    AlreadyRunning,
    ExtractRefused,
    NoCustomers,
)
from churn.jobs.validate_customers import LOCK, require_admitted, validate_customers
from churn.services import Services
from churn.settings import PROJECT
from tests.conftest import TestDatabase
from tests.factories import NAMES, customer_row, customer_rows
from tests.integration.extract_cases import BAD_ROWS
from tests.integration.extract_texts import good
from tests.integration.validations import (
    DAY,
    DAY_BEFORE,
    NEXT_DAY,
    customers,
    every_row,
    history_counts,
    land,
    land_bytes,
    open_services,
    require_accounted_for,
    validate_one,
)


@pytest.fixture
def services(pipeline: Database, tmp_path: Path) -> Services:
    return open_services(pipeline, tmp_path)


def tree_print(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


# Admission ------------------------------------------------------------------------------------------------


def test_a_good_file_becomes_the_customer_table(services: Services) -> None:
    rows = customer_rows(100)
    rows[0] |= {"tenure": "0", "TotalCharges": " ", "Churn": "Yes"}
    rows[1] |= {"tenure": "0", "TotalCharges": "", "Churn": ""}
    land(services, DAY, rows)
    with services.database.transaction() as connection, pytest.raises(NoCustomers):
        extracts.current(connection)

    outcome = validate_one(services)

    require_accounted_for(outcome, 100)
    assert outcome.extract.quarantined_count == 0
    assert outcome.note == "100 of 100 rows admitted, 0 quarantined"
    table = customers(services.database)
    assert [row["customer_id"] for row in table] == [row["customerID"] for row in rows]
    assert [row["total_charges"] for row in table[:3]] == [0.0, 0.0, 846.0]
    assert [row["churned"] for row in table[:3]] == [True, None, False]
    assert {row["snapshot_date"] for row in table} == {DAY}
    with services.database.transaction() as connection:
        assert extracts.current(connection) == outcome.extract
        assert validation_results.of_extract(connection, outcome.extract.extract_id) == list(outcome.results)
        assert connection.execute("SELECT to_regclass('staging.customers_extract') AS left").fetchone() == {
            "left": None
        }
    assert all(result.succeeded for result in outcome.results)


def test_the_public_data_set_is_admitted_whole(services: Services, telco_csv: Path) -> None:
    content = telco_csv.read_bytes()
    land_bytes(services, DAY, content)
    outcome = validate_one(services)
    require_accounted_for(outcome, len(content.splitlines()) - 1)
    assert outcome.extract.quarantined_count == 0
    assert len(customers(services.database)) == outcome.extract.row_count


def test_order_of_columns_is_free_added_ones_are_told_and_the_label_may_be_absent(services: Services) -> None:
    columns = ("region", *reversed(NAMES[:-1]), "drop table")
    land(services, DAY, [row | {"region": "north"} for row in customer_rows(30)], columns)
    outcome = validate_one(services)
    require_accounted_for(outcome, 30)
    assert outcome.warnings == (
        "column 'region' is not in the contract and was ignored",
        "column 'drop table' is not in the contract and was ignored",
    )
    assert {row["churned"] for row in customers(services.database)} == {None}


# Quarantine -----------------------------------------------------------------------------------------------


def test_each_bad_row_is_kept_aside_with_its_reason_and_the_rest_is_admitted(services: Services) -> None:
    bad = [customer_row(**({"customerID": f"bad-{n}"} | changes)) for n, (changes, _) in enumerate(BAD_ROWS)]
    every_rule_at_once = customer_row(customerID="bad-all", gender="?", tenure="", TotalCharges="", Churn="?")
    land(services, DAY, [*bad, every_rule_at_once, *customer_rows(1_000)])

    outcome = validate_one(services)

    require_accounted_for(outcome, len(bad) + 1 + 1_000)
    assert outcome.extract.admitted_count == 1_000
    with services.database.transaction() as connection:
        aside = quarantined_rows.first(connection, outcome.extract.extract_id, 1_000)
        raw = connection.execute("SELECT raw_values FROM churn.quarantined_rows ORDER BY line_number").fetchone()
    assert [(row.line_number, *row.reasons) for row in aside[:-1]] == [
        (line, reason) for line, (_, reason) in enumerate(BAD_ROWS, start=2)
    ]
    assert aside[-1].reasons == (
        "gender is '?', not one of Female, Male", "tenure is blank", "Churn is '?', not one of Yes, No",
    )  # fmt: skip
    assert raw
    assert raw["raw_values"] == {name: value or None for name, value in bad[0].items()}
    told = {each.column_name: each.unexpected_count for each in outcome.results if each.severity == "quarantine"}
    assert told["tenure"] == sum("tenure" in changes for changes, _ in BAD_ROWS) + 1
    assert told["PhoneService"] == 0


def test_blank_charges_beside_an_unusable_tenure_are_told_once(services: Services) -> None:
    land(services, DAY, [customer_row(tenure="x", TotalCharges=" "), *customer_rows(40)[1:]])
    outcome = validate_one(services)
    with services.database.transaction() as connection:
        (row,) = quarantined_rows.first(connection, outcome.extract.extract_id, 10)
    assert row.reasons == ("tenure is 'x', not a whole number",)


# Refusal --------------------------------------------------------------------------------------------------


def test_a_refused_file_does_not_hold_up_the_next_day_and_is_not_judged_twice(services: Services) -> None:
    land_bytes(services, DAY, b"")
    land(services, NEXT_DAY, customer_rows(30))
    with pytest.raises(ExtractRefused, match="The file is empty"):
        require_admitted(validate_customers(services))
    assert len(customers(services.database)) == 30
    assert [outcome.note for outcome in validate_customers(services)] == [
        "already refused: The file is empty.", "already admitted: nothing to do",
    ]  # fmt: skip
    with pytest.raises(ExtractRefused, match="The file is empty"):
        require_admitted(validate_customers(services, f"customers-{DAY}.csv"))


# Again and again ------------------------------------------------------------------------------------------


def test_the_same_file_twice_is_a_no_op_that_says_so(services: Services) -> None:
    path = land(services, DAY, customer_rows(30))
    first = validate_one(services)
    before = every_row(services.database)
    os.utime(path, (1, 1))
    again = validate_one(services)
    assert again.note == "already admitted: nothing to do"
    assert again.extract == first.extract
    assert every_row(services.database) == before


def test_an_older_day_enters_history_and_customers_stays_at_the_later_one(services: Services) -> None:
    land(services, DAY, customer_rows(30))
    later = validate_one(services).extract
    land(services, DAY_BEFORE, customer_rows(20))
    older, same = validate_customers(services)
    assert older.note == "20 of 20 rows admitted, 0 quarantined; customers stays at a later day"
    assert same.note == "already admitted: nothing to do"
    assert history_counts(services.database) == {later.extract_id: 30, older.extract.extract_id: 20}
    assert len(customers(services.database)) == 30


def test_two_validations_do_not_run_at_once(services: Services) -> None:
    land(services, DAY, customer_rows(30))
    with services.database.lock(LOCK), pytest.raises(AlreadyRunning):
        validate_customers(services)


# Where it comes from, what it leaves ----------------------------------------------------------------------


def test_an_extract_comes_from_s3_through_the_same_door(
    pipeline: Database, tmp_path: Path, s3_bucket: s3fs.S3FileSystem
) -> None:
    services = open_services(pipeline, tmp_path, landing_url="s3://landing/extracts")
    s3_bucket.pipe(services.landing.url_of(DAY), good().encode())
    outcome = validate_one(services)
    require_accounted_for(outcome, 40)
    assert outcome.extract.source_url == f"s3://landing/extracts/customers-{DAY}.csv"


def test_data_docs_are_built_outside_the_checkout_and_hold_no_password(services: Services) -> None:
    checked_in = tree_print(PROJECT / "great_expectations")
    land(services, DAY, customer_rows(30))
    outcome = validate_one(services)
    assert outcome.data_docs
    page = services.reports.folder / outcome.data_docs
    assert "customers_extract" in page.read_text("utf-8")
    assert page.is_relative_to(services.reports.folder / "data_docs")
    assert (services.reports.folder / "data_docs" / "index.html").is_file()
    password = services.database.url.split(":")[2].split("@")[0]
    assert not [
        path for path in services.reports.folder.rglob("*") if path.is_file() and password in path.read_text("latin-1")
    ]
    assert tree_print(PROJECT / "great_expectations") == checked_in


def test_the_page_of_a_refused_file_shows_what_failed(services: Services) -> None:
    land(services, DAY, [customer_row() for _ in range(30)])
    with pytest.raises(ExtractRefused, match=r"unique in customerID \(30 values do not\)"):
        require_admitted(validate_customers(services))
    (outcome,) = validate_customers(services)
    assert outcome.data_docs
    assert "0001-AAAAA" in (services.reports.folder / outcome.data_docs).read_text("utf-8")


def test_no_connection_stays_behind(services: Services, churn_database: TestDatabase) -> None:
    land(services, DAY, customer_rows(30))
    validate_customers(services)
    with churn_database.as_role("postgres").transaction() as connection:
        left = connection.execute(
            "SELECT query FROM pg_stat_activity WHERE usename = 'churn_pipeline' AND datname = current_database()"
        ).fetchall()
    assert left == []
