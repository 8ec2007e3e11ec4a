"""What the drift of single columns adds up to, and when it asks for a retraining."""

from collections.abc import Sequence

from churn.policy import Policy
from churn.records import ColumnDrift, DriftVerdict


def drift_verdict(
    columns: Sequence[ColumnDrift], current_count: int, policy: Policy, what: str = "customers"
) -> DriftVerdict:
    """Conclude from the drift of each column whether `what` has drifted from the reference."""
    if current_count < policy.drift_minimum_count:
        needed = f"{current_count} {what}, at least {policy.drift_minimum_count} are needed."
        return DriftVerdict("not enough rows", None, needed)
    if not columns:
        return DriftVerdict(
            "not enough rows", None, f"{current_count} {what}, but no field is given by enough of them."
        )
    drifted = [column.column_name for column in columns if column.drifted]
    rate = len(drifted) / len(columns)
    names = f" ({', '.join(drifted)})" if drifted else ""
    reason = f"{len(drifted)} of {len(columns)} columns drifted{names}; the limit is {policy.drifted_column_rate:.0%}."
    return DriftVerdict("drifted" if rate >= policy.drifted_column_rate else "stable", rate, reason)


def retraining_is_due(verdicts: Sequence[str], policy: Policy) -> bool:
    """Whether k of the n latest verdicts (newest first) are 'drifted', the newest among them."""
    latest = verdicts[: policy.drifted_reports_of]
    return bool(latest) and latest[0] == "drifted" and latest.count("drifted") >= policy.drifted_reports_needed
