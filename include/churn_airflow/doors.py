"""The Airflow door: the same services as everywhere, with database and landing place taken from Connections."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from churn.db.database import Database
    from churn.landing import Landing
    from churn.reports import Reports
    from churn.services import Services
    from churn.settings import Settings

DATABASE_CONNECTION = "churn_db"
SOURCE_CONNECTION = "churn_source"


def services() -> "Services":
    """Open the services of the running task: database and landing place by Connections, the rest by settings."""
    from churn.services import Services
    from churn.settings import Settings

    settings = Settings()
    return Services.from_settings(
        settings,
        database=_database(),
        landing_filesystem=_landing_filesystem(settings),
        source_url=_source_url() if settings.landing_query else None,
        reports_filesystem=_reports_filesystem(settings),
    )


def _database() -> "Database":
    """The database of its Connection, with what that says about TLS; with `"iam": true`, by a token of the hook's."""
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    from churn.db.database import Database
    from churn.db.rds_login import rds_database, with_parameters

    hook = PostgresHook(DATABASE_CONNECTION)
    extra = hook.connection.extra_dejson
    parameters = {name: str(value) for name, value in extra.items() if name not in hook.ignored_extra_options}
    url = with_parameters(hook.get_uri(), parameters)
    if not extra.get("iam", False):
        return Database(url)
    return rds_database(url, lambda: hook.get_iam_token(hook.connection)[1])


def landing() -> "Landing":
    """The landing place alone, for whoever only waits for files."""
    from churn.services import landing_of
    from churn.settings import Settings

    settings = Settings()
    return landing_of(settings, _landing_filesystem(settings))


def reports(settings: "Settings") -> "Reports":
    """The place of reports alone, for whoever only shows them."""
    from churn.reports import Reports

    return Reports(settings.reports, _reports_filesystem(settings))


def _source_url() -> str | None:
    """The address of the Connection `churn_source`, or None where there is none."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return str(BaseHook.get_hook(SOURCE_CONNECTION).get_uri())
    except AirflowNotFoundException:
        return None


def _reports_filesystem(settings: "Settings") -> Any:
    """What opens the bucket of reports; None for a folder."""
    from airflow.sdk import ObjectStoragePath

    url = settings.reports_url
    return ObjectStoragePath(url, conn_id=settings.landing_connection).fs if url else None


def _landing_filesystem(settings: "Settings") -> Any:
    """What Airflow's ObjectStoragePath opens the landing place with; a folder needs no Connection."""
    from airflow.sdk import ObjectStoragePath

    if "://" not in settings.landing:
        return ObjectStoragePath(Path(settings.landing).absolute().as_uri()).fs
    is_folder = settings.landing.startswith("file://")
    return ObjectStoragePath(settings.landing, conn_id=None if is_folder else settings.landing_connection).fs
