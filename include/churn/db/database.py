"""One PostgreSQL database: connections, transactions and locks."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg.rows import dict_row

from churn.errors import AlreadyRunning, ConfigurationError, DatabaseUnavailable

Connection = psycopg.Connection[dict[str, Any]]


class Database:
    """A PostgreSQL database by its URL. Holds no connection until one is asked for.

    `url` is postgresql://user:password@host:port/name; SQLAlchemy's driver suffixes are accepted.
    Raises ConfigurationError where it is not such a URL.
    """

    def __init__(self, url: str) -> None:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
            raise ConfigurationError(
                "The database address is not a postgresql:// URL.", "Correct CHURN_DATABASE_URL or the Connection."
            )
        self.url = f"postgresql://{rest}"

    @property
    def sqlalchemy_url(self) -> str:
        """The same address for SQLAlchemy with psycopg 3."""
        return "postgresql+psycopg" + self.url.removeprefix("postgresql")

    @property
    def address(self) -> str:
        """The address without its password, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or 5432}{parts.path}"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose work is committed at the end of the block, or undone whole.

        Rows come as dicts. Raises DatabaseUnavailable where no connection can be made.
        """
        with self._connect() as connection:
            yield connection

    @contextmanager
    def lock(self, name: str) -> Iterator[None]:
        """Hold a named lock of the database for the block; it is released when the process dies.

        Raises AlreadyRunning at once where another process holds it.
        """
        with self._connect(autocommit=True) as connection:
            row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s)) AS got", (name,)).fetchone()
            if not row or not row["got"]:
                raise AlreadyRunning(f"Another process holds the lock {name!r}.", "Wait until it has finished.")
            yield

    def _connect(self, autocommit: bool = False) -> Connection:
        try:
            return psycopg.connect(
                self.url, row_factory=dict_row, autocommit=autocommit, connect_timeout=10, application_name="churn"
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(
                f"The database {self.address} cannot be reached: {str(error).strip()}.",
                "Start it (`churn platform up`) or correct CHURN_DATABASE_URL.",
            ) from error


@cache
def query(name: str) -> str:
    """The text of the reviewed statement queries/<name>.sql."""
    return (resources.files("churn.db") / "queries" / f"{name}.sql").read_text("utf-8")
