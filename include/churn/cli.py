"""`churn`: every job without Airflow. Each command prints a table for people, or JSON for programs."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.logging import RichHandler

from churn.api_commands import api_key_app, api_log_app, arms, try_api
from churn.backup_commands import backup, restore
from churn.console import AsJson, open_services, open_settings, out, parse_day, show
from churn.errors import ChurnError, ConfigurationError
from churn.model_commands import model_app
from churn.platform.commands import platform_app
from churn.policy import Policy
from churn.process import tune_for_one_job
from churn.quarantine_commands import quarantine_app
from churn.score_commands import score_app
from churn.settings import Settings
from churn.watch_commands import watch_app

log = logging.getLogger(__name__)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Churn scoring and retraining.")
db_app = typer.Typer(no_args_is_help=True, help="The database schema and its roles.")
app.add_typer(model_app)
app.add_typer(watch_app)
app.add_typer(score_app, name="score")
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(db_app, name="db")
app.add_typer(api_key_app, name="api-key")
app.add_typer(api_log_app, name="api-log")
app.add_typer(platform_app, name="platform")
app.command()(arms)
app.command("try-api")(try_api)
app.command()(backup)
app.command()(restore)


def main() -> None:
    """Run a command; a domain error becomes one sentence, its next step and exit code 1."""
    tune_for_one_job()
    logging.basicConfig(
        level=logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False, show_time=False)],
    )
    for noisy in ("alembic", "great_expectations", "mlflow", "httpx", "py.warnings"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        app()
    except ChurnError as error:
        errors = Console(stderr=True)
        errors.print(error.message, style="bold red", markup=False, highlight=False)
        errors.print(error.next_step, markup=False, highlight=False)
        sys.exit(1)


@app.command()
def demo(
    data: Annotated[
        Path | None,
        typer.Option(help="A Telco Customer Churn CSV of your own.", exists=True, dir_okay=False, readable=True),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Bring the platform up, run the whole job through Airflow and show what came out."""
    from churn.platform.demo import run_demo

    run_demo(Settings(), data, as_json)


@app.command()
def simulate(
    folder: Annotated[Path, typer.Argument(help="Folder that receives customers-YYYY-MM-DD.csv.", file_okay=False)],
    count: Annotated[int, typer.Option(help="Customers.", min=1)] = 7_043,
    seed: Annotated[int, typer.Option(help="The same seed gives the same customers.")] = 1,
    day: Annotated[str, typer.Option("--date", help="Snapshot date; today where left out.")] = "",
    with_churn: Annotated[bool, typer.Option(help="With the column Churn.")] = True,
    as_json: AsJson = False,
) -> None:
    """Write an extract of simulated customers."""
    from churn.simulator import write_extract

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"customers-{parse_day(day)}.csv"
    write_extract(path, count, seed, with_churn=with_churn)
    show("Simulated", [{"file": path, "customers": count, "seed": seed, "with_churn": with_churn}], as_json)


