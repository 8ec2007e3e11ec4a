"""What a running platform tells the world: addresses and logins, as values, as shell exports, as a table."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from churn.db.database import Database
from churn.errors import PlatformError
from churn.platform import environments
from churn.platform.layout import AIRFLOW_USER, Platform
from churn.platform.supervisor import answers
from churn.settings import Settings


@dataclass(frozen=True)
class PlatformAddresses:
    """Where a platform is reached, and with which login. Database URLs hold their password."""

    home: Path
    airflow_url: str
    airflow_user: str
    airflow_password: str
    mlflow_url: str
    api_url: str
    database_url: str
    admin_database_url: str | None
    api_database_url: str
    reader_database_urls: dict[str, str]


def addresses_of(platform: Platform) -> PlatformAddresses:
    """The addresses of a platform, whether or not it runs at the moment."""
    embedded = platform.given_database is None
    readers = ("crm_reader", "grafana_reader") if embedded else ()
    return PlatformAddresses(
        home=platform.home,
        airflow_url=platform.public_airflow_url,
        airflow_user=AIRFLOW_USER,
        airflow_password=platform.credentials.airflow_admin,
        mlflow_url=platform.mlflow_url,
        api_url=platform.public_api_url,
        database_url=platform.database_url,
        admin_database_url=platform.own_url("postgres", "churn") if embedded else None,
        api_database_url=platform.api_database_url,
        reader_database_urls={role: platform.own_url(role, "churn") for role in readers},
    )


def platform_environment(settings: Settings) -> dict[str, str]:
    """The variables by which any program finds the running platform of these settings.

    Raises PlatformError where it does not run.
    """
    found = addresses_of(running(settings))
    variables = {
        "CHURN_HOME": str(found.home),
        "CHURN_DATABASE_URL": found.database_url,
        "CHURN_ADMIN_DATABASE_URL": found.admin_database_url,
        "CHURN_API_DATABASE_URL": found.api_database_url,
        "CHURN_CRM_DATABASE_URL": found.reader_database_urls.get("crm_reader"),
        "CHURN_GRAFANA_DATABASE_URL": found.reader_database_urls.get("grafana_reader"),
        "MLFLOW_TRACKING_URI": found.mlflow_url,
        "AIRFLOW_URL": found.airflow_url,
        "AIRFLOW_USER": found.airflow_user,
        "AIRFLOW_PASSWORD": found.airflow_password,
        "CHURN_API_URL": found.api_url,
    }
    return {name: value for name, value in variables.items() if value is not None}


def airflow_environment(settings: Settings) -> dict[str, str]:
    """What the `airflow` command line needs besides, to work on the running platform.

    Raises PlatformError where it does not run.
    """
    platform = running(settings)
    return environments.of_airflow_jobs(platform, {})


def running(settings: Settings) -> Platform:
    """The platform of these settings. Raises PlatformError where it does not run."""
    platform = Platform.of(settings)
    if not answers(platform):
        raise PlatformError(f"The platform in {platform.home} does not run.", "Run `churn platform up`.")
    return platform


def shell_exports(variables: dict[str, str]) -> str:
    """Lines for `eval` in any POSIX shell; every value is quoted."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def print_addresses(settings: Settings, console: Console) -> None:
    """Print where everything of this platform is and how to log in."""
    addresses = addresses_of(Platform.of(settings))
    table = Table(show_edge=False, pad_edge=False, box=None)
    for heading in ("service", "address", "login"):
        table.add_column(heading, overflow="fold")
    login = f"{addresses.airflow_user} / {addresses.airflow_password}"
    table.add_row("Airflow", addresses.airflow_url, login)
    table.add_row("MLflow", addresses.mlflow_url, "none needed on this machine")
    table.add_row("API", addresses.api_url, "none needed on this machine")
    table.add_row("PostgreSQL", Database(addresses.database_url).address, 'eval "$(.venv/bin/churn platform env)"')
    console.print(table)
