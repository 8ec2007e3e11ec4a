"""Requests for a retraining: at most one open, and none within the cool-down of the last."""

from datetime import timedelta

from churn.db.database import Connection, query

# A request whose retraining never reported back (the machine died, say) must not block the next for ever.
ABANDONED_AFTER = timedelta(days=1)


def request(connection: Connection, reason: str, drift_report_id: int | None, cooldown: timedelta) -> int | None:
    """Open a request and return its number, or None where one is open or the cool-down has not passed."""
    connection.execute(query("abandon_retraining_requests"), {"seconds": ABANDONED_AFTER.total_seconds()})
    row = connection.execute(
        query("request_retraining"),
        {
            "reason": reason,
            "drift_report_id": drift_report_id,
            "cooldown_seconds": cooldown.total_seconds(),
        },
    ).fetchone()
    return row["request_id"] if row else None


def settle(connection: Connection, result: str) -> None:
    """Close the open request, if there is one, with what the retraining came to."""
    connection.execute(query("settle_retraining_request"), {"result": result})