@app.command()
def land(
    day: Annotated[str, typer.Option("--date", help="Snapshot date; today where left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Land the extract of a day from the configured query."""
    from churn.jobs.land_extract import land_extract

    show("Landed", [{"file": land_extract(open_services(), parse_day(day))}], as_json)


@app.command()
def admit(
    file: Annotated[str | None, typer.Argument(help="One landed file; all undecided ones where left out.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Let FILE take the place of its day's extract.")] = False,
    as_json: AsJson = False,
) -> None:
    """Validate landed extracts and admit what is good."""
    from churn.jobs.validate_customers import require_admitted, validate_customers

    outcomes = validate_customers(open_services(), file, replace)
    show("Extracts", [outcome.summary() for outcome in outcomes], as_json)
    require_admitted(outcomes, asked_for=file is not None)


@app.command()
def validate(
    file: Annotated[str, typer.Argument(help="A path, a URL, or the name of a landed file.")],
    row_limit: Annotated[int, typer.Option("--rows", min=0, help="Quarantined rows to show.")] = 10,
    reports: Annotated[Path | None, typer.Option(help="Folder that keeps the page of results.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what would be decided about a file, without the project's database; ends with 1 where it would be refused."""
    from churn.platform.preview import preview_extract

    preview = preview_extract(Settings(), file, row_limit, reports)
    if as_json:
        show("", [preview.summary() | {"quarantined_rows": preview.told_rows()}], as_json)
    else:
        show("Verdict", [preview.summary()], as_json)
        if preview.rows:
            rows = [row | {"reasons": "\n".join(row["reasons"])} for row in preview.told_rows()]
            show("Rows that would be quarantined", rows, as_json)
    if preview.is_refused:
        raise typer.Exit(1)


@app.command()
def train(as_json: AsJson = False) -> None:
    """Train the candidates on the outcomes that are known and let the promotion gate decide."""
    from churn.jobs.retrain_model import retrain_model

    result = retrain_model(open_services())
    if not as_json:
        candidates = [
            {"candidate": each.kind, "roc_auc": each.roc_auc.value, "low": each.roc_auc.low, "high": each.roc_auc.high}
            for each in result.candidates
        ]
        show("Candidates, by nested cross-validation on the development rows", candidates, as_json)
    show("The best of them on the holdout, and the gate", [result.summary()], as_json)


@app.command()
def honesty(
    file: Annotated[
        Path | None,
        typer.Argument(help="A CSV with labels; the newest labelled snapshot where left out.", exists=True),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how inflated AUCs are made on this data, beside the honest figures; takes a minute."""
    from churn.jobs import show_leaks

    settings = open_settings()
    found = (
        show_leaks.of_file(file, Policy.load(settings.policy_file))
        if file
        else show_leaks.of_newest_snapshot(open_services())
    )
    rows = []
    for claim in found:
        log.info("%s, resampled %s: %.3f", claim.technique, claim.resampled or "nowhere", claim.roc_auc.value)
        rows.append(claim.summary())
    show("The same forest, folds and customers: ROC-AUC as it is reported", rows, as_json)


@app.command()
def drift(as_json: AsJson = False) -> None:
    """Report the drift of customers and of requests now, and ask for a retraining where customers make it due."""
    from churn.jobs.report_drift import report_drift, request_retraining
    from churn.jobs.report_request_drift import report_request_drift

    services = open_services()
    customers, requests = report_drift(services), report_request_drift(services)
    rows = [
        {
            "of": source,
            "drift_report_id": outcome.drift_report_id,
            "verdict": outcome.verdict.verdict,
            "reason": outcome.verdict.reason,
            "compared": outcome.current_count,
            "page": services.reports.address(outcome.page) if outcome.page else None,
            "retraining_request": request_retraining(services, outcome) if outcome is customers else None,
        }
        for source, outcome in (("customers", customers), ("requests", requests))
    ]
    show("Drift", rows, as_json)


@app.command()
def settle(as_json: AsJson = False) -> None:
    """Compare the scores whose horizon has passed with what became true."""
    from churn.jobs.settle_outcomes import settle_outcomes

    rows = [
        {
            "scoring_run_id": settled.scoring_run_id,
            "snapshot_date": settled.snapshot_date,
            "model_version": settled.model_version,
            "outcomes": settled.outcome_count,
            "churn_rate": settled.churn_rate,
            "roc_auc": settled.roc_auc,
            "roc_auc_low": settled.roc_auc_low,
            "roc_auc_high": settled.roc_auc_high,
            "calibration_error": settled.calibration_error,
        }
        for settled in settle_outcomes(open_services())
    ]
    show("Settled runs", rows, as_json)


@app.command()
def explain(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    day: Annotated[str, typer.Option("--date", help="Day of the score; the published one where left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Recompute a published score from history and the recorded model, and say why it is what it is."""
    from churn.jobs.explain_customer import explain_customer

    explained = explain_customer(open_services(), customer, parse_day(day) if day else None)
    show("Explained", [explained.summary()], as_json)


@db_app.command("migrate")
def db_migrate() -> None:
    """Create roles and bring the schema to the revision that this code needs."""
    from churn.db.migrations import migrate

    out.print(f"The schema is at revision {migrate(_admin_database())}.")


@db_app.command("status")
def db_status(as_json: AsJson = False) -> None:
    """Show which revision the schema is at and which is needed."""
    from churn.db.migrations import current_revision, needed_revision

    database = open_services().database
    row = {"database": database.address, "current": current_revision(database), "needed": needed_revision()}
    show("Schema", [row], as_json)


@db_app.command("set-password")
def db_set_password(
    role: Annotated[str, typer.Argument(help="churn_pipeline, churn_api, crm_reader or grafana_reader.")],
    variable: Annotated[str, typer.Option("--from-env", help="Variable that holds the password.")] = "CHURN_PASSWORD",
) -> None:
    """Let a role log in. The password is read from the environment, never from the command line."""
    from churn.db.migrations import set_password

    password = os.environ.get(variable)
    if not password:
        raise ConfigurationError(f"{variable} is not set.", f"export {variable}=... and run this again.")
    set_password(_admin_database(), role, password)
    out.print(f"{role} may log in.")


def _admin_database() -> Any:
    from churn.db.database import Database

    settings = open_settings()
    url = settings.admin_database_url or settings.database_url
    if url is None:
        raise ConfigurationError(
            "Neither CHURN_ADMIN_DATABASE_URL nor CHURN_DATABASE_URL is set.",
            'Set one, or run `eval "$(churn platform env)"` for the local platform.',
        )
    return Database(url.get_secret_value())
