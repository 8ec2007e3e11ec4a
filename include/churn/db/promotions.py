"""The promotion ledger: every decision of the gate and every rollback, append-only."""

from dataclasses import asdict
from typing import Any

from psycopg.types.json import Jsonb

from churn.db.database import Connection, query
from churn.errors import NoProductionModel
from churn.policy import Policy
from churn.records import Decision, Interval


def record(
    connection: Connection,
    *,
    decision: Decision,
    model_version: int,
    previous_version: int | None,
    evidence: dict[str, Any],
    policy: Policy,
) -> int:
    """Append one decision with its rules, evidence and policy; return its number."""
    return _append(
        connection,
        decision="promoted" if decision.approved else "kept",
        model_version=model_version,
        previous_version=previous_version,
        reason=decision.reason,
        evidence=Jsonb({**evidence, "rules": [asdict(rule) for rule in decision.rules]}),
        policy=Jsonb(policy.model_dump(mode="json")),
    )


def record_rollback(
    connection: Connection,
    model_version: int,
    previous_version: int,
    reason: str,
    evidence: dict[str, Any],
    policy: Policy,
) -> int:
    """Append that an approved version serves again, in place of `previous_version`; return the entry's number."""
    return _append(
        connection,
        decision="rolled_back",
        model_version=model_version,
        previous_version=previous_version,
        reason=reason,
        evidence=Jsonb(evidence),
        policy=Jsonb(policy.model_dump(mode="json")),
    )


def history(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The latest entries, newest first: decision, versions, reason, by whom and when."""
    return connection.execute(query("list_promotions"), {"limit": limit}).fetchall()


def approved_digests(connection: Connection) -> dict[int, str]:
    """The digest of every version that the gate has approved, by its number."""
    rows = connection.execute(query("list_approved_versions"))
    return {row["model_version"]: row["digest"] for row in rows}


def replaced_by(connection: Connection, model_version: int) -> int | None:
    """The version that served before this one came to serve, if the ledger knows one."""
    row = connection.execute(query("get_replaced_version"), {"model_version": model_version}).fetchone()
    return row["previous_version"] if row else None


def _append(connection: Connection, **entry: Any) -> int:
    row = connection.execute(query("record_promotion"), entry).fetchone()
    return int((row or {})["promotion_id"])


def latest(connection: Connection) -> dict[str, Any]:
    """The newest decision: `decision`, `reason`, `model_version`. Raises NoProductionModel where there is none."""
    row = connection.execute(query("latest_promotion")).fetchone()
    if row is None:
        raise NoProductionModel("The promotion gate has not decided yet.", "Run `churn train`.")
    return row


def production_auc(connection: Connection, model_version: int) -> Interval:
    """The ROC-AUC of the serving version on the holdout of the newest decision about it.

    Raises NoProductionModel where the ledger does not know the version.
    """
    row = connection.execute(query("production_auc"), {"model_version": model_version}).fetchone()
    if row is None:
        raise NoProductionModel(
            f"Version {model_version} serves, but the ledger holds no promotion of it.", "Run `churn train`."
        )
    return Interval(**row["roc_auc"])
