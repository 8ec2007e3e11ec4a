"""`churn backup` and `churn restore`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from churn.console import AsJson, show
from churn.db.database import Database
from churn.errors import ConfigurationError
from churn.file_tree import FileTree
from churn.jobs.take_backup import Saved
from churn.platform.addresses import running
from churn.platform.layout import Platform
from churn.platform.life import databases_alone
from churn.platform.postgres import wheel_server
from churn.settings import Settings

log = logging.getLogger(__name__)


def backup(
    destination: Annotated[str, typer.Argument(help="Folder or s3:// prefix that receives the backup as a folder.")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove all but this many of the newest backups there.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write database, registry and artifacts into a new backup, while everything goes on."""
    from churn.jobs.take_backup import take_backup

    settings = Settings()
    taken = take_backup(_given(settings) or _of_platform(running(settings)), destination, keep)
    show("Backup", [taken.summary()], as_json)


def restore(
    source: Annotated[str, typer.Argument(help="One backup: the folder or s3:// prefix that holds manifest.json.")],
    as_json: AsJson = False,
) -> None:
    """Verify a backup and restore it into an empty place; nothing is ever overwritten."""
    from churn.jobs.restore_backup import restore_backup

    with _target(Settings()) as target:
        restored = restore_backup(source, target)
    show("Restored", [restored.summary()], as_json)


@contextmanager
def _target(settings: Settings) -> Iterator[Saved]:
    """The databases that the settings name, or the local platform's, alone."""
    if (given := _given(settings)) is not None:
        yield given
    else:
        with databases_alone(settings) as platform:
            yield _of_platform(platform)


def _given(settings: Settings) -> Saved | None:
    """What the settings name, where they name both databases; None where the local platform has one of them.

    Raises ConfigurationError where they do not say where the artifacts are.
    """
    if settings.admin_database_url is None or settings.mlflow_database_url is None:
        return None
    if settings.mlflow_artifacts_url is None:
        raise ConfigurationError(
            "CHURN_MLFLOW_ARTIFACTS_URL is not set.", "Set it to where that MLflow keeps artifacts."
        )
    return Saved(
        Database(settings.admin_database_url.get_secret_value()),
        Database(settings.mlflow_database_url.get_secret_value()),
        FileTree(settings.mlflow_artifacts_url),
        _programs(settings),
    )


def _of_platform(platform: Platform) -> Saved:
    """What a local platform works with. Raises ConfigurationError where it lacks an address."""
    admin = platform.admin_database_url
    if admin is None:
        raise ConfigurationError("CHURN_ADMIN_DATABASE_URL is not set.", "Set it to a role that may read everything.")
    if platform.given_mlflow is not None and platform.given_mlflow_database is None:
        raise ConfigurationError(
            "CHURN_MLFLOW_DATABASE_URL is not set.", "Set it to the backend store of the MLflow that is used."
        )
    return Saved(
        Database(admin),
        Database(platform.mlflow_database_url),
        FileTree(platform.artifacts),
        _programs(platform.settings),
    )


def _programs(settings: Settings) -> Path:
    """The folder of pg_dump: the wheel's speak no TLS, and may be older than a server that was given."""
    return settings.postgres_programs or wheel_server() / "bin"
