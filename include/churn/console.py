"""What the commands share: opening the services of this environment, and printing rows for people or programs."""

import json
import os
from datetime import date
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from churn.errors import ConfigurationError, PlatformError
from churn.platform.addresses import platform_environment
from churn.secret_rules import OF_A_PROCESS, require_secrets
from churn.services import Services
from churn.settings import Settings

out = Console()
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def open_settings() -> Settings:
    """The settings; what they leave open is taken from the local platform where that runs.

    Raises ConfigurationError where, outside local, a secret is a default.
    """
    require_secrets(os.environ, needed=(), if_set=OF_A_PROCESS)
    settings = Settings()
    if settings.database_url is None or settings.mlflow_tracking_uri is None:
        try:
            found = platform_environment(settings)
        except PlatformError:
            return settings  # whoever needs what is missing says so
        os.environ.update({name: value for name, value in found.items() if name not in os.environ})
        settings = Settings()
    return settings


def open_services() -> Services:
    """The services of this environment, or of the local platform where that runs."""
    return Services.from_settings(open_settings())


def show(title: str, rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print rows (all with the same keys) as JSON, or as a table: one row stands upright, so that nothing is cut."""
    if as_json:
        out.print_json(json.dumps(rows, default=str))
        return
    if not rows:
        out.print(f"{title}: none.")
        return
    table = Table(title=title, title_justify="left", show_header=len(rows) > 1)
    if len(rows) == 1:
        for name, value in rows[0].items():
            table.add_row(name.replace("_", " "), _cell(value))
    else:
        for name in rows[0]:
            table.add_column(name.replace("_", " "), overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row.values()))
    out.print(table, highlight=False, markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def parse_day(text: str) -> date:
    """A date written as YYYY-MM-DD; today where it is empty. Raises ConfigurationError for anything else."""
    try:
        return date.fromisoformat(text) if text else date.today()  # noqa: DTZ011 - the operator's own day
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is not a date.", "Write it as YYYY-MM-DD.") from error
