"""The Great Expectations suites say the same as the column contract."""

import json
from typing import Any

import pytest

from churn.columns import COLUMNS, KEY, Column
from churn.settings import PROJECT

CONTEXT = PROJECT / "great_expectations"
EXPECTATIONS = json.loads((CONTEXT / "expectations" / "customers_extract.json").read_text("utf-8"))["expectations"]


def arguments(kind: str, column: Column | None = None) -> dict[str, Any]:
    (found,) = [
        each["kwargs"]
        for each in EXPECTATIONS
        if each["type"] == kind and (column is None or each["kwargs"].get("column") == column.name)
    ]
    return dict(found)


def test_the_suite_names_every_column_and_no_other() -> None:
    names = [column.name for column in COLUMNS]
    assert arguments("expect_table_columns_to_match_set") == {
        "column_set": ["line_number", *names],
        "exact_match": True,
    }
    assert {each["kwargs"]["column"] for each in EXPECTATIONS if "column" in each["kwargs"]} == set(names)


@pytest.mark.parametrize("column", [each for each in COLUMNS if each.kind == "category"], ids=lambda each: each.name)
def test_the_suite_allows_the_categories_of_the_contract(column: Column) -> None:
    assert arguments("expect_column_values_to_be_in_set", column)["value_set"] == list(column.categories)


@pytest.mark.parametrize("column", [each for each in COLUMNS if each.is_number], ids=lambda each: each.name)
def test_the_suite_holds_every_number_to_a_pattern_or_a_set(column: Column) -> None:
    kinds = {each["type"] for each in EXPECTATIONS if each["kwargs"].get("column") == column.name}
    assert kinds & {"expect_column_values_to_match_regex", "expect_column_values_to_be_in_set"}


def test_keys_are_unique() -> None:
    assert arguments("expect_column_values_to_be_unique", KEY)


def test_every_expectation_says_how_grave_it_is_and_why() -> None:
    assert {each["severity"] for each in EXPECTATIONS} == {"critical", "warning"}
    assert all(each["notes"] for each in EXPECTATIONS)
    assert len({each["id"] for each in EXPECTATIONS}) == len(EXPECTATIONS)


def test_the_context_holds_no_address_and_is_no_package() -> None:
    configuration = (CONTEXT / "great_expectations.yml").read_text("utf-8")
    assert "connection_string: ${CHURN_DB_URL}\n" in configuration
    assert "analytics_enabled: false\n" in configuration
    assert not list(CONTEXT.rglob("__init__.py"))
