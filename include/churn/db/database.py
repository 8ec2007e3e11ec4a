"""One PostgreSQL database: connections, transactions and locks."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import psycopg
import sqlalchemy
from psycopg.rows import dict_row

from churn.db.takeover import Connection, take_lock
from churn.errors import AlreadyRunning, ConfigurationError, DatabaseFull, DatabaseUnavailable

# A machine that died without a word is noticed within about a minute instead of hours.
_KEEPALIVES: dict[str, Any] = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}


class Database:
    """A PostgreSQL database by its URL. Holds no connection until one is asked for.

    `url` is postgresql://role:PASSWORD@host:port/name; SQLAlchemy's driver suffixes are accepted.
    `fresh_password` is asked at every connection where the password is one that expires.
    Raises ConfigurationError where it is not such a URL.
    """

    def __init__(self, url: str, fresh_password: Callable[[], str] | None = None) -> None:
        scheme, separator, rest = url.partition("://")
        if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
            raise ConfigurationError(
                "The database address is not a postgresql:// URL.", "Correct CHURN_DATABASE_URL or the Connection."
            )
        self._url = f"postgresql://{rest}"
        self._fresh_password = fresh_password

    @property
    def url(self) -> str:
        """The address for a connection that is made now."""
        if self._fresh_password is None:
            return self._url
        url = sqlalchemy.make_url(self._url).set(password=self._fresh_password())
        return url.render_as_string(hide_password=False)

    @property
    def sqlalchemy_url(self) -> str:
        """The same address for SQLAlchemy with psycopg 3."""
        return "postgresql+psycopg" + self.url.removeprefix("postgresql")

    def sqlalchemy_url_with(self, settings: Mapping[str, str]) -> str:
        """The same, with settings of the server for every connection made with it."""
        url = sqlalchemy.make_url(self.sqlalchemy_url)
        given = [f"-c {setting}={value}" for setting, value in settings.items()]
        options = " ".join([str(url.query.get("options", "")), *given]).strip()
        return url.update_query_dict({"options": options}).render_as_string(hide_password=False)

    @property
    def address(self) -> str:
        """The address without its password, for messages."""
        return f"{self.server}{urlsplit(self._url).path}"

    @property
    def server(self) -> str:
        """Host and port."""
        parts = urlsplit(self._url)
        return f"{parts.hostname}:{parts.port or 5432}"

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection whose work is committed at the end of the block, or undone whole.

        Rows come as dicts. Raises DatabaseUnavailable where no connection can be made or it is lost, and
        DatabaseFull where the server has no room.
        """
        with self._connect() as connection, self._told_plainly():
            yield connection

    def kept(self) -> "KeptDatabase":
        """The same database for one thread that asks again and again."""
        return KeptDatabase(self._url, self._fresh_password)

    @contextmanager
    def statements(self) -> Iterator[Connection]:
        """A connection whose statements commit each by itself, for those that cannot be part of a transaction."""
        with self._connect(autocommit=True) as connection, self._told_plainly():
            yield connection

    def named(self, name: str) -> "Database":
        """Another database of the same server, as the same role."""
        url = urlsplit(self._url)._replace(path=f"/{quote(name, safe='')}").geturl()
        return Database(url, self._fresh_password)

    @property
    def name(self) -> str:
        """The name of the database."""
        return unquote(urlsplit(self._url).path.removeprefix("/"))

    @contextmanager
    def lock(self, name: str, patience_seconds: float = 0) -> Iterator[None]:
        """Hold a named lock of the database for the block; it is given back with it, or when the process dies.

        Raises AlreadyRunning where another process holds it for longer than the patience, at once by default.
        """
        with self._connect(autocommit=True) as connection:
            if not _got_lock(connection, name, patience_seconds):
                raise AlreadyRunning(f"Another process holds the lock {name!r}.", "Wait until it has finished.")
            try:
                yield
            finally:
                # The server ends a connection some time after its client has; the next holder may come before that.
                with suppress(psycopg.OperationalError):  # the server is gone, and the lock with it
                    connection.execute("SELECT pg_advisory_unlock(hashtext(%s))", (name,))

    @contextmanager
    def exclusive(self, name: str, patience_seconds: float) -> Iterator[Connection]:
        """A connection that alone works on `name`; each statement, or each of its transactions, commits by itself.

        Waits for another holder as long as that one gets on. A holder whose server side has waited for its client
        for `patience_seconds` without a byte is a zombie: its connection is ended, and with it its transaction and
        its lock, so it can write nothing more when it wakes. Raises what `transaction` raises.
        """
        with self._connect(autocommit=True) as connection, self._told_plainly():
            take_lock(connection, name, patience_seconds)
            yield connection

    @contextmanager
    def _told_plainly(self) -> Iterator[None]:
        try:
            yield
        except psycopg.errors.DiskFull as error:
            raise DatabaseFull(
                f"The database {self.address} has no room left: {str(error).strip()}.",
                "Free or add space, then run this again; what was not finished is undone.",
            ) from error
        except psycopg.OperationalError as error:
            if error.sqlstate is not None and not error.sqlstate.startswith(("08", "57P")):
                raise
            raise DatabaseUnavailable(
                f"The connection to the database {self.address} was lost: {str(error).strip()}.",
                "Run this again: what is finished is skipped, what was not is undone.",
            ) from error

    def _connect(self, autocommit: bool = False) -> Connection:
        try:
            return psycopg.connect(
                self.url,
                row_factory=dict_row,
                autocommit=autocommit,
                connect_timeout=10,
                application_name="churn",
                **_KEEPALIVES,
            )
        except psycopg.OperationalError as error:
            raise DatabaseUnavailable(
                f"The database {self.address} cannot be reached: {str(error).strip()}.",
                "Start it (`churn platform up`) or correct CHURN_DATABASE_URL.",
            ) from error


def _got_lock(connection: Connection, name: str, patience_seconds: float) -> bool:
    if not patience_seconds:
        row = connection.execute("SELECT pg_try_advisory_lock(hashtext(%s)) AS got", (name,)).fetchone()
        return bool(row and row["got"])
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{round(patience_seconds * 1000)}ms",))
    try:
        connection.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))
    except psycopg.errors.LockNotAvailable:
        return False
    return True


class KeptDatabase(Database):
    """The same, with one connection that stays open between transactions: for one thread that asks every second.

    A login costs the server some 20 ms of CPU, a transaction on a connection that is there a fraction of one. What
    was cut meanwhile, by a restart of the server say, is noticed before the work and made anew.
    """

    def __init__(self, url: str, fresh_password: Callable[[], str] | None = None) -> None:
        super().__init__(url, fresh_password)
        self._kept: Connection | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """As of Database; a connection whose work failed is not kept."""
        connection = self._usable() or self._connect()
        self._kept = None
        try:
            with self._told_plainly(), connection.transaction():
                yield connection
            self._kept = connection
        finally:
            if self._kept is None:
                connection.close()

    def _usable(self) -> Connection | None:
        connection = self._kept
        if connection is None:
            return None
        try:
            with connection.transaction():
                connection.execute("SELECT")
        except psycopg.OperationalError:
            connection.close()
            return None
        return connection


@cache
def query(name: str) -> str:
    """The text of the reviewed statement queries/<name>.sql."""
    return (resources.files("churn.db") / "queries" / f"{name}.sql").read_text("utf-8")
