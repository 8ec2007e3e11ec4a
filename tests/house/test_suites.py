"""The Great Expectations suites say the same as the column contract."""

import json
from typing import Any

import pytest

from churn.columns import (
    BILL_SLACK,
    BROKEN_BILL_FACTOR,
    BY_NAME,
    COLUMNS,
    DEPENDENCIES,
    DOUBTFUL_BILL_RATE,
    KEY,
    MAXIMUM_KEY_LENGTH,
    Column,
)
from churn.db.row_rules import PATTERN, SAFE_LENGTH, UNTIDY_KEY, ZERO
from churn.settings import PROJECT

CONTEXT = PROJECT / "great_expectations"
ROW_SUITE = json.loads((CONTEXT / "expectations" / "customers_rows.json").read_text("utf-8"))["expectations"]
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


Rule = tuple[str, dict[str, Any], str]


def rules_of(column: Column) -> list[Rule]:
    """What the row suite has to say of a single column."""
    name = {"column": column.name}
    rules: list[Rule] = []
    if column.name not in ("TotalCharges", "Churn"):
        rules.append(("expect_column_values_to_not_be_null", name, "quarantine"))
    if column.kind == "key":
        lengths = name | {"min_value": 1, "max_value": MAXIMUM_KEY_LENGTH}
        rules.append(("expect_column_value_lengths_to_be_between", lengths, "quarantine"))
        rules.append(("expect_column_values_to_not_match_regex", name | {"regex": UNTIDY_KEY}, "quarantine"))
    elif column.kind == "category":
        values = name | {"value_set": list(column.categories)}
        rules.append(("expect_column_values_to_be_in_set", values, "quarantine"))
    elif column.kind == "label":
        pattern = rf"^\s*$|^({'|'.join(column.categories)})$"
        rules.append(("expect_column_values_to_match_regex", name | {"regex": pattern}, "quarantine"))
    else:
        pattern = PATTERN[column.kind]
        or_blank = rf"^\s*$|{pattern}" if column.name == "TotalCharges" else pattern
        rules.append(("expect_column_values_to_match_regex", name | {"regex": or_blank}, "quarantine"))
        rules.append(
            rows(
                f"CASE WHEN {quoted(column)} !~ '{pattern}' THEN false"
                f" WHEN length({quoted(column)}) > {SAFE_LENGTH[column.kind]} THEN true"
                f" ELSE {cast(column)} NOT BETWEEN {column.minimum:.0f} AND {column.maximum:.0f} END"
            )
        )
    if column.name == "TotalCharges":
        rules.append(
            rows(
                rf"({quoted(column)} IS NULL OR {quoted(column)} ~ '^\s*$') AND {quoted(BY_NAME['tenure'])} !~ '{ZERO}'"
            )
        )
    return rules


def rules_across() -> list[Rule]:
    """What the row suite has to say of columns beside each other."""
    rules: list[Rule] = []
    for each in DEPENDENCIES:
        for dependent in each.dependents:
            pairs = [
                [service, value]
                for service in BY_NAME[each.service].categories
                for value in BY_NAME[dependent].categories
                if (service == "No") == (value == each.absent)
            ]
            rules.append(
                (
                    "expect_column_pair_values_to_be_in_set",
                    {
                        "column_A": each.service,
                        "column_B": dependent,
                        "value_pairs_set": pairs,
                        "ignore_row_if": "either_value_is_missing",
                    },
                    "quarantine",
                )
            )
    tenure, monthly, total = (BY_NAME[name] for name in ("tenure", "MonthlyCharges", "TotalCharges"))
    unsafe = " OR ".join(
        f"{quoted(column)} !~ '{PATTERN[column.kind]}' OR length({quoted(column)}) > {SAFE_LENGTH[column.kind]}"
        for column in (tenure, monthly, total)
    )
    months, bill, slack = f"{cast(tenure)} * {cast(monthly)}", cast(total), f"{BILL_SLACK:g}"
    a_month_more = f"({cast(tenure)} + 1) * {cast(monthly)}"
    factor = f"{BROKEN_BILL_FACTOR:g}"
    lowest = f"least({months} / {factor}, {months} - {slack})"
    highest = f"greatest({a_month_more} * {factor}, {a_month_more} + {slack})"
    rules.append(rows(f"CASE WHEN {unsafe} THEN false ELSE {bill} NOT BETWEEN {lowest} AND {highest} END"))
    rules.append(
        rows(
            f"CASE WHEN {unsafe} THEN false ELSE abs({bill} - {months})"
            f" > greatest({slack}, {DOUBTFUL_BILL_RATE:g} * {months}) END",
            "warn",
        )
    )
    return rules


def quoted(column: Column) -> str:
    return f'"{column.name}"'


def cast(column: Column) -> str:
    return f"CAST({quoted(column)} AS {'integer' if column.kind == 'integer' else 'double precision'})"


def rows(condition: str, verdict: str = "quarantine") -> Rule:
    query = " ".join(["SELECT line_number FROM {batch} WHERE", condition])
    return "unexpected_rows_expectation", {"unexpected_rows_query": query}, verdict


def test_the_row_suite_says_what_the_contract_and_the_row_rules_say_and_nothing_else() -> None:
    wanted = [rule for column in COLUMNS for rule in rules_of(column)] + rules_across()
    found = [(each["type"], each["kwargs"], each["meta"]["verdict"]) for each in ROW_SUITE]
    assert sorted(map(repr_of, found)) == sorted(map(repr_of, wanted))


def repr_of(rule: Rule) -> str:
    return json.dumps(rule, sort_keys=True)


def test_the_severity_of_a_row_rule_is_its_verdict() -> None:
    verdicts = {(each["meta"]["verdict"], each["severity"]) for each in ROW_SUITE}
    assert verdicts == {("quarantine", "warning"), ("warn", "info")}
    assert all(each["notes"] for each in ROW_SUITE)
    assert len({each["id"] for each in ROW_SUITE}) == len(ROW_SUITE)


def test_the_training_suite_holds_the_frame_to_the_contract() -> None:
    path = CONTEXT / "expectations" / "training_frame.json"
    found = [(each["type"], each["kwargs"]) for each in json.loads(path.read_text("utf-8"))["expectations"]]
    names = [column.sql_name for column in COLUMNS]
    wanted: list[tuple[str, dict[str, Any]]] = [
        ("expect_table_columns_to_match_set", {"column_set": names, "exact_match": True}),
        ("expect_table_row_count_to_equal", {"value": {"$PARAMETER": "customer_count"}}),
        ("expect_column_values_to_be_unique", {"column": KEY.sql_name}),
        ("expect_column_distinct_values_to_equal_set", {"column": "churned", "value_set": [False, True]}),
        *(("expect_column_values_to_not_be_null", {"column": name}) for name in names),
    ]
    for column in COLUMNS:
        name = {"column": column.sql_name}
        if column.kind == "category":
            wanted.append(("expect_column_values_to_be_in_set", name | {"value_set": list(column.categories)}))
        if column.is_number:
            bounds = {"min_value": column.minimum, "max_value": column.maximum}
            wanted.append(("expect_column_values_to_be_between", name | bounds))
    assert len(found) == len(wanted)
    assert all(rule in found for rule in wanted)


def test_the_context_holds_no_address_and_is_no_package() -> None:
    configuration = (CONTEXT / "great_expectations.yml").read_text("utf-8")
    assert "connection_string: ${CHURN_DB_URL}\n" in configuration
    assert "analytics_enabled: false\n" in configuration
    assert not list(CONTEXT.rglob("__init__.py"))
