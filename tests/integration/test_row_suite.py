"""The reviewed suite of the row rules, run by Great Expectations, finds the rows that the pipeline's own scan finds."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from churn.columns import DEPENDENCIES
from churn.db import extracts, quarantined_rows, staging
from churn.db.database import Database
from churn.quality import DATA_SOURCE, ROW_SUITE, open_context
from churn.services import Services
from tests.factories import customer_row, customer_rows
from tests.integration.extract_cases import BAD_ROWS, FITTING, MISFITS
from tests.integration.validations import DAY, land, open_services, require_accounted_for, validate_one

GOOD_COUNT = 1_500


@pytest.fixture
def services(pipeline: Database, tmp_path: Path) -> Services:
    return open_services(pipeline, tmp_path)


def named(prefix: str, changes: dict[str, str], number: int) -> dict[str, str]:
    return customer_row(**{"customerID": f"{prefix}-{number}"} | changes)


def test_fields_that_do_not_fit_each_other_are_told_and_unusual_ones_are_admitted(services: Services) -> None:
    bad = [named("bad", changes, number) for number, (changes, _) in enumerate(MISFITS)]
    fitting = [named("odd", changes, number) for number, changes in enumerate(FITTING)]
    land(services, DAY, [*bad, *fitting, *customer_rows(GOOD_COUNT)])
    outcome = validate_one(services)
    require_accounted_for(outcome, len(bad) + len(fitting) + GOOD_COUNT)
    with services.database.transaction() as connection:
        aside = quarantined_rows.first(connection, outcome.extract.extract_id, 1_000)
    assert [(row.line_number, row.reasons) for row in aside] == [
        (line, reasons) for line, (_, reasons) in enumerate(MISFITS, start=2)
    ]


def test_a_row_with_a_wrong_field_is_not_told_that_its_fields_do_not_fit(services: Services) -> None:
    both = customer_row(customerID="both", gender="?", InternetService="No", TotalCharges="0")
    land(services, DAY, [both, *customer_rows(50)])
    outcome = validate_one(services)
    with services.database.transaction() as connection:
        (row,) = quarantined_rows.first(connection, outcome.extract.extract_id, 10)
    assert row.reasons == ("gender is '?', not one of Female, Male",)


def test_the_suite_and_the_scan_find_the_same_rows_and_columns(services: Services) -> None:
    cases = [*(changes for changes, _ in BAD_ROWS), *(changes for changes, _ in MISFITS), *FITTING]
    rows = [named("case", changes, number) for number, changes in enumerate(cases)] + customer_rows(GOOD_COUNT)
    path = land(services, DAY, rows)
    landed = services.landing.file(str(path))
    with services.database.transaction() as connection, services.landing.text(landed) as text:
        extract = extracts.take_in(connection, landed, None, None)
        row_count = staging.stage(connection, extract, text)
    told = _told_by_suite(services)
    with services.database.transaction() as connection:
        bad = quarantined_rows.find_bad(connection, row_count, cap_rate=0.5)
        quarantined_rows.set_aside(connection, extract, bad)
        aside = quarantined_rows.first(connection, extract.extract_id, 1_000)
    ours = {row.line_number: {reason.split(" ", 1)[0] for reason in row.reasons} for row in aside}
    assert len(ours) == len(BAD_ROWS) + len(MISFITS)
    assert set(told) == set(ours)
    for line, columns in ours.items():
        # Great Expectations also holds a field that is wrong by itself against the others.
        alone = line < len(BAD_ROWS) + 2
        assert columns <= told[line] <= columns | (_held_against(columns) if alone else set())


def _told_by_suite(services: Services) -> dict[int, set[str]]:
    """The columns of which the quarantine rules of the suite complain, by line."""
    context = open_context(services.database.sqlalchemy_url, services.project_dir, services.reports.folder)
    source = context.data_sources.get(DATA_SOURCE)
    batch = source.get_asset("customers_extract").get_batch_definition("whole_table").get_batch()
    try:
        validation = batch.validate(
            context.suites.get(ROW_SUITE),
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["line_number"]},
        )
    finally:
        source.get_execution_engine().engine.dispose()
    told: dict[int, set[str]] = defaultdict(set)
    for result in validation.results:
        assert not (result.exception_info or {}).get("raised_exception"), result.exception_info
        config = result.expectation_config
        if config.meta["verdict"] == "quarantine":
            column = config.meta.get("column") or config.kwargs.get("column") or config.kwargs["column_B"]
            for line in _lines(result.result):
                told[line].add(column)
    return told


def _lines(result: dict[str, Any]) -> list[int]:
    indexed = result.get("unexpected_index_list")
    if indexed is None:
        indexed = (result.get("details") or {}).get("unexpected_rows") or []
    return [int(each["line_number"]) for each in indexed]


def _held_against(columns: set[str]) -> set[str]:
    """The fields beside which these are looked at."""
    dependents = [each.dependents for each in DEPENDENCIES if each.service in columns]
    return {"TotalCharges"}.union(*dependents)
