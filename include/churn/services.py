"""Everything a job works with, opened through one of two doors: the settings, or Airflow's Connections."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from churn.db.database import Database
from churn.errors import ConfigurationError
from churn.landing import Landing
from churn.notify import Notifier
from churn.policy import Policy
from churn.registry import Registry
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
    reports: Path
    project_dir: Path

    @classmethod
    def from_settings(
        cls,
        settings: Settings,
        database_url: str | None = None,
        storage_options: dict[str, Any] | None = None,
    ) -> Self:
        """Open the services that the settings name.

        `database_url` and `storage_options` (of the landing place, as fsspec takes them) stand in for the
        settings where another door knows them better: Airflow's Connections.
        Raises ConfigurationError naming the variable that is missing.
        """
        url = database_url or (settings.database_url.get_secret_value() if settings.database_url else None)
        if url is None:
            raise ConfigurationError("CHURN_DATABASE_URL is not set.", LOCAL_PLATFORM)
        if settings.mlflow_tracking_uri is None:
            raise ConfigurationError("MLFLOW_TRACKING_URI is not set.", LOCAL_PLATFORM)
        return cls(
            database=Database(url),
            landing=Landing(settings.landing, storage_options or {}),
            registry=Registry(settings.mlflow_tracking_uri),
            tracking=Tracking(settings.mlflow_tracking_uri),
            notifier=Notifier(settings.notify_urls.get_secret_value() if settings.notify_urls else ""),
            policy=Policy.load(settings.policy_file),
            reports=settings.reports,
            project_dir=settings.project_dir,
        )
