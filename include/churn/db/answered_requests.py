"""What the API has answered, read and forgotten: for drift, for the comparison of arms, and by customer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from psycopg.rows import tuple_row

from churn.columns import FEATURES
from churn.core.arms import ArmComparison, Design
from churn.db.database import Connection, query

Labels = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SettledArms:
    """Customers of a split whose outcome is known: outcomes as 0/1 and probabilities, of each arm."""

    production: tuple[Labels, Floats]
    challenger: tuple[Labels, Floats]
    fallback_count: int


def sample_recent(
    connection: Connection, period: timedelta, count: int, seed: int, model_version: int | None = None
) -> pd.DataFrame:
    """Up to `count` answers of the latest `period`, the same for the same seed: features and churn_probability.

    A field that the caller left out is missing. `model_version` narrows it to the answers of one version.
    """
    parameters = {"seconds": period.total_seconds(), "count": count, "seed": seed, "model_version": model_version}
    rows = connection.execute(query("sample_api_requests"), parameters).fetchall()
    names = [column.name for column in FEATURES]
    frame = pd.DataFrame([row["inputs"] for row in rows], columns=names, dtype=object)
    for column in FEATURES:
        if column.is_number:
            frame[column.name] = pd.to_numeric(frame[column.name]).astype(np.float64)
    return frame.assign(churn_probability=np.array([row["churn_probability"] for row in rows], np.float64))


def latencies(connection: Connection, hours: int) -> list[dict[str, Any]]:
    """Requests of the last hours by route and version: how many, refused, failed, and milliseconds in the worker."""
    return connection.execute(query("measure_api_requests"), {"hours": hours}).fetchall()


def drop_old(connection: Connection, kept_days: int) -> int:
    """Drop the requests of days that ended more than `kept_days` ago; the number of days dropped."""
    row = connection.execute(query("drop_api_requests"), {"kept_days": kept_days}).fetchone()
    return row["dropped_count"] if row else 0


def erase(connection: Connection, customer_id: str) -> int:
    """Erase every request that named the customer; the number of rows erased."""
    row = connection.execute(query("erase_api_requests"), {"customer_id": customer_id}).fetchone()
    return row["erased_count"] if row else 0


def designs(connection: Connection) -> list[tuple[int, Design]]:
    """Every challenger that answered or stood behind an answer, and in which of both ways."""
    rows = connection.execute(query("list_arm_designs")).fetchall()
    return [(row["challenger_version"], row["design"]) for row in rows]


def settled_split(connection: Connection, challenger_version: int, horizon_days: int) -> SettledArms:
    """The customers of both arms whose outcome is known, each by the first answer of their arm."""
    parameters = {"challenger_version": challenger_version, "horizon_days": horizon_days}
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(query("read_split_arms"), parameters).fetchall()
    fallbacks = connection.execute(query("count_fallbacks"), {"challenger_version": challenger_version}).fetchone()
    arms = [
        _columns((churned, probability) for arm, probability, churned in rows if arm is is_it)
        for is_it in (False, True)
    ]
    return SettledArms(arms[0], arms[1], fallbacks["fallback_count"] if fallbacks else 0)


def settled_shadow(connection: Connection, challenger_version: int, horizon_days: int) -> tuple[Labels, Floats, Floats]:
    """Outcomes as 0/1, Production's and the challenger's probabilities of customers that both scored, aligned."""
    parameters = {"challenger_version": challenger_version, "horizon_days": horizon_days}
    with connection.cursor(row_factory=tuple_row) as cursor:
        rows = cursor.execute(query("read_shadow_arms"), parameters).fetchall()
    churned, production = _columns((churned, answered) for answered, _, churned in rows)
    return churned, production, np.array([shadow for _, shadow, _ in rows], np.float64)


def record_comparison(connection: Connection, comparison: ArmComparison, horizon_days: int) -> None:
    """Record how the arms compare now; what was known earlier is replaced."""
    difference = comparison.auc_difference
    connection.execute(
        query("record_arm_comparison"),
        {
            "challenger_version": comparison.challenger_version,
            "design": comparison.design,
            "horizon_days": horizon_days,
            "production_count": comparison.production_count,
            "challenger_count": comparison.challenger_count,
            "production_auc": comparison.production_auc.value,
            "challenger_auc": comparison.challenger_auc.value,
            "auc_difference": difference.value,
            "auc_difference_low": None if np.isnan(difference.low) else difference.low,
            "auc_difference_high": None if np.isnan(difference.high) else difference.high,
            "production_profit": comparison.production_profit,
            "challenger_profit": comparison.challenger_profit,
            "fallback_count": comparison.fallback_count,
        },
    )


def _columns(rows: Iterable[tuple[int, float]]) -> tuple[Labels, Floats]:
    pairs = list(rows)
    return np.array([label for label, _ in pairs], np.int64), np.array([value for _, value in pairs], np.float64)
