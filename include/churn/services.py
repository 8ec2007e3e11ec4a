"""Everything a job works with, opened through one of two doors: the settings, or Airflow's Connections."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from fsspec import AbstractFileSystem

from churn.db.database import Database
from churn.db.rds_login import rds_database, rds_token
from churn.db.source_query import SourceQuery
from churn.errors import ConfigurationError
from churn.landing import Landing
from churn.notify import Notifier
from churn.policy import Policy
from churn.registry import Registry
from churn.reports import Reports
from churn.settings import Settings
from churn.tracking import Tracking

LOCAL_PLATFORM = 'Set it, or run `eval "$(churn platform env)"` for the local platform.'


@dataclass(frozen=True)
class Services:
    """The adapters, policy and folders of one environment."""

    database: Database
    landing: Landing
    registry: Registry
    tracking: Tracking
    notifier: Notifier
    policy: Policy
    reports: Reports
    project_dir: Path
    source: SourceQuery | None = None

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        database: Database | None = None,
        landing_filesystem: AbstractFileSystem | None = None,
        source_url: str | None = None,
        reports_filesystem: AbstractFileSystem | None = None,
    ) -> Self:
        """Open the services that the settings name.

        `database`, `source_url` and the filesystems stand in for the settings where another door knows them
        better: Airflow's Connections.
        Raises ConfigurationError naming the variable that is missing.
        """
        database = database or _database_of(settings)
        if settings.mlflow_tracking_uri is None:
            raise ConfigurationError("MLFLOW_TRACKING_URI is not set.", LOCAL_PLATFORM)
        return cls(
            database=database,
            landing=landing_of(settings, landing_filesystem),
            registry=Registry(settings.mlflow_tracking_uri),
            tracking=Tracking(settings.mlflow_tracking_uri),
            notifier=Notifier(settings.notify_urls.get_secret_value() if settings.notify_urls else ""),
            policy=Policy.load(settings.policy_file),
            reports=Reports(settings.reports, reports_filesystem),
            project_dir=settings.project_dir,
            source=_source_of(settings, source_url),
        )


def landing_of(settings: Settings, filesystem: AbstractFileSystem | None = None) -> Landing:
    """The landing place that the settings name, opened by `filesystem` where one is given."""
    return Landing(settings.landing, filesystem, settings.landing_done_markers, settings.landing_settle_seconds)


def _database_of(settings: Settings) -> Database:
    if settings.database_url is None:
        raise ConfigurationError("CHURN_DATABASE_URL is not set.", LOCAL_PLATFORM)
    url = settings.database_url.get_secret_value()
    return rds_database(url, rds_token(url)) if settings.database_iam else Database(url)


def _source_of(settings: Settings, url: str | None) -> SourceQuery | None:
    if settings.landing_query is None:
        return None
    url = url or (settings.landing_query_url.get_secret_value() if settings.landing_query_url else None)
    if url is None:
        raise ConfigurationError("CHURN_LANDING_QUERY_URL is not set.", "Set it, or unset CHURN_LANDING_QUERY.")
    return SourceQuery(settings.landing_query, url)
