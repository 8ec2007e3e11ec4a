"""The demo: the whole job through Airflow on this machine, and one table of what came out."""

import json
import os
import shutil
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from churn.db import drift_reports, extracts, promotions, scores, scoring_runs
from churn.errors import PlatformError
from churn.platform.addresses import platform_environment, print_addresses
from churn.platform.airflow_rest import AirflowRest
from churn.platform.life import bring_up
from churn.services import Services
from churn.settings import Settings
from churn.simulator import write_extract

DAGS = (
    "validate_customers", "retrain_model", "score_customers", "report_drift", "settle_outcomes", "roll_back_model",
)  # fmt: skip
STORY = DAGS[:4]
SIMULATED_CUSTOMERS = 7_043
SIMULATED_SEED = 1
LONGEST_RUN_SECONDS = 900.0


@dataclass(frozen=True)
class DemoResult:
    """What the demo's end shows."""

    source: str
    rows_in: int
    admitted: int
    quarantined: int
    model_version: int
    roc_auc: float
    roc_auc_low: float
    roc_auc_high: float
    gate: str
    rows_scored: int
    top_customers: list[dict[str, Any]]
    drift_verdict: str


def run_demo(settings: Settings, data: Path | None, as_json: bool) -> DemoResult:
    """Bring the platform up, land the data, run validate, retrain, score and drift, and print the table.

    Raises PlatformError naming the DAG and task that did not succeed.
    """
    console = Console(stderr=as_json)
    bring_up(settings, console.print)
    environment = platform_environment(settings)
    source = land(settings, data)
    console.print(f"Landed {source}.", highlight=False)
    # Data that someone names takes the place of what was admitted for today.
    run_story(environment, console, {"file": Path(source).name, "replace": True} if data else {})
    result = read_result(open_services(environment), source)
    if as_json:
        Console().print_json(json.dumps(asdict(result), default=str))
    else:
        show(result, console)
        print_addresses(settings, console)
    return result


def open_services(environment: dict[str, str]) -> Services:
    """The services of the running platform, as any script would open them."""
    os.environ.update(environment)
    return Services.from_settings(Settings())


def land(settings: Settings, data: Path | None) -> str:
    """Put today's extract into the landing folder, whole or not at all; return its path.

    `data` is a CSV with the columns of the contract; simulated customers where there is none. Today's file stays
    where no data was named and one is there.
    """
    if "://" in settings.landing:
        raise PlatformError(
            f"The demo lands its extract in a folder, CHURN_LANDING_URL is {settings.landing}.",
            "Unset CHURN_LANDING_URL, or land the file there yourself and trigger the DAGs.",
        )
    folder = Path(settings.landing)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"customers-{datetime.now(UTC).date()}.csv"
    if data is not None:
        half = target.with_suffix(".part")
        shutil.copyfile(data, half)
        half.replace(target)
    elif not target.exists():
        write_extract(target, SIMULATED_CUSTOMERS, SIMULATED_SEED, with_churn=True)
    return str(target)


def run_story(environment: dict[str, str], console: Console, validation: dict[str, Any]) -> None:
    """Unpause every DAG and run the story through Airflow's REST API, with progress.

    `validation` are the parameters of its first DAG.
    """
    with AirflowRest(
        environment["AIRFLOW_URL"], environment["AIRFLOW_USER"], environment["AIRFLOW_PASSWORD"]
    ) as airflow:
        airflow.wait_for_dags(set(DAGS))
        if errors := airflow.import_errors():
            raise PlatformError(f"A DAG file cannot be imported: {' '.join(errors)}", "Mend it and run the demo again.")
        for dag_id in DAGS:
            airflow.unpause(dag_id)
        for dag_id in STORY:
            with console.status(dag_id) as status:
                conf = validation if dag_id == STORY[0] else {}
                seconds = airflow.run(dag_id, conf, LONGEST_RUN_SECONDS, status.update)
            console.print(f"[green]ok[/] {dag_id} in {seconds:.0f} s", highlight=False)


def read_result(services: Services, source: str) -> DemoResult:
    """Read from the database and the registry what the demo came to."""
    production = services.registry.production_version()
    with services.database.transaction() as connection:
        extract = extracts.current(connection)
        gate = promotions.latest(connection)
        interval = promotions.production_auc(connection, production.version)
        run = scoring_runs.published(connection)
        top = scores.top(connection, 5)
        verdict = drift_reports.latest(connection)
    return DemoResult(
        source=source,
        rows_in=extract.row_count or 0,
        admitted=extract.admitted_count or 0,
        quarantined=extract.quarantined_count or 0,
        model_version=production.version,
        roc_auc=interval.value,
        roc_auc_low=interval.low,
        roc_auc_high=interval.high,
        gate=f"{gate['decision']}: {gate['reason']}",
        rows_scored=(run.scored_count or 0) if run else 0,
        top_customers=top,
        drift_verdict=f"{verdict['verdict']}: {verdict['reason']}",
    )


def show(result: DemoResult, console: Console) -> None:
    """Print the demo's end as a table."""
    table = Table(title="What the demo did", title_justify="left", show_header=False)
    table.add_row("rows in the extract", f"{result.rows_in:,}")
    table.add_row("admitted / quarantined", f"{result.admitted:,} / {result.quarantined:,}")
    table.add_row("model version", str(result.model_version))
    table.add_row(
        "holdout ROC-AUC (95 %)",
        f"{result.roc_auc:.3f} ({result.roc_auc_low:.3f} to {result.roc_auc_high:.3f})",
    )
    table.add_row("promotion gate", result.gate)
    table.add_row("rows scored", f"{result.rows_scored:,}")
    for position, customer in enumerate(result.top_customers, start=1):
        table.add_row(
            f"highest risk {position}",
            f"{customer['customer_id']}  {customer['churn_probability']:.1%}  {customer['risk_level']}",
        )
    table.add_row("drift", result.drift_verdict)
    console.print(table, highlight=False)
