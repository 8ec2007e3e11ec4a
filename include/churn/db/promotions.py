"""The promotion ledger: every decision of the gate and of people, and every rollback; append-only."""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from psycopg.types.json import Jsonb

from churn.db.database import Connection, query
from churn.errors import NoProductionModel
from churn.policy import Policy
from churn.records import Decision, Interval, Rule

Outcome = Literal["promoted", "kept", "proposed"]


@dataclass(frozen=True)
class ServingEntry:
    """What the ledger knows of a version that serves: for how long, and the digest that was approved.

    `holdout_rate` (0..1) is the policy's when the gate first judged it: the share it was not trained on.
    """

    age_days: float
    digest: str
    holdout_rate: float


def outcome(decision: Decision, policy: Policy) -> Outcome:
    """What a decision comes to: under `promotion_mode` "approve" an approved version waits for a person."""
    if not decision.approved:
        return "kept"
    return "proposed" if policy.promotion_mode == "approve" else "promoted"


@dataclass(frozen=True)
class Entry:
    """One entry of the ledger with its evidence; `is_last` where Production was not moved after it."""

    promotion_id: int
    decision: Literal["promoted", "kept", "rolled_back", "proposed"]
    model_version: int
    previous_version: int | None
    reason: str
    evidence: dict[str, Any]
    is_last: bool = True

    @property
    def moves_production(self) -> bool:
        """Whether it says that its version serves from then on."""
        return self.decision in ("promoted", "rolled_back")


def record(
    connection: Connection,
    *,
    decision: Decision,
    model_version: int,
    previous_version: int | None,
    evidence: dict[str, Any],
    policy: Policy,
) -> int:
    """Append one decision with its rules, evidence and policy; return its number.

    Numbers that are not finite are kept by their names, "nan" and "inf": JSON knows none.
    """
    return _append(
        connection,
        decision=outcome(decision, policy),
        model_version=model_version,
        previous_version=previous_version,
        reason=decision.reason,
        evidence=Jsonb(_finite({**evidence, "rules": [asdict(rule) for rule in decision.rules]})),
        policy=Jsonb(policy.model_dump(mode="json")),
    )


def record_rollback(
    connection: Connection,
    model_version: int,
    previous_version: int,
    reason: str,
    evidence: dict[str, Any],
    policy: Policy,
    by: str | None = None,
) -> int:
    """Append that an approved version serves again, in place of `previous_version`; return the entry's number.

    `by` is the person who wanted it, the database role where nobody is named.
    """
    return _append(
        connection,
        decided_by=by,
        decision="rolled_back",
        model_version=model_version,
        previous_version=previous_version,
        reason=reason,
        evidence=Jsonb(evidence),
        policy=Jsonb(policy.model_dump(mode="json")),
    )


def record_answer(
    connection: Connection,
    approval: Entry,
    decision: Literal["promoted", "kept"],
    reason: str,
    policy: Policy,
    by: str | None,
    request: str | None,
) -> int:
    """Append what a person made of an approval of the gate, with the evidence of that; return the entry's number."""
    evidence = {**approval.evidence, "proposal_id": approval.promotion_id, "request": request}
    return _append(
        connection,
        decided_by=by,
        decision=decision,
        model_version=approval.model_version,
        previous_version=approval.previous_version,
        reason=reason,
        evidence=Jsonb(evidence),
        policy=Jsonb(policy.model_dump(mode="json")),
    )


def proposal_of(connection: Connection, model_version: int) -> Entry | None:
    """The newest entry in which a version was proposed by the gate or promoted, if there is one."""
    row = connection.execute(query("get_proposal"), {"model_version": model_version}).fetchone()
    return Entry(**row) if row else None


def requested_act(connection: Connection, request: str) -> Entry | None:
    """What was done under a request already, if anything was."""
    row = connection.execute(query("get_requested_act"), {"request": request}).fetchone()
    return Entry(**row) if row else None


def history(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """The latest entries, newest first: decision, versions, reason, by whom and when."""
    return connection.execute(query("list_promotions"), {"limit": limit}).fetchall()


def measures(connection: Connection) -> list[dict[str, Any]]:
    """What each judged version achieved on its holdout and in its latest settled night, newest version first.

    `holdout_auc` is an Interval as JSON; what has not settled is None.
    """
    return connection.execute(query("list_model_measures")).fetchall()


def approved_digests(connection: Connection) -> dict[int, str]:
    """The digest of every version that the gate has approved, by its number."""
    rows = connection.execute(query("list_approved_versions"))
    return {row["model_version"]: row["digest"] for row in rows}


def replaced_by(connection: Connection, model_version: int) -> int | None:
    """The version that served before this one came to serve, if the ledger knows one."""
    row = connection.execute(query("get_replaced_version"), {"model_version": model_version}).fetchone()
    return row["previous_version"] if row else None


def serving_entry(connection: Connection, model_version: int) -> ServingEntry | None:
    """What the ledger knows of a version that serves; None where it never saw it promoted or rolled back to."""
    row = connection.execute(query("get_serving_entry"), {"model_version": model_version}).fetchone()
    return ServingEntry(**row) if row else None


def approval_of(connection: Connection, model_version: int) -> Decision | None:
    """The decision by which a version was promoted, if it was."""
    row = connection.execute(query("get_approval"), {"model_version": model_version}).fetchone()
    return Decision(True, row["reason"], tuple(Rule(**rule) for rule in row["rules"])) if row else None


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _append(connection: Connection, *, decided_by: str | None = None, **entry: Any) -> int:
    row = connection.execute(query("record_promotion"), {**entry, "decided_by": decided_by}).fetchone()
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
