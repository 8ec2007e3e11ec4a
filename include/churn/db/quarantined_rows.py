"""Quarantined rows: kept aside word for word, with every reason."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from psycopg import sql

from churn.columns import COLUMNS
from churn.core.csv_records import pick_records
from churn.db import row_rules
from churn.db.database import Connection, query
from churn.errors import NotFound, QuarantineOverCap
from churn.records import ExpectationResult, Extract

EXAMPLE_COUNT = 3


@dataclass(frozen=True)
class QuarantinedRow:
    """One row that was not admitted; `line_number` counts records, the header is 1.

    `raw_text` is the record as it was delivered (None where its source has no text), `raw_values` its fields.
    `released_values` are the fields with which it was admitted after all.
    """

    line_number: int
    reasons: tuple[str, ...]
    raw_values: dict[str, str | None]
    raw_text: str | None
    released_values: dict[str, str | None] | None
    released_by: str | None
    released_at: datetime | None


@dataclass(frozen=True)
class Quarantine:
    """The quarantine of one extract in numbers; `quarantined_count` leaves out the rows that were released."""

    extract_id: int
    snapshot_date: date
    source_url: str
    row_count: int
    admitted_count: int
    quarantined_count: int
    released_count: int


def find_bad(connection: Connection, row_count: int, cap_rate: float) -> list[int]:
    """The line numbers of the staged rows that break a rule.

    Raises QuarantineOverCap with counts and examples where they are more than `cap_rate` (0..1) of `row_count`.
    """
    cap_count = int(cap_rate * row_count + 1e-9)
    # One more than the cap is enough to know that it is broken.
    statement = sql.SQL(query("list_bad_rows")).format(is_admissible=row_rules.is_admissible())
    line_numbers = [row["line_number"] for row in connection.execute(statement, {"limit": cap_count + 1})]
    if len(line_numbers) > cap_count:
        bad_count = _count_bad(connection)
        raise QuarantineOverCap(
            f"{bad_count} of {row_count} rows are bad, the cap is {cap_rate:.1%}; for example "
            + f"{'; '.join(_tell_bad(connection))}.",
            "Have the rows corrected at their source, or raise quarantine_cap_rate in the policy.",
            bad_count,
            row_count,
            cap_rate,
        )
    return line_numbers


def set_aside(connection: Connection, extract: Extract, line_numbers: Sequence[int]) -> None:
    """Quarantine these staged rows with every rule that they break."""
    statement = sql.SQL(query("set_rows_aside")).format(reasons=row_rules.reasons())
    connection.execute(statement, {"extract_id": extract.extract_id, "line_numbers": list(line_numbers)})


def keep_text(connection: Connection, extract: Extract, chunks: Iterable[bytes]) -> None:
    """Keep the record of each quarantined row of the extract as it was delivered; reads the chunks to their end."""
    named = {"extract_id": extract.extract_id}
    rows = connection.execute(query("list_quarantined_line_numbers"), named).fetchall()
    connection.execute(query("create_delivered_text"))
    with connection.cursor().copy("COPY staging.delivered_text (line_number, raw_text) FROM STDIN") as copy:
        for line_number, record in pick_records(chunks, [row["line_number"] for row in rows]):
            copy.write_row((line_number, record.decode("utf-8")))
    connection.execute(query("keep_delivered_text"), named)
    connection.execute("DROP TABLE staging.delivered_text")


def first(connection: Connection, extract_id: int, limit: int | None, released: bool = False) -> list[QuarantinedRow]:
    """The first rows of an extract that are in quarantine, or that were `released` from it, by line number."""
    parameters = {"extract_id": extract_id, "limit": limit, "released": released}
    return [_row(row) for row in connection.execute(query("list_quarantined_rows"), parameters)]


def get(connection: Connection, extract_id: int, line_number: int) -> QuarantinedRow:
    """One row that is or was in quarantine. Raises NotFound where there is none of this number."""
    parameters = {"extract_id": extract_id, "line_number": line_number}
    row = connection.execute(query("get_quarantined_row"), parameters).fetchone()
    if row is None:
        raise NotFound(
            f"Extract {extract_id} has no quarantined row at line {line_number}.",
            f"List them with `churn quarantine list {extract_id}`.",
        )
    return _row(row)


def of_extracts(connection: Connection, limit: int, released: bool = False) -> list[Quarantine]:
    """Extracts that have rows in quarantine, newest day first; with `released` also those that had some."""
    parameters = {"limit": limit, "released": released}
    return [Quarantine(**row) for row in connection.execute(query("list_quarantines"), parameters)]


def export(connection: Connection, extract_id: int) -> Iterator[bytes]:
    """The rows that are in quarantine as CSV: line_number, the columns of the contract, reasons."""
    values = [
        sql.SQL("raw_values ->> {} AS {}").format(sql.Literal(column.name), sql.Identifier(column.name))
        for column in COLUMNS
    ]
    statement = sql.SQL(query("export_quarantined_rows")).format(
        values=sql.SQL(", ").join(values), extract_id=sql.Literal(extract_id)
    )
    with connection.cursor().copy(statement) as copy:
        for block in copy:
            yield bytes(block)


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


def _tell_bad(connection: Connection) -> list[str]:
    statement = sql.SQL(query("tell_bad_rows")).format(
        is_admissible=row_rules.is_admissible(), reasons=row_rules.reasons()
    )
    rows = connection.execute(statement, {"limit": EXAMPLE_COUNT})
    return [f"line {row['line_number']}: {', '.join(row['reasons'])}" for row in rows]


def _row(row: dict[str, Any]) -> QuarantinedRow:
    return QuarantinedRow(
        line_number=row["line_number"],
        reasons=tuple(row["reasons"]),
        raw_values=row["raw_values"],
        raw_text=row["raw_text"],
        released_values=row["released_values"],
        released_by=row["released_by"],
        released_at=row["released_at"],
    )
