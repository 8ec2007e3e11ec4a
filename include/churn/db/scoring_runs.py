"""Scoring runs: one scoring of one snapshot with one model version, from open to published."""

from psycopg.types.json import Jsonb

from churn.db.database import Connection, query
from churn.errors import RunNotOpen
from churn.policy import Policy
from churn.records import Extract, ModelVersion, RunState, ScoringRun

_FIELDS = tuple(ScoringRun.__dataclass_fields__)


def _run(row: dict[str, object] | None) -> ScoringRun | None:
    return ScoringRun(**{name: row[name] for name in _FIELDS}) if row else None  # type: ignore[arg-type]


def open_run(connection: Connection, extract: Extract, model: ModelVersion, policy: Policy) -> ScoringRun:
    """Return the live run of this snapshot, model version and policy, or open one.

    A run that was rejected or superseded is never taken up again. Two callers at once get the same run.
    """
    connection.execute("SELECT pg_advisory_xact_lock(hashtext('churn.open_run'))")
    parameters = {
        "extract_id": extract.extract_id,
        "snapshot_date": extract.snapshot_date,
        "model_version": model.version,
        "model_digest": model.digest,
        "policy": Jsonb(policy.model_dump(mode="json")),
    }
    found = _run(connection.execute(query("find_live_scoring_run"), parameters).fetchone())
    return found or _one(_run(connection.execute(query("open_scoring_run"), parameters).fetchone()))


def get(connection: Connection, scoring_run_id: int, for_update: bool = False) -> ScoringRun:
    """Read one run; `for_update` makes any other step of the same run wait for this transaction.

    Raises RunNotOpen where there is no such run.
    """
    statement = query("get_scoring_run") + (" FOR UPDATE" if for_update else "")
    run = _run(connection.execute(statement, {"scoring_run_id": scoring_run_id}).fetchone())
    if run is None:
        raise RunNotOpen(f"There is no scoring run {scoring_run_id}.", "List them with `churn score history`.")
    return run


def published(connection: Connection) -> ScoringRun | None:
    """The run that readers see now, or None before the first night."""
    return _run(connection.execute(query("get_published_run")).fetchone())


def history(connection: Connection, limit: int) -> list[ScoringRun]:
    """The latest runs, newest first."""
    rows = connection.execute(query("list_scoring_runs"), {"limit": limit}).fetchall()
    return [_one(_run(row)) for row in rows]


def due_for_settling(connection: Connection, horizon_days: int) -> list[ScoringRun]:
    """Published or superseded runs whose horizon has passed and that are not settled yet."""
    rows = connection.execute(query("list_runs_due"), {"horizon_days": horizon_days}).fetchall()
    return [_one(_run(row)) for row in rows]


def mark_scored(connection: Connection, scoring_run_id: int, customer_count: int) -> None:
    """Record that the run's scores are loaded."""
    connection.execute(query("mark_run_scored"), {"scoring_run_id": scoring_run_id, "customer_count": customer_count})


def mark_checked(connection: Connection, scoring_run_id: int) -> None:
    """Record that the run passed its checks."""
    connection.execute(query("mark_run_checked"), {"scoring_run_id": scoring_run_id})


def mark_rejected(connection: Connection, scoring_run_id: int, reason: str) -> None:
    """Record that the run failed its checks, and why."""
    connection.execute(query("mark_run_rejected"), {"scoring_run_id": scoring_run_id, "reason": reason})


def publish(connection: Connection, scoring_run_id: int) -> None:
    """Make the run the published one of its date, and what readers see unless a later date is published.

    Writes three rows; the caller's COMMIT is the moment at which every reader changes over.
    """
    for statement in ("supersede_published_run", "mark_run_published", "point_readers_at_run"):
        connection.execute(query(statement), {"scoring_run_id": scoring_run_id})


def require_state(run: ScoringRun, *allowed: RunState) -> None:
    """Raise RunNotOpen unless the run is in one of these states."""
    if run.state not in allowed:
        raise RunNotOpen(
            f"Scoring run {run.scoring_run_id} is {run.state}, this step needs {' or '.join(allowed)}.",
            "Run `churn score run` to open and finish a new one.",
        )


def _one(run: ScoringRun | None) -> ScoringRun:
    if run is None:
        raise RunNotOpen("The database returned no scoring run.", "Run `churn score run` again.")
    return run
