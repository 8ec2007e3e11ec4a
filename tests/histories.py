"""Histories for tests, written straight into the database: extracts of customers who come, change, leave and return."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd
from psycopg import sql

from churn.columns import FEATURES, KEY
from churn.db import extracts, history
from churn.db.database import Connection
from churn.records import Extract, LandedFile
from churn.simulator import simulate


@dataclass(frozen=True)
class Delivered:
    """One admitted extract as it was delivered: the rows by customer id, each with its features and `churned`."""

    extract: Extract
    rows: dict[str, dict[str, Any]]


def admit_rows(connection: Connection, day: date, rows: dict[str, dict[str, Any]]) -> Delivered:
    """Let an extract of these rows count for its day; an earlier one of the day is kept and counts no more.

    Each row has the features under their names in SQL, and `churned` as True, False or None.
    """
    content_hash = secrets.token_hex(32)  # another content each time, even where the rows are the same
    landed = LandedFile(f"customers-{day}.csv", day, content_hash, 0)
    extract = extracts.take_in(connection, landed, None, None)
    table_name = history.prepare(connection, extract)
    columns = ("extract_id", "snapshot_date", KEY.sql_name, *(column.sql_name for column in FEATURES), "churned")
    statement = sql.SQL("COPY churn.{} ({}) FROM STDIN").format(
        sql.Identifier(table_name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for customer_id, row in rows.items():
            copy.write_row(_values(columns[3:], row, (extract.extract_id, day, customer_id)))
    history.attach(connection, extract, table_name)
    admitted = extracts.mark_admitted(connection, extract, len(rows), len(rows), 0, None)
    return Delivered(admitted, rows)


def admit_leaving_customers(connection: Connection, day: date, count: int, horizon_days: int) -> list[Delivered]:
    """Simulated customers on `day`, and one and two horizons later; each time half of those who leave have left."""
    frame = pd.concat(list(simulate(count, seed=4)), ignore_index=True)
    frame["TotalCharges"] = pd.to_numeric(frame["TotalCharges"], errors="coerce").fillna(0.0)
    leaving = np.where(frame["Churn"] == "Yes", np.random.default_rng(4).integers(1, 3, count), 9)
    columns = {column.name: column.sql_name for column in (KEY, *FEATURES)}
    delivered = []
    for step in range(3):
        present = frame[leaving >= step].rename(columns=columns)
        left = [None] * len(present) if step == 0 else (leaving[leaving >= step] == step).tolist()
        present = present.assign(tenure=present["tenure"] + step, churned=pd.Series(left, present.index, object))
        rows = present.set_index(KEY.sql_name).to_dict("index")
        delivered.append(admit_rows(connection, day + timedelta(days=step * horizon_days), rows))
    return delivered


def _values(names: Sequence[str], row: dict[str, Any], start: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*start, *(row[name] for name in names))
