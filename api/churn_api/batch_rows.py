"""The rows of a batch: read from JSON or CSV, each a customer or what is wrong with it; written as JSON or CSV."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from churn.columns import BY_NAME, FEATURES, KEY, LABEL
from churn.core.reasons import REASON_COUNT
from churn.policy import RiskLevel
from churn_api.bodies import BODY, BadRecord, customer_of, parse_json
from churn_api.predict import Recommendation
from churn_api.problems import FieldProblem, Problem
from churn_api.schemas import likely_field

MAXIMUM_ROWS = 10_000
JSON, CSV = "application/json", "text/csv"
A_LIST = 'Send a JSON list of customers, such as [{"tenure": 12, "Contract": "One year"}].'
A_TABLE = "Send UTF-8 text: a line with the names of the fields, then a line a customer, with commas between fields."
COLUMNS = (
    *("row", "customer_id", "status", "churn_probability", "risk_level", "decile"),
    *(f"reason_{number}" for number in range(1, REASON_COUNT + 1)),
    *("recommended_action", "model_version", "unknown_fields", "problem"),
)
# A spreadsheet would take a cell that begins like this for a formula and run it.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One row of a batch, counted from 1: a customer, or the fields that break the contract."""

    number: int
    customer_id: str | None
    record: Mapping[str, Any]
    errors: tuple[FieldProblem, ...] = ()


class ScoredRow(BaseModel):
    """A row of a batch that was scored; `reasons` is null below the deciles that policy explains."""

    model_config = ConfigDict(extra="forbid")

    row: int
    status: Literal["scored"]
    customer_id: str | None
    churn_probability: float
    risk_level: RiskLevel
    decile: int
    reasons: list[str] | None
    recommended_action: Recommendation | None
    unknown_fields: list[str]
    model_version: int


class RefusedRow(BaseModel):
    """A row of a batch that breaks the contract, with every field that does."""

    model_config = ConfigDict(extra="forbid")

    row: int
    status: Literal["refused"]
    customer_id: str | None
    errors: list[FieldProblem]


class BatchAnswer(BaseModel):
    """The answer to each row in the order of the batch."""

    model_config = ConfigDict(extra="forbid")

    request_id: str
    row_count: int
    scored_count: int
    refused_count: int
    rows: list[ScoredRow | RefusedRow]


def read_rows(body: bytes, content_type: str) -> list[Row]:
    """The rows of a body. A Problem where it is no list or table, is empty, or has more than MAXIMUM_ROWS."""
    cells = _json_rows(body) if content_type == JSON else _csv_rows(body)
    if not cells:
        raise Problem(422, "no-rows", "The batch has no customer in it.", "Send at least one customer.")
    if len(cells) > MAXIMUM_ROWS:
        raise Problem(
            413,
            "too-many-rows",
            f"The batch has {len(cells)} customers; {MAXIMUM_ROWS} are the most.",
            f"Send it in parts of up to {MAXIMUM_ROWS} customers.",
        )
    return [_row(number, each) for number, each in enumerate(cells, 1)]


def write_json(rows: Sequence[Mapping[str, Any]], request_id: str) -> bytes:
    """The answers of all rows as one JSON object."""
    scored = sum(row["status"] == "scored" for row in rows)
    counts = {"row_count": len(rows), "scored_count": scored, "refused_count": len(rows) - scored}
    return json.dumps({"request_id": request_id, **counts, "rows": rows}).encode()


def write_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """The answers of all rows as a table with a header; numbers are written so that they read back the same."""
    return write_table(COLUMNS, ([cells[name] for name in COLUMNS] for cells in map(flat, rows)))


def write_table(header: Sequence[str], lines: Iterable[Sequence[Any]]) -> bytes:
    """A table as CSV."""
    written = io.StringIO(newline="")
    table = csv.writer(written, lineterminator="\n")
    table.writerow(header)
    table.writerows(lines)
    return written.getvalue().encode()


def scored_row(row: Row, answer: Mapping[str, Any]) -> dict[str, Any]:
    """A row that was scored; `answer` is what is said of it."""
    return {"row": row.number, "status": "scored", "customer_id": row.customer_id, **answer}


def refused_row(row: Row) -> dict[str, Any]:
    """A row that was not, and why."""
    errors = [asdict(error) for error in row.errors]
    return {"row": row.number, "status": "refused", "customer_id": row.customer_id, "errors": errors}


