"""What the API reads of the night, as role churn_api: the run, a customer's scores and fields, an approval."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from churn.columns import FEATURES
from churn.db.database import Connection, query


@dataclass(frozen=True)
class PublishedRun:
    """The run that readers see now; `percentile_cuts` are 99 probabilities, or None where it scored nobody."""

    scoring_run_id: int
    snapshot_date: date
    model_version: int
    percentile_cuts: list[float] | None
    published_at: datetime


@dataclass(frozen=True)
class PublishedScore:
    """One customer's row of one published run; `is_current` in the run that readers see now."""

    customer_id: str
    snapshot_date: date
    churn_probability: float
    decile: int
    percentile_rank: int
    risk_level: str
    reasons: list[str] | None
    model_version: int
    scoring_run_id: int
    scored_at: datetime
    published_at: datetime
    is_current: bool


@dataclass(frozen=True)
class Approval:
    """How a version came to serve: `holdout` is the records.Evaluation of its gate as JSON."""

    decision: str
    reason: str
    previous_version: int | None
    decided_at: datetime
    holdout: dict[str, Any] | None


@dataclass(frozen=True)
class CustomerInputs:
    """The fields of one customer that the published run scored, named like an extract's columns."""

    snapshot_date: date
    record: dict[str, Any]


def published_run(connection: Connection) -> PublishedRun | None:
    """The run that readers see now, or None before the first night."""
    row = connection.execute(query("serving_published_run")).fetchone()
    return PublishedRun(**row) if row else None


def scores_of(connection: Connection, customer_id: str) -> list[PublishedScore]:
    """One customer's rows of every published run whose scores are kept, newest snapshot first."""
    rows = connection.execute(query("serving_scores_of_customer"), {"customer_id": customer_id})
    return [PublishedScore(**row) for row in rows]


def inputs_of(connection: Connection, customer_id: str) -> CustomerInputs | None:
    """What the run that readers see now was told of one customer, or None where the customer is not in it."""
    row = connection.execute(query("serving_customer_inputs"), {"customer_id": customer_id}).fetchone()
    if row is None:
        return None
    record = {column.name: row["inputs"][column.sql_name] for column in FEATURES}
    return CustomerInputs(row["snapshot_date"], record)


def approval_of(connection: Connection, model_version: int) -> Approval | None:
    """The newest approval of a version or rollback to it, or None where the ledger has none."""
    row = connection.execute(query("serving_approval"), {"model_version": model_version}).fetchone()
    return Approval(**row) if row else None
