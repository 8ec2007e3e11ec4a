"""A database at one moment: frozen, counted, dumped by PostgreSQL's own pg_dump, and loaded again by pg_restore."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from churn.db.database import Database, query
from churn.db.takeover import Connection
from churn.errors import BackupFailed, ConfigurationError, RestoreFailed

# One connection, which has its locks before anyone can ask for stronger ones: several would fail beside a night.
_DUMP = ("--format=custom", "--compress=gzip:1", "--exclude-table=staging.*", "--lock-wait-timeout=600s")
_LOAD_JOBS = 2
_AS_FROZEN = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"


class TableGone(BackupFailed):
    """A table of the moment was dropped before it was dumped: another moment is needed."""


@dataclass(frozen=True)
class Frozen:
    """A database as it was at one moment, whatever is written meanwhile. `comment` is the one on the database."""

    database: Database
    connection: Connection
    snapshot: str
    server_version: int
    comment: str | None

    def row_counts(self) -> dict[str, int]:
        """The rows of each table.

        No lock outlives a count: a night that waited for one to seal its table would make pg_dump wait for the night,
        and so for ever. Raises TableGone where a table was dropped since the moment.
        """
        counts = {}
        for row in self.connection.execute(query("list_tables")).fetchall():
            with self.database.transaction() as connection:
                connection.execute(_AS_FROZEN)
                connection.execute(sql.SQL("SET TRANSACTION SNAPSHOT {}").format(self.snapshot))
                counts[f"{row['schema_name']}.{row['table_name']}"] = _count(connection, **row)
        return counts

    def model_artifacts(self, model_name: str, digest_tag: str) -> list[dict[str, Any]]:
        """Of MLflow's database: version, artifact location and recorded digest of each version of a model."""
        wanted = {"model_name": model_name, "digest_tag": digest_tag}
        return self.connection.execute(query("list_model_artifacts"), wanted).fetchall()

    def dump(self, programs: Path, file: Path) -> None:
        """Write the moment into a file for `load`. Raises BackupFailed with pg_dump's own words, TableGone."""
        failure = _run(programs / "pg_dump", self.database, *_DUMP, f"--snapshot={self.snapshot}", f"--file={file}")
        if failure and "does not exist" in failure:
            raise TableGone(f"A table was dropped meanwhile: {failure}.", "Run it again.")
        if failure:
            raise BackupFailed(
                f"{self.database.address} could not be dumped: {failure}.",
                "Mend that and run it again; nothing of it counts as a backup.",
            )


@contextmanager
def frozen(database: Database) -> Iterator[Frozen]:
    """Hold on to this moment of a database for the block.

    Readers and writers go on; who alters or drops a table, as a night does that seals its own, waits for its dump.
    """
    with database.transaction() as connection:
        connection.execute(_AS_FROZEN)
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # it idles while pg_dump works
        row = connection.execute(query("freeze_snapshot")).fetchone() or {}
        yield Frozen(database, connection, **row)


def load(programs: Path, file: Path, database: Database, role: str | None = None) -> None:
    """Fill an empty database with what was dumped; everything belongs to `role`, or to the role that connects.

    Without a role, grants of the dump are left out: they name roles of the server it came from.
    Raises RestoreFailed with pg_restore's own words.
    """
    whose = [f"--role={role}"] if role else ["--no-privileges"]
    options = ["--no-owner", "--exit-on-error", f"--jobs={_LOAD_JOBS}", *whose]
    failure = _run(programs / "pg_restore", database, *options, str(file))
    if failure:
        raise RestoreFailed(f"{database.address} could not be filled: {failure}.", "Mend that and restore again.")


def row_counts(database: Database) -> dict[str, int]:
    """The rows of each table now."""
    with frozen(database) as moment:
        return moment.row_counts()


def _count(connection: Connection, schema_name: str, table_name: str) -> int:
    statement = sql.SQL("SELECT count(*) AS rows FROM {}").format(sql.Identifier(schema_name, table_name))
    try:
        row = connection.execute(statement).fetchone() or {}
    except psycopg.errors.UndefinedTable as error:
        raise TableGone(f"{schema_name}.{table_name} was dropped meanwhile.", "Run it again.") from error
    return int(row["rows"])


def _run(program: Path, database: Database, *arguments: str) -> str | None:
    """Run a program on a database; the password goes by the environment. Returns what it said where it failed."""
    address: dict[str, Any] = conninfo_to_dict(database.url)
    environment = os.environ | {"PGPASSWORD": address.pop("password", ""), "LC_ALL": "C"}
    command = [str(program), f"--dbname={make_conninfo(**address)}", "--no-password", *arguments]
    with tempfile.TemporaryFile("w+") as said:
        try:
            done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stderr=said, check=False)
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"There is no program {program}.", "Set CHURN_POSTGRES_PROGRAMS to the folder that has it."
            ) from error
        said.seek(0)
        return (said.read().strip()[-800:] or f"exit code {done.returncode}") if done.returncode else None
