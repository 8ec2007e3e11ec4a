"""What extracts look like: the numbers by which a new one is compared with those before it."""

from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from churn.columns import BILL_SLACK, COLUMNS, DOUBTFUL_BILL_RATE, KEY
from churn.core.extract_checks import COUNTED
from churn.db.database import Connection, query
from churn.records import Extract, ExtractArrival, ExtractProfile, PastExtract, as_json, from_json

NEW_VALUES_TOLD = 3  # of each column, the most frequent first
_SHOWN_LENGTH = 40
_NUMBERS = tuple(column for column in COLUMNS if column.is_number and column.name not in COUNTED)
_CATEGORIES = {column.name: column.categories for column in COLUMNS if column.kind == "category"}


def arrival(connection: Connection, extract: Extract, row_count: int, history_count: int) -> ExtractArrival:
    """The staged extract beside the last `history_count` of earlier days: one scan of staging."""
    past = _past(connection, extract, history_count)
    previous_count, kept_count = _kept(connection, past[0]) if past else (0, 0)
    return ExtractArrival(
        snapshot_date=extract.snapshot_date,
        row_count=row_count,
        past=past,
        previous_count=previous_count,
        lost_count=previous_count - kept_count,
        same_content_date=_one(connection, "find_same_content", _named(extract))["same_content_date"],
    )


def measure(connection: Connection, extract: Extract, row_count: int) -> tuple[ExtractProfile, int]:
    """The profile of an extract whose rows are admitted and still staged, and its count of doubtful bills.

    Keeps the profile with the extract. Scans its history partition once and staging not at all.
    """
    quartiles = sql.SQL(", ").join(
        sql.SQL("percentile_cont('{{0.25, 0.5, 0.75}}'::float8[]) WITHIN GROUP (ORDER BY {}) AS {}").format(
            sql.Identifier(column.sql_name), sql.Identifier(column.name)
        )
        for column in _NUMBERS
    )
    parameters = {"extract_id": extract.extract_id, "slack": BILL_SLACK, "rate": DOUBTFUL_BILL_RATE}
    statement = sql.SQL(query("measure_numbers")).format(quartiles=quartiles)
    numbers = connection.execute(statement, parameters).fetchone() or {}
    unknown = {name: sum(values.values()) for name, values in _unknown(connection, extract).items()}
    profile = ExtractProfile(
        quartiles={column.name: tuple(numbers[column.name]) for column in _NUMBERS if numbers[column.name]},
        shares=_shares(connection),
        unknown_rates={name: unknown.get(name, 0) / max(row_count, 1) for name in _CATEGORIES},
    )
    kept = {"extract_id": extract.extract_id, "profile": Jsonb(as_json(profile))}
    connection.execute(query("keep_extract_profile"), kept)
    return profile, numbers["doubtful_count"]


def new_values(connection: Connection, extract: Extract) -> dict[str, dict[str, int]]:
    """The most frequent values of each category that the contract does not know, with their rows (quarantined)."""
    return {
        name: dict(list(values.items())[:NEW_VALUES_TOLD]) for name, values in _unknown(connection, extract).items()
    }


def _past(connection: Connection, extract: Extract, limit: int) -> tuple[PastExtract, ...]:
    parameters = {"snapshot_date": extract.snapshot_date, "limit": limit}
    return tuple(
        PastExtract(
            row["extract_id"],
            row["snapshot_date"],
            row["row_count"],
            from_json(ExtractProfile, row["profile"]) if row["profile"] else None,
        )
        for row in connection.execute(query("list_past_extracts"), parameters)
    )


def _kept(connection: Connection, previous: PastExtract) -> tuple[int, int]:
    statement = sql.SQL(query("count_kept_customers")).format(key=sql.Identifier(KEY.name))
    row = connection.execute(statement, {"previous_extract_id": previous.extract_id}).fetchone() or {}
    return row["previous_count"], row["kept_count"]


def _shares(connection: Connection) -> dict[str, dict[str, float]]:
    rows = connection.execute(query("read_staged_shares"), {"names": list(COUNTED)}).fetchall()
    found = {row["column_name"]: dict(zip(row["values"] or (), row["shares"] or (), strict=True)) for row in rows}
    return {
        name: {value: round(found.get(name, {}).get(value, 0.0), 6) for value in values}
        for name, values in COUNTED.items()
    }


def _unknown(connection: Connection, extract: Extract) -> dict[str, dict[str, int]]:
    parameters = {"extract_id": extract.extract_id, "known": Jsonb(_CATEGORIES), "length": _SHOWN_LENGTH}
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query("list_new_values"), parameters):
        found.setdefault(row["column_name"], {})[row["new_value"]] = row["row_count"]
    return found


def _named(extract: Extract) -> dict[str, Any]:
    return {"content_hash": extract.content_hash, "snapshot_date": extract.snapshot_date}


def _one(connection: Connection, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    return connection.execute(query(name), parameters).fetchone() or {}
