"""Quarantined rows: kept aside word for word, with every reason."""

from dataclasses import dataclass

from psycopg import sql

from churn.columns import COLUMNS
from churn.db import row_rules
from churn.db.database import Connection, query
from churn.errors import ExtractRefused
from churn.records import ExpectationResult, Extract

EXAMPLE_COUNT = 3


@dataclass(frozen=True)
class QuarantinedRow:
    """One row that was not admitted; `line_number` counts records, the header is 1."""

    line_number: int
    reasons: tuple[str, ...]


def set_aside(connection: Connection, extract: Extract, row_count: int, cap_rate: float) -> int:
    """Quarantine every staged row that breaks a rule; return how many did.

    Raises ExtractRefused with counts and examples where they are more than `cap_rate` (0..1) of `row_count`;
    the caller then undoes the transaction.
    """
    cap_count = int(cap_rate * row_count + 1e-9)
    statement = sql.SQL(query("set_rows_aside")).format(
        is_admissible=row_rules.is_admissible(), reasons=row_rules.reasons()
    )
    # One more than the cap is enough to know that it is broken: a file of bad rows is not copied for nothing.
    parameters = {"extract_id": extract.extract_id, "limit": cap_count + 1}
    set_aside_count = connection.execute(statement, parameters).rowcount
    if set_aside_count > cap_count:
        raise ExtractRefused(
            f"{_count_bad(connection)} of {row_count} rows are bad, the cap is {cap_rate:.1%}; for example "
            + "; ".join(_told(row) for row in first(connection, extract.extract_id, EXAMPLE_COUNT))
            + ".",
            "Have the rows corrected at their source, or raise quarantine_cap_rate in the policy.",
        )
    return set_aside_count


def first(connection: Connection, extract_id: int, limit: int) -> list[QuarantinedRow]:
    """The first quarantined rows of an extract, by line number."""
    rows = connection.execute(
        query("list_first_quarantined_rows"), {"extract_id": extract_id, "limit": limit}
    ).fetchall()
    return [QuarantinedRow(row["line_number"], tuple(row["reasons"])) for row in rows]


def results_by_column(connection: Connection, extract: Extract) -> list[ExpectationResult]:
    """How many rows broke the rules of each column of the contract."""
    rows = connection.execute(query("count_broken_rules"), {"extract_id": extract.extract_id}).fetchall()
    broken = {row["column_name"]: row["broken_count"] for row in rows}
    return [
        ExpectationResult(
            "row_rules",
            column.name,
            "quarantine",
            column.name not in broken,
            broken.get(column.name, 0),
            None,
        )
        for column in COLUMNS
    ]


def _count_bad(connection: Connection) -> int:
    statement = sql.SQL(query("count_bad_rows")).format(is_admissible=row_rules.is_admissible())
    row = connection.execute(statement).fetchone()
    return row["bad_count"] if row else 0


def _told(row: QuarantinedRow) -> str:
    return f"line {row.line_number}: {', '.join(row.reasons)}"
