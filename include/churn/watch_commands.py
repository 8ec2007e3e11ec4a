"""`churn monitor` and `churn alerts`: what on-call sees in Grafana, in a terminal."""

import os
from dataclasses import asdict

import typer

from churn.console import AsJson, open_settings, show
from churn.db.database import Database
from churn.errors import ConfigurationError
from churn.settings import Settings

watch_app = typer.Typer()
READER = "CHURN_GRAFANA_DATABASE_URL"


@watch_app.command()
def monitor(as_json: AsJson = False) -> None:
    """Show the single numbers of Grafana's dashboards, each with its unit, from the same queries."""
    from churn.jobs.watch import figures

    settings = open_settings()
    show("Now", [asdict(figure) for figure in figures(_reader(settings), settings.project_dir)], as_json)


@watch_app.command()
def alerts(as_json: AsJson = False) -> None:
    """Evaluate Grafana's alert rules now, without their waiting time; ends with 1 where one fires."""
    from churn.jobs.watch import alerts as evaluate

    settings = open_settings()
    standings = evaluate(_reader(settings), settings.project_dir)
    firing = [each for each in standings if each.state == "Alerting"]
    rows = [asdict(each) if each in firing or as_json else asdict(each) | {"first_step": None} for each in standings]
    show("Alerts", rows, as_json)
    if firing:
        raise typer.Exit(1)


def _reader(settings: Settings) -> Database:
    """The database as grafana_reader where its address is known, else as the pipeline, which may read the same."""
    url = os.environ.get(READER) or (settings.database_url.get_secret_value() if settings.database_url else None)
    if url is None:
        raise ConfigurationError(
            f"Neither {READER} nor CHURN_DATABASE_URL is set.",
            'Set one, or run `eval "$(churn platform env)"` for the local platform.',
        )
    return Database(url)
