"""The database schema: what revision it is at, and how it gets to the one this code needs."""

from functools import cache
from pathlib import Path

import psycopg
import sqlalchemy
from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from psycopg import sql

from churn.db.database import Database
from churn.errors import ConfigurationError, SchemaBehind

VERSION_SCHEMA = "churn"
VERSION_TABLE = "schema_version"
OWNER = "churn_owner"
LOGIN_ROLES = ("churn_pipeline", "churn_api", "crm_reader", "grafana_reader")
_HERE = Path(__file__).parent


def run_sql_file(name: str) -> None:
    """Run one reviewed SQL file of versions/ inside the current migration."""
    _run_file(op.get_bind(), f"versions/{name}")


def _run_file(connection: sqlalchemy.Connection, name: str) -> None:
    """Hand a file to the driver without parameters, so that a % in it stays what it is."""
    driver = connection.connection.driver_connection
    if driver is None:
        raise ConfigurationError("The migration lost its connection.", "Run `churn db migrate` again.")
    driver.execute((_HERE / name).read_text("utf-8"))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


@cache
def needed_revision() -> str:
    """The revision that this code was written for."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise ConfigurationError("The package holds no migrations.", "Install churn again.")
    return head


def current_revision(database: Database) -> str | None:
    """The revision that the database is at, or None where nothing was ever migrated."""
    with database.transaction() as connection:
        found = connection.execute("SELECT to_regclass('churn.schema_version') IS NOT NULL AS there").fetchone()
        if not found or not found["there"]:
            return None
        row = connection.execute("SELECT version_num FROM churn.schema_version").fetchone()
        return row["version_num"] if row else None


def require_current_schema(database: Database) -> None:
    """Refuse to go on when the schema is not the one this code needs.

    Raises SchemaBehind with the command that mends it.
    """
    current, needed = current_revision(database), needed_revision()
    if current != needed:
        raise SchemaBehind(
            f"The database {database.address} is at schema revision {current or 'none'}, this code needs {needed}.",
            "Run `churn db migrate` (with CHURN_ADMIN_DATABASE_URL set where the pipeline's role may not).",
        )


def migrate(admin: Database, revision: str = "head") -> str:
    """Create roles and bring the schema to the needed revision; return it. Safe to run again and at once.

    An earlier `revision` stops there: for tests of what comes after it.
    """
    engine = sqlalchemy.create_engine(admin.sqlalchemy_url)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("SELECT pg_advisory_lock(hashtext('churn.migrate'))")
            try:
                _run_file(connection, "roles.sql")
                connection.exec_driver_sql(f"SET ROLE {OWNER}")
                connection.commit()
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, revision)
                connection.commit()
            finally:
                connection.rollback()
                connection.exec_driver_sql("SELECT pg_advisory_unlock(hashtext('churn.migrate'))")
    finally:
        engine.dispose()
    return needed_revision() if revision == "head" else revision


def prepare_roles(admin: Database) -> None:
    """Create the roles, and let them into a database that is to be filled from a dump, which brings the schemas."""
    with admin.transaction() as connection:
        connection.execute((_HERE / "roles.sql").read_text("utf-8"))
        connection.execute(sql.SQL("DROP SCHEMA {} RESTRICT").format(sql.Identifier(VERSION_SCHEMA)))


def set_password(admin: Database, role: str, password: str) -> None:
    """Let one of the four roles log in with a password.

    Raises ConfigurationError for any other role.
    """
    if role not in LOGIN_ROLES:
        raise ConfigurationError(f"{role} is not a role that logs in.", f"Choose one of {', '.join(LOGIN_ROLES)}.")
    with admin.transaction() as connection:
        # The server stores a SCRAM verifier; hashing here keeps the password out of the statement log.
        verifier = psycopg.pq.PGconn.encrypt_password(
            connection.pgconn, password.encode(), role.encode(), b"scram-sha-256"
        )
        connection.execute(
            sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier.decode()))
        )
