"""Publications: the ledger of what readers were shown, and the pointer that they follow."""

from churn.db.database import Connection, query
from churn.records import Publication, ScoringRun

_FIELDS = tuple(Publication.__dataclass_fields__)


def publish(connection: Connection, run: ScoringRun) -> None:
    """Make the run the published one of its date, and what readers see unless a later date is published.

    Writes a few rows; the caller's COMMIT is the moment at which every reader changes over.
    """
    _show(connection, run, "publish", None)


def force(connection: Connection, run: ScoringRun, reason: str) -> None:
    """The same by an operator's decision, who says why."""
    _show(connection, run, "force", reason)


def roll_back(connection: Connection, run: ScoringRun, reason: str) -> None:
    """Show an earlier date's run again; the published runs of later dates are superseded."""
    named = {"scoring_run_id": run.scoring_run_id}
    connection.execute(query("record_publication"), {**named, "action": "rollback", "reason": reason})
    connection.execute(query("supersede_later_runs"), named)
    if run.state != "published":
        connection.execute(query("supersede_other_runs"), named)
        connection.execute(query("mark_run_published"), named)
    connection.execute(query("turn_readers_back"), named)


def ledger(connection: Connection, limit: int) -> list[Publication]:
    """The latest entries, newest first."""
    rows = connection.execute(query("list_publications"), {"limit": limit}).fetchall()
    return [Publication(**{name: row[name] for name in _FIELDS}) for row in rows]


def _show(connection: Connection, run: ScoringRun, action: str, reason: str | None) -> None:
    named = {"scoring_run_id": run.scoring_run_id}
    connection.execute(query("record_publication"), {**named, "action": action, "reason": reason})
    for statement in ("supersede_other_runs", "mark_run_published", "point_readers_at_run"):
        connection.execute(query(statement), named)
