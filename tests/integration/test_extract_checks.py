"""What an extract looks like beside those before it: real files, real history, real PostgreSQL."""

import csv
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from churn import simulator
from churn.db import validation_results
from churn.errors import ExtractRefused
from churn.jobs.validate_customers import require_admitted, validate_customers
from churn.records import ExtractOutcome
from churn.services import Services
from tests.conftest import TestServer
from tests.integration.validations import NEXT_DAY, land, land_bytes, open_services, require_accounted_for

COUNT = 400
DRAWN_FOR = date(2026, 11, 22)
DAYS = [NEXT_DAY - timedelta(days=ago) for ago in range(6, 0, -1)]
Rows = list[dict[str, str]]


def rows_of(folder: Path, day: date, count: int = COUNT) -> Rows:
    """Simulated customers of a day as text, the same ones whenever this runs."""
    path = folder / f"{day}-{count}.csv"
    simulator.write_extract(path, count, seed=5, snapshot_date=DRAWN_FOR + (day - NEXT_DAY))
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def lived_in(postgres: TestServer, migrated_template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with six admitted days, to be copied."""
    database = postgres.copy(migrated_template, "churn_lived_in")
    folder = tmp_path_factory.mktemp("lived-in")
    services = open_services(database.as_role("churn_pipeline"), folder)
    for day in DAYS:
        land(services, day, rows_of(folder, day))
    for outcome in validate_customers(services):
        require_accounted_for(outcome, COUNT)
        assert outcome.warnings == () or outcome.extract.snapshot_date < NEXT_DAY - timedelta(days=3)
    return database.name


@pytest.fixture
def services(postgres: TestServer, lived_in: str, tmp_path: Path) -> Services:
    """Services on a copy of it."""
    return open_services(postgres.copy(lived_in, "churn_lived_in_copy").as_role("churn_pipeline"), tmp_path)


def validate_today(services: Services, rows: Rows) -> ExtractOutcome:
    land(services, NEXT_DAY, rows)
    (outcome,) = validate_customers(services)
    return outcome


def refused(services: Services, rows: Rows, day: date = NEXT_DAY) -> ExtractRefused:
    land(services, day, rows)
    (outcome,) = validate_customers(services)
    with pytest.raises(ExtractRefused) as raised:
        require_admitted([outcome])
    failed = [result for result in outcome.results if result.is_refusal]
    with services.database.transaction() as connection:
        stored = validation_results.of_extract(connection, outcome.extract.extract_id)
    assert failed
    assert stored == list(outcome.results)
    return raised.value


def test_a_day_like_the_ones_before_is_admitted_without_a_warning(services: Services, tmp_path: Path) -> None:
    outcome = validate_today(services, rows_of(tmp_path, NEXT_DAY))
    require_accounted_for(outcome, COUNT)
    assert outcome.warnings == ()


def test_ten_times_the_rows_are_refused_with_numbers_and_the_way_out(services: Services, tmp_path: Path) -> None:
    error = refused(services, rows_of(tmp_path, NEXT_DAY, 10 * COUNT))
    assert "The file holds 4000 rows, 10.00 times the 400 that are usual (the median of the last 6" in error.message


def test_a_tenth_of_the_rows_is_refused(services: Services, tmp_path: Path) -> None:
    error = refused(services, rows_of(tmp_path, NEXT_DAY, COUNT // 10))
    assert "The file holds 40 rows, 0.10 times the 400 that are usual" in error.message
    assert f"360 of the 400 customers of {DAYS[-1]} are not in the file" in error.message


def test_the_customers_of_another_telecom_are_refused(services: Services, tmp_path: Path) -> None:
    rows = [row | {"customerID": f"X-{row['customerID']}"} for row in rows_of(tmp_path, NEXT_DAY)]
    assert f"400 of the 400 customers of {DAYS[-1]} are not in the file (100.0%" in refused(services, rows).message


def test_a_day_in_the_future_is_refused(services: Services, tmp_path: Path) -> None:
    future = NEXT_DAY + timedelta(days=30)
    assert (
        f"The file is of {future}, which is in the future"
        in refused(services, rows_of(tmp_path, future), future).message
    )


def test_a_day_that_is_made_up_for_is_admitted_with_a_warning(services: Services, tmp_path: Path) -> None:
    old = NEXT_DAY - timedelta(days=400)
    land(services, old, rows_of(tmp_path, old))
    (outcome,) = validate_customers(services)
    require_accounted_for(outcome, COUNT)
    assert outcome.warnings == ("the file is 400 days old; up to 3 are usual, unless days are made up for",)


def test_yesterdays_file_under_todays_name_is_warned_about(services: Services, tmp_path: Path) -> None:
    land(services, NEXT_DAY, rows_of(tmp_path, DAYS[-1]))
    (outcome,) = validate_customers(services)
    require_accounted_for(outcome, COUNT)
    assert [each for each in outcome.warnings if f"byte for byte, the extract of {DAYS[-1]}" in each]


def test_a_new_value_in_few_rows_is_quarantined_and_told_once_with_its_count(
    services: Services, tmp_path: Path
) -> None:
    rows = rows_of(tmp_path, NEXT_DAY)
    for row in rows[:8]:
        row["Contract"] = "Weekly"
    outcome = validate_today(services, rows)
    require_accounted_for(outcome, COUNT)
    assert outcome.extract.quarantined_count == 8
    assert outcome.warnings == ("Contract has new value 'Weekly' in 8 rows (quarantined)",)


def test_prices_that_all_rose_and_contracts_that_all_changed_are_told_and_admitted(
    services: Services, tmp_path: Path
) -> None:
    rows = rows_of(tmp_path, NEXT_DAY)
    for row in rows:
        row["MonthlyCharges"] = f"{1.5 * float(row['MonthlyCharges']):.2f}"
        row["Contract"] = "One year"
    outcome = validate_today(services, rows)
    require_accounted_for(outcome, COUNT)
    told = "; ".join(outcome.warnings)
    assert "the median of MonthlyCharges is" in told
    assert "Contract is 'One year' in 100.0% of the rows" in told
    assert "TotalCharges is far from tenure x MonthlyCharges in" in told


def test_a_retyped_column_is_refused_by_name_with_examples(services: Services, tmp_path: Path) -> None:
    rows = [row | {"MonthlyCharges": f"EUR {row['MonthlyCharges']}"} for row in rows_of(tmp_path, NEXT_DAY)]
    message = refused(services, rows).message
    assert "match regex in MonthlyCharges (400 values do not): it looks retyped, for example 'EUR " in message


def test_a_recoded_category_is_refused_by_name_with_examples(services: Services, tmp_path: Path) -> None:
    rows = [row | {"Partner": row["Partner"][0]} for row in rows_of(tmp_path, NEXT_DAY)]
    assert "in set in Partner (400 values do not): it looks recoded, for example" in refused(services, rows).message


def test_every_result_is_kept_with_its_suite_and_the_seconds_of_its_pass(services: Services, tmp_path: Path) -> None:
    outcome = validate_today(services, rows_of(tmp_path, NEXT_DAY))
    with services.database.transaction() as connection:
        stored = validation_results.of_extract(connection, outcome.extract.extract_id)
    assert stored == list(outcome.results)
    assert {result.suite for result in stored} == {"customers_extract", "customers_rows", "extract_history"}
    assert all(result.duration_seconds is not None and result.duration_seconds >= 0 for result in stored)
    assert {result.expectation for result in stored if result.suite == "extract_history"} == {
        "row_count_like_before", "customers_still_there", "date_not_in_the_future", "extract_is_fresh",
        "content_is_new", "values_are_known", "median_like_before", "shares_like_before", "bills_consistent",
    }  # fmt: skip


def test_the_profile_that_is_kept_is_that_of_the_file(services: Services, tmp_path: Path) -> None:
    rows = rows_of(tmp_path, NEXT_DAY)
    rows[0]["gender"] = "unknown"
    outcome = validate_today(services, rows)
    with services.database.transaction() as connection:
        found = connection.execute(
            "SELECT profile FROM churn.extracts WHERE extract_id = %s", (outcome.extract.extract_id,)
        ).fetchone()
    assert found
    profile, frame = found["profile"], pd.DataFrame(rows)
    admitted = frame.iloc[1:].assign(TotalCharges=lambda each: each["TotalCharges"].str.strip().replace("", "0"))
    for name in ("tenure", "MonthlyCharges", "TotalCharges"):
        assert profile["quartiles"][name] == pytest.approx(admitted[name].astype(float).quantile([0.25, 0.5, 0.75]))
    assert profile["unknown_rates"] == {**dict.fromkeys(profile["unknown_rates"], 0.0), "gender": 1 / COUNT}
    for name in ("Contract", "gender", "SeniorCitizen", "StreamingTV"):
        shares = frame[name].value_counts(normalize=True)
        assert profile["shares"][name] == pytest.approx(
            {value: shares.get(value, 0.0) for value in profile["shares"][name]}, abs=1e-5
        )


def test_no_row_of_the_public_data_set_has_a_doubtful_bill(services: Services, telco_csv: Path) -> None:
    land_bytes(services, DAYS[0] - timedelta(days=1), telco_csv.read_bytes())
    (outcome,) = validate_customers(services)
    assert outcome.extract.quarantined_count == 0
    (bills,) = [result for result in outcome.results if result.expectation == "bills_consistent"]
    assert (bills.succeeded, bills.unexpected_count) == (True, 0)


def test_twenty_thousand_simulated_customers_break_no_rule(services: Services) -> None:
    before = DAYS[0] - timedelta(days=1)
    simulator.write_extract(Path(services.landing.url_of(before)), 20_000, seed=9, snapshot_date=before)
    (outcome,) = validate_customers(services)
    require_accounted_for(outcome, 20_000)
    assert outcome.extract.quarantined_count == 0
    (bills,) = [result for result in outcome.results if result.expectation == "bills_consistent"]
    assert bills.succeeded
