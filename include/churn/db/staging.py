"""The private staging table of one validation: the extract as text, row by row.

Its name is constant, so that the Great Expectations asset is a reviewed file. Whoever uses it holds the lock
`validate_customers`; its comment says whose rows it holds, so that a process that lost the lock notices.
"""

import re

import psycopg
from psycopg import sql

from churn.columns import COLUMNS, KEY, Column
from churn.core.extract_text import DELIVER_AGAIN, ExtractText, Header
from churn.db.database import Connection, query
from churn.errors import AlreadyRunning, ExtractRefused
from churn.records import Extract

TABLE = sql.Identifier("staging", "customers_extract")
_LINE = re.compile(r"line (\d+)")


def stage(connection: Connection, extract: Extract, text: ExtractText) -> int:
    """Copy an extract to a fresh staging table, streamed; return its row count.

    Raises ExtractRefused naming the line that cannot be read.
    """
    header = text.header
    _create(connection, extract, header)
    try:
        row_count = _copy(connection, header, text)
    except (psycopg.DataError, psycopg.errors.ProgramLimitExceeded) as error:
        raise ExtractRefused(_unreadable(error), DELIVER_AGAIN) from error
    if row_count == 0:
        raise ExtractRefused("The file holds a header and no rows.", DELIVER_AGAIN)
    for position in range(len(header.added)):
        connection.execute(sql.SQL("ALTER TABLE {} DROP COLUMN {}").format(TABLE, _added(position)))
    return row_count


def analyse(connection: Connection) -> None:
    """Let the server look at a sample of the staged rows, for its plans and for the shares of a profile."""
    connection.execute(sql.SQL("ANALYZE {}").format(TABLE))


def require_staged(connection: Connection, extract: Extract) -> None:
    """Hold the staging table for this transaction.

    Raises AlreadyRunning where it holds the rows of another extract by now.
    """
    connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(TABLE))
    if not _holds(connection, extract):
        raise AlreadyRunning("Another validation has taken the staging table.", "Run `churn admit` again.")


def drop(connection: Connection, extract: Extract) -> None:
    """Remove the staging table if it holds this extract."""
    if _holds(connection, extract):
        _drop(connection)


def _holds(connection: Connection, extract: Extract) -> bool:
    row = connection.execute(query("get_staged_extract")).fetchone()
    return row is not None and row["staged"] == _owner(extract)


def _drop(connection: Connection) -> None:
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(TABLE))


def _create(connection: Connection, extract: Extract, header: Header) -> None:
    _drop(connection)
    columns = [_definition(column) for column in COLUMNS]
    columns += [sql.SQL("{} text").format(_added(position)) for position in range(len(header.added))]
    connection.execute(sql.SQL(query("create_staging")).format(columns=sql.SQL(", ").join(columns)))
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(TABLE, sql.Literal(_owner(extract))))


def _definition(column: Column) -> sql.Composed:
    # Keys are sorted and compared byte by byte, as they are in history: twice as fast.
    by_bytes = sql.SQL(' COLLATE "C"' if column is KEY else "")
    return sql.SQL("{} text{}").format(sql.Identifier(column.name), by_bytes)


def _copy(connection: Connection, header: Header, text: ExtractText) -> int:
    """COPY in the file's own column order; added columns go to columns that are dropped afterwards."""
    added = {name: _added(position) for position, name in enumerate(header.added)}
    names = sql.SQL(", ").join(added.get(name, sql.Identifier(name)) for name in header.names)
    # A blank key is no key, quoted or not: two of them are two bad rows and no customer who is there twice.
    options = sql.SQL("FORMAT csv, HEADER true, ENCODING 'UTF8', FORCE_NULL ({})").format(sql.Identifier(KEY.name))
    statement = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(TABLE, names, options)
    with connection.cursor() as cursor:
        with cursor.copy(statement) as copy:
            for chunk in text.chunks():
                copy.write(chunk)
        return cursor.rowcount


def _added(position: int) -> sql.Identifier:
    return sql.Identifier(f"added_{position + 1}")


def _owner(extract: Extract) -> str:
    return f"rows of extract {extract.extract_id}"


def _unreadable(error: psycopg.Error) -> str:
    """The server's own words with the line, and without the row itself: it is a customer's."""
    line = _LINE.search(error.diag.context or "")
    where = f"Line {line[1]}" if line else "The file"
    return f"{where} cannot be read: {error.diag.message_primary}."
