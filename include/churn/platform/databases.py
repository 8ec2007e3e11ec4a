"""The databases of the platform: made, owned by a role each, and at the revision that their owner needs."""

import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import psycopg
from psycopg import sql

from churn.db.database import Database
from churn.db.migrations import LOGIN_ROLES, migrate, require_current_schema, set_password
from churn.errors import PlatformError
from churn.platform import environments
from churn.platform.files import last_lines
from churn.platform.layout import Platform
from churn.platform.postgres import create_database

_OWNED = ("airflow", "mlflow")
# The address is handed over in the environment: on the command line everyone could read its password.
UPGRADE_MLFLOW = "import os; from mlflow.db import upgrade; upgrade([os.environ['MLFLOW_BACKEND_STORE_URI']])"


def create_own_databases(platform: Platform) -> None:
    """Make the embedded server's databases, and a login role that owns each of Airflow's and MLflow's."""
    passwords = {name: getattr(platform.credentials, name) for name in _OWNED}
    create_databases(platform.own_url("postgres", "postgres"), passwords)


def create_databases(server: str, passwords: Mapping[str, str]) -> None:
    """Make the database `churn`, and for each name in `passwords` one that a login role of that name owns.

    `server` is the URL of the server's superuser, or of a role that may create databases and roles. Safe to run
    again: roles get these passwords anew.
    """
    with psycopg.connect(server, autocommit=True) as connection:
        for name, password in passwords.items():
            _own_role(connection, name, password)
    for name in ("churn", *passwords):
        create_database(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        for name in passwords:
            target = sql.Identifier(name)
            connection.execute(sql.SQL("ALTER DATABASE {0} OWNER TO {0}").format(target))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(target))


def bring_churn_up_to_date(platform: Platform) -> None:
    """Migrate the churn schemas where we may, and give the roles of the embedded server their passwords.

    Raises SchemaBehind where an existing database is behind and no admin URL was given.
    """
    if platform.admin_database_url is None:
        require_current_schema(Database(platform.database_url))
        return
    admin = Database(platform.admin_database_url)
    migrate(admin)
    if platform.given_database is None:
        for role in LOGIN_ROLES:
            set_password(admin, role, getattr(platform.credentials, role))


def bring_airflow_up_to_date(platform: Platform) -> None:
    """Migrate Airflow's metadata database; skipped where our own was left at this version.

    Raises PlatformError with the last lines of the migration's log.
    """
    stamp = f"at apache-airflow {version('apache-airflow')}"
    own = None if platform.given_airflow_database else platform.airflow_database_url
    if own and stamp_of(own) == stamp:
        return
    environment = environments.of_airflow(platform)
    _run(platform, ["-m", "airflow", "db", "migrate"], environment, "airflow-db-migrate")
    if own:
        set_stamp(own, stamp)


def bring_mlflow_up_to_date(platform: Platform) -> None:
    """Upgrade our own MLflow database after a change of version; a fresh one is filled by the server itself.

    Raises PlatformError with the last lines of the upgrade's log.
    """
    if platform.given_mlflow or platform.given_mlflow_database:
        return
    own = platform.mlflow_database_url
    stamp, found = f"at mlflow {version('mlflow')}", stamp_of(own)
    if found == stamp:
        return
    if found is not None:
        source = environments.carried(platform)
        _run(platform, ["-c", UPGRADE_MLFLOW], environments.of_mlflow(platform, source), "mlflow-db-upgrade")
    set_stamp(own, stamp)


def _own_role(connection: psycopg.Connection, name: str, password: str) -> None:
    role = sql.Identifier(name)
    if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE ROLE {}").format(role))
        # An admin who is no superuser, like the one of RDS, may hand a database only to a role that it belongs to.
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
    connection.execute(sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(verifier)))


def stamp_of(url: str) -> str | None:
    """The comment on a database, which travels with it."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    return row[0] if row else None


def set_stamp(url: str, stamp: str) -> None:
    """Leave a comment on a database: which version it was brought up to."""
    with psycopg.connect(url) as connection:
        name = connection.info.dbname
        connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), sql.Literal(stamp)))


def _run(platform: Platform, arguments: list[str], environment: dict[str, str], name: str) -> None:
    source = environments.carried(platform)
    log: Path = platform.logs / f"{name}.log"
    with log.open("w") as output:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environments.everywhere(platform, name, source) | environment,
            cwd=platform.home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            umask=0o077,
            check=False,
        )
    if done.returncode != 0:
        tail = "\n".join(last_lines(log, 15))
        raise PlatformError(f"{name} failed:\n{tail}", f"Read {log}, then run `churn platform up` again.")
