"""`python -m churn.containers.initialise`: databases, roles, schemas, buckets and the first extracts of the stack.

With the argument `databases` it does the first three only: where buckets are made by Terraform, before a release runs.

Everything that serves waits for it. It may run again at any time: what is there and up to date stays as it is.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import s3fs

from churn.db.database import Database
from churn.db.migrations import LOGIN_ROLES, migrate, set_password
from churn.errors import AlreadyLanded, ChurnError, ConfigurationError, PlatformError
from churn.landing import Landing
from churn.platform.databases import UPGRADE_MLFLOW, create_databases, set_stamp, stamp_of

log = logging.getLogger("churn.containers.initialise")

_PASSWORD_OF = {
    "airflow": "AIRFLOW_DATABASE_PASSWORD",
    "mlflow": "MLFLOW_DATABASE_PASSWORD",
    "churn_pipeline": "CHURN_PIPELINE_PASSWORD",
    "churn_api": "CHURN_API_PASSWORD",
    "crm_reader": "CRM_READER_PASSWORD",
    "grafana_reader": "GRAFANA_READER_PASSWORD",
}
DELIVERED = Path("/landing")  # the host's folder landing/, read only
LINES_OF_A_FAILURE = 15


def main(environ: Mapping[str, str], what: Sequence[str] = ()) -> None:
    """Bring everything up to date, in order; only the databases where `what` is ["databases"].

    Raises ConfigurationError naming a missing variable, PlatformError with the end of a failed migration.
    """
    initialise_databases(environ)
    if list(what) == ["databases"]:
        return
    buckets = make_buckets(_value(environ, "CHURN_BUCKETS").split())
    log.info("Buckets: %s.", ", ".join(buckets))
    landed = land(Landing(_value(environ, "CHURN_LANDING_URL")), DELIVERED)
    log.info("Landed: %s.", ", ".join(landed) or "nothing new")


def initialise_databases(environ: Mapping[str, str]) -> None:
    """Make the three databases with their roles, and bring each to what this code needs."""
    passwords = {role: _value(environ, variable) for role, variable in _PASSWORD_OF.items()}
    create_databases(_server(environ, "postgres"), {name: passwords[name] for name in ("airflow", "mlflow")})
    admin = Database(_server(environ, "churn"))
    log.info("The churn schema is at revision %s.", migrate(admin))
    for role in LOGIN_ROLES:
        set_password(admin, role, passwords[role])
    _upgrade("apache-airflow", _server(environ, "airflow"), ["-m", "airflow", "db", "migrate"], environ)
    _upgrade("mlflow", _server(environ, "mlflow"), ["-c", UPGRADE_MLFLOW], environ)


def make_buckets(names: Sequence[str]) -> list[str]:
    """Make the buckets that are not there yet; return all. The store and its login come from AWS_* variables."""
    store = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    there = {Path(bucket).name for bucket in store.ls("", detail=False)}
    for name in names:
        if name not in there:
            store.mkdir(name)
    return list(names)


def land(landing: Landing, folder: Path) -> list[str]:
    """Put the extracts of a folder into the landing place; return the names of those that were not there.

    A file that lies there with other content stays as it is there: it may have been admitted.
    """
    new = []
    for file in sorted(folder.glob("customers-*")):
        if landing.has(file.name):
            _warn_where_changed(landing, file)
        else:
            landing.put(file)
            new.append(file.name)
    return new


def _warn_where_changed(landing: Landing, file: Path) -> None:
    try:
        landing.put(file)
    except AlreadyLanded as error:
        log.warning("%s %s", error.message, error.next_step)


def _upgrade(package: str, database: str, arguments: list[str], environ: Mapping[str, str]) -> None:
    """Run a library's own migration, unless its database was left at this version of it."""
    stamp = f"at {package} {version(package)}"
    if stamp_of(database) != stamp:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            tail = "\n".join(done.stdout.splitlines()[-LINES_OF_A_FAILURE:])
            raise PlatformError(f"The migration of {package} failed:\n{tail}", "Mend it, then run `make up` again.")
        set_stamp(database, stamp)
    log.info("The database of %s is %s.", package, stamp)


def _server(environ: Mapping[str, str], database: str) -> str:
    """A database of the stack's server as its superuser."""
    password = quote(_value(environ, "POSTGRES_PASSWORD"), safe="")  # RDS draws any character
    host = environ.get("POSTGRES_HOST", "postgres")
    return f"postgresql://postgres:{password}@{host}:{environ.get('POSTGRES_PORT', '5432')}/{database}"


def _value(environ: Mapping[str, str], name: str) -> str:
    value = environ.get(name)
    if not value:
        raise ConfigurationError(f"{name} is not set.", "docker-compose.yaml sets it from .env: `make setup-data`.")
    return value


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        main(os.environ, sys.argv[1:])
    except ChurnError as error:
        sys.exit(f"{error.message} {error.next_step}")