def _row(number: int, cells: Any) -> Row:
    try:
        if isinstance(cells, BadRecord):
            raise cells
        return Row(number, *customer_of(cells))
    except BadRecord as bad:
        return Row(number, _harmless_id(cells), {}, bad.errors)


def _harmless_id(cells: Any) -> str | None:
    """The id of a customer that breaks the contract elsewhere, so that the caller finds the row again."""
    given = cells.get(KEY.name) if isinstance(cells, dict) else None
    return given if isinstance(given, str) and 0 < len(given) <= 100 else None


def _json_rows(body: bytes) -> list[Any]:
    parsed = parse_json(body, A_LIST)
    if not isinstance(parsed, list):
        raise Problem(422, "not-a-list", "The body is not a JSON list.", A_LIST)
    return parsed


def csv_lines(body: bytes) -> list[list[str]]:
    """The cells of a table: its first line, and each further one that is not empty. A Problem where it is none."""
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Problem(400, "malformed-request", "The body is not CSV that can be read.", A_TABLE) from error
    if not lines:
        raise Problem(400, "malformed-request", "The body is empty.", A_TABLE)
    return [lines[0], *(line for line in lines[1:] if line)]


def _csv_rows(body: bytes) -> list[Any]:
    first, *lines = csv_lines(body)
    names = [name.strip() for name in first]
    _require_header(names)
    return [_csv_row(names, line) for line in lines]


def _require_header(names: Sequence[str]) -> None:
    """Refuse names that no customer has: with a misspelt one, every row would be scored without that field."""
    accepted = {KEY.name, LABEL.name, *(column.name for column in FEATURES)}
    errors = [_not_a_field(name) for name in dict.fromkeys(names) if name not in accepted]
    errors += [
        FieldProblem(name, f"{name} is given twice.", "Send it once.") for name in accepted if names.count(name) > 1
    ]
    if errors:
        detail = "The first line does not name the fields of a customer."
        raise Problem(422, "invalid-header", detail, A_TABLE, errors[:20])


def _not_a_field(name: str) -> FieldProblem:
    likely = likely_field(name)
    hint = f"Did you mean {likely}? Otherwise leave the column out." if likely else "Leave the column out."
    return FieldProblem(name[:100], f"{name[:100]} is not a field of a customer.", hint)


def _csv_row(names: Sequence[str], line: Sequence[str]) -> dict[str, Any] | BadRecord:
    """One line as JSON values; the label is not looked at."""
    if len(line) != len(names):
        counts = f"The line has {len(line)} fields, the first line has {len(names)}."
        return BadRecord(FieldProblem(BODY, counts, "Put fields that hold a comma in double quotes."))
    return cells_of({name: text for name, text in zip(names, line, strict=True) if name != LABEL.name})


def cells_of(texts: Mapping[str, str]) -> dict[str, Any]:
    """Texts by the names of fields as JSON values, as a file is admitted: blank is unknown, numbers are numbers."""
    cells = {name: _cell(name, text.strip()) for name, text in texts.items()}
    if cells.get("tenure") == 0 and cells.get("TotalCharges", 0) is None:
        cells["TotalCharges"] = 0.0  # nothing billed yet: as a file is admitted (see columns.py)
    return cells


def _cell(name: str, text: str) -> Any:
    if not text:
        return None
    if not BY_NAME[name].is_number or "_" in text:  # float("1_000") is 1000.0
        return text
    try:
        return float(text)
    except ValueError:
        return text  # the contract says what is wrong with it


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """One answer as cells of a table."""
    action = row.get("recommended_action")
    cells = {name: row.get(name) for name in COLUMNS}
    reasons = {f"reason_{number}": reason for number, reason in enumerate(row.get("reasons") or (), 1)}
    return (
        cells
        | reasons
        | {
            "customer_id": no_formula(row["customer_id"]),
            "recommended_action": action and action["words"],
            "unknown_fields": ";".join(row.get("unknown_fields", ())),
            "problem": no_formula(" ".join(error["message"] for error in row.get("errors", ()))),
        }
    )


def no_formula(text: str | None) -> str | None:
    """The text as a cell that no spreadsheet runs: with a `'` before it where it begins like a formula."""
    return f"'{text}" if text and text.startswith(_FORMULA) else text
