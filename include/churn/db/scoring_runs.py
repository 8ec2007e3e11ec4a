"""Scoring runs: one scoring of one snapshot with one model version, from open to published."""

from collections.abc import Mapping
from datetime import date

from psycopg.types.json import Jsonb

from churn.db.database import Connection, query
from churn.errors import NotFound, RunNotOpen, TakenOver
from churn.policy import Policy
from churn.records import Decision, Extract, ModelVersion, RunMode, RunState, ScoringRun, as_json

_FIELDS = tuple(ScoringRun.__dataclass_fields__)


def find_live(
    connection: Connection, extract: Extract, model: ModelVersion, policy: Policy, mode: RunMode
) -> ScoringRun | None:
    """The run of this snapshot, model version and policy that is under way or published.

    A run that was rejected or superseded is never taken up again, nor one that misses rows released since.
    """
    return _run(connection, "find_live_scoring_run", _identity(extract, model, policy, mode))


def open_run(
    connection: Connection,
    extract: Extract,
    model: ModelVersion,
    policy: Policy,
    mode: RunMode,
    base: ScoringRun | None,
) -> ScoringRun:
    """Record a new run; `base` is the run that mode `changed` starts from."""
    parameters = _identity(extract, model, policy, mode) | {"base_run_id": base.scoring_run_id if base else None}
    return _one(_run(connection, "open_scoring_run", parameters))


def base_for(connection: Connection, extract: Extract, model: ModelVersion) -> ScoringRun | None:
    """The newest published run of another snapshot by the very same model, if its scores are still there."""
    parameters = {
        "extract_id": extract.extract_id,
        "model_version": model.version,
        "model_digest": model.digest,
    }
    return _run(connection, "get_base_run", parameters)


def get(connection: Connection, scoring_run_id: int) -> ScoringRun:
    """Read one run. Raises NotFound where there is no such run."""
    run = _run(connection, "get_scoring_run", {"scoring_run_id": scoring_run_id})
    if run is None:
        raise NotFound(f"There is no scoring run {scoring_run_id}.", "List them with `churn score history`.")
    return run


def published(connection: Connection) -> ScoringRun | None:
    """The run that readers see now, or None before the first night."""
    return _run(connection, "get_published_run", {})


def of_date(connection: Connection, day: date) -> ScoringRun:
    """The published run of a date; where none is any more, the one published last.

    Raises NotFound where nothing was ever published for that date.
    """
    run = _run(connection, "get_run_of_date", {"snapshot_date": day})
    if run is None:
        raise NotFound(f"No scores were published for {day}.", "List the dates with `churn score history`.")
    return run


def history(connection: Connection, limit: int) -> list[ScoringRun]:
    """The latest runs, newest first."""
    return _runs(connection, "list_scoring_runs", {"limit": limit})


def baseline(connection: Connection, run: ScoringRun, limit: int) -> list[ScoringRun]:
    """The published runs of the dates before the run's, newest first."""
    return _runs(connection, "list_baseline_runs", {"snapshot_date": run.snapshot_date, "limit": limit})


def due_for_settling(connection: Connection, horizon_days: int) -> list[ScoringRun]:
    """Runs that were published, whose horizon has passed and that are not settled yet."""
    return _runs(connection, "list_runs_due", {"horizon_days": horizon_days})


def unsummarised(connection: Connection) -> list[ScoringRun]:
    """Published runs that are not in monitoring.score_groups and whose scores are kept, oldest first."""
    return _runs(connection, "list_runs_to_summarise", {})


def droppable(connection: Connection, policy: Policy) -> list[ScoringRun]:
    """Runs whose scores nobody needs any more by policy."""
    parameters = {
        "scores_kept_days": policy.scores_kept_days,
        "unpublished_kept_days": policy.unpublished_kept_days,
    }
    return _runs(connection, "list_droppable_runs", parameters)


def is_overtaken(connection: Connection, run: ScoringRun) -> bool:
    """Whether a newer run of the same date was published."""
    row = connection.execute(query("is_overtaken"), {"scoring_run_id": run.scoring_run_id}).fetchone()
    return bool(row and row["overtaken"])


def of_extract(connection: Connection, extract: Extract) -> list[ScoringRun]:
    """The runs of an extract that are under way or published, oldest first; shadows left out."""
    return _runs(connection, "list_runs_of_extract", {"extract_id": extract.extract_id})


def misses_released_rows(connection: Connection, run: ScoringRun) -> bool:
    """Whether rows were released into the run's extract after it was opened."""
    row = connection.execute(query("misses_released_rows"), {"scoring_run_id": run.scoring_run_id}).fetchone()
    return bool(row and row["misses_rows"])


def mark_checked(connection: Connection, run: ScoringRun, decision: Decision) -> None:
    """Record that the run passed its checks, with every rule."""
    parameters = {"scoring_run_id": run.scoring_run_id, "checks": Jsonb(as_json(decision))}
    connection.execute(query("mark_run_checked"), parameters)


def mark_rejected(connection: Connection, run: ScoringRun, decision: Decision) -> None:
    """Record that the run failed its checks, why, and every rule.

    Raises TakenOver where the run is no longer in the state in which it was read.
    """
    parameters = {
        "scoring_run_id": run.scoring_run_id,
        "state": run.state,
        "reason": decision.reason,
        "checks": Jsonb(as_json(decision)),
    }
    if connection.execute(query("mark_run_rejected"), parameters).rowcount != 1:
        raise TakenOver(
            f"Scoring run {run.scoring_run_id} is no longer {run.state}: another attempt has taken it over.",
            "Nothing of this attempt stays; see `churn score history` for what became of the run.",
        )


def mark_superseded(connection: Connection, run: ScoringRun) -> None:
    """Record that a newer run has taken the run's place."""
    connection.execute(query("supersede_run"), {"scoring_run_id": run.scoring_run_id})


def require_state(run: ScoringRun, *allowed: RunState) -> None:
    """Raise RunNotOpen unless the run is in one of these states."""
    if run.state not in allowed:
        raise RunNotOpen(
            f"Scoring run {run.scoring_run_id} is {run.state}, this step needs {' or '.join(allowed)}.",
            "Run `churn score run` to open and finish a new one.",
        )


def _identity(extract: Extract, model: ModelVersion, policy: Policy, mode: RunMode) -> dict[str, object]:
    return {
        "extract_id": extract.extract_id,
        "model_version": model.version,
        "model_digest": model.digest,
        "policy": Jsonb(policy.model_dump(mode="json")),
        "mode": mode,
    }


def _run(connection: Connection, name: str, parameters: Mapping[str, object]) -> ScoringRun | None:
    row = connection.execute(query(name), parameters).fetchone()
    return _record(row) if row else None


def _runs(connection: Connection, name: str, parameters: Mapping[str, object]) -> list[ScoringRun]:
    return [_record(row) for row in connection.execute(query(name), parameters).fetchall()]


def _record(row: dict[str, object]) -> ScoringRun:
    return ScoringRun(**{name: row[name] for name in _FIELDS})  # type: ignore[arg-type]


def _one(run: ScoringRun | None) -> ScoringRun:
    if run is None:
        raise RunNotOpen("The database returned no scoring run.", "Run `churn score run` again.")
    return run
