"""`churn score ...`: the night, its history, and what readers are shown."""

from typing import Annotated, Any

import typer

from churn.console import AsJson, open_services, parse_day, show
from churn.errors import ConfigurationError
from churn.records import RunMode, ScoringRun

score_app = typer.Typer(no_args_is_help=True, help="Score customers, publish, look back and roll back.")

Day = Annotated[str, typer.Option("--date", help="Snapshot date, YYYY-MM-DD; the current snapshot where left out.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it is kept in the ledger of publications.")]


@score_app.command("run")
def score_run(
    mode: Annotated[RunMode, typer.Option(help="full, changed (only who changed) or shadow (unpublished).")] = "full",
    day: Day = "",
    as_json: AsJson = False,
) -> None:
    """Score every customer of a snapshot, check the run, publish it."""
    from churn.jobs.score_customers import score_customers

    run = score_customers(open_services(), mode, parse_day(day) if day else None)
    show("Compared" if mode == "shadow" else "Published", [_row(run)], as_json)


@score_app.command("history")
def score_history(limit: Annotated[int, typer.Option(min=1)] = 20, as_json: AsJson = False) -> None:
    """List the latest scoring runs, newest first."""
    from churn.db import scoring_runs

    with open_services().database.transaction() as connection:
        runs = scoring_runs.history(connection, limit)
    show("Scoring runs", [_row(run) for run in runs], as_json)


@score_app.command("publish")
def score_publish(
    scoring_run_id: Annotated[int, typer.Argument(help="A run that was rejected or superseded.", min=1)],
    reason: Reason,
    force: Annotated[bool, typer.Option("--force", help="Say that you know what was wrong with it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Publish a run that its checks rejected only for looking unlike the nights before."""
    from churn.jobs.publish_scores import force_publish

    if not force:
        raise ConfigurationError("Publishing past the checks needs --force.", "Look at the run first, then add it.")
    show("Published", [_row(force_publish(open_services(), scoring_run_id, _said(reason)))], as_json)


@score_app.command("rollback")
def score_rollback(
    day: Annotated[str, typer.Argument(help="The date whose scores readers shall see again, YYYY-MM-DD.")],
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Show the scores of an earlier date again; later dates are superseded until they are scored anew."""
    from churn.jobs.publish_scores import roll_back

    run = roll_back(open_services(), parse_day(day), reason.strip() or "rolled back from the command line")
    show("Readers see again", [_row(run)], as_json)


@score_app.command("publications")
def score_publications(limit: Annotated[int, typer.Option(min=1)] = 20, as_json: AsJson = False) -> None:
    """List what readers were shown, by whom and why, newest first."""
    from dataclasses import asdict

    from churn.db import publications

    with open_services().database.transaction() as connection:
        entries = publications.ledger(connection, limit)
    show("Publications", [asdict(entry) for entry in entries], as_json)


def _row(run: ScoringRun) -> dict[str, Any]:
    return {
        "scoring_run_id": run.scoring_run_id,
        "snapshot_date": run.snapshot_date,
        "model_version": run.model_version,
        "mode": run.mode,
        "state": run.state,
        "customers": run.customer_count,
        "scored": run.scored_count,
        "with_reasons": run.explained_count,
        "mean_probability": run.mean_probability,
        "opened_by": run.opened_by,
        "published_at": run.published_at,
        "rejection": run.rejection,
    }


def _said(reason: str) -> str:
    if not reason.strip():
        raise ConfigurationError("The reason is empty.", "Say why with --reason '...'.")
    return reason.strip()
