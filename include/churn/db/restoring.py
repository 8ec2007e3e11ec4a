"""Databases that are restored: made beside an empty place, filled, and put into it in one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from churn.db.database import Database, query
from churn.db.takeover import Connection
from churn.errors import NotEmpty, RestoreFailed

_BESIDE = "_restoring"
_UNFINISHED = "unfinished restore of "


@dataclass(frozen=True)
class Place:
    """Where a database is restored to: `database` as the role that owns its tables, `admin` may make databases.

    `comment` is put on the restored database.
    """

    database: Database
    admin: Database
    comment: str | None = None

    @property
    def server(self) -> Database:
        """The server's maintenance database as the role that may make others."""
        return self.admin.named("postgres")

    @property
    def beside(self) -> Database:
        """The database that is filled, before it takes its place."""
        return self.database.named(self.database.name + _BESIDE)

    def obstacle(self) -> str | None:
        """What is in the way of a restore, in words; None where the place is empty or not there."""
        name = self.database.name
        with self.server.transaction() as connection:
            if connection.execute(query("find_database"), {"name": name}).fetchone() is None:
                return None
            sessions = connection.execute(query("list_sessions"), {"name": name}).fetchall()
        if sessions:
            whose = sorted({f"{row['role_name']} ({row['application_name'] or 'no name'})" for row in sessions})
            return f"someone is connected to the database {name}: {', '.join(whose)}"
        with self.admin.named(name).transaction() as connection:
            tables = connection.execute(query("list_tables")).fetchall()
        named = ", ".join(f"{row['schema_name']}.{row['table_name']}" for row in tables[:3])
        return f"the database {name} holds {len(tables)} tables ({named}, ...)" if tables else None

    def make_beside(self, backup_id: str) -> Database:
        """An empty database beside the place, marked as unfinished; what an earlier restore left is removed.

        Raises NotEmpty where a database of that name is nobody's leftover.
        """
        beside = sql.Identifier(self.beside.name)
        self.remove_beside()
        with self.server.statements() as connection:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 OWNER {}").format(
                    beside, sql.Identifier(urlsplit(self.database.url).username or "postgres")
                )
            )
            mark = sql.Literal(_UNFINISHED + backup_id)
            connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(beside, mark))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(beside))
        return self.beside

    def remove_beside(self) -> None:
        """Remove what an earlier or failed restore left beside the place. Raises NotEmpty where it is another's."""
        name = self.beside.name
        with self.server.transaction() as connection:
            found = connection.execute(query("find_database"), {"name": name}).fetchone()
        if found is None:
            return
        if not (found["comment"] or "").startswith(_UNFINISHED) and self._tables_of(name):
            raise NotEmpty(
                f"The database {name} is no leftover of a restore.", "Rename or remove it, then restore again."
            )
        with self.server.statements() as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _tables_of(self, name: str) -> int:
        with self.admin.named(name).transaction() as connection:
            return len(connection.execute(query("list_tables")).fetchall())


def put_in_place(places: Sequence[Place]) -> None:
    """Let the filled databases take their places: those of one server in one transaction, in the order given.

    An empty database that was there is dropped first. Raises NotEmpty where one is not empty any more.
    """
    for place in places:
        if obstacle := place.obstacle():
            raise NotEmpty(f"Meanwhile {obstacle}.", "Stop what writes there, empty it, then restore again.")
    try:
        for place in places:
            with place.server.statements() as connection:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(place.database.name)))
        for server in dict.fromkeys(place.server.url for place in places):
            with Database(server).transaction() as connection:
                for place in places:
                    if place.server.url == server:
                        _rename(connection, place)
    except psycopg.errors.ObjectInUse as error:
        raise RestoreFailed(f"Someone is connected: {error}.", "Stop it, then restore again.") from error


def _rename(connection: Connection, place: Place) -> None:
    here, beside = sql.Identifier(place.database.name), sql.Identifier(place.beside.name)
    comment = sql.Literal(place.comment) if place.comment is not None else sql.SQL("NULL")
    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(beside, here))
    connection.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(here, comment))
