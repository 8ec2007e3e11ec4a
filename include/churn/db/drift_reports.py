"""Drift reports: the numbers per column and the verdict."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date
from typing import Any

from churn.db.database import Connection, query
from churn.records import ColumnDrift, DriftSource, DriftVerdict


def record(
    connection: Connection,
    *,
    source: DriftSource,
    snapshot_date: date | None,
    model_version: int | None,
    current_count: int,
    reference_count: int,
    verdict: DriftVerdict,
    drifted_rate_limit: float,
    columns: Iterable[ColumnDrift],
) -> int:
    """Record one report with its columns; return its number.

    `drifted_rate_limit` is the policy's `drifted_column_rate` that the verdict was reached by.
    """
    parameters = {
        "source": source,
        "drifted_rate_limit": drifted_rate_limit,
        "snapshot_date": snapshot_date,
        "model_version": model_version,
        "current_count": current_count,
        "reference_count": reference_count,
        **asdict(verdict),
    }
    row = connection.execute(query("record_drift_report"), parameters).fetchone()
    report_id = int((row or {})["drift_report_id"])
    with connection.cursor() as cursor:
        cursor.executemany(
            query("record_drift_column"), [{"drift_report_id": report_id, **asdict(column)} for column in columns]
        )
    return report_id


def latest_verdicts(connection: Connection, model_version: int, limit: int) -> list[str]:
    """The latest verdicts on customers for this model version, newest first: 'stable' or 'drifted'."""
    rows = connection.execute(query("latest_verdicts"), {"model_version": model_version, "limit": limit}).fetchall()
    return [row["verdict"] for row in rows]


def latest(connection: Connection) -> dict[str, Any]:
    """The newest report on customers: `drift_report_id`, `verdict`, `reason`, `reported_at`; empty before the first."""
    return connection.execute(query("latest_drift_report")).fetchone() or {}
